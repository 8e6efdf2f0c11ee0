//! Metrics in OpenMetrics text: counters and latencies as they happen, the rest asked for at the moment of a scrape.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::load::{Load, LoadMetrics};

/// Which listener a request came in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ListenerLabel {
    /// Browsers.
    Intake,
    /// Orchestrators.
    Release,
    /// The security team.
    Admin,
    /// Payment switches that speak the card-vault dialect.
    Locker,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    listener: ListenerLabel,
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReportLabels {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    listener: ListenerLabel,
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabels {
    tenant: String,
    purpose: &'static str,
    term: u32,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QuotaLabels {
    identity: String,
    window: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    role: &'static str,
    id: String,
}

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Family<RouteLabels, Histogram, fn() -> Histogram>,
    unsealed: Gauge,
    root_available: Gauge,
    key_age: Family<KeyLabels, Gauge>,
    key_wraps: Family<KeyLabels, Gauge>,
    key_ends: Family<KeyLabels, Gauge>,
    audit_size: Gauge,
    audit_lag: Gauge,
    audit_failing: Gauge,
    quota_used: Family<QuotaLabels, Gauge>,
    quota_limit: Family<QuotaLabels, Gauge>,
    certificate_expiry: Family<CertificateLabels, Gauge>,
    load: LoadMetrics,
    /// Records that failed authentication when they were opened.
    pub tampered: Counter,
    /// Short-term records shredded at their end.
    pub swept: Counter,
    /// Cards shredded because they were older than their tenant's rule allows.
    pub over_age: Counter,
    /// Cards that were opened for exports.
    pub exported: Counter,
    /// Beats of this node that the store did not answer, or that could not be followed.
    pub beats_failed: Counter,
    sdk_reports: Family<ReportLabels, Counter>,
    nodes: Gauge,
    leads: Gauge,
    fenced: Gauge,
}

/// What a scrape asks of the rooms.
pub struct Snapshot {
    /// Whether keys are in memory.
    pub unsealed: bool,
    /// Whether the Root can be used, so that new keys can be made.
    pub root_available: bool,
    /// Tenant (empty for the vault), purpose, term, state, age in seconds, wraps.
    pub keys: Vec<(String, &'static str, u32, &'static str, u64, u64)>,
    /// Tenant (empty for the vault), purpose, term, and seconds until an active key's end, less than 0 after it.
    pub key_ends: Vec<(String, &'static str, u32, i64)>,
    /// Nodes that hold keys, whether this one leads, and whether it is fenced.
    pub nodes: (u64, bool, bool),
    /// Entries in the audit log.
    pub audit_size: u64,
    /// Entries that no signed checkpoint covers yet.
    pub audit_lag: u64,
    /// Whether the last write of the audit log failed.
    pub audit_failing: bool,
    /// Identity, window (`minute`, `day`), used, limit.
    pub quotas: Vec<(String, &'static str, u64, u64)>,
    /// Role of a certificate or list, the beginning of its SHA-256, and its end in seconds since 1970.
    pub certificates: Vec<(&'static str, String, i64)>,
    /// How busy the vault is.
    pub load: Load,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Counters at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("strongroom");
        let load = LoadMetrics::registered(&mut registry);
        let requests = Family::default();
        let latency = Family::new_with_constructor(latency_buckets as fn() -> Histogram);
        let root_available = Gauge::default();
        let (unsealed, audit_size, audit_lag, audit_failing) =
            (Gauge::default(), Gauge::default(), Gauge::default(), Gauge::default());
        let (key_age, key_wraps, key_ends) = (Family::default(), Family::default(), Family::default());
        let (quota_used, quota_limit, certificate_expiry) = (Family::default(), Family::default(), Family::default());
        let (tampered, swept) = (Counter::default(), Counter::default());
        let (over_age, exported, beats_failed) = (Counter::default(), Counter::default(), Counter::default());
        let sdk_reports = Family::default();
        let (nodes, leads, fenced) = (Gauge::default(), Gauge::default(), Gauge::default());
        registry.register("requests", "Requests by listener, route and status", requests.clone());
        registry.register_with_unit("request_duration", "Time to answer", Unit::Seconds, latency.clone());
        registry.register("unsealed", "1 while keys are in memory", unsealed.clone());
        registry.register("root_available", "1 while the Root can make and unwrap keys", root_available.clone());
        registry.register_with_unit("key_age", "Age of each term of each key", Unit::Seconds, key_age.clone());
        registry.register("key_wraps", "Wraps done under each Kek, at most", key_wraps.clone());
        registry.register_with_unit(
            "key_left",
            "Time until each active key makes nothing new any more, less than 0 after that",
            Unit::Seconds,
            key_ends.clone(),
        );
        registry.register("audit_entries", "Entries in the audit log", audit_size.clone());
        registry.register("audit_lag_entries", "Entries that no signed checkpoint covers yet", audit_lag.clone());
        registry.register("audit_failing", "1 while the audit log cannot be written", audit_failing.clone());
        registry.register("quota_used", "Reveals counted against each identity's quota", quota_used.clone());
        registry.register("quota_limit", "Each identity's quota", quota_limit.clone());
        registry.register(
            "certificate_not_after",
            "End of each certificate and revocation list, seconds since 1970",
            certificate_expiry.clone(),
        );
        registry.register("tampered_records", "Stored records that failed authentication", tampered.clone());
        registry.register("swept_records", "Short-term records shredded at their end", swept.clone());
        registry.register("over_age_records", "Cards shredded as older than their tenant's rule", over_age.clone());
        registry.register("exported_cards", "Cards opened for exports to other parties", exported.clone());
        registry.register("failed_beats", "Beats of this node that came to nothing", beats_failed.clone());
        registry.register(
            "sdk_reports",
            "Reports of browsers that a policy of the card fields was broken",
            sdk_reports.clone(),
        );
        registry.register("nodes", "Nodes that hold keys, 1 for a vault alone", nodes.clone());
        registry.register("leads", "1 on the node that sweeps and rotates by itself", leads.clone());
        registry.register(
            "fenced",
            "1 while this node uses no key because it does not reach the store",
            fenced.clone(),
        );
        Self {
            registry,
            requests,
            latency,
            unsealed,
            root_available,
            key_age,
            key_wraps,
            key_ends,
            audit_size,
            audit_lag,
            audit_failing,
            quota_used,
            quota_limit,
            certificate_expiry,
            load,
            tampered,
            swept,
            over_age,
            exported,
            beats_failed,
            sdk_reports,
            nodes,
            leads,
            fenced,
        }
    }

    /// Counts one answered request. `route` is the pattern, never the path that was asked for.
    pub fn answered(&self, listener: ListenerLabel, route: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { listener, route, status }).inc();
        self.latency.get_or_create(&RouteLabels { listener, route }).observe(took.as_secs_f64());
    }

    /// Counts a report of a browser about the card fields; `what` is one of a few words.
    pub fn sdk_report(&self, what: &'static str) {
        self.sdk_reports.get_or_create(&ReportLabels { what }).inc();
    }

    /// The text of a scrape.
    #[must_use]
    pub fn render(&self, now: &Snapshot) -> String {
        self.unsealed.set(i64::from(now.unsealed));
        self.root_available.set(i64::from(now.root_available));
        self.load.show(&now.load);
        let (nodes, leads, fenced) = now.nodes;
        self.nodes.set(signed(nodes));
        self.leads.set(i64::from(leads));
        self.fenced.set(i64::from(fenced));
        self.audit_size.set(signed(now.audit_size));
        self.audit_lag.set(signed(now.audit_lag));
        self.audit_failing.set(i64::from(now.audit_failing));
        self.key_age.clear();
        self.key_wraps.clear();
        for (tenant, purpose, term, state, age, wraps) in &now.keys {
            let labels = KeyLabels { tenant: tenant.clone(), purpose, term: *term, state };
            self.key_age.get_or_create(&labels).set(signed(*age));
            self.key_wraps.get_or_create(&labels).set(signed(*wraps));
        }
        self.key_ends.clear();
        for (tenant, purpose, term, left) in &now.key_ends {
            let labels = KeyLabels { tenant: tenant.clone(), purpose, term: *term, state: "active" };
            self.key_ends.get_or_create(&labels).set(*left);
        }
        self.quota_used.clear();
        self.quota_limit.clear();
        for (identity, window, used, limit) in &now.quotas {
            let labels = QuotaLabels { identity: identity.clone(), window };
            self.quota_used.get_or_create(&labels).set(signed(*used));
            self.quota_limit.get_or_create(&labels).set(signed(*limit));
        }
        self.certificate_expiry.clear();
        for (role, id, at) in &now.certificates {
            self.certificate_expiry.get_or_create(&CertificateLabels { role, id: id.clone() }).set(*at);
        }
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

/// 100 µs to about 1.6 s.
fn latency_buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 15))
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_shows_what_was_counted_and_what_is_now() {
        let metrics = Metrics::new();
        metrics.answered(ListenerLabel::Release, "/v1/payment_methods", 201, Duration::from_millis(2));
        metrics.sdk_report("csp-violation");
        let now = Snapshot {
            unsealed: true,
            root_available: false,
            keys: vec![("acme".into(), "kek", 2, "active", 60, 5)],
            key_ends: vec![("acme".into(), "kek", 2, -5)],
            nodes: (3, false, true),
            audit_size: 7,
            audit_lag: 1,
            audit_failing: false,
            quotas: vec![("spiffe://strongroom/orchestrator/main".into(), "minute", 3, 10)],
            certificates: vec![("intake_server", "00ff".into(), 1_800_000_000)],
            load: Load::default(),
        };
        let text = metrics.render(&now);
        for line in [
            "strongroom_requests_total{listener=\"Release\",route=\"/v1/payment_methods\",status=\"201\"} 1",
            "strongroom_sdk_reports_total{what=\"csp-violation\"} 1",
            "strongroom_unsealed 1",
            "strongroom_root_available 0",
            "strongroom_audit_entries 7",
            "strongroom_nodes 3",
            "strongroom_leads 0",
            "strongroom_fenced 1",
            "strongroom_certificate_not_after{role=\"intake_server\",id=\"00ff\"} 1800000000",
            "strongroom_key_wraps{tenant=\"acme\",purpose=\"kek\",term=\"2\",state=\"active\"} 5",
            "strongroom_key_left_seconds{tenant=\"acme\",purpose=\"kek\",term=\"2\",state=\"active\"} -5",
            "strongroom_quota_used{identity=\"spiffe://strongroom/orchestrator/main\",window=\"minute\"} 3",
        ] {
            assert!(text.contains(line), "{line} is missing");
        }
    }
}
