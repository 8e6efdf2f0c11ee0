//! `TokenMint`: tokens whose first 64 bits strictly increase, so that a store can use them as its integer key.

use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_wire::Token;
use uuid::{Builder, Uuid};

/// Makes tokens. A store takes tokens from elsewhere too, only less compactly.
///
/// A UUIDv7 (RFC 9562 section 5.7) begins with 48 bits of milliseconds, the version and 12 bits that may be random or a
/// counter (section 6.2). Here time and these 12 bits are one number of 60 bits: random in its last 12 for the first token of
/// a millisecond, and otherwise one more than the last. The other 62 bits are always random.
#[derive(Debug, Default)]
pub struct TokenMint {
    last: AtomicU64,
}

impl TokenMint {
    /// A mint that has made no token yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A fresh token for the time `now_ms`. If the clock stands still or goes back, the tokens' own time does not.
    #[must_use]
    pub fn token(&self, now_ms: u64) -> Token {
        let random = Uuid::new_v4().into_bytes();
        let wanted = (now_ms << COUNTER_BITS) | u64::from(u16::from_be_bytes([random[0], random[1]]) & COUNTER_MASK);
        let before = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(wanted.max(last + 1)))
            .unwrap_or_else(|last| last);
        let head = wanted.max(before + 1);
        let mut tail = [0; 10];
        tail.copy_from_slice(&random[6..]);
        tail[..2].copy_from_slice(&((head as u16) & COUNTER_MASK).to_be_bytes());
        // The version nibble of the v4 UUID stands in byte 6 and its variant in byte 8; the builder writes both anew, and
        // byte 8 has six random bits like every other one.
        Token::from_uuid(Builder::from_unix_timestamp_millis(head >> COUNTER_BITS, &tail).into_uuid())
    }
}

const COUNTER_BITS: u32 = 12;
const COUNTER_MASK: u16 = (1 << COUNTER_BITS) - 1;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use super::*;

    fn head(token: &Token) -> u64 {
        token.uuid().as_u64_pair().0
    }

    #[test]
    fn heads_strictly_increase_even_when_the_clock_goes_back() {
        let mint = TokenMint::new();
        let mut last = 0;
        for step in 0..20_000u64 {
            let now = 1_764_000_000_000 + if step % 3 == 0 { 0 } else { 2 };
            let token = mint.token(now);
            assert!(head(&token) > last);
            last = head(&token);
            assert_eq!(token.to_string().parse::<Token>().unwrap(), token);
        }
    }

    #[test]
    fn the_time_of_a_token_is_the_time_it_was_made_for() {
        let token = TokenMint::new().token(1_764_000_000_123);
        assert_eq!(head(&token) >> 16, 1_764_000_000_123);
    }

    #[test]
    fn two_threads_never_make_the_same_head() {
        let mint = Arc::new(TokenMint::new());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let mint = Arc::clone(&mint);
                std::thread::spawn(move || (0..5_000).map(|_| head(&mint.token(7))).collect::<Vec<_>>())
            })
            .collect();
        let heads: HashSet<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(heads.len(), 20_000);
    }
}
