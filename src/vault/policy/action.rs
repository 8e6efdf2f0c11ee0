//! `Action`: every act that needs a Permit, as a type, so that a Permit for one act cannot pass for another.

use strongroom_wire::entry::Subject;
use strongroom_wire::{Scope, SecretId, Token};

/// An act that policy decides about. Sealed: the acts are those of this file.
pub trait Action: sealed::Sealed + Send + Sync + 'static {
    /// The scope that an identity needs.
    const SCOPE: Scope;
    /// What the act is about: a [`Token`], a [`SecretId`], `Option<Token>` (one card, or a page of them), [`Fresh`]
    /// (a card that has no token yet) or `()`.
    type Subject: IntoSubject;
}

/// Acts that may hold a whole card: only they may call `Barrier::open`.
pub trait Opens: Action<Subject = Token> {}

impl Opens for Reveal {}
impl Opens for Forward {}
impl Opens for Update {}
impl Opens for Export {}

/// Acts that may try whether a card opens, and learn nothing else of it.
pub trait Tries: Action {}

impl Tries for Backup {}
impl Tries for Migrate {}

/// Acts that may be asked for on many subjects in one request: policy decides once. None of them has a quota of releases.
pub trait Bulk: Action {}

impl Bulk for Tokenize {}
impl Bulk for Export {}

/// The subject of an act whose token is not known when policy decides: it is chosen, or found to exist already, under
/// the Permit, and named with [`super::Permit::about`] before the Permit is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fresh;

/// A subject that an audit entry can name.
pub trait IntoSubject: sealed::Sealed {
    /// As the audit entry has it.
    fn into_subject(self) -> Subject;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! subjects {
    ($($subject:ty: $value:ident => $entry:expr;)*) => {
        $(
            impl sealed::Sealed for $subject {}
            impl IntoSubject for $subject {
                fn into_subject(self) -> Subject {
                    let $value = self;
                    $entry
                }
            }
        )*
    };
}

subjects! {
    (): _none => Subject::None;
    Fresh: _none => Subject::None;
    Token: token => Subject::Card(token);
    Option<Token>: token => token.map_or(Subject::None, Subject::Card);
    SecretId: id => Subject::Secret(id);
}

macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident($subject:ty) = $scope:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub enum $action {}
            impl sealed::Sealed for $action {}
            impl Action for $action {
                const SCOPE: Scope = Scope::$scope;
                type Subject = $subject;
            }
        )*

        /// The scopes that have an act, for the test that none is forgotten.
        #[cfg(test)]
        const SCOPES: &[Scope] = &[$(Scope::$scope,)*];
    };
}

actions! {
    /// Store a card.
    Tokenize(Fresh) = Tokenize;
    /// A fingerprint under a key of the caller's; nothing is stored.
    Fingerprint(()) = Tokenize;
    /// Open a card's fields that were encrypted under a key which is a secret of the tenant; the secret does not leave.
    OpenFields(SecretId) = Tokenize;
    /// Try whether a PIN that was encrypted in the same way is one; neither the secret nor the PIN leaves.
    CheckPin(SecretId) = Tokenize;
    /// The masked view of one card, or of a page of them.
    ReadMasked(Option<Token>) = ReadMasked;
    /// The whole card, for a purpose.
    Reveal(Token) = Reveal;
    /// Make a short-term card long-term.
    Retain(Token) = Retain;
    /// Change expiry, holder name, metadata.
    Update(Token) = Update;
    /// Shred a card.
    Delete(Token) = Delete;
    /// Shred every card of a customer.
    DeleteCustomer(()) = Delete;
    /// Make a client session.
    CreateSession(()) = Sessions;
    /// Store or delete a secret.
    WriteSecret(SecretId) = SecretsWrite;
    /// Read a secret back.
    RevealSecret(SecretId) = SecretsReveal;
    /// Register a tenant, asked on the release listener.
    Provision(()) = Provision;
    /// Fill a card into a request to a named destination and send it.
    Forward(Token) = Forward;
    /// Hand in one custodian's share, or abandon the ceremony.
    Unseal(()) = Unseal;
    /// Forget every key.
    Seal(()) = Seal;
    /// See phase, versions and warnings.
    ReadStatus(()) = Status;
    /// List keys.
    ReadKeys(()) = KeysRead;
    /// Start, resume or watch the rotation of a key, and move what is under it.
    Rotate(()) = Rotate;
    /// Read audit entries, checkpoints and proofs.
    ReadAudit(()) = AuditRead;
    /// Scrape metrics.
    ReadMetrics(()) = Metrics;
    /// Reload certificates and policy.
    Reload(()) = Reload;
    /// Register or list tenants, asked on the admin listener.
    ManageTenants(()) = Tenants;
    /// Destroy keys.
    Destroy(()) = Destroy;
    /// Change the Root or its division.
    ChangeRoot(()) = RootChange;
    /// Seal one card of an export to another party's key.
    Export(Token) = Export;
    /// Ask for an export as a whole, or approve one.
    OrderExport(()) = Export;
    /// Rules of retention.
    RuleRetention(()) = Retention;
    /// Copy the store.
    Backup(()) = Backup;
    /// Move the store into another database, watch that, or give it up.
    Migrate(()) = Migrate;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_has_its_act() {
        // An export is ordered as a whole and recorded card by card.
        let mut scopes = SCOPES.to_vec();
        scopes.dedup();
        assert_eq!(scopes, Scope::ALL);
    }
}
