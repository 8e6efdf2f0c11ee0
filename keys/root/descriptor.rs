//! `root.json`: what everybody may know about a Root, and enough to tell whether a key or a share is the right one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strongroom_wire::admin::RootKind;
use strongroom_wire::limits;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::place::{HsmKey, KmsKey};
use super::{Home, Place, RootError};
use crate::Unauthentic;
use crate::aead::Cipher;
use crate::context::{Context, Part, Purpose};
use crate::key::{NoRandomness, RootRole};
use crate::share::{Share, division_is_sound};

/// The public half of a Root: which vault, how it is kept, a commitment to each share, and a known text sealed under the
/// Root with all of this bound to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    vault_id: Uuid,
    kind: RootKind,
    threshold: u8,
    commitments: Vec<[u8; 32]>,
    hsm: Option<HsmKey>,
    kms: Option<KmsKey>,
    check: Vec<u8>,
}

/// The file is not a root.json.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file is not a root.json of format 1 as `vaultctl init` writes it")]
pub struct BadDescriptor;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    vault_id: Uuid,
    kind: RootKind,
    threshold: u8,
    shares: u8,
    commitments: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pkcs11: Option<HsmKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kms: Option<KmsKey>,
    check: String,
}

impl Descriptor {
    pub(super) fn custodians(
        vault_id: Uuid,
        threshold: u8,
        commitments: Vec<[u8; 32]>,
        root: &Cipher<RootRole>,
    ) -> Result<Self, NoRandomness> {
        Self { threshold, commitments, ..Self::bare(vault_id, RootKind::Custodians) }.sealed(root)
    }

    pub(super) fn dev(vault_id: Uuid, root: &Cipher<RootRole>) -> Result<Self, NoRandomness> {
        Self::bare(vault_id, RootKind::Dev).sealed(root)
    }

    /// Of a key in an HSM, without its check text.
    #[cfg(feature = "pkcs11")]
    pub(super) fn hsm(vault_id: Uuid, key: HsmKey) -> Result<Self, RootError> {
        if !key.is_sound() {
            return Err(RootError::Setting(
                "a label of the token or key is empty, too long, or holds control characters",
            ));
        }
        Ok(Self { hsm: Some(key), ..Self::bare(vault_id, RootKind::Pkcs11) })
    }

    /// Of a key in KMS, without its check text.
    #[cfg(feature = "kms")]
    pub(super) fn kms(vault_id: Uuid, key: KmsKey) -> Result<Self, RootError> {
        if !key.is_sound() {
            return Err(RootError::Setting(
                "the region or the key's ARN is empty, too long, or holds control characters",
            ));
        }
        Ok(Self { kms: Some(key), ..Self::bare(vault_id, RootKind::Kms) })
    }

    fn bare(vault_id: Uuid, kind: RootKind) -> Self {
        Self { vault_id, kind, threshold: 0, commitments: Vec::new(), hsm: None, kms: None, check: Vec::new() }
    }

    /// With a check text that the HSM or KMS made.
    #[cfg(any(feature = "pkcs11", feature = "kms"))]
    pub(super) async fn sealed_at(&self, home: &dyn Home) -> Result<Self, RootError> {
        let digest = self.digest();
        let context = place(&digest);
        let check = home.seal(&Place { context: &context, part: Part::Whole, term: 0 }, CHECK).await?;
        Ok(Self { check, ..self.clone() })
    }

    fn sealed(mut self, root: &Cipher<RootRole>) -> Result<Self, NoRandomness> {
        self.check = root.seal(&place(&self.digest()), CHECK)?;
        Ok(self)
    }

