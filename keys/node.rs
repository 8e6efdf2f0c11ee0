//! The Sign keys of the nodes of one vault. Every node holds the vault's Sign key of the term and signs with one that is
//! derived from it and from the node's name, so that each of them knows whose signature a note bears without taking a public
//! key from anybody's word.
//!
//! `HKDF-SHA-256(salt = "strongroom/node-sign/1", input = Sign key, info = signer's name)`, 32 bytes (RFC 5869), seeds the
//! node's Ed25519 key. The signer's name is `strongroom/<vault id>/<node>`. The Sign key is an Ed25519 seed and an input of HKDF
//! under this one salt, and nothing else.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use strongroom_wire::NodeName;
use zeroize::Zeroizing;

use crate::key::{Key, SignRole};
use crate::note;
use crate::sign::{BadPublicKey, PublicKey, Signer};
use crate::stack::wiped;

/// One term of a vault's Sign key, as one process holds it: what signs here, and what knows every other signature of the term.
/// Cloning shares the keys and copies none.
#[derive(Clone)]
pub struct Voice {
    own: Arc<Signer>,
    nodes: Option<Arc<Derived>>,
}

/// A [`Voice`] that signs nothing any more: it still knows its signatures.
#[derive(Clone)]
pub struct FormerVoice {
    own: PublicKey,
    nodes: Option<Arc<Derived>>,
}

/// The keys of several terms, the newest first, for reading notes.
#[derive(Clone)]
pub struct Voices(Vec<FormerVoice>);

/// The Sign key, to derive from.
struct Derived {
    vault: String,
    key: Key<SignRole>,
}

impl Voice {
    /// Of a vault that is one process: the Sign key signs itself and is not kept beside that.
    ///
    /// # Errors
    /// [`BadPublicKey::Name`] if the vault's id cannot stand in a signature line.
    pub fn alone(vault_id: &str, key: &Key<SignRole>) -> Result<Self, BadPublicKey> {
        Signer::new(&note::origin(vault_id), key).map(Self::from)
    }

    /// Of one node of several.
    ///
    /// # Errors
    /// As [`Voice::alone`].
    pub fn of_node(vault_id: &str, node: &NodeName, key: Key<SignRole>) -> Result<Self, BadPublicKey> {
        let derived = Derived { vault: note::origin(vault_id), key };
        let own = derived.signer(&note::node_origin(vault_id, node))?;
        Ok(Self { own: Arc::new(own), nodes: Some(Arc::new(derived)) })
    }

    /// What signs here.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.own
    }

    /// What is left of it when another term has taken its place. The secret half that signed here goes; among several nodes
    /// the key stays, because a node that was away signs with it until it is back.
    #[must_use]
    pub fn retired(&self) -> FormerVoice {
        FormerVoice { own: self.own.public_key().clone(), nodes: self.nodes.clone() }
    }
}

impl From<Signer> for Voice {
    fn from(signer: Signer) -> Self {
        Self { own: Arc::new(signer), nodes: None }
    }
}

impl FormerVoice {
    /// The public half of what signed here.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.own
    }

    /// What signed here, among several nodes: to hand over, when the node was away while the next term came.
    #[must_use]
    pub fn signer(&self) -> Option<Signer> {
        self.nodes.as_ref()?.signer(self.own.name()).ok()
    }

    /// The public half of what signs under this name: this process, the vault itself, or one of its nodes.
    #[must_use]
    pub fn key_of(&self, name: &str) -> Option<PublicKey> {
        if name == self.own.name() {
            return Some(self.own.clone());
        }
        let nodes = self.nodes.as_ref()?;
        // A vault that was one process once signed with the Sign key itself.
        if name == nodes.vault {
            return Some(Signer::new(name, &nodes.key).ok()?.public_key().clone());
        }
        let node = name.strip_prefix(nodes.vault.as_str())?.strip_prefix('/')?;
        node.parse::<NodeName>().ok()?;
        Some(nodes.signer(name).ok()?.public_key().clone())
    }

    fn open<'a>(&self, text: &'a str) -> Option<&'a str> {
        note::names(text).find_map(|name| note::open(text, &self.key_of(name)?).ok())
    }
}

impl Voices {
    /// Of these terms, the newest first.
    #[must_use]
    pub fn new(terms: Vec<FormerVoice>) -> Self {
        Self(terms)
    }

    /// The text of a note that the vault or any of its nodes signed, under any of the terms.
    #[must_use]
    pub fn open<'a>(&self, note: &'a str) -> Option<&'a str> {
        self.0.iter().find_map(|term| term.open(note))
    }

    /// The same for the newest term alone.
    #[must_use]
    pub fn open_newest<'a>(&self, note: &'a str) -> Option<&'a str> {
        self.0.first()?.open(note)
    }
}

impl Derived {
    fn signer(&self, name: &str) -> Result<Signer, BadPublicKey> {
        Signer::new(name, &Key::init_with(|out| derive(self.key.bytes(), name, out)))
    }
}

