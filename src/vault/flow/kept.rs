//! What the vault keeps under its own signature: rules of retention, and the policy in force. Whoever can write to the
//! database can remove such a row or put an older one back, but cannot make one.

use strongroom_keys::note;
use strongroom_keys::sign::{PublicKey, Signer};

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
    Ok(is_signed(&vault.barrier.sign_keys()?, row))
}

/// Whether one of these keys signed this row: those of the vault, of every term.
pub(super) fn is_signed(keys: &[PublicKey], row: &KeptRow) -> bool {
    signed_by(keys, &row.note).is_some_and(|text| text == statement(&row.name, &row.value))
}

/// The text of a note, if this vault signed it.
pub(super) fn signed(vault: &Vault, note: &str) -> Result<Option<String>, FlowError> {
    Ok(signed_by(&vault.barrier.sign_keys()?, note).map(str::to_owned))
}

/// The one place where what the store keeps under the vault's signature is checked.
fn signed_by<'a>(keys: &[PublicKey], note: &'a str) -> Option<&'a str> {
    keys.iter().find_map(|key| note::open(note, key).ok())
}

/// Signs every row again that an earlier term of the Sign key signed, so that no key that is let go speaks for what is in
/// force. A row that nobody signed stays as it is, and is found where it is used.
pub(super) async fn sign_again(vault: &Vault) -> Result<(), FlowError> {
    let keys = vault.barrier.sign_keys()?;
    for row in vault.store.kept("").await? {
        if is_signed(&keys, &row) && !is_signed(&keys[..1], &row) {
            keep(vault, &row.name, row.value).await?;
        }
    }
    Ok(())
}

fn statement(name: &str, value: &[u8]) -> String {
    format!("strongroom-kept/1\n{name}\nsha256 {}\n", Digest::of(value))
}
