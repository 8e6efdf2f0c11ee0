//! Signatures by which a merchant knows that a webhook came from here.
//!
//! ```text
//! Strongroom-Signature:     t={unix s},v1={hex HMAC-SHA256(secret, "{t}.{body}")}[,v1={the same under the former secret}]
//! x-webhook-signature-512:  {hex HMAC-SHA512(newest secret, body)}
//! ```
//!
//! The key is the secret as text, `whsec_` included. The second header is what the open payments switch sends; it says no
//! time, so a receiver that can should prefer the first.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};

/// The headers for `body` under these secrets, newest first.
///
/// At least one secret is needed: nothing goes out unsigned.
#[must_use]
pub(crate) fn headers(secrets: &[&str], body: &str, now_ms: i64) -> Option<[(&'static str, String); 2]> {
    let newest = secrets.first()?;
    let at_s = now_ms.div_euclid(1000);
    let mut signed = format!("t={at_s}");
    for secret in secrets {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(format!("{at_s}.").as_bytes());
        mac.update(body.as_bytes());
        signed.push_str(",v1=");
        signed.push_str(&hexadecimal(&mac.finalize().into_bytes()));
    }
    let mut mac = Hmac::<Sha512>::new_from_slice(newest.as_bytes()).ok()?;
    mac.update(body.as_bytes());
    Some([(SIGNATURE, signed), (SIGNATURE_512, hexadecimal(&mac.finalize().into_bytes()))])
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Time and a signature under each secret that is valid.
pub(crate) const SIGNATURE: &str = "strongroom-signature";
/// The signature of the native dialect.
pub(crate) const SIGNATURE_512: &str = "x-webhook-signature-512";

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2, and the same key and text prefixed by a time under HMAC-SHA256, computed with OpenSSL.
    #[test]
    fn signatures_are_those_of_other_implementations() {
        let [(_, timed), (_, plain)] = headers(&["Jefe"], "what do ya want for nothing?", 1_800_000_000_999).unwrap();
        assert_eq!(
            plain,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b\
             636e070a38bce737"
        );
        assert_eq!(timed, "t=1800000000,v1=ab5a2e6f7ddd4f6783bae7a65618acf1b188b4ca973bbebbbdeb60024ee0f3f3");
    }

    #[test]
    fn each_valid_secret_signs_and_none_means_no_headers() {
        let both = headers(&["new", "old"], "{}", 5_000).unwrap();
        let new = headers(&["new"], "{}", 5_000).unwrap();
        let old = headers(&["old"], "{}", 5_000).unwrap();
        let of = |headers: &[(&str, String); 2]| headers[0].1.split_once(',').unwrap().1.to_owned();
        assert_eq!(both[0].1, format!("t=5,{},{}", of(&new), of(&old)));
        assert_eq!(both[1], new[1], "the header with room for one signature carries the newest");
        assert!(headers(&[], "{}", 0).is_none());
    }
}
