//! Idempotency keys as providers keep them: the first answer is the only one, another body is refused, and a request
//! that still runs turns its double away. Each dialect has keys of its own and words of its own for a refusal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use strongroom_wire::limits;

use crate::house::room;

/// A finished answer: the HTTP status and the JSON body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body, as it was sent first.
    pub(crate) body: String,
}

/// Every key of every account that was ever used. The simulator forgets none while it runs.
#[derive(Clone, Default)]
pub(crate) struct Keys {
    known: Arc<Mutex<HashMap<Name, Known>>>,
}

/// Why a key is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyRefused {
    /// Empty, or longer than 255 characters.
    Length,
    /// It belongs to another request.
    Reused,
    /// Its first request has not been answered yet.
    InUse,
    /// The simulator holds as many keys as it may.
    Full,
}

/// An account's secret key and an idempotency key: accounts do not share keys.
type Name = (String, String);

struct Known {
    digest: [u8; 32],
    answer: Option<Answer>,
    /// Whether the first request still holds the key.
    running: bool,
}

/// How a request may go on.
pub(crate) enum Begin {
    /// The key is new, and held until the hold is dropped.
    Fresh(Hold),
    /// The key's first request was answered so.
    Again(Answer),
}

impl Keys {
    /// Takes a key for a request with this path and body.
    ///
    /// # Errors
    /// See [`KeyRefused`].
    pub(crate) fn begin(&self, account: &str, key: &str, path: &str, body: &[u8]) -> Result<Begin, KeyRefused> {
        if key.is_empty() || key.chars().count() > limits::SIMULATOR_KEY_CHARS_MAX {
            return Err(KeyRefused::Length);
        }
        let name = (account.to_owned(), key.to_owned());
        let digest = Sha256::new().chain_update(path).chain_update([0]).chain_update(body).finalize().into();
        let mut known = self.lock();
        match known.get(&name) {
            Some(first) if first.digest != digest => return Err(KeyRefused::Reused),
            Some(first) if first.running => return Err(KeyRefused::InUse),
            Some(Known { answer: Some(answer), .. }) => return Ok(Begin::Again(answer.clone())),
            _ => room(known.len()).map_err(|_| KeyRefused::Full)?,
        }
        known.insert(name.clone(), Known { digest, answer: None, running: true });
        drop(known);
        Ok(Begin::Fresh(Hold { keys: self.clone(), name }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Known>> {
        // Each change under the lock is one assignment, so a panic elsewhere leaves nothing half done.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of a request that runs. Dropping it ends the request, also when the caller has gone away: a key without an
/// answer by then is forgotten, because nothing was done under it.
pub(crate) struct Hold {
    keys: Keys,
    name: Name,
}

impl Hold {
    /// Keeps the answer for every later request with this key, from the moment that the work is done: a connection that
    /// breaks afterwards does not change what happened.
    pub(crate) fn keep(&self, answer: &Answer) {
        if let Some(known) = self.keys.lock().get_mut(&self.name) {
            known.answer = Some(answer.clone());
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut known = self.keys.lock();
        match known.get_mut(&self.name) {
            Some(entry) if entry.answer.is_some() => entry.running = false,
            _ => {
                known.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(keys: &Keys, body: &str) -> Result<Begin, KeyRefused> {
        keys.begin("sk_test_1", "key", "/v1/refunds", body.as_bytes())
    }

    fn fresh(keys: &Keys, body: &str) -> Hold {
        match begin(keys, body) {
            Ok(Begin::Fresh(hold)) => hold,
            _ => panic!("the key should be free"),
        }
    }

    #[test]
    fn same_key_and_body_get_the_first_answer_and_another_body_is_refused() {
        let keys = Keys::default();
        let answer = Answer { status: 402, body: "{}".to_owned() };
        fresh(&keys, "a=1").keep(&answer);
        assert!(matches!(begin(&keys, "a=1"), Ok(Begin::Again(again)) if again == answer));
        assert!(matches!(begin(&keys, "a=2"), Err(KeyRefused::Reused)));
        assert!(matches!(keys.begin("sk_test_2", "key", "/v1/refunds", b"a=2"), Ok(Begin::Fresh(_))));
        assert!(keys.begin("sk_test_1", "key", "/v1/payment_methods", b"a=1").is_err());
    }

    #[test]
    fn double_of_a_running_request_is_turned_away() {
        let keys = Keys::default();
        let hold = fresh(&keys, "a=1");
        assert!(matches!(begin(&keys, "a=1"), Err(KeyRefused::InUse)));
        hold.keep(&Answer { status: 200, body: String::new() });
        assert!(matches!(begin(&keys, "a=1"), Err(KeyRefused::InUse)));
        drop(hold);
        assert!(matches!(begin(&keys, "a=1"), Ok(Begin::Again(_))));
    }

    #[test]
    fn key_of_a_request_that_did_nothing_is_free_again() {
        let keys = Keys::default();
        drop(fresh(&keys, "a=1"));
        drop(fresh(&keys, "a=2"));
    }

    #[test]
    fn key_of_impossible_length_is_refused() {
        let keys = Keys::default();
        let long = "k".repeat(limits::SIMULATOR_KEY_CHARS_MAX + 1);
        assert!(keys.begin("sk_test_1", &long, "/", b"").is_err());
        assert!(keys.begin("sk_test_1", "", "/", b"").is_err());
    }
}
