//! Where a Root in an HSM or KMS is: public facts that stand in `root.json`, and settings of one machine that do not.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strongroom_wire::limits;

use super::RootError;

/// A key in an HSM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HsmKey {
    /// Label of the token.
    pub token_label: String,
    /// Serial number of the token, so that another one of the same label is not taken for it.
    pub token_serial: String,
    /// `CKA_LABEL` of the key.
    pub key_label: String,
    /// `CKA_ID` of the key, hexadecimal.
    pub key_id: String,
    /// How it wraps.
    pub mechanism: Mechanism,
}

/// How a key in an HSM wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// AES-GCM with associated data, a nonce of 12 bytes and a tag of 16.
    #[serde(rename = "CKM_AES_GCM")]
    AesGcm,
}

/// A key in AWS KMS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KmsKey {
    /// ARN of the key.
    pub arn: String,
    /// Region whose KMS is asked.
    pub region: String,
}

/// What belongs to one machine and not to the Root.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// How the HSM is reached.
    pub hsm: Option<HsmSite>,
    /// How KMS is reached.
    pub kms: Option<KmsSite>,
}

/// How an HSM is reached from here.
#[derive(Debug, Clone)]
pub struct HsmSite {
    /// The HSM's PKCS#11 library.
    pub module: PathBuf,
    /// File with the user PIN as its only line; its owner alone may read it.
    pub pin_file: PathBuf,
    /// The slot, where several hold tokens that look alike.
    pub slot: Option<u64>,
    /// Longest time for one call, waiting included.
    pub timeout: Duration,
}

/// How KMS is reached from here. Credentials come the standard AWS way and are not among these.
#[derive(Debug, Clone)]
pub struct KmsSite {
    /// Another endpoint than AWS's own; https unless it is on loopback.
    pub endpoint: Option<String>,
    /// Profile of the shared AWS configuration.
    pub profile: Option<String>,
    /// Longest time for one call, repeats included.
    pub timeout: Duration,
}

impl HsmKey {
    pub(super) fn is_sound(&self) -> bool {
        let id = self.key_id.as_bytes();
        let is_hex = id.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        [&self.token_label, &self.token_serial, &self.key_label].into_iter().all(|text| is_name(text))
            && is_hex
            && id.len().is_multiple_of(2)
            && id.len() <= limits::ROOT_NAME_CHARS_MAX
    }

    pub(super) fn write_to(&self, hash: &mut Sha256) {
        let Mechanism::AesGcm = self.mechanism;
        write(hash, &[&self.token_label, &self.token_serial, &self.key_label, &self.key_id, "CKM_AES_GCM"]);
    }
}

impl KmsKey {
    pub(super) fn is_sound(&self) -> bool {
        is_name(&self.arn) && is_name(&self.region) && self.arn.starts_with("arn:")
    }

    pub(super) fn write_to(&self, hash: &mut Sha256) {
        write(hash, &[&self.arn, &self.region]);
    }
}

impl KmsSite {
    /// # Errors
    /// [`RootError::Setting`] for an endpoint over which keys would travel in the clear.
    pub fn check(&self) -> Result<(), RootError> {
        match &self.endpoint {
            Some(endpoint) if !is_private(endpoint) => Err(RootError::Setting(
                "[root.kms] endpoint begins with https://, or with http:// and a loopback address for tests",
            )),
            _ => Ok(()),
        }
    }
}

/// Reads a PIN for as long as one login takes.
///
/// # Errors
/// [`RootError::Setting`] says what is wrong with the file.
#[cfg(feature = "pkcs11")]
pub(super) fn read_pin(path: &std::path::Path) -> Result<zeroize::Zeroizing<Vec<u8>>, RootError> {
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;

    let unreadable = |_| RootError::Setting("[root.pkcs11] pin_file cannot be read; check its path and owner");
    let file = std::fs::File::open(path).map_err(unreadable)?;
    // Of the open file, so that nobody can exchange it between check and use.
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(RootError::Setting("others than its owner may use [root.pkcs11] pin_file; run chmod 600 on it"));
    }
    // Room for all of it from the start, so that the buffer never moves and leaves a copy.
    let mut pin = zeroize::Zeroizing::new(Vec::with_capacity(limits::PIN_FILE_BYTES_MAX + 1));
    file.take(limits::PIN_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut pin).map_err(unreadable)?;
    if pin.last() == Some(&b'\n') {
        pin.pop();
    }
    if pin.is_empty() || pin.len() >= limits::PIN_FILE_BYTES_MAX || pin.contains(&b'\n') {
        return Err(RootError::Setting("[root.pkcs11] pin_file holds the PIN as its only line and nothing else"));
    }
    Ok(pin)
}

fn is_name(text: &str) -> bool {
    (1..=limits::ROOT_NAME_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Whether nobody on the way can read what is sent to it.
fn is_private(endpoint: &str) -> bool {
    if endpoint.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.contains(['@', ' '])) {
        return true;
    }
    let Some(rest) = endpoint.strip_prefix("http://") else { return false };
    let host = rest.split('/').next().unwrap_or_default();
    host.parse::<std::net::SocketAddr>().is_ok_and(|at| at.ip().is_loopback())
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn write(hash: &mut Sha256, texts: &[&str]) {
    for text in texts {
        // Bounded far below 4 GiB by `is_sound`.
        hash.update(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_in_the_clear_is_taken_on_loopback_alone() {
        for good in
            ["https://kms.eu-central-1.amazonaws.com", "https://vpce-1:8443", "http://127.0.0.1:5000", "http://[::1]:1"]
        {
            assert!(is_private(good), "{good}");
        }
        for bad in
            ["http://kms.example", "http://127.0.0.1.evil.example", "http://127.0.0.1@evil.example", "https://", ""]
        {
            assert!(!is_private(bad), "{bad}");
        }
        let site = KmsSite { endpoint: Some("http://10.0.0.1".into()), profile: None, timeout: Duration::from_secs(1) };
        assert!(matches!(site.check(), Err(RootError::Setting(_))));
    }

    #[test]
    fn names_over_their_length_or_with_control_characters_are_refused() {
        let key = |label: &str| HsmKey {
            token_label: label.into(),
            token_serial: "1".into(),
            key_label: "root".into(),
            key_id: "ab".into(),
            mechanism: Mechanism::AesGcm,
        };
        assert!(key(&"n".repeat(limits::ROOT_NAME_CHARS_MAX)).is_sound());
        assert!(!key(&"n".repeat(limits::ROOT_NAME_CHARS_MAX + 1)).is_sound());
        assert!(!key("a\nb").is_sound() && !key("").is_sound());
        assert!(!HsmKey { key_id: "abc".into(), ..key("a") }.is_sound());
        assert!(!HsmKey { key_id: "AB".into(), ..key("a") }.is_sound());
    }

    #[cfg(feature = "pkcs11")]
    #[test]
    fn a_pin_file_that_others_may_read_or_of_another_form_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        let put = |text: &[u8], mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            read_pin(&path).map(|pin| pin.to_vec())
        };
        assert!(matches!(read_pin(&path), Err(RootError::Setting(_))));
        assert_eq!(put(b"1234\n", 0o600), Ok(b"1234".to_vec()));
        assert_eq!(put(b"1234", 0o400), Ok(b"1234".to_vec()));
        assert!(put(b"1234", 0o640).is_err());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for bad in [&b""[..], b"\n", b"12\n34\n", &[b'1'; limits::PIN_FILE_BYTES_MAX]] {
            assert!(put(bad, 0o600).is_err());
        }
    }
}