    /// Reads a `root.json`.
    ///
    /// # Errors
    /// [`BadDescriptor`] for any other form, unknown fields and unsound numbers included.
    pub fn parse(json: &[u8]) -> Result<Self, BadDescriptor> {
        if json.len() > limits::ROOT_FILE_BYTES_MAX {
            return Err(BadDescriptor);
        }
        let file: File = serde_json::from_slice(json).map_err(|_| BadDescriptor)?;
        let commitments = file
            .commitments
            .iter()
            .map(|text| STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()))
            .collect::<Option<Vec<[u8; 32]>>>()
            .ok_or(BadDescriptor)?;
        let sound = match file.kind {
            RootKind::Custodians => division_is_sound(file.shares, file.threshold),
            RootKind::Dev | RootKind::Pkcs11 | RootKind::Kms => file.shares == 0 && file.threshold == 0,
        };
        // The facts of its own kind and of no other.
        let fitting = match (file.kind, &file.pkcs11, &file.kms) {
            (RootKind::Custodians | RootKind::Dev, None, None) => true,
            (RootKind::Pkcs11, Some(key), None) => key.is_sound(),
            (RootKind::Kms, None, Some(key)) => key.is_sound(),
            _ => false,
        };
        if !sound || !fitting || file.format != FORMAT || commitments.len() != usize::from(file.shares) {
            return Err(BadDescriptor);
        }
        let check = STANDARD.decode(&file.check).map_err(|_| BadDescriptor)?;
        let (vault_id, kind, threshold) = (file.vault_id, file.kind, file.threshold);
        Ok(Self { vault_id, kind, threshold, commitments, hsm: file.pkcs11, kms: file.kms, check })
    }

    /// The file's text: JSON, with a newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let file = File {
            format: FORMAT,
            vault_id: self.vault_id,
            kind: self.kind,
            threshold: self.threshold,
            shares: self.shares(),
            commitments: self.commitments.iter().map(|hash| STANDARD.encode(hash)).collect(),
            pkcs11: self.hsm.clone(),
            kms: self.kms.clone(),
            check: STANDARD.encode(&self.check),
        };
        // A struct of numbers and texts always has a JSON form.
        serde_json::to_string_pretty(&file).map(|json| json + "\n").unwrap_or_default()
    }

    /// SHA-256 of the file as [`Descriptor::to_json`] writes it: tells this root.json from every other one of the same vault.
    #[must_use]
    pub fn sum(&self) -> [u8; 32] {
        Sha256::digest(self.to_json()).into()
    }

    /// The vault's id.
    #[must_use]
    pub fn vault_id(&self) -> Uuid {
        self.vault_id
    }

    /// Where the Root is kept.
    #[must_use]
    pub fn kind(&self) -> RootKind {
        self.kind
    }

    /// The key in an HSM, where the Root is one.
    #[must_use]
    pub fn hsm_key(&self) -> Option<&HsmKey> {
        self.hsm.as_ref()
    }

    /// The key in KMS, where the Root is one.
    #[must_use]
    pub fn kms_key(&self) -> Option<&KmsKey> {
        self.kms.as_ref()
    }

    /// Shares needed; 0 unless it is with custodians.
    #[must_use]
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// Shares dealt; 0 unless it is with custodians.
    #[must_use]
    pub fn shares(&self) -> u8 {
        // At most 16, by construction and by parsing.
        u8::try_from(self.commitments.len()).unwrap_or(u8::MAX)
    }

    /// Whether a share is the one of its index that was dealt.
    #[must_use]
    pub fn commits_to(&self, share: &Share) -> bool {
        share
            .index()
            .checked_sub(1)
            .and_then(|at| self.commitments.get(usize::from(at)))
            .is_some_and(|known| share.vault_id() == self.vault_id && known.ct_eq(&share.commitment()).into())
    }

    /// Whether a key is this Root, and this file the one that was written with it.
    pub(super) fn check(&self, root: &Cipher<RootRole>) -> Result<(), Unauthentic> {
        let opened = root.open(&place(&self.digest()), &self.check)?;
        if opened.as_slice() == CHECK { Ok(()) } else { Err(Unauthentic) }
    }

    /// The same where the Root is asked for it and may be away. A check that does not open says that the key is another one.
    pub(super) async fn check_at(&self, home: &dyn Home) -> Result<(), RootError> {
        let digest = self.digest();
        let context = place(&digest);
        let place = Place { context: &context, part: Part::Whole, term: 0 };
        match home.open(&place, &self.check).await {
            Ok(opened) if opened.as_slice() == CHECK => Ok(()),
            Ok(_) | Err(RootError::Unauthentic) => Err(RootError::WrongKey),
            Err(other) => Err(other),
        }
    }

    /// `SHA-256(format || vault id || kind || threshold || shares || commitments || facts of HSM or KMS)`: bound into the
    /// check, so that a file with a lower threshold, an exchanged commitment or another key does not pass.
    fn digest(&self) -> [u8; 32] {
        let kind = match self.kind {
            RootKind::Custodians => 1,
            RootKind::Dev => 2,
            RootKind::Pkcs11 => 3,
            RootKind::Kms => 4,
        };
        let mut hash = Sha256::new();
        hash.update(FORMAT.to_be_bytes());
        hash.update(self.vault_id.as_bytes());
        hash.update([kind, self.threshold, self.shares()]);
        for commitment in &self.commitments {
            hash.update(commitment);
        }
        if let Some(key) = &self.hsm {
            key.write_to(&mut hash);
        }
        if let Some(key) = &self.kms {
            key.write_to(&mut hash);
        }
        hash.finalize().into()
    }
}

