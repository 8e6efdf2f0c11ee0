//! Roots that live elsewhere: the way from `root.json` and the settings of this machine to a Root that was proved, and the
//! making of new ones.

use std::sync::Arc;

use strongroom_wire::admin::RootKind;
use uuid::Uuid;

use super::place::Site;
use super::{Descriptor, Home, Root, RootError};

impl Root {
    /// The Root in an HSM or KMS that a descriptor names, proved by having it open the descriptor's check text.
    ///
    /// # Errors
    /// [`RootError`], each with what to do; [`RootError::LeftOut`] if this build has no such Root.
    pub async fn reach(descriptor: &Descriptor, site: &Site) -> Result<Self, RootError> {
        let home = home(descriptor, site).await?;
        descriptor.check_at(&*home).await?;
        Ok(Self { descriptor: Arc::new(descriptor.clone()), home })
    }
}

/// Makes the Root of a vault in an HSM: a key of this label in the token of that label, made there, or one that is there
/// already. It is proved before its descriptor is handed out.
///
/// # Errors
/// [`RootError`], each with what to do.
#[cfg(feature = "pkcs11")]
pub async fn found_in_hsm(
    vault_id: Uuid,
    site: &Site,
    token_label: &str,
    key_label: &str,
    is_there: bool,
) -> Result<Descriptor, RootError> {
    let hsm = site.hsm.as_ref().ok_or(RootError::Setting(NO_HSM))?;
    let key = super::pkcs11::found(hsm, token_label, key_label, is_there).await?;
    proved(Descriptor::hsm(vault_id, key)?, site).await
}

/// Makes the Root of a vault of a key in KMS, named by its id, ARN or alias.
///
/// # Errors
/// [`RootError`], each with what to do.
#[cfg(feature = "kms")]
pub async fn found_in_kms(vault_id: Uuid, site: &Site, key: &str, region: &str) -> Result<Descriptor, RootError> {
    let kms = site.kms.as_ref().ok_or(RootError::Setting(NO_KMS))?;
    let key = super::kms::found(kms, key, region).await?;
    proved(Descriptor::kms(vault_id, key)?, site).await
}

/// See [`found_in_hsm`]: this build cannot.
///
/// # Errors
/// [`RootError::LeftOut`].
#[cfg(not(feature = "pkcs11"))]
pub async fn found_in_hsm(_: Uuid, _: &Site, _: &str, _: &str, _: bool) -> Result<Descriptor, RootError> {
    Err(RootError::LeftOut)
}

/// See [`found_in_kms`]: this build cannot.
///
/// # Errors
/// [`RootError::LeftOut`].
#[cfg(not(feature = "kms"))]
pub async fn found_in_kms(_: Uuid, _: &Site, _: &str, _: &str) -> Result<Descriptor, RootError> {
    Err(RootError::LeftOut)
}

/// Whether this build and the settings of this machine can reach the Root that a descriptor names; nothing is asked of it.
///
/// # Errors
/// [`RootError::LeftOut`] or [`RootError::Setting`].
pub fn can_reach(descriptor: &Descriptor, site: &Site) -> Result<(), RootError> {
    match descriptor.kind() {
        RootKind::Custodians | RootKind::Dev => Ok(()),
        // A static program cannot load the HSM's library.
        RootKind::Pkcs11 if cfg!(any(not(feature = "pkcs11"), target_feature = "crt-static")) => {
            Err(RootError::LeftOut)
        }
        RootKind::Kms if cfg!(not(feature = "kms")) => Err(RootError::LeftOut),
        RootKind::Pkcs11 => site.hsm.as_ref().map(|_| ()).ok_or(RootError::Setting(NO_HSM)),
        RootKind::Kms => site.kms.as_ref().ok_or(RootError::Setting(NO_KMS))?.check(),
    }
}

/// Seals the check text, then opens it again on a way of its own, while a mistake costs nothing yet.
#[cfg(any(feature = "pkcs11", feature = "kms"))]
async fn proved(unsealed: Descriptor, site: &Site) -> Result<Descriptor, RootError> {
    let descriptor = unsealed.sealed_at(&*home(&unsealed, site).await?).await?;
    Root::reach(&descriptor, site).await?;
    Ok(descriptor)
}

async fn home(descriptor: &Descriptor, site: &Site) -> Result<Arc<dyn Home>, RootError> {
    can_reach(descriptor, site)?;
    #[cfg(feature = "pkcs11")]
    if let (Some(key), Some(hsm)) = (descriptor.hsm_key(), &site.hsm) {
        return Ok(Arc::new(super::pkcs11::Hsm::new(descriptor.vault_id(), hsm, key).await?));
    }
    #[cfg(feature = "kms")]
    if let (Some(key), Some(kms)) = (descriptor.kms_key(), &site.kms) {
        return Ok(Arc::new(super::kms::Kms::new(descriptor.vault_id(), kms, key).await?));
    }
    Err(RootError::Setting("this root is not in an HSM or KMS; custodians open it with their shares"))
}

const NO_HSM: &str = "root.json names a key in an HSM; say how it is reached under [root.pkcs11] (module, pin_file), \
                      or under [root.next.pkcs11] for the root to come";
const NO_KMS: &str = "root.json names a key in AWS KMS; put [root.kms] into the configuration, even if it is empty, \
                      or [root.next.kms] for the root to come";
