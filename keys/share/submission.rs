//! A share on its way from `vaultctl` to the vault: the body of `POST /v1/unseal` and `POST /v1/root/next/shares`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use strongroom_wire::limits;
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

use super::Share;

/// Why a body is not a share. It never repeats the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct BadSubmission {
    /// The field at fault; none where the body as a whole is.
    pub field: Option<&'static str>,
    /// What is wrong and what to do.
    pub why: &'static str,
}

/// A share that was handed in.
pub struct Submission {
    /// The share.
    pub share: Share,
    /// The number of the custodian's duty ([`crate::duty`]) that comes acknowledged with it, where one does.
    pub acknowledges: Option<u32>,
}

/// `{"vault_id":"...","index":1,"share":"base64"}`, and `"acknowledges":1` where the custodian acknowledges their duty with it.
#[must_use]
pub fn write_submission(share: &Share, acknowledges: Option<u32>) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0u8; TEXT]);
    // 32 bytes are always 44 characters.
    let written = STANDARD.encode_slice(share.bytes(), &mut bytes[..]).unwrap_or_default();
    let text = std::str::from_utf8(&bytes[..written]).unwrap_or_default();
    // Long enough from the start, so that the text never moves and leaves a copy.
    let mut out = Zeroizing::new(String::with_capacity(192));
    out.push_str("{\"vault_id\":\"");
    out.push_str(&share.vault_id().to_string());
    out.push_str("\",\"index\":");
    out.push_str(&share.index().to_string());
    out.push_str(",\"share\":\"");
    out.push_str(text);
    out.push('"');
    if let Some(duty) = acknowledges {
        out.push_str(",\"acknowledges\":");
        out.push_str(&duty.to_string());
    }
    out.push('}');
    out
}

/// Reads what [`write_submission`] wrote and wipes it, whether or not it could be read.
///
/// # Errors
/// [`BadSubmission`] for anything else, unknown fields included.
pub fn read_submission(body: &mut [u8]) -> Result<Submission, BadSubmission> {
    let read = read(body);
    body.zeroize();
    read
}

/// Borrowed from the body, so that no copy of the share is made on the way.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    vault_id: &'a str,
    index: u8,
    share: &'a str,
    acknowledges: Option<u32>,
}

fn read(body: &[u8]) -> Result<Submission, BadSubmission> {
    let body: Body<'_> = serde_json::from_slice(body).map_err(|_| BadSubmission {
        field: None,
        why: "the body is not {\"vault_id\",\"index\",\"share\"}; send it with vaultctl unseal or vaultctl root share",
    })?;
    let vault_id = Uuid::try_parse(body.vault_id)
        .map_err(|_| BadSubmission { field: Some("vault_id"), why: "vault_id is not a UUID" })?;
    if !(1..=limits::SHARES_MAX).contains(&body.index) {
        return Err(BadSubmission { field: Some("index"), why: "index is not between 1 and the number of shares" });
    }
    let wrong = BadSubmission { field: Some("share"), why: "share is not 32 bytes in base64" };
    let share = Share::try_init_with(vault_id, body.index, |bytes| {
        // One byte more than a share, because the decoder wants room for whole groups.
        let mut room = Zeroizing::new([0; 33]);
        let length = STANDARD.decode_slice(body.share, &mut room[..]).map_err(|_| wrong)?;
        if length != bytes.len() {
            return Err(wrong);
        }
        bytes.copy_from_slice(&room[..length]);
        Ok(())
    })?;
    Ok(Submission { share, acknowledges: body.acknowledges })
}

/// Length of 32 bytes in base64.
const TEXT: usize = 44;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::share::deal;

    #[test]
    fn a_share_arrives_as_it_was_sent_and_the_body_is_wiped() {
        let share = deal(&Key::generate().unwrap(), Uuid::from_u128(7), 3, 2).unwrap().remove(2);
        for acknowledges in [None, Some(crate::duty::DUTY_VERSION), Some(u32::MAX)] {
            let written = write_submission(&share, acknowledges);
            // It was long enough from the start.
            assert!(written.len() <= 192);
            let mut body = written.as_bytes().to_vec();
            let arrived = read_submission(&mut body).unwrap();
            assert_eq!(arrived.acknowledges, acknowledges);
            let arrived = arrived.share;
            assert!(arrived.bytes() == share.bytes());
            assert_eq!((arrived.index(), arrived.vault_id()), (3, Uuid::from_u128(7)));
            assert!(body.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn a_body_of_another_form_is_refused_with_its_field_and_wiped() {
        let id = Uuid::from_u128(7).to_string();
        let share = STANDARD.encode([1; 32]);
        let cases = [
            (String::new(), None),
            ("[]".to_owned(), None),
            (format!(r#"{{"vault_id":"{id}","index":1,"share":"{share}","more":1}}"#), None),
            (format!(r#"{{"vault_id":"{id}","index":256,"share":"{share}"}}"#), None),
            (format!(r#"{{"vault_id":"x","index":1,"share":"{share}"}}"#), Some("vault_id")),
            (format!(r#"{{"vault_id":"{id}","index":0,"share":"{share}"}}"#), Some("index")),
            (format!(r#"{{"vault_id":"{id}","index":17,"share":"{share}"}}"#), Some("index")),
            (format!(r#"{{"vault_id":"{id}","index":1,"share":""}}"#), Some("share")),
            (format!(r#"{{"vault_id":"{id}","index":1,"share":"{share}AAAA"}}"#), Some("share")),
            (format!(r#"{{"vault_id":"{id}","index":1,"share":"AAAA"}}"#), Some("share")),
            (format!(r#"{{"vault_id":"{id}","index":1,"share":"{share}","acknowledges":true}}"#), None),
        ];
        for (body, field) in cases {
            let mut body = body.into_bytes();
            assert_eq!(read_submission(&mut body).err().unwrap().field, field);
            assert!(body.iter().all(|byte| *byte == 0));
        }
    }
}
