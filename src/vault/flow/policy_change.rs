//! Change of the policy: a file that differs from the one in force takes effect only after two people agreed on its digest.
//!
//! Invariants:
//! - The text in force is kept in the store, signed by the vault, and checked at each unseal. A difference seals the vault.
//! - At start the kept text is in force, whatever the file says. The very first start takes the file, with an entry; so
//!   does `policy.begin_anew`, for a vault in which nobody is left who could approve.
//! - Several nodes: see [`super::policy_nodes`].

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use strongroom_wire::acts::{ActKind, ChangePolicy};
use strongroom_wire::entry::{Act, OwnAct};

use super::acts::Agreed;
use super::admin::read_policy_text;
use super::{FlowError, Vault, kept, policy_nodes};
use crate::audit::{AuditLog, Own};
use crate::barrier::Keyring;
use crate::policy::{Digest, Note, Rules, changes};
use crate::store::{KeptRow, Store};
use crate::telemetry::log;

/// Where the policy comes from, and which text of it is in force.
pub struct PolicySource {
    path: PathBuf,
    pub(super) in_force: Mutex<InForce>,
    /// The file holds another text.
    differs: AtomicBool,
    /// This start took the text from the file, so that it need not be signed yet.
    pub(super) is_fresh: AtomicBool,
    /// This start took it although there was another.
    pub(super) begun_anew: AtomicBool,
    /// Held while another text comes into force.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// What was refused last, so that it is said once.
    pub(super) refused: Mutex<Option<Digest>>,
}

/// The text in force, and its number among several nodes: 0 until that is known.
#[derive(Clone)]
pub(super) struct InForce {
    pub(super) text: String,
    pub(super) number: u64,
}

/// How a process starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// It takes the file, whatever the store keeps.
    pub begin_anew: bool,
    /// It is one of several nodes.
    pub is_node: bool,
}

/// Why no policy can be put in force at the start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPolicy {
    /// The store has keys and no policy.
    #[error(
        "the store has keys but not the policy that was in force, so somebody removed it. Put the newest copy of the store \
         back, or start once with policy.begin_anew = true, which takes the file and is recorded"
    )]
    Lost,
    /// What is kept is no policy.
    #[error(
        "the policy that the store keeps cannot be read: {0}. Start once with policy.begin_anew = true, which takes the \
         file and is recorded"
    )]
    Damaged(String),
    /// The store or the log did not take it.
    #[error("{0}")]
    Flow(FlowError),
}

impl<E: Into<FlowError>> From<E> for NoPolicy {
    fn from(error: E) -> Self {
        NoPolicy::Flow(error.into())
    }
}

/// Finds the policy that is in force: the kept one, or the file's where this is the first start or one that begins anew.
///
/// # Errors
/// [`NoPolicy`] says what to do.
pub async fn at_start(
    (store, audit): (&dyn Store, &AuditLog),
    path: &Path,
    file: String,
    Start { begin_anew, is_node }: Start,
) -> Result<(Rules, PolicySource), NoPolicy> {
    let is_new = store.keys().await?.is_empty();
    let row = store.kept(NAME).await?.into_iter().find(|row| row.name == NAME);
    let text = match row {
        None if !is_new && !begin_anew => return Err(NoPolicy::Lost),
        // What an earlier start took before the first unseal is not signed yet, and this one takes it anew.
        Some(row) if !is_new && (!begin_anew || row.value == file.as_bytes()) => {
            String::from_utf8(row.value).map_err(|_| NoPolicy::Damaged("it is not UTF-8".to_owned()))?
        }
        // Another node took its own file and was not unsealed yet.
        Some(row) if is_new && is_node && !begin_anew => {
            String::from_utf8(row.value).map_err(|_| NoPolicy::Damaged("it is not UTF-8".to_owned()))?
        }
        known => {
            if known.as_ref().is_none_or(|row| row.value != file.as_bytes()) {
                let words = if is_new { FIRST } else { ANEW };
                let note = Note::words("policy").and(&Digest::of(file.as_bytes())).and(&words);
                audit.record_own(OwnAct::Reloaded, Own::noting(note)).await?;
                let row = KeptRow { name: NAME.to_owned(), value: file.clone().into_bytes(), note: String::new() };
                match known {
                    // Nodes that run have the signed one in force until this one is unsealed and signs its own.
                    Some(_) if is_node => {}
                    None if is_node => {
                        if !store.swap_kept(None, row).await? {
                            return Err(NoPolicy::Flow(FlowError::Conflict(
                                "another node put its policy in force in this moment; start again",
                            )));
                        }
                    }
                    _ => store.put_kept(row).await?,
                }
            }
            file.clone()
        }
    };
    let rules = Rules::parse(&text).map_err(|why| NoPolicy::Damaged(why.to_string()))?;
    let source = PolicySource {
        path: path.to_owned(),
        differs: AtomicBool::new(text != file),
        in_force: Mutex::new(InForce { text, number: 0 }),
        is_fresh: AtomicBool::new(is_new || begin_anew),
        begun_anew: AtomicBool::new(begin_anew),
        changing: tokio::sync::Mutex::default(),
        refused: Mutex::default(),
    };
    Ok((rules, source))
}

