//! What every store refuses before it writes: parts that are over their limits, whatever the store is made of.

use strongroom_wire::limits;

use super::{
    AcknowledgementRow, ActRow, AnswerRow, CardContent, CardRow, EnvelopeSwap, EpochRow, KeptRow, KeyRow, NodeReport,
    Place, RootChangeRow, RotationRow, SecretRow, SignTerm, StoreError, UseReport,
};

/// A time or count as the signed integer that stands in a row.
pub(super) fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::TooLarge)
}

/// A card and the answer that comes with it, which is of the same tenant.
pub(super) fn card(card: &CardRow, answered: Option<&AnswerRow>) -> Result<(), StoreError> {
    content(&card.content)?;
    signed(card.created_ms)?;
    match answered {
        Some(answer) if answer.tenant != card.tenant => Err(StoreError::NoTenant),
        Some(kept) => answer(kept),
        None => Ok(()),
    }
}

/// The part of a card that may change.
pub(super) fn content(content: &CardContent) -> Result<(), StoreError> {
    envelope(&content.envelope)?;
    content.metadata.as_deref().map_or(Ok(()), envelope)?;
    content.expires_ms.map_or(Ok(()), |at| signed(at).map(|_| ()))
}

/// An envelope is not empty, has its term in front and is not over the limit.
pub(super) fn envelope(envelope: &[u8]) -> Result<(), StoreError> {
    length(envelope, limits::STORED_ENVELOPE_BYTES_MAX)
}

/// A kept answer. That of a destination is larger than any card.
pub(super) fn answer(answer: &AnswerRow) -> Result<(), StoreError> {
    length(&answer.envelope, limits::STORED_ANSWER_BYTES_MAX)?;
    signed(answer.expires_ms).map(|_| ())
}

/// Envelopes that take the place of others.
pub(super) fn swaps(swaps: &[EnvelopeSwap]) -> Result<(), StoreError> {
    page(swaps.len())?;
    swaps.iter().try_for_each(|swap| match swap.place {
        Place::Answer(_) => length(&swap.new, limits::STORED_ANSWER_BYTES_MAX),
        Place::Card(_) | Place::Metadata(_) | Place::Secret(_) => envelope(&swap.new),
    })
}

/// Keys of epochs on their way.
pub(super) fn epochs(rows: &[EpochRow]) -> Result<(), StoreError> {
    page(rows.len())?;
    fits(rows.iter().all(|row| row.note.len() <= limits::EPOCH_NOTE_BYTES_MAX))
}

/// What a node says of its uses.
pub(super) fn uses(report: &UseReport) -> Result<(), StoreError> {
    fits(report.said.len() <= limits::USES_BYTES_MAX)
}

/// As many records as one call may name.
pub(super) fn page(count: usize) -> Result<(), StoreError> {
    fits(count <= limits::STORE_PAGE_MAX as usize)
}

/// As many cards as one insertion may have.
pub(super) fn group(count: usize) -> Result<(), StoreError> {
    fits(count <= limits::STORE_GROUP_MAX)
}

/// A secret.
pub(super) fn secret(secret: &SecretRow) -> Result<(), StoreError> {
    envelope(&secret.envelope)?;
    signed(secret.created_ms)?;
    fits(secret.name.chars().count() <= limits::SECRET_NAME_CHARS_MAX)
}

/// A key.
pub(super) fn key(key: &KeyRow) -> Result<(), StoreError> {
    signed(key.created_ms)?;
    signed(key.wraps)?;
    wrapped(&key.wrapped)
}

/// A wrapped key.
pub(super) fn wrapped(wrapped: &[u8]) -> Result<(), StoreError> {
    fits(wrapped.len() <= limits::WRAPPED_KEY_BYTES_MAX)
}

/// What is public of a Sign key.
pub(super) fn sign_term(sign: &SignTerm) -> Result<(), StoreError> {
    signed(sign.from_entry)?;
    texts([Some(&sign.public_key), sign.handover.as_ref()])
}

/// How far a rotation is.
pub(super) fn rotation(rotation: &RotationRow) -> Result<(), StoreError> {
    for number in [rotation.done, rotation.total, rotation.started_ms] {
        signed(number)?;
    }
    texts([rotation.fault.as_ref(), rotation.proof.as_ref()])
}

/// How far a change of the Root is.
pub(super) fn root_change(change: &RootChangeRow) -> Result<(), StoreError> {
    for number in [change.done, change.total, change.started_ms] {
        signed(number)?;
    }
    texts([change.fault.as_ref(), change.proof.as_ref()])
}

/// An acknowledgement.
pub(super) fn acknowledgement(row: &AcknowledgementRow) -> Result<(), StoreError> {
    signed(row.at_ms)?;
    fits(row.who.len() <= limits::IDENTITY_BYTES_MAX)
}

/// What is kept under the vault's signature.
pub(super) fn kept(kept: &KeptRow) -> Result<(), StoreError> {
    fits(kept.value.len() <= limits::POLICY_BYTES_MAX && kept.note.len() <= limits::ACT_BYTES_MAX)
}

/// An act.
pub(super) fn act(act: &ActRow) -> Result<(), StoreError> {
    signed(act.until_ms)?;
    fits(act.note.len() <= limits::ACT_BYTES_MAX)
}

/// What a node says of itself.
pub(super) fn report(report: &NodeReport) -> Result<(), StoreError> {
    fits(report.news.len() <= limits::NODE_NEWS_BYTES_MAX)
}

/// The name of a lease.
pub(super) fn lease(name: &str) -> Result<(), StoreError> {
    fits(name.len() <= limits::LEASE_BYTES_MAX)
}

fn texts(texts: [Option<&String>; 2]) -> Result<(), StoreError> {
    fits(texts.into_iter().flatten().all(|text| text.len() <= limits::ROTATION_TEXT_BYTES_MAX))
}

fn length(envelope: &[u8], most: usize) -> Result<(), StoreError> {
    fits((ENVELOPE_HEAD..=most).contains(&envelope.len()))
}

fn fits(fits: bool) -> Result<(), StoreError> {
    if fits { Ok(()) } else { Err(StoreError::TooLarge) }
}

/// Version and term.
const ENVELOPE_HEAD: usize = 5;
