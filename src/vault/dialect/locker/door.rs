//! The keys of the dialect and who speaks it, read once at the start.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use strongroom_keys::jose::{OtherKey, OwnKey, Wrapping};
use strongroom_wire::{TenantId, limits};
use zeroize::Zeroizing;

use super::seen::Seen;
use crate::config::{self, AnswerWrapping, Messages};
use crate::policy::Identity;

/// What opens messages, and who may send them.
pub struct Door {
    pub(super) own: OwnKey,
    pub(super) own_id: Option<String>,
    pub(super) client_certificates: bool,
    pub(super) callers: Vec<Caller>,
    pub(super) seen: Seen,
}

/// One caller.
pub(super) struct Caller {
    pub(super) tenant_id: String,
    pub(super) identity: Identity,
    pub(super) speech: Speech,
    pub(super) tenant: Option<TenantId>,
    pub(super) merchants: BTreeMap<String, TenantId>,
    pub(super) provision: bool,
}

/// How messages of a caller come and answers go.
pub(super) enum Speech {
    /// Signed and sealed.
    Jose { key: OtherKey, id: String, wrapping: Wrapping },
    /// As they are, where its client certificate says who it is.
    Plain,
}

/// Why the dialect cannot be spoken. It names files and keys of the configuration, never their content.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// A key file.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// An identity of another form.
    #[error("locker.caller.{caller}.identity: {why}")]
    Identity {
        /// Of which caller.
        caller: String,
        /// What it should be.
        why: crate::policy::BadIdentity,
    },
}

impl Door {
    /// Reads the keys that the configuration names.
    ///
    /// # Errors
    /// [`DoorError`] names the file or key at fault.
    pub fn load(config: &config::Locker) -> Result<Self, DoorError> {
        let own = own_key(&config.key)?;
        let callers =
            config.caller.iter().map(|(name, caller)| Caller::load(name, caller)).collect::<Result<_, _>>()?;
        Ok(Self {
            own,
            own_id: config.key_id.clone(),
            client_certificates: config.client_certificates,
            callers,
            seen: Seen::new(limits::LOCKER_MESSAGES_MAX),
        })
    }
}

impl Caller {
    fn load(name: &str, config: &config::Caller) -> Result<Self, DoorError> {
        let identity =
            Identity::parse(&config.identity).map_err(|why| DoorError::Identity { caller: name.to_owned(), why })?;
        // The configuration was checked: a caller that signs has both.
        let speech = match (config.messages, &config.key, &config.key_id) {
            (Messages::Jwe, Some(path), Some(id)) => Speech::Jose {
                key: other_key(path)?,
                id: id.clone(),
                wrapping: match config.answers {
                    AnswerWrapping::Sha1 => Wrapping::Sha1,
                    AnswerWrapping::Sha256 => Wrapping::Sha256,
                },
            },
            _ => Speech::Plain,
        };
        Ok(Self {
            tenant_id: config.tenant_id.clone(),
            identity,
            speech,
            tenant: config.tenant.clone(),
            merchants: config.merchants.clone(),
            provision: config.provision,
        })
    }
}

fn own_key(path: &Path) -> Result<OwnKey, DoorError> {
    let file = |why: String| DoorError::File { path: path.to_owned(), why };
    let pem = read(path, true)?;
    let key =
        PrivateKeyDer::from_pem_slice(&pem).map_err(|_| file("there is no private key in PEM in it".to_owned()))?;
    let PrivateKeyDer::Pkcs8(key) = key else {
        let why = "the key is not PKCS#8; make it so with `openssl pkcs8 -topk8 -nocrypt`";
        return Err(file(why.to_owned()));
    };
    OwnKey::from_pkcs8(key.secret_pkcs8_der()).map_err(|why| file(why.to_string()))
}

fn other_key(path: &Path) -> Result<OtherKey, DoorError> {
    let file = |why: String| DoorError::File { path: path.to_owned(), why };
    let pem = read(path, false)?;
    let key = SubjectPublicKeyInfoDer::from_pem_slice(&pem)
        .map_err(|_| file("there is no PUBLIC KEY in PEM in it; `openssl rsa -pubout` writes one".to_owned()))?;
    OtherKey::from_spki(key.as_ref()).map_err(|why| file(why.to_string()))
}

fn read(path: &Path, is_secret: bool) -> Result<Zeroizing<Vec<u8>>, DoorError> {
    let fault = |why: String| DoorError::File { path: path.to_owned(), why };
    let file = File::open(path).map_err(|why| fault(why.to_string()))?;
    // Of the open file, so that nobody can exchange it between check and use.
    let about = file.metadata().map_err(|why| fault(why.to_string()))?;
    if is_secret && about.permissions().mode() & 0o077 != 0 {
        return Err(fault("others than its owner may use it; run chmod 600 on it".to_owned()));
    }
    // Room for all of it from the start, so that the buffer never moves and leaves a copy.
    let mut pem = Zeroizing::new(Vec::with_capacity(limits::LOCKER_KEY_BYTES_MAX + 1));
    file.take(limits::LOCKER_KEY_BYTES_MAX as u64 + 1).read_to_end(&mut pem).map_err(|why| fault(why.to_string()))?;
    if pem.len() > limits::LOCKER_KEY_BYTES_MAX {
        return Err(fault("it is larger than 16 KiB, which no key is".to_owned()));
    }
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn a_key_file_that_others_may_read_too_large_or_of_another_kind_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locker.key");
        let why = |text: &[u8], mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            own_key(&path).err().unwrap().to_string()
        };
        let pem = |kind: &str| format!("-----BEGIN {kind} KEY-----\nAAAA\n-----END {kind} KEY-----\n").into_bytes();
        let older = pem("RSA PRIVATE");
        assert!(why(&older, 0o640).contains("chmod 600"));
        assert!(why(&older, 0o604).contains("chmod 600"));
        assert!(why(&older, 0o600).contains("openssl pkcs8"));
        assert!(why(b"", 0o600).contains("no private key"));
        assert!(why(&vec![b'-'; limits::LOCKER_KEY_BYTES_MAX + 1], 0o600).contains("larger"));
        assert!(!why(&vec![b'-'; limits::LOCKER_KEY_BYTES_MAX], 0o600).contains("larger"));
        assert!(why(&pem("PRIVATE"), 0o600).contains("RSA"));
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(other_key(&path).err().unwrap().to_string().contains("PUBLIC KEY"));
        assert!(other_key(&folder.path().join("none")).is_err());
    }
}
