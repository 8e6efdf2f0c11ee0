//! Where a merchant wants its events, and which secrets sign them.

use serde::{Deserialize, Serialize};
use strongroom_wire::{SecretId, limits};

/// A merchant's webhook settings. The secrets themselves lie in the vault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSettings {
    /// The receiver: an `https` address. Without one nothing is sent.
    pub url: Option<String>,
    /// Types of events that are wanted; empty: every type.
    pub events: Vec<String>,
    /// What events are signed with, newest first.
    pub secrets: Vec<WebhookSecret>,
}

/// A secret that signs a merchant's events, without the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSecret {
    /// Where the vault keeps it.
    pub secret_id: SecretId,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Signs nothing from then on, milliseconds since 1970; only a secret that was replaced has an end.
    pub ends_ms: Option<i64>,
}

/// As many secrets are valid beside each other as are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManySecrets;

impl WebhookSettings {
    /// Whether an event of this type is to be sent.
    #[must_use]
    pub fn wants(&self, event_type: &str) -> bool {
        self.events.is_empty() || self.events.iter().any(|wanted| wanted == event_type)
    }

    /// The secrets that sign now, newest first.
    pub fn valid(&self, now_ms: i64) -> impl Iterator<Item = &WebhookSecret> {
        self.secrets.iter().filter(move |secret| secret.ends_ms.is_none_or(|end| now_ms < end))
    }

    /// Puts a new secret in front. Those before it sign for another `overlap_ms`, or to the end that they have already.
    /// Answers the secrets that sign no more and are named here no longer.
    ///
    /// # Errors
    /// [`TooManySecrets`]; nothing changed.
    pub fn rotate(&mut self, new: SecretId, now_ms: i64, overlap_ms: i64) -> Result<Vec<SecretId>, TooManySecrets> {
        let (secrets, ended) = rotated(&self.secrets, new, now_ms, overlap_ms)?;
        self.secrets = secrets;
        Ok(ended)
    }
}

/// The secrets with a new one in front, and those that are named no longer: see [`WebhookSettings::rotate`].
pub(super) fn rotated(
    before: &[WebhookSecret],
    new: SecretId,
    now_ms: i64,
    overlap_ms: i64,
) -> Result<(Vec<WebhookSecret>, Vec<SecretId>), TooManySecrets> {
    let end = now_ms + overlap_ms;
    let mut secrets = vec![WebhookSecret { secret_id: new, created_ms: now_ms, ends_ms: None }];
    let mut ended = Vec::new();
    for secret in before {
        let ends_ms = secret.ends_ms.map_or(end, |earlier| earlier.min(end));
        if now_ms < ends_ms {
            secrets.push(WebhookSecret { ends_ms: Some(ends_ms), ..secret.clone() });
        } else {
            ended.push(secret.secret_id);
        }
    }
    if secrets.len() > limits::WEBHOOK_SECRETS_MAX {
        return Err(TooManySecrets);
    }
    Ok((secrets, ended))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_secret_signs_to_its_end_and_no_rotation_lengthens_its_life() {
        let (first, second, third) = (SecretId::fresh(), SecretId::fresh(), SecretId::fresh());
        let mut settings = WebhookSettings::default();
        assert_eq!(settings.rotate(first, 0, 1000), Ok(vec![]));
        assert_eq!(settings.rotate(second, 100, 1000), Ok(vec![]));
        let valid = |settings: &WebhookSettings, now| settings.valid(now).map(|s| s.secret_id).collect::<Vec<_>>();
        assert_eq!(valid(&settings, 1099), [second, first]);
        assert_eq!(valid(&settings, 1100), [second]);
        assert_eq!(settings.rotate(third, 500, 1_000_000), Ok(vec![]));
        assert_eq!(valid(&settings, 1099), [third, second, first]);
        assert_eq!(valid(&settings, 1100), [third, second]);
        let last = SecretId::fresh();
        assert_eq!(
            settings.rotate(last, 2000, 0),
            Ok(vec![third, second, first]),
            "no overlap ends all others at once"
        );
        assert_eq!(valid(&settings, 2000), [last]);
    }

    #[test]
    fn secrets_over_their_limit_are_refused_and_change_nothing() {
        let mut settings = WebhookSettings::default();
        for _ in 0..limits::WEBHOOK_SECRETS_MAX {
            assert_eq!(settings.rotate(SecretId::fresh(), 0, 1000), Ok(vec![]));
        }
        let before = settings.clone();
        assert_eq!(settings.rotate(SecretId::fresh(), 0, 1000), Err(TooManySecrets));
        assert_eq!(settings, before);
    }

    #[test]
    fn all_types_are_wanted_until_some_are_named() {
        let mut settings = WebhookSettings::default();
        assert!(settings.wants("refund_failed"));
        settings.events = vec!["payment_succeeded".into()];
        assert!(settings.wants("payment_succeeded") && !settings.wants("refund_failed"));
    }
}
