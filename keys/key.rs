//! `Key<R>`: 256 random bits with a role, made in place, wiped when dropped, never copied or printed.

use std::marker::PhantomData;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// What a key may be used for; the roles are sealed.
pub trait Role: sealed::Sealed + Send + Sync + 'static {
    /// The word that stands in associated data when a key of this role is wrapped.
    const NAME: &'static str;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident = $name:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub enum $role {}
            impl sealed::Sealed for $role {}
            impl Role for $role {
                const NAME: &'static str = $name;
            }
        )*
    };
}

roles! {
    /// Wraps Keks, Mac keys and Sign keys.
    RootRole = "root";
    /// Wraps Deks; one line of terms for each tenant.
    Kek = "kek";
    /// Seals one record, once.
    Dek = "dek";
    /// Keys an HMAC-SHA-256.
    Mac = "mac";
    /// Seeds an Ed25519 signing key.
    SignRole = "sign";
    /// Seals one custodian's share; derived from a passphrase.
    PassphraseRole = "passphrase";
    /// Seals CVCs for a quarter of an hour, in memory alone; never wrapped, never stored, then destroyed.
    EpochRole = "epoch";
    /// An X25519 scalar that opens cards which clients sealed (HPKE).
    IntakeRole = "intake";
    /// Opens fields that a merchant's page encrypted under a key of the merchant's own; seals and wraps nothing.
    FieldRole = "field";
}

/// A 256-bit secret key for one role. Not `Clone`, `Debug`, `PartialEq` or `Serialize`; wiped on drop. It lives on the
/// heap so that moving it leaves no copy behind.
pub struct Key<R: Role> {
    bytes: Box<[u8; KEY_BYTES]>,
    role: PhantomData<R>,
}

/// Length of every key, in bytes.
pub const KEY_BYTES: usize = 32;

/// The operating system gave no random numbers; nothing was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random numbers")]
pub struct NoRandomness;

impl<R: Role> Key<R> {
    /// A fresh key from the operating system's random number generator (PCI DSS 3.7.1).
    ///
    /// # Errors
    /// [`NoRandomness`] if the generator fails.
    pub fn generate() -> Result<Self, NoRandomness> {
        Self::try_init_with(|bytes| getrandom::fill(bytes).map_err(|_| NoRandomness))
    }

    /// A key whose bytes `fill` writes in place, so that they never exist anywhere else.
    ///
    /// # Errors
    /// What `fill` answers; the half-written bytes are wiped.
    pub fn try_init_with<E>(fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>) -> Result<Self, E> {
        let mut key = Self { bytes: Box::new([0; 32]), role: PhantomData };
        fill(&mut key.bytes)?;
        Ok(key)
    }

    /// A key whose bytes `fill` writes in place.
    pub fn init_with(fill: impl FnOnce(&mut [u8; 32])) -> Self {
        let mut key = Self { bytes: Box::new([0; 32]), role: PhantomData };
        fill(&mut key.bytes);
        key
    }

    /// The bytes, for the cryptography of this crate alone.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl<R: Role> Drop for Key<R> {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl<R: Role> ZeroizeOnDrop for Key<R> {}
