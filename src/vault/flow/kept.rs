//! What the vault keeps under its own signature: rules of retention, and the policy in force. Whoever can write to the
//! database can remove such a row or put an older one back, but cannot make one.
//!
//! Among several nodes the policy has a number besides, so that each tells a newer one from one of an earlier day.

use strongroom_keys::node::Voices;
use strongroom_keys::note;
use strongroom_keys::sign::Signer;

use super::{FlowError, Vault};
use crate::policy::Digest;
use crate::store::KeptRow;

/// Keeps a value under a name, signed.
pub(super) async fn keep(vault: &Vault, name: &str, value: Vec<u8>) -> Result<(), FlowError> {
    let row = vault.barrier.sign(|signer| row(signer, name, value, 0))?;
    Ok(vault.store.put_kept(row).await?)
}

/// The same in the place of exactly this: what it says may be what the caller's decision rests on.
pub(super) async fn keep_instead(
    vault: &Vault,
    old: Option<KeptRow>,
    name: &str,
    value: Vec<u8>,
) -> Result<(), FlowError> {
    let row = vault.barrier.sign(|signer| row(signer, name, value, 0))?;
    if vault.store.swap_kept(old, row).await? {
        return Ok(());
    }
    Err(FlowError::Conflict("it was changed by another request; look at it again"))
}

/// What is kept under exactly this name.
pub(super) async fn find(vault: &Vault, name: &str) -> Result<Option<KeptRow>, FlowError> {
    Ok(vault.store.kept(name).await?.into_iter().find(|row| row.name == name))
}

/// The signed row of a value. The number is 0 where it has none.
pub(super) fn row(signer: &Signer, name: &str, value: Vec<u8>, number: u64) -> KeptRow {
    let note = note::sign(&statement(name, &value, number), signer);
    KeptRow { name: name.to_owned(), value, note }
}

/// Whether the vault signed this row.
pub(super) fn is_ours(vault: &Vault, row: &KeptRow) -> Result<bool, FlowError> {
    Ok(is_signed(&vault.barrier.voices()?, row))
}

/// Whether the vault or one of its nodes signed this row, under any term of the Sign key.
pub(super) fn is_signed(voices: &Voices, row: &KeptRow) -> bool {
    number(voices, row).is_some()
}

/// The number of a row that the vault or one of its nodes signed, 0 where it has none.
pub(super) fn number(voices: &Voices, row: &KeptRow) -> Option<u64> {
    let text = voices.open(&row.note)?;
    let number = text.lines().find_map(|line| line.strip_prefix("number ")).map_or(Ok(0), str::parse).ok()?;
    // Writing it again leaves one form for each number.
    (text == statement(&row.name, &row.value, number)).then_some(number)
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
        let number = number(&voices, &row).filter(|_| voices.open_newest(&row.note).is_none());
        let Some(number) = number else { continue };
        let again = vault.barrier.sign(|signer| self::row(signer, &row.name, row.value.clone(), number))?;
        // Whoever changed it meanwhile signed it, too.
        vault.store.swap_kept(Some(row), again).await?;
    }
    Ok(())
}

fn statement(name: &str, value: &[u8], number: u64) -> String {
    let digest = Digest::of(value);
    match number {
        0 => format!("strongroom-kept/1\n{name}\nsha256 {digest}\n"),
        number => format!("strongroom-kept/2\n{name}\nnumber {number}\nsha256 {digest}\n"),
    }
}

#[cfg(test)]
mod tests {
    use strongroom_keys::Key;
    use strongroom_keys::node::Voice;

    use super::*;

    #[test]
    fn a_row_has_the_number_that_was_signed_and_no_other() {
        let voice = Voice::from(Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap());
        let voices = Voices::new(vec![voice.retired()]);
        for signed in [0, 1, u64::MAX] {
            let kept = row(voice.signer(), "policy", b"text".to_vec(), signed);
            assert_eq!(number(&voices, &kept), Some(signed));
            assert_eq!(number(&voices, &KeptRow { value: b"other".to_vec(), ..kept.clone() }), None);
            assert_eq!(number(&voices, &KeptRow { name: "retention".to_owned(), ..kept }), None);
        }
        let digest = Digest::of(b"text");
        for odd in ["/2\npolicy\nnumber 0\n", "/2\npolicy\nnumber 07\n", "/1\npolicy\nnumber 7\n", "/2\npolicy\n"] {
            let text = format!("strongroom-kept{odd}sha256 {digest}\n");
            let note = note::sign(&text, voice.signer());
            let kept = KeptRow { name: "policy".to_owned(), value: b"text".to_vec(), note };
            assert_eq!(number(&voices, &kept), None, "{text}");
        }
    }
}
