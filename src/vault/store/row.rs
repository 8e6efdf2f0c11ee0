//! The rows of the store. Blobs are sealed by the barrier; the store gives them back as it got them.

use strongroom_wire::admin::{KeyPurpose, KeyState, RotationState};
use strongroom_wire::{ActId, CustomerId, NodeName, SecretId, TenantId, Token};

/// A stored card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardRow {
    /// Whose.
    pub tenant: TenantId,
    /// Its name.
    pub token: Token,
    /// The merchant's customer.
    pub customer: Option<CustomerId>,
    /// Keyed fingerprint of the card number.
    pub fingerprint: [u8; 16],
    /// Term of the fingerprint key that `fingerprint` and the binding are under.
    pub mac_term: u32,
    /// The fingerprint of the same number under other terms that are in use while the key rotates. An insertion looks for
    /// these too; they are not stored, and a row that is read has none.
    pub other_fingerprints: Vec<[u8; 16]>,
    /// When it was made.
    pub created_ms: u64,
    /// What may change later.
    pub content: CardContent,
}

/// The part of a card's row that may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardContent {
    /// The sealed card (an envelope: version u8, term u32 BE, ciphertext).
    pub envelope: Vec<u8>,
    /// The sealed metadata, an envelope too.
    pub metadata: Option<Vec<u8>>,
    /// When it is to be shredded; none for a long-term card.
    pub expires_ms: Option<u64>,
    /// The barrier's MAC over the columns that the envelope does not bind itself (tenant, token, customer, fingerprint,
    /// created, expires, whether there is metadata).
    pub binding: [u8; 16],
}

/// What became of a card that was to be inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// It is stored.
    Stored,
    /// Nothing was stored: the customer has this card under this token.
    Duplicate(Token),
    /// Nothing was stored: the idempotency key was used before; its digest says whether for the same body.
    Replayed(AnswerRow),
}

/// A card whose end has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub token: Token,
}

/// A stored secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: SecretId,
    /// What the merchant calls it.
    pub name: String,
    /// When it was stored.
    pub created_ms: u64,
    /// The sealed secret.
    pub envelope: Vec<u8>,
    /// Term of the fingerprint key that the binding is under.
    pub mac_term: u32,
    /// The barrier's MAC over the other columns.
    pub binding: [u8; 16],
}

/// An answer that is kept for an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerRow {
    /// Whose.
    pub tenant: TenantId,
    /// Keyed hash of the idempotency key.
    pub name: [u8; 32],
    /// Keyed digest of the request that was answered.
    pub digest: [u8; 32],
    /// Term of the fingerprint key that name and digest are under.
    pub mac_term: u32,
    /// The name of the same idempotency key under other terms that are in use while the key rotates. An insertion looks for
    /// these too; they are not stored, and a row that is read has none.
    pub other_names: Vec<[u8; 32]>,
    /// The sealed answer.
    pub envelope: Vec<u8>,
    /// Until when it is kept.
    pub expires_ms: u64,
    /// The card that it shows: the answer goes with it.
    pub card: Option<Token>,
}

/// A sealed card that was opened: the same one is not accepted again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpentRow {
    /// The term of the intake key that it was sealed to.
    pub term: u32,
    /// Its encapsulated key, which no other sealing has.
    pub enc: [u8; 32],
    /// Which request may come with it again: a hash of its idempotency key, or random where it has none.
    pub request: [u8; 32],
    /// When it came.
    pub at_ms: u64,
}

/// A registered tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    /// Its name.
    pub tenant: TenantId,
    /// When it was registered.
    pub created_ms: u64,
    /// How far it is shredded.
    pub shredded: Shredded,
}

/// How far a tenant is shredded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shredded {
    /// Not at all.
    No,
    /// Its keys are destroyed; rows that nothing opens any more are being shredded.
    Keys,
    /// Nothing is left but its name.
    All,
}

/// Cards that are older than they may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OverAge {
    /// The first of them, as many as were asked for.
    pub first: Vec<Token>,
    /// How many there are, where no cards were asked for; otherwise how many were seen.
    pub count: u64,
    /// When the oldest of those was made.
    pub oldest_ms: Option<u64>,
}

/// Something that the vault keeps under its own signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRow {
    /// Its name.
    pub name: String,
    /// What is kept.
    pub value: Vec<u8>,
    /// What the vault signed about it; empty where it had no key yet.
    pub note: String,
}

/// Which key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyName {
    /// What for.
    pub purpose: KeyPurpose,
    /// Whose; none for the vault's own.
    pub tenant: Option<TenantId>,
    /// Which version, from 1.
    pub term: u32,
}

/// One term of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Which.
    pub name: KeyName,
    /// Where in its life.
    pub state: KeyState,
    /// The key under the Root; empty once destroyed.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created_ms: u64,
    /// Wraps counted under it.
    pub wraps: u64,
}