fn place(digest: &[u8; 32]) -> Context<'_> {
    Context { tenant: "", record: digest, purpose: Purpose::RootCheck }
}

const FORMAT: u32 = 1;
const CHECK: &[u8] = b"the right Root opens this";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::found;

    #[test]
    fn a_file_over_its_size_is_no_descriptor() {
        let mut json = found(5, 3).unwrap().0.to_json().into_bytes();
        json.resize(limits::ROOT_FILE_BYTES_MAX, b' ');
        assert!(Descriptor::parse(&json).is_ok());
        json.push(b' ');
        assert_eq!(Descriptor::parse(&json), Err(BadDescriptor));
    }

    #[test]
    fn a_descriptor_reads_what_it_writes() {
        let (descriptor, shares) = found(5, 3).unwrap();
        assert_eq!(Descriptor::parse(descriptor.to_json().as_bytes()).unwrap(), descriptor);
        assert_eq!((descriptor.shares(), descriptor.threshold()), (5, 3));
        assert!(shares.iter().all(|share| descriptor.commits_to(share)));
        let (_, foreign) = found(5, 3).unwrap();
        assert!(!foreign.iter().any(|share| descriptor.commits_to(share)));
    }

    #[test]
    fn a_root_json_has_the_sum_of_its_file_however_it_is_laid_out() {
        let (descriptor, _) = found(5, 3).unwrap();
        let json = descriptor.to_json();
        assert_eq!(descriptor.sum(), <[u8; 32]>::from(Sha256::digest(&json)));
        let flat: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(Descriptor::parse(flat.to_string().as_bytes()).unwrap().sum(), descriptor.sum());
        assert_ne!(found(5, 3).unwrap().0.sum(), descriptor.sum());
    }

    /// The sum of the root.json in force stands in stores: another form of the file needs a way over for those.
    #[test]
    fn the_form_of_a_root_json_is_as_it_was_released() {
        let json = "{\n  \"format\": 1,\n  \"vault_id\": \"00000000-0000-0000-0000-000000000007\",\n  \"kind\": \"dev\",\n  \
                    \"threshold\": 0,\n  \"shares\": 0,\n  \"commitments\": [],\n  \"check\": \"AAAA\"\n}\n";
        assert_eq!(Descriptor::parse(json.as_bytes()).unwrap().to_json(), json);
    }

    #[test]
    fn a_file_of_another_form_is_refused() {
        let json = found(3, 2).unwrap().0.to_json();
        for (from, to) in [
            ("\"format\": 1", "\"format\": 2"),
            ("\"format\": 1", "\"more\": 1, \"format\": 1"),
            ("\"threshold\": 2", "\"threshold\": 1"),
            ("\"threshold\": 2", "\"threshold\": 4"),
            ("\"shares\": 3", "\"shares\": 4"),
            ("\"custodians\"", "\"dev\""),
            ("\"custodians\"", "\"none\""),
            ("\"custodians\"", "\"pkcs11\""),
            ("\"custodians\"", "\"kms\""),
            ("\"check\"", "\"kms\": {\"arn\": \"arn:aws:kms:a:1:key/b\", \"region\": \"a\"}, \"check\""),
        ] {
            let changed = json.replace(from, to);
            assert_ne!(changed, json);
            assert_eq!(Descriptor::parse(changed.as_bytes()), Err(BadDescriptor));
        }
        assert_eq!(Descriptor::parse(&[b' '; 9000]), Err(BadDescriptor));
    }
}
