//! What the vault keeps under its own signature: rules of retention, and the policy in force. Whoever can write to the
//! database can remove such a row or put an older one back, but cannot make one.

use strongroom_keys::note;
use strongroom_keys::sign::Signer;

use super::{FlowError, Vault};
use crate::policy::Digest;
use crate::store::KeptRow;

/// Keeps a value under a name, signed.
pub(super) async fn keep(vault: &Vault, name: &str, value: Vec<u8>) -> Result<(), FlowError> {
    let row = vault.barrier.sign(|signer| row(signer, name, value))?;
    Ok(vault.store.put_kept(row).await?)
}

/// The signed row of a value.
pub(super) fn row(signer: &Signer, name: &str, value: Vec<u8>) -> KeptRow {
    let note = note::sign(&statement(name, &value), signer);
    KeptRow { name: name.to_owned(), value, note }
}

/// Whether the vault signed this row.
pub(super) fn is_ours(vault: &Vault, row: &KeptRow) -> Result<bool, FlowError> {
    Ok(vault.barrier.sign(|signer| is_signed(signer, row))?)
}

/// Whether this key signed this row.
pub(super) fn is_signed(signer: &Signer, row: &KeptRow) -> bool {
    signed_by(signer, &row.note).is_some_and(|text| text == statement(&row.name, &row.value))
}

/// The text of a note, if this vault signed it.
pub(super) fn signed(vault: &Vault, note: &str) -> Result<Option<String>, FlowError> {
    Ok(vault.barrier.sign(|signer| signed_by(signer, note).map(str::to_owned))?)
}

/// The one place where what the store keeps under the vault's signature is checked.
fn signed_by<'a>(signer: &Signer, note: &'a str) -> Option<&'a str> {
    note::open(note, signer.public_key()).ok()
}

fn statement(name: &str, value: &[u8]) -> String {
    format!("strongroom-kept/1\n{name}\nsha256 {}\n", Digest::of(value))
}
