//! What the vault keeps under its own signature: rules of retention, and the policy in force. Whoever can write to the
//! database can remove such a row or put an older one back, but cannot make one.

use strongroom_keys::node::Voices;
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
    Ok(is_signed(&vault.barrier.voices()?, row))
}

/// Whether the vault or one of its nodes signed this row, under any term of the Sign key.
pub(super) fn is_signed(voices: &Voices, row: &KeptRow) -> bool {
    voices.open(&row.note).is_some_and(|text| text == statement(&row.name, &row.value))
}

/// The text of a note, if this vault signed it.
pub(super) fn signed(vault: &Vault, note: &str) -> Result<Option<String>, FlowError> {
    Ok(vault.barrier.voices()?.open(note).map(str::to_owned))
}

/// Signs every row again that an earlier term of the Sign key signed, so that no key that is let go speaks for what is in
/// force. A row that nobody signed stays as it is, and is found where it is used.
pub(super) async fn sign_again(vault: &Vault) -> Result<(), FlowError> {
    let voices = vault.barrier.voices()?;
    for row in vault.store.kept("").await? {
        if is_signed(&voices, &row) && voices.open_newest(&row.note).is_none() {
            keep(vault, &row.name, row.value).await?;
        }
    }
    Ok(())
}

fn statement(name: &str, value: &[u8]) -> String {
    format!("strongroom-kept/1\n{name}\nsha256 {}\n", Digest::of(value))
}