/// Changes of keys that belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyChange {
    /// New keys.
    pub insert: Vec<KeyRow>,
    /// Keys that go from one state to another. [`KeyState::Destroyed`] overwrites the wrapped key as well.
    pub states: Vec<(KeyName, KeyState, KeyState)>,
    /// Keys that go from one wrapping to another: old bytes, new bytes (a change of the Root).
    pub rewraps: Vec<(KeyName, Vec<u8>, Vec<u8>)>,
    /// What is public of a new term of the Sign key, for one node. One that is there already does not fit.
    pub sign_term: Option<SignTerm>,
    /// The root.json, by its SHA-256, by which the new keys were wrapped: it has to be in force.
    pub under: Option<[u8; 32]>,
}

/// What is public of one term of the Sign key, or of the key that one of several nodes has of it. It stays when the key is
/// destroyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignTerm {
    /// Which node's; none for a vault that is one process.
    pub node: Option<NodeName>,
    /// Which version, from 1.
    pub term: u32,
    /// The public key as a C2SP verifier key.
    pub public_key: String,
    /// Checkpoints over more entries than this are signed by it.
    pub from_entry: u64,
    /// The note in which the term before it names it; none for the first.
    pub handover: Option<String>,
}

/// Where one envelope stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// A card.
    Card(Token),
    /// The metadata of a card.
    Metadata(Token),
    /// A secret.
    Secret(SecretId),
    /// A kept answer, by the keyed hash of its idempotency key.
    Answer([u8; 32]),
}

/// An envelope on an old term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleRecord {
    /// Where it stands.
    pub place: Place,
    /// Its bytes.
    pub envelope: Vec<u8>,
}

/// Where a walk through old envelopes goes on. Good for the walk that it came from and within one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaleCursor {
    pub(super) table: u8,
    /// The number of the last row that was seen, in a store whose rows have one.
    pub(super) after: i64,
    /// Its name otherwise: the first bytes, as many as a name of that table has.
    pub(super) name: [u8; 32],
}

impl StaleCursor {
    pub(super) fn of_row(table: u8, after: i64) -> Self {
        Self { table, after, name: [0; 32] }
    }

    pub(super) fn of_name(table: u8, name: [u8; 32]) -> Self {
        Self { table, after: 0, name }
    }
}

/// One step of a walk through old envelopes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StalePage {
    /// What was found in this step, perhaps nothing.
    pub records: Vec<StaleRecord>,
    /// Where to go on; none at the end.
    pub next: Option<StaleCursor>,
}

/// An envelope and what takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeSwap {
    /// Where it stands.
    pub place: Place,
    /// What must be there for the swap to happen.
    pub old: Vec<u8>,
    /// What is there afterwards.
    pub new: Vec<u8>,
}

/// One step of a walk through rows whose MACs are under an old term of the fingerprint key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarkPage {
    /// Cards that were found in this step, perhaps none; those whose end has come as well.
    pub cards: Vec<CardRow>,
    /// Secrets that were.
    pub secrets: Vec<SecretRow>,
    /// Where to go on; none at the end.
    pub next: Option<StaleCursor>,
}

/// A row's MACs and what takes their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkSwap {
    /// Of a card: fingerprint, term and binding that must be there, and those that are there afterwards.
    Card(Token, Marks, Marks),
    /// Of a secret: term and binding; a secret has no fingerprint, and these are passed over.
    Secret(SecretId, Marks, Marks),
}

/// What of a row is under the fingerprint key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// The card number's fingerprint.
    pub fingerprint: [u8; 16],
    /// Under which term.
    pub mac_term: u32,
    /// The MAC over the row.
    pub binding: [u8; 16],
}

/// How many rows of a tenant are under older terms of its fingerprint key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MarkCount {
    /// Cards.
    pub cards: u64,
    /// Secrets.
    pub secrets: u64,
    /// Kept answers. Their names cannot be made again, so they stay until their time is over.
    pub answers: u64,
}

/// How far a rotation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationRow {
    /// Which key.
    pub key: KeyPurpose,
    /// Whose; none for the vault's own.
    pub tenant: Option<TenantId>,
    /// The term that takes the place of the older ones.
    pub to_term: u32,
    /// Running, done, stopped.
    pub state: RotationState,
    /// Records moved so far.
    pub done: u64,
    /// Records that were there to move.
    pub total: u64,
    /// When it began.
    pub started_ms: u64,
    /// At most so many records a second.
    pub records_per_second_max: Option<u32>,
    /// Whether it goes before all others and knows no limit.
    pub emergency: bool,
    /// What stopped it.
    pub fault: Option<String>,
    /// The signed completion proof.
    pub proof: Option<String>,
}

/// An act that needs two people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActRow {
    /// Its name.
    pub id: ActId,
    /// Whether it waits for a second person or for its end.
    pub is_open: bool,
    /// Open: when it runs out. Over: until when it is kept.
    pub until_ms: u64,
    /// Everything about it, signed by the vault. The store gives it back as it got it.
    pub note: String,
}
