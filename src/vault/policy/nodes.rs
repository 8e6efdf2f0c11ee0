//! What a node tells the others of its quotas, and what it hears: one report for all identities, several times a second.
//!
//! `2 | identities u16 | for each identity: name 16 | minute claim, minute used, day claim, day used, rate claim u32 | releases,
//! requests u32 | sessions`, big-endian (see `session_cards.rs`).
//! The name is the first half of the SHA-256 of the identity's URI. Reports go through the store. Whoever writes there can take
//! an allowance away from a node, but never give it more than the whole: each node keeps to that by itself.

use std::collections::HashMap;

use strongroom_wire::limits;

use super::rules::Grant;
use super::session_cards::{Elsewhere, SESSION_BYTES, SESSIONS_TOLD_MAX};
use super::share::{Other, Part, Said};
use super::{Digest, Identity, Quota, Spent};

/// What another node said.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// Its name comes before this node's.
    pub is_before: bool,
    /// Milliseconds since it said so.
    pub age_ms: u64,
    /// What.
    pub said: &'a [u8],
}

impl Heard<'_> {
    /// Whether the node lives, as far as anybody knows.
    pub(super) fn is_recent(&self) -> bool {
        self.age_ms < ALIVE_MS
    }
}

/// This node's parts of what one identity may use.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) minute: Part,
    pub(super) day: Part,
    pub(super) rate: Part,
    /// Releases and requests that were asked for lately, allowed or not.
    pub(super) releases: u32,
    pub(super) requests: u32,
    /// When this node stops using anything, because it cannot know what the others do.
    pub(super) until_ms: u64,
}

/// What one identity may use in all nodes together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Whole {
    minute: u32,
    day: u32,
    rate: u32,
}

/// What a node says of one identity.
#[derive(Debug, Clone, Copy)]
struct Line {
    minute: Said,
    day: Said,
    rate: Said,
    releases: u32,
    requests: u32,
}

/// The name of an identity in reports.
pub(super) type Short = [u8; 16];

/// Every line of one other node.
pub(super) struct Report {
    is_before: bool,
    age_ms: u64,
    lines: HashMap<Short, Line>,
    sessions: Vec<u8>,
}

impl Whole {
    pub(super) fn of(grant: Option<&Grant>) -> Self {
        let Some(grant) = grant else { return Self::default() };
        let (minute, day) = grant.reveals.map_or((0, 0), |quota| (quota.per_minute, quota.per_day));
        Self { minute, day, rate: grant.requests_per_second.unwrap_or(0) }
    }

    /// Whether there is anything to share.
    pub(super) fn is_some(self) -> bool {
        self.minute > 0 || self.day > 0 || self.rate > 0
    }
}

impl Parts {
    /// Whether this node may use anything.
    ///
    /// # Errors
    /// [`Quota::Unknown`]: it has not heard of the others for too long.
    pub(super) fn are_known(&self, now_ms: u64) -> Result<(), Spent> {
        if now_ms < self.until_ms { Ok(()) } else { Err(Spent { quota: Quota::Unknown, retry_after_s: 1 }) }
    }

    /// Adds this node's line to a report.
    pub(super) fn tell(&mut self, name: Short, whole: Whole, (minute_used, day_used): (u32, u32), to: &mut Vec<u8>) {
        let minute = self.minute.tell(whole.minute, minute_used, self.releases, u32::MAX);
        // No more of the day is claimed ahead than a minute can use, so that a node that dies takes little with it for a day.
        let day = self.day.tell(whole.day, day_used, self.releases, whole.minute);
        let rate = self.rate.tell(whole.rate, 0, self.requests, u32::MAX);
        to.extend_from_slice(&name);
        let numbers = [minute.claim, minute.used, day.claim, day.used, rate.claim, self.releases, self.requests];
        numbers.into_iter().for_each(|number| to.extend_from_slice(&number.to_be_bytes()));
        // What was asked for a while ago counts less and less.
        (self.releases, self.requests) = (self.releases / 2, self.requests / 2);
    }

    /// The report was told, and these are those of the others.
    pub(super) fn heard(&mut self, name: &Short, whole: Whole, reports: &[Report], now_ms: u64) {
        let of = |last_ms: u64, pick: fn(&Line) -> (Said, u32)| {
            let known = reports.iter().filter(|report| report.age_ms <= last_ms);
            let others = known.filter_map(|report| {
                let (said, demand) = pick(report.lines.get(name)?);
                let is_alive = report.age_ms < ALIVE_MS;
                Some(Other { said, demand, is_alive, is_before: report.is_before })
            });
            others.collect::<Vec<_>>()
        };
        self.minute.heard(whole.minute, of(MINUTE_MS, |line| (line.minute, line.releases)));
        self.day.heard(whole.day, of(DAY_MS, |line| (line.day, line.releases)));
        self.rate.heard(whole.rate, of(RATE_MS, |line| (line.rate, line.requests)));
        self.until_ms = now_ms.saturating_add(STALE_MS);
    }

