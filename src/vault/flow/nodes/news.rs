//! What nodes tell each other with their beats, besides how far they are: parts of the vault that want to say something add a
//! channel. The bytes go through the store, so whoever can write to it can say anything in them.

use std::sync::{Arc, Mutex, PoisonError};

use strongroom_wire::limits;
use uuid::Uuid;

use crate::store::NodeRow;
use crate::telemetry::log;

/// One thing that nodes tell each other.
pub trait Channel: Send + Sync {
    /// Which; no two are the same.
    fn topic(&self) -> u8;

    /// What this node says with its next beat. It is called for each beat; an empty answer is not sent.
    fn say(&self) -> Vec<u8>;

    /// What the others said last, those that said nothing included (with no bytes). Called after each beat that came back.
    fn hear(&self, others: &[Heard<'_>]);
}

/// What one other node said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard<'a> {
    /// Its run.
    pub run: Uuid,
    /// Whether it holds keys.
    pub holds: bool,
    /// Milliseconds since it said so, by the store's clock.
    pub age_ms: u64,
    /// What.
    pub bytes: &'a [u8],
}

/// The channels of this process.
#[derive(Default)]
pub(super) struct Channels(Mutex<Vec<Arc<dyn Channel>>>);

impl Channels {
    pub(super) fn add(&self, channel: Arc<dyn Channel>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
    }

    fn all(&self) -> Vec<Arc<dyn Channel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For each topic: `topic u8 | length u32 | bytes`.
    pub(super) fn said(&self) -> Vec<u8> {
        let mut news = Vec::new();
        for channel in self.all() {
            let bytes = channel.say();
            if news.len() + HEAD + bytes.len() > limits::NODE_NEWS_BYTES_MAX {
                log::warn("what a node tells the others is too long and was not sent", &[]);
                continue;
            }
            if let (false, Ok(length)) = (bytes.is_empty(), u32::try_from(bytes.len())) {
                news.push(channel.topic());
                news.extend_from_slice(&length.to_be_bytes());
                news.extend_from_slice(&bytes);
            }
        }
        news
    }

    pub(super) fn hear(&self, own: Uuid, nodes: &[NodeRow]) {
        for channel in self.all() {
            let others: Vec<Heard<'_>> = nodes
                .iter()
                .filter(|row| row.report.run != own)
                .map(|row| Heard {
                    run: row.report.run,
                    holds: row.report.holds,
                    age_ms: row.age_ms,
                    bytes: part(&row.report.news, channel.topic()),
                })
                .collect();
            channel.hear(&others);
        }
    }
}

/// The bytes of a topic; none where the news are not of this form.
fn part(mut news: &[u8], wanted: u8) -> &[u8] {
    while let Some((topic, rest)) = news.split_first() {
        let Some((length, rest)) = rest.split_first_chunk::<4>() else { break };
        let length = u32::from_be_bytes(*length) as usize;
        let Some((bytes, rest)) = rest.split_at_checked(length) else { break };
        if *topic == wanted {
            return bytes;
        }
        news = rest;
    }
    &[]
}

const HEAD: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::NodeReport;

    struct Fixed(u8, Vec<u8>, Mutex<Vec<Vec<u8>>>);

    impl Channel for Fixed {
        fn topic(&self) -> u8 {
            self.0
        }

        fn say(&self) -> Vec<u8> {
            self.1.clone()
        }

        fn hear(&self, others: &[Heard<'_>]) {
            self.2.lock().unwrap().extend(others.iter().map(|heard| heard.bytes.to_vec()));
        }
    }

    fn channels(said: &[(u8, &[u8])]) -> (Channels, Vec<Arc<Fixed>>) {
        let channels = Channels::default();
        let fixed: Vec<_> =
            said.iter().map(|(topic, bytes)| Arc::new(Fixed(*topic, bytes.to_vec(), Mutex::default()))).collect();
        fixed.iter().for_each(|one| channels.add(Arc::clone(one) as Arc<dyn Channel>));
        (channels, fixed)
    }

    fn row(run: u128, news: Vec<u8>) -> NodeRow {
        let (node, run) = ("a".parse().unwrap(), Uuid::from_u128(run));
        NodeRow { report: NodeReport { node, run, holds: true, taken: 0, settled: 0, news }, age_ms: 0 }
    }

    #[test]
    fn each_topic_hears_its_own_part_and_what_is_malformed_says_nothing() {
        let (theirs, _) = channels(&[(1, b"one"), (2, b""), (3, &[9; 300])]);
        let (ours, heard) = channels(&[(3, b""), (2, b""), (1, b"")]);
        let broken = [vec![3], vec![3, 0, 0, 0, 9, 1], vec![3, 255, 255, 255, 255]];
        let rows: Vec<_> = std::iter::once(row(1, theirs.said()))
            .chain(broken.into_iter().map(|news| row(2, news)))
            .chain([row(7, theirs.said())])
            .collect();
        ours.hear(Uuid::from_u128(7), &rows);
        let parts = |place: usize| heard[place].2.lock().unwrap().clone();
        let nothing = Vec::<u8>::new;
        assert_eq!(parts(0), [vec![9; 300], nothing(), nothing(), nothing()]);
        assert_eq!(parts(1), [nothing(), nothing(), nothing(), nothing()]);
        assert_eq!(parts(2), [b"one".to_vec(), nothing(), nothing(), nothing()]);
    }

    #[test]
    fn news_over_the_limit_are_left_out_and_keep_no_others_back() {
        let (channels, _) = channels(&[(1, &vec![0; limits::NODE_NEWS_BYTES_MAX]), (2, b"short")]);
        let said = channels.said();
        assert_eq!((part(&said, 1), part(&said, 2)), (&b""[..], &b"short"[..]));
    }
}
