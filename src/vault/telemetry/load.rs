//! How busy the vault is: its listeners, what waits for its disks, and how long what is not folded in yet has become.

use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use strongroom_gate::Counts;

use super::metrics::ListenerLabel;

/// How busy the vault is at the moment of a scrape.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// What each listener counted.
    pub listeners: Vec<(ListenerLabel, Counts)>,
    /// The disk of the audit log.
    pub audit: Disk,
    /// The disk of the store.
    pub store: Disk,
}

/// What waits for a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disk {
    /// Writes that wait to be taken.
    pub waiting: u64,
    /// For how long the write that runs has been running, in milliseconds.
    pub busy_ms: u64,
    /// Length of the write-ahead log, in bytes.
    pub log_bytes: u64,
    /// From this length on nothing is written, in bytes.
    pub log_bytes_max: u64,
}

impl Disk {
    /// Whether a write takes so long that the disk, or whoever holds the file, must be looked at.
    #[must_use]
    pub fn stalls(&self) -> bool {
        self.busy_ms >= STALL_MS
    }

    /// Whether the write-ahead log is on its way to its limit.
    #[must_use]
    pub fn is_held_back(&self) -> bool {
        self.log_bytes_max > 0 && self.log_bytes > self.log_bytes_max / 2
    }
}

/// The same as metrics.
#[derive(Default)]
pub(super) struct LoadMetrics {
    at_work: Family<OfListener, Gauge>,
    at_work_max: Family<OfListener, Gauge>,
    connections: Family<OfListener, Gauge>,
    shed: Family<OfListener, Counter>,
    cut: Family<OfCut, Counter>,
    waiting: Family<OfDisk, Gauge>,
    busy: Family<OfDisk, Gauge>,
    log_bytes: Family<OfDisk, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfListener {
    listener: ListenerLabel,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCut {
    listener: ListenerLabel,
    why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDisk {
    disk: &'static str,
}

impl LoadMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let these = Self::default();
        registry.register("requests_at_work", "Requests that each listener has at work", these.at_work.clone());
        registry.register("requests_at_work_limit", "Most requests at work", these.at_work_max.clone());
        registry.register("connections", "Open connections of each listener", these.connections.clone());
        registry.register(
            "requests_shed",
            "Requests turned away because as many as may be were at work",
            these.shed.clone(),
        );
        registry.register("connections_cut", "Connections cut because their client was too slow", these.cut.clone());
        registry.register("disk_waiting_writes", "Writes that wait for a disk", these.waiting.clone());
        registry.register_with_unit(
            "disk_write_running",
            "For how long the running write has been running, in whole seconds",
            Unit::Seconds,
            these.busy.clone(),
        );
        registry.register_with_unit("disk_log", "Length of a write-ahead log", Unit::Bytes, these.log_bytes.clone());
        these
    }

    pub(super) fn show(&self, load: &Load) {
        for (listener, counts) in &load.listeners {
            let of = OfListener { listener: *listener };
            self.at_work.get_or_create(&of).set(signed(counts.at_work as u64));
            self.at_work_max.get_or_create(&of).set(signed(counts.at_work_max as u64));
            self.connections.get_or_create(&of).set(signed(counts.open as u64));
            self.shed.get_or_create(&of).inner().store(counts.shed, Ordering::Relaxed);
            for (why, cut) in [("head", counts.slow_heads), ("answer", counts.slow_answers)] {
                self.cut.get_or_create(&OfCut { listener: *listener, why }).inner().store(cut, Ordering::Relaxed);
            }
        }
        for (disk, now) in [("audit", load.audit), ("store", load.store)] {
            let of = OfDisk { disk };
            self.waiting.get_or_create(&of).set(signed(now.waiting));
            self.busy.get_or_create(&of).set(signed(now.busy_ms / 1000));
            self.log_bytes.get_or_create(&of).set(signed(now.log_bytes));
        }
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A write that takes this long is a stall, in milliseconds.
const STALL_MS: u64 = 3_000;

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn a_scrape_shows_what_waits_and_what_was_turned_away() {
        let mut registry = Registry::with_prefix("strongroom");
        let metrics = LoadMetrics::registered(&mut registry);
        let counts = Counts { at_work: 3, at_work_max: 8, open: 9, shed: 70, slow_heads: 2, slow_answers: 1 };
        let store = Disk { waiting: 5, busy_ms: 4_200, log_bytes: 4096, log_bytes_max: 1 << 20 };
        metrics.show(&Load { listeners: vec![(ListenerLabel::Intake, counts)], store, ..Load::default() });
        let mut text = String::new();
        text::encode(&mut text, &registry).unwrap();
        for line in [
            "strongroom_requests_at_work{listener=\"Intake\"} 3",
            "strongroom_requests_at_work_limit{listener=\"Intake\"} 8",
            "strongroom_connections{listener=\"Intake\"} 9",
            "strongroom_requests_shed_total{listener=\"Intake\"} 70",
            "strongroom_connections_cut_total{listener=\"Intake\",why=\"head\"} 2",
            "strongroom_disk_waiting_writes{disk=\"store\"} 5",
            "strongroom_disk_write_running_seconds{disk=\"store\"} 4",
            "strongroom_disk_log_bytes{disk=\"store\"} 4096",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert!(store.stalls() && !Disk::default().stalls());
    }

    #[test]
    fn a_log_over_half_of_its_limit_is_held_back() {
        let disk = |log_bytes| Disk { log_bytes, log_bytes_max: 1000, ..Disk::default() };
        assert!(!disk(500).is_held_back() && disk(501).is_held_back());
        assert!(!Disk { log_bytes: 9, ..Disk::default() }.is_held_back(), "no limit was given");
    }
}