impl PolicySource {
    /// Whether the file holds another text than the one in force.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.differs.load(Ordering::SeqCst)
    }

    /// Reads the file again; its text if it is another one than the one in force.
    ///
    /// # Errors
    /// What is wrong with it and where, for the person who wrote it.
    pub fn read(&self) -> Result<Option<String>, String> {
        let (text, _) = read_policy_text(&self.path)?;
        let differs = text != self.text();
        self.differs.store(differs, Ordering::SeqCst);
        Ok(differs.then_some(text))
    }

    fn text(&self) -> String {
        self.now().text
    }

    pub(super) fn now(&self) -> InForce {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a text in the place of the one in force. The rules are the caller's.
    pub(super) fn turn(&self, now: InForce) {
        *self.in_force.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

/// What is asked for where the file holds this text.
///
/// # Errors
/// [`FlowError::Crypto`] if it is no policy.
pub fn proposal(vault: &Vault, text: &str) -> Result<ActKind, FlowError> {
    let now = vault.policy_source.text();
    Ok(ActKind::ChangePolicy(ChangePolicy {
        sha256: Digest::of(text.as_bytes()).to_string(),
        instead_of: Digest::of(now.as_bytes()).to_string(),
        changes: changes(&now, text).map_err(|_| NOT_A_POLICY)?,
    }))
}

/// What the log says about it.
pub(super) fn about(asked: &ChangePolicy) -> Note {
    let digest = asked.sha256.parse::<Digest>();
    digest.map_or(Note::words("policy"), |digest| Note::words("policy").and(&digest))
}

/// Puts the file in force, if it still is the one that was agreed on.
pub(super) async fn change(vault: &Vault, agreed: &Agreed, asked: &ChangePolicy) -> Result<(), FlowError> {
    let source = &vault.policy_source;
    let _changing = source.changing.lock().await;
    let now = Digest::of(source.text().as_bytes()).to_string();
    if now == asked.sha256 {
        // It came into force before an interruption.
        return Ok(());
    }
    if now != asked.instead_of {
        return Err(FlowError::Conflict(
            "another policy came into force since this one was asked for, so that its list of changes is not right any \
             more; reload to ask for it anew",
        ));
    }
    let (text, rules) = read_policy_text(&source.path).map_err(|_| NOT_A_POLICY)?;
    let digest = Digest::of(text.as_bytes());
    if digest.to_string() != asked.sha256 {
        return Err(FlowError::Conflict(
            "the policy file is not the one that was asked for; put that one back, or reload to ask for this one",
        ));
    }
    let note = Note::words("policy").and(&digest).and(&"comes into force by").and(&agreed.id());
    vault.audit.record_own(OwnAct::Reloaded, Own::noting(note)).await?;
    let number = match vault.node {
        None => kept::keep(vault, NAME, text.clone().into_bytes()).await.map(|()| 0),
        Some(_) => policy_nodes::put_next(vault, &text).await,
    }?;
    vault.policy.replace(rules, vault.now_ms());
    source.turn(InForce { text, number });
    source.differs.store(false, Ordering::SeqCst);
    // A second entry, so that the log knows which of two texts is in force whenever a crash comes between.
    let note = if number == 0 {
        Note::words("policy").and(&digest).and(&IN_FORCE)
    } else {
        policy_nodes::in_force(&digest, number)
    };
    vault.audit.record_own(OwnAct::Reloaded, Own::noting(note)).await?;
    Ok(())
}

/// Before the keys are put in force: whether the policy in force is the one that the vault signed. The one of a first start
/// is signed now.
///
/// # Errors
/// [`FlowError::Tampered`]: the vault does not open under rules that nobody approved.
pub(super) async fn verify(vault: &Vault, ring: &Keyring) -> Result<(), FlowError> {
    if vault.node.is_some() {
        return policy_nodes::verify(vault, ring).await;
    }
    let text = vault.policy_source.text();
    let row = find(vault).await?.filter(|row| row.value == text.as_bytes());
    if let Some(row) = row {
        if kept::is_signed(&ring.voices(), &row) {
            return Ok(());
        }
        // A vault that was killed on its way through its first unseal has signed nothing yet.
        if vault.policy_source.is_fresh.load(Ordering::SeqCst) || (row.note.is_empty() && !was_unsealed(vault)?) {
            vault.store.put_kept(kept::row(ring.signer(), NAME, row.value, 0)).await?;
            return Ok(());
        }
    }
    Err(tampered(vault).await?)
}

/// Says that what is kept is not what the vault signed.
pub(super) async fn tampered(vault: &Vault) -> Result<FlowError, FlowError> {
    vault.metrics.tampered.inc();
    vault.audit.record_own(OwnAct::TamperFound, Own::noting(Note::words("policy in force"))).await?;
    log::error("the policy in force is not the one that the vault signed: put the store's newest copy back", &[]);
    Ok(FlowError::Tampered)
}

/// What is kept as the policy, signed or not.
pub(super) async fn find(vault: &Vault) -> Result<Option<KeptRow>, FlowError> {
    Ok(vault.store.kept(NAME).await?.into_iter().find(|row| row.name == NAME))
}

/// Whether the log says of no newer policy than the one in force that it came into force: a signed row of an earlier day,
/// put back into the store, is a policy that nobody wants any more. It reads the log and takes its time.
///
/// # Errors
/// The log cannot be read.
pub(super) fn is_newest(vault: &Vault) -> Result<bool, FlowError> {
    if vault.node.is_some() {
        return policy_nodes::is_newest(vault);
    }
    let text = vault.policy_source.text();
    let now = Digest::of(text.as_bytes());
    let (mut announced, mut confirmed) = (None, None);
    vault.audit.walk_back(0, |_, entry| {
        let words = entry.note.strip_prefix("policy ").filter(|_| entry.act == Act::Own(OwnAct::Reloaded));
        let Some((digest, rest)) = words.and_then(|words| words.split_once(' ')) else { return };
        let Ok(digest) = digest.parse::<Digest>() else { return };
        // What a start took from the file was in force from that moment on, and what was in force before it is old.
        let is_taken = [FIRST, ANEW].contains(&rest);
        if rest == IN_FORCE || is_taken {
            confirmed.get_or_insert(digest);
        }
        if rest != IN_FORCE {
            announced.get_or_insert(digest);
        }
    })?;
    // A log that was begun anew knows of none, and that it was begun anew is known. A crash between the two entries leaves
    // either of them in force. And what came into force while the log was read was just approved.
    let knows_none = announced.is_none() && confirmed.is_none();
    Ok(knows_none || announced == Some(now) || confirmed == Some(now) || text != vault.policy_source.text())
}

/// Whether the log knows of an unseal.
pub(super) fn was_unsealed(vault: &Vault) -> Result<bool, FlowError> {
    let mut found = false;
    vault.audit.walk_back(0, |_, entry| found |= entry.act == Act::Own(OwnAct::Unsealed))?;
    Ok(found)
}

const IN_FORCE: &str = "is in force";
const FIRST: &str = "comes into force at the first start";
const ANEW: &str = "comes into force, begun anew";
pub(super) const NAME: &str = "policy";
pub(super) const NOT_A_POLICY: FlowError =
    FlowError::Conflict("the policy file cannot be used; run `vaultd check-config` to see what is wrong with it");