/// HKDF-SHA-256 of one block.
fn derive(input: &[u8; 32], info: &str, out: &mut [u8; 32]) {
    wiped(|| {
        let extracted: Zeroizing<[u8; 32]> = Zeroizing::new(hmac(SALT, &[input]));
        out.copy_from_slice(&*Zeroizing::new(hmac(&*extracted, &[info.as_bytes(), &[1]])));
    });
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| hmac.update(part));
    hmac.finalize().into_bytes().into()
}

const SALT: &[u8] = b"strongroom/node-sign/1";

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::lineage::{Handover, Lineage};
    use crate::note::{Checkpoint, Statement as _};

    fn key(from: u8) -> Key<SignRole> {
        Key::init_with(|bytes| (0..).zip(bytes).for_each(|(place, byte)| *byte = from + place))
    }

    fn node(name: &str, from: u8) -> Voice {
        Voice::of_node(VAULT, &name.parse().unwrap(), key(from)).unwrap()
    }

    /// Made once with another program (`hmac` and Ed25519 of Python), so that no later version derives another key.
    #[test]
    fn the_vectors_hold() {
        let file: Value = serde_json::from_str(include_str!("vectors/node-sign.json")).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 4);
        for vector in vectors {
            let from = u8::try_from(vector["first_byte"].as_u64().unwrap()).unwrap();
            let name: NodeName = vector["node"].as_str().unwrap().parse().unwrap();
            let voice = Voice::of_node(vector["vault"].as_str().unwrap(), &name, key(from)).unwrap();
            assert_eq!(voice.signer().public_key().to_string(), vector["public_key"].as_str().unwrap());
        }
    }

    #[test]
    fn a_vault_alone_signs_with_the_sign_key_itself() {
        let alone = Voice::alone(VAULT, &key(0)).unwrap();
        let plain = Signer::new(&note::origin(VAULT), &key(0)).unwrap();
        assert_eq!(alone.signer().public_key(), plain.public_key());
        assert!(alone.retired().signer().is_none());
        assert!(alone.retired().key_of(&note::node_origin(VAULT, &"a".parse().unwrap())).is_none());
    }

    #[test]
    fn every_node_knows_every_other_and_the_vault_of_before_and_nobody_else() {
        let (a, b, other) = (node("a", 0), node("b", 0), node("b", 1));
        let before = Voice::alone(VAULT, &key(0)).unwrap();
        let knows = Voices::new(vec![a.retired()]);
        let stranger = Signer::new(&note::node_origin(VAULT, &"c".parse().unwrap()), &key(7)).unwrap();
        for (signer, known) in [
            (a.signer(), true),
            (b.signer(), true),
            (before.signer(), true),
            (other.signer(), false),
            (&stranger, false),
            (&Signer::new("strongroom/other", &key(0)).unwrap(), false),
            // The Sign key itself speaks for the vault and for no node.
            (&Signer::new(&note::node_origin(VAULT, &"c".parse().unwrap()), &key(0)).unwrap(), false),
        ] {
            let note = note::sign("text", signer);
            assert_eq!(knows.open(&note).is_some(), known, "{}", signer.public_key().name());
        }
        let mut keys = [a, b, node("c", 0), before].map(|voice| voice.signer().public_key().to_string());
        keys.sort();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn each_node_hands_over_from_its_own_key_to_its_own_key() {
        let (old, new) = (node("a", 0), node("a", 1));
        let step = |key: &Voice, by: &Signer| {
            Handover { term: 2, key: key.signer().public_key().clone(), from_entry: 7, at_ms: 0 }.sign(by)
        };
        let first = || Lineage::of(old.signer().public_key().clone());
        // A node that was away has the key of before from its former term.
        let again = old.retired().signer().unwrap();
        let lineage = first().follow(&step(&new, &again)).unwrap();
        let checkpoint = Checkpoint { size: 8, root: [1; 32] };
        assert_eq!(lineage.open(&checkpoint.sign(new.signer())), Ok(checkpoint));
        // Neither to another node nor by one.
        assert!(first().follow(&step(&node("b", 1), old.signer())).is_err());
        assert!(first().follow(&step(&new, node("b", 0).signer())).is_err());
    }

    #[test]
    fn a_note_with_hostile_names_is_nobody_s() {
        let knows = Voices::new(vec![node("a", 0).retired()]);
        let note = note::sign("text", node("b", 0).signer());
        for (from, to) in [("/b ", "/B "), ("/b ", "/ "), ("/b ", "/b/c "), ("/b ", " "), ("text", "next")] {
            assert!(knows.open(&note.replacen(from, to, 1)).is_none(), "{to}");
        }
        for odd in ["", "\n\n", "text\n\n\u{2014} \n", "text\n\n\u{2014} a", "\u{2014} x y"] {
            assert!(knows.open(odd).is_none());
        }
    }

    const VAULT: &str = "0198c0de-0000-7000-8000-000000000001";
}
