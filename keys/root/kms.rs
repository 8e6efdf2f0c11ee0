//! A Root in AWS KMS: Encrypt and Decrypt under one key, with the place as encryption context. The key never leaves KMS,
//! and its owner sees in CloudTrail which tenant's key was unwrapped.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use tokio::time::timeout;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::place::{KmsKey, KmsSite};
use super::{Home, Place, RootError};
use strongroom_wire::hex::hex;

use crate::aead::Unsealed;
use crate::context::Part;

/// The key, and a client that finds credentials the standard AWS way.
pub(super) struct Kms {
    client: Client,
    vault: Uuid,
    arn: String,
    timeout: Duration,
}

impl Kms {
    /// Reads the AWS configuration; KMS is asked when it is needed.
    pub(super) async fn new(vault: Uuid, site: &KmsSite, key: &KmsKey) -> Result<Self, RootError> {
        let client = client(site, &key.region).await?;
        Ok(Self { client, vault, arn: key.arn.clone(), timeout: site.timeout })
    }

    /// Tags of the place, each bound by KMS. An absent tenant is an absent tag.
    fn context(&self, place: &Place<'_>) -> HashMap<String, String> {
        let mut tags = HashMap::from([
            ("strongroom:vault".to_owned(), self.vault.to_string()),
            ("strongroom:purpose".to_owned(), place.context.purpose.name().to_owned()),
            ("strongroom:record".to_owned(), words(place.context.record)),
            ("strongroom:term".to_owned(), place.term.to_string()),
        ]);
        if !place.context.tenant.is_empty() {
            tags.insert("strongroom:tenant".to_owned(), place.context.tenant.to_owned());
        }
        if place.part == Part::Whole {
            tags.insert("strongroom:whole".to_owned(), "true".to_owned());
        }
        tags
    }

    async fn encrypt(&self, tags: HashMap<String, String>, plaintext: &[u8]) -> Result<Vec<u8>, RootError> {
        let asked = self
            .client
            .encrypt()
            .key_id(&self.arn)
            .set_encryption_context(Some(tags))
            .plaintext(Blob::new(plaintext))
            .send();
        let answer = timeout(self.timeout, asked).await.map_err(|_| RootError::Unavailable)?;
        let sealed = answer.map_err(|error| fault(&error))?.ciphertext_blob.ok_or(RootError::Unavailable)?;
        Ok(sealed.into_inner())
    }

    async fn decrypt(&self, tags: HashMap<String, String>, sealed: &[u8]) -> Result<Unsealed, RootError> {
        let asked = self
            .client
            .decrypt()
            .key_id(&self.arn)
            .set_encryption_context(Some(tags))
            .ciphertext_blob(Blob::new(sealed))
            .send();
        let answer = timeout(self.timeout, asked).await.map_err(|_| RootError::Unavailable)?;
        let answer = answer.map_err(|error| fault(&error))?;
        let opened = Zeroizing::new(answer.plaintext.ok_or(RootError::Unavailable)?.into_inner());
        // KMS holds the ciphertext to the key that is named; an answer that says another is none of ours.
        if answer.key_id.as_deref() == Some(&self.arn) { Ok(opened) } else { Err(RootError::Unauthentic) }
    }

    /// Whether the key seals and opens now, which tells a ciphertext of a key that is not ours from a lost permission: KMS
    /// answers both the same way.
    async fn works(&self) -> bool {
        let tags = || HashMap::from([("strongroom:vault".to_owned(), self.vault.to_string())]);
        match self.encrypt(tags(), b"strongroom").await {
            Ok(sealed) => self.decrypt(tags(), &sealed).await.is_ok(),
            Err(_) => false,
        }
    }
}

#[async_trait]
impl Home for Kms {
    fn code(&self) -> u8 {
        3
    }

