//! Why a Root did not do what was asked, and what to do about it.

use crate::Unauthentic;
use crate::key::NoRandomness;

/// Nothing was wrapped or unwrapped. No variant holds a text of the HSM or KMS, because such texts name things that do
/// not belong into a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// It does not answer, or not in time.
    #[error("the HSM or KMS that holds the root does not answer; see that it runs and can be reached, then ask again")]
    Unavailable,
    /// It answers that there were too many requests.
    #[error("the KMS that holds the root has too many requests; ask again later, or have its limit raised")]
    Throttled,
    /// It does not let us.
    #[error(
        "the HSM or KMS that holds the root refused us; check vaultd's credentials and that they may encrypt and decrypt with its key"
    )]
    Denied,
    /// The HSM refused the PIN. It is not tried again by itself, because some wrong PINs lock a token.
    #[error(
        "the HSM refused the PIN; put the right one into [root.pkcs11] pin_file, see that the token is not locked, then run `vaultctl unseal --auto`"
    )]
    PinRefused,
    /// The key is not there, or disabled.
    #[error(
        "the root's key is not in the HSM or KMS, or it is disabled; enable or restore it, or start with the root.json that belongs to it"
    )]
    NoKey,
    /// The key is another one than root.json was made with, or root.json was changed.
    #[error("the key in the HSM or KMS is not the one that root.json was made with; take the two that belong together")]
    WrongKey,
    /// The bytes were not wrapped by this Root for this place.
    #[error("a wrapped key does not belong to this root or to its place; restore the store from a backup")]
    Unauthentic,
    /// See [`NoRandomness`].
    #[error("the operating system gave no random numbers")]
    NoRandomness,
    /// A setting of this machine that is missing or cannot be used; what it is.
    #[error("{0}")]
    Setting(&'static str),
    /// This program was built without this kind of Root.
    #[error("this program was built without the kind of root that root.json names; take a build that has it")]
    LeftOut,
}

impl RootError {
    /// One word, for logs, entries and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            RootError::Unavailable => "unavailable",
            RootError::Throttled => "throttled",
            RootError::Denied => "denied",
            RootError::PinRefused => "pin-refused",
            RootError::NoKey => "no-key",
            RootError::WrongKey => "wrong-key",
            RootError::Unauthentic => "unauthentic",
            RootError::NoRandomness => "no-randomness",
            RootError::Setting(_) => "setting",
            RootError::LeftOut => "left-out",
        }
    }

    /// Whether the same may go well later although nobody changed anything here.
    #[must_use]
    pub fn may_pass(self) -> bool {
        match self {
            RootError::Unavailable
            | RootError::Throttled
            | RootError::Denied
            | RootError::NoKey
            | RootError::NoRandomness => true,
            RootError::PinRefused
            | RootError::WrongKey
            | RootError::Unauthentic
            | RootError::Setting(_)
            | RootError::LeftOut => false,
        }
    }
}

impl From<Unauthentic> for RootError {
    fn from(_: Unauthentic) -> Self {
        RootError::Unauthentic
    }
}

impl From<NoRandomness> for RootError {
    fn from(_: NoRandomness) -> Self {
        RootError::NoRandomness
    }
}