    /// Whether the report was told is not known.
    pub(super) fn unheard(&mut self) {
        [&mut self.minute, &mut self.day, &mut self.rate].into_iter().for_each(Part::unheard);
    }

    /// Gives up whatever is not used, before the node goes.
    pub(super) fn give_up(&mut self) {
        (self.releases, self.requests) = (0, 0);
        [&mut self.minute, &mut self.day, &mut self.rate].into_iter().for_each(Part::give_up);
    }
}

impl Report {
    /// What a node said; nothing of it counts if it is not of this form.
    pub(super) fn read(heard: &Heard<'_>) -> Option<Self> {
        let (&[version, high, low], rest) = heard.said.split_first_chunk::<HEAD_BYTES>()?;
        let count = usize::from(u16::from_be_bytes([high, low]));
        let (lines, sessions) = rest.split_at_checked(count * LINE_BYTES)?;
        if version != VERSION || !sessions.len().is_multiple_of(SESSION_BYTES) {
            return None;
        }
        let lines = lines.as_chunks::<LINE_BYTES>().0.iter().filter_map(line).collect();
        Some(Self { is_before: heard.is_before, age_ms: heard.age_ms, lines, sessions: sessions.to_vec() })
    }

    /// Its part about sessions, as long as one of them may live.
    pub(super) fn sessions(&self) -> Elsewhere<'_> {
        let may_live = self.age_ms < limits::SESSION_TTL_MAX_S * 1000;
        let said = if may_live { &*self.sessions } else { &[] };
        // It gives what it may until what it heard is stale, so that long it counts.
        Elsewhere { is_alive: self.age_ms <= RATE_MS, is_before: self.is_before, said }
    }
}

fn line(bytes: &[u8; LINE_BYTES]) -> Option<(Short, Line)> {
    let (name, numbers) = bytes.split_first_chunk::<16>()?;
    let numbers: Vec<u32> = numbers.as_chunks::<4>().0.iter().map(|number| u32::from_be_bytes(*number)).collect();
    let &[minute, minute_used, day, day_used, rate, releases, requests] = numbers.as_slice() else { return None };
    let said = |claim, used| Said { claim, used };
    let (minute, day, rate) = (said(minute, minute_used), said(day, day_used), said(rate, 0));
    Some((*name, Line { minute, day, rate, releases, requests }))
}

/// What stands before so many lines.
pub(super) fn head(lines: usize) -> Vec<u8> {
    let mut said = vec![VERSION];
    said.extend_from_slice(&u16::try_from(lines).unwrap_or(u16::MAX).to_be_bytes());
    said
}

/// Adds the line of a node that is gone and used so much of the minute and of the day.
pub(super) fn write_gone(name: Short, minute: u32, day: u32, to: &mut Vec<u8>) {
    to.extend_from_slice(&name);
    [minute, minute, day, day, 0, 0, 0].into_iter().for_each(|number| to.extend_from_slice(&number.to_be_bytes()));
}

/// See the top.
pub(super) fn short(identity: &Identity) -> Short {
    Digest::of(identity.as_str().as_bytes()).half()
}

const VERSION: u8 = 2;
/// Length of what stands before the lines.
pub(super) const HEAD_BYTES: usize = 3;
/// Most identities in one report.
pub(super) const LINES_MAX: usize =
    (limits::USES_BYTES_MAX - HEAD_BYTES - SESSIONS_TOLD_MAX * SESSION_BYTES) / LINE_BYTES;
const _: () = assert!(LINES_MAX <= u16::MAX as usize);
/// Length of one line.
pub(super) const LINE_BYTES: usize = 16 + 7 * 4;
/// A node that said nothing for so long uses nothing any more, by itself.
pub(super) const STALE_MS: u64 = 8_000;
/// What a node claimed counts for as long as it may have used it and that stays in a window of its own.
const RATE_MS: u64 = STALE_MS + 2_000;
const MINUTE_MS: u64 = STALE_MS + 62_000;
const DAY_MS: u64 = STALE_MS + (24 * 3_600 + 301) * 1_000;
pub(super) const ALIVE_MS: u64 = 5_000;

#[cfg(test)]
#[path = "nodes_tests.rs"]
mod tests;
