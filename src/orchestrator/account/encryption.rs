//! Under which keys a merchant encrypts card fields before it sends them, for the dialect that takes such fields.

use serde::{Deserialize, Serialize};
use strongroom_wire::SecretId;

use super::webhooks::{TooManySecrets, WebhookSecret, rotated};

/// A merchant's keys for card fields. The keys themselves lie in the vault, which alone uses them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionKeys {
    /// Newest first; they are replaced and end by the rule of webhook secrets.
    pub keys: Vec<WebhookSecret>,
}

impl EncryptionKeys {
    /// The keys that open fields now, newest first.
    pub fn valid(&self, now_ms: i64) -> impl Iterator<Item = SecretId> {
        let is_valid = move |key: &&WebhookSecret| key.ends_ms.is_none_or(|end| now_ms < end);
        self.keys.iter().filter(is_valid).map(|key| key.secret_id)
    }

    /// Puts a new key in front. Those before it open fields for another `overlap_ms`, or to the end that they have already.
    /// Answers the keys that open nothing any more and are named here no longer.
    ///
    /// # Errors
    /// [`TooManySecrets`]; nothing changed.
    pub fn rotate(&mut self, new: SecretId, now_ms: i64, overlap_ms: i64) -> Result<Vec<SecretId>, TooManySecrets> {
        let (keys, ended) = rotated(&self.keys, new, now_ms, overlap_ms)?;
        self.keys = keys;
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_key_opens_fields_to_its_end_and_not_longer() {
        let (first, second) = (SecretId::fresh(), SecretId::fresh());
        let mut keys = EncryptionKeys::default();
        assert_eq!(keys.rotate(first, 0, 1000), Ok(vec![]));
        assert_eq!(keys.rotate(second, 100, 1000), Ok(vec![]));
        assert_eq!(keys.valid(1099).collect::<Vec<_>>(), [second, first]);
        assert_eq!(keys.valid(1100).collect::<Vec<_>>(), [second]);
        let third = SecretId::fresh();
        assert_eq!(keys.rotate(third, 1100, 0), Ok(vec![second, first]));
        assert_eq!(keys.valid(1100).collect::<Vec<_>>(), [third]);
    }
}
