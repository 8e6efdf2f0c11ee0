//! A bound on entries for refusals that anybody can cause without end.
//!
//! Refusals of an identity are always written one by one. But clients without an identity (no certificate, no or a bad
//! session, a browser's session over its limits) and an identity over its request rate could fill the disk. Of each of
//! them 60 a minute are written; the rest of the minute is counted, and one summary entry says how many there were. A
//! process that is killed loses the counts of its last minute, and nothing else.

use std::collections::HashMap;

use strongroom_wire::entry::{Act, Entry, Outcome, OwnAct, Reason, Subject};
use strongroom_wire::{RequestId, limits};

use super::NotRecorded;
use super::batch::Recording;
use crate::policy::{Note, Principal, Quota, Refusal};

/// Who has been refused how often in the last minute, and the summaries on their way to the disk.
#[derive(Default)]
pub(super) struct Refusals {
    /// By the text of an identity over its rate; by the empty text for all clients without an identity.
    minutes: HashMap<String, Minute>,
    summaries: Vec<(Recording, String, u64)>,
}

#[derive(Default)]
struct Minute {
    since_ms: u64,
    written: u32,
    counted: u64,
}

impl Refusals {
    /// Whether the refusal gets an entry of its own; otherwise it has been counted.
    pub(super) fn admit(&mut self, refusal: &Refusal, now_ms: u64) -> bool {
        let who = match (&refusal.trace.who, refusal.trace.act) {
            (Principal::Session(_), _) | (_, Act::Own(OwnAct::Unidentified)) => String::new(),
            (who, _) if refusal.spent.is_some_and(|spent| is_of_a_moment(spent.quota)) => who.who(),
            _ => return true,
        };
        let minute = self.minutes.entry(who).or_insert_with(|| Minute { since_ms: now_ms, ..Minute::default() });
        if minute.written < limits::REFUSALS_PER_MINUTE_MAX {
            minute.written += 1;
            true
        } else {
            minute.counted += 1;
            false
        }
    }

    /// Ends the minutes that are over (all of them when the log closes) and hands their summaries to `push`. A summary
    /// that could not be recorded is counted again.
    pub(super) fn settle(
        &mut self,
        now_ms: u64,
        closing: bool,
        mut push: impl FnMut(&Entry) -> Result<Recording, NotRecorded>,
    ) {
        let mut lost = Vec::new();
        self.summaries.retain_mut(|(recording, who, counted)| match recording.outcome() {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(NotRecorded)) => {
                lost.push((std::mem::take(who), *counted));
                false
            }
        });
        for (who, counted) in lost {
            self.minutes.entry(who).or_default().counted += counted;
        }
        let summaries = &mut self.summaries;
        self.minutes.retain(|who, minute| {
            if !closing && now_ms.abs_diff(minute.since_ms) < MINUTE_MS {
                return true;
            }
            if minute.counted == 0 {
                return false;
            }
            match push(&summary(who, minute.counted, now_ms)) {
                Ok(recording) => {
                    summaries.push((recording, who.clone(), minute.counted));
                    false
                }
                Err(NotRecorded) => true,
            }
        });
    }
}

fn summary(who: &str, counted: u64, now_ms: u64) -> Entry {
    Entry {
        at_ms: now_ms,
        act: Act::Own(OwnAct::Unidentified),
        outcome: Outcome::Refused,
        reason: if who.is_empty() { Reason::Credentials } else { Reason::Quota },
        request: RequestId::fresh(),
        subject: Subject::None,
        origin: None,
        tenant: None,
        who: who.to_owned(),
        note: Note::words("refusals without an entry of their own:").and(&counted).into_text(),
    }
}

const MINUTE_MS: u64 = 60_000;
/// Whether the very next request may be allowed again.
fn is_of_a_moment(quota: Quota) -> bool {
    matches!(quota, Quota::RequestsPerSecond | Quota::Unknown)
}