    async fn seal(&self, place: &Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, RootError> {
        self.encrypt(self.context(place), plaintext).await
    }

    async fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Unsealed, RootError> {
        if sealed.is_empty() || sealed.len() > CIPHERTEXT_BYTES_MAX {
            return Err(RootError::Unauthentic);
        }
        match self.decrypt(self.context(place), sealed).await {
            Err(RootError::Denied) if self.works().await => Err(RootError::Unauthentic),
            other => other,
        }
    }
}

/// What KMS calls a key that may be named by its id, ARN or alias, found out by encrypting under it.
///
/// # Errors
/// [`RootError`], each with what to do.
pub(super) async fn found(site: &KmsSite, key: &str, region: &str) -> Result<KmsKey, RootError> {
    let asked = client(site, region).await?.encrypt().key_id(key).plaintext(Blob::new(*b"strongroom")).send();
    let answer = timeout(site.timeout, asked).await.map_err(|_| RootError::Unavailable)?;
    let arn = answer.map_err(|error| fault(&error))?.key_id.ok_or(RootError::Unavailable)?;
    Ok(KmsKey { arn, region: region.to_owned() })
}

async fn client(site: &KmsSite, region: &str) -> Result<Client, RootError> {
    site.check()?;
    let attempt = (site.timeout / 2).max(Duration::from_millis(200));
    let times = TimeoutConfig::builder().connect_timeout(attempt).operation_attempt_timeout(attempt).build();
    // Repeats with growing pauses, for throttling and lost connections; the whole call is bounded outside.
    let again = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(Duration::from_millis(100));
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .timeout_config(times)
        .retry_config(again);
    if let Some(endpoint) = &site.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(profile) = &site.profile {
        loader = loader.profile_name(profile);
    }
    let config = timeout(site.timeout, loader.load()).await.map_err(|_| RootError::Unavailable)?;
    Ok(Client::new(&config))
}

/// By the code alone: a message of KMS may hold names that belong to nobody's log.
fn fault<E: ProvideErrorMetadata>(error: &SdkError<E>) -> RootError {
    match error {
        answered if answered.code().is_some() => of_code(answered.code().unwrap_or_default()),
        // No credentials were found, or the request could not be signed.
        SdkError::ConstructionFailure(_) => RootError::Denied,
        // That none of the standard places had any is told from a failed connection by its type's name alone.
        SdkError::DispatchFailure(failed) if failed.is_other() && format!("{failed:?}").contains("Credentials") => {
            RootError::Denied
        }
        _ => RootError::Unavailable,
    }
}

fn of_code(code: &str) -> RootError {
    match code {
        "AccessDeniedException"
        | "AccessDenied"
        | "NotAuthorized"
        | "NotAuthorizedException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "OptInRequired" => RootError::Denied,
        "ThrottlingException"
        | "Throttling"
        | "RequestThrottled"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "LimitExceededException" => RootError::Throttled,
        "NotFoundException" | "DisabledException" | "KMSInvalidStateException" | "InvalidKeyUsageException" => {
            RootError::NoKey
        }
        "InvalidCiphertextException" | "IncorrectKeyException" => RootError::Unauthentic,
        _ => RootError::Unavailable,
    }
}

/// A record as text: as it is if it is a word, hexadecimal otherwise.
fn words(record: &[u8]) -> String {
    let is_word = !record.is_empty() && record.iter().all(u8::is_ascii_alphanumeric);
    if is_word {
        return String::from_utf8_lossy(record).into_owned();
    }
    format!("0x-{}", hex(record))
}

/// Longest ciphertext that KMS takes, in bytes.
const CIPHERTEXT_BYTES_MAX: usize = 6144;
const ATTEMPTS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_records_have_one_text() {
        let all = [&b"kek"[..], b"sign", b"", b"\x00", b"00", b"0x-00", b"\xc3\xa9"].map(words);
        for (nth, one) in all.iter().enumerate() {
            assert!(!all[nth + 1..].contains(one), "{one}");
        }
    }

    #[test]
    fn each_refusal_of_kms_says_what_to_do() {
        for (code, fault) in [
            ("AccessDeniedException", RootError::Denied),
            ("ExpiredTokenException", RootError::Denied),
            ("ThrottlingException", RootError::Throttled),
            ("DisabledException", RootError::NoKey),
            ("KMSInvalidStateException", RootError::NoKey),
            ("IncorrectKeyException", RootError::Unauthentic),
            ("KMSInternalException", RootError::Unavailable),
            ("", RootError::Unavailable),
        ] {
            assert_eq!(of_code(code), fault, "{code}");
        }
    }
}
