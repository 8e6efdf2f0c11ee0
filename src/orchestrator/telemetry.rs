//! Counters that say how payments go. Labels are words of ours, never input.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use strongroom_gate::Counts;

/// All metrics of the process.
pub struct Metrics {
    registry: Mutex<Registry>,
    payments: Family<StateLabel, Counter>,
    calls: Family<CallLabel, Counter>,
    seconds: Histogram,
    requests: Family<StatusLabel, Counter>,
    webhooks_out: Family<ResultLabel, Counter>,
    webhooks_in: Family<ResultLabel, Counter>,
    outbox_waiting: Gauge,
    breakers: Family<TurnLabel, Counter>,
    at_work: Gauge,
    connections: Gauge,
    shed: Counter,
    cut: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabel {
    operation: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TurnLabel {
    turn: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

impl Metrics {
    /// All counters at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("orchestrator");
        let payments = Family::<StateLabel, Counter>::default();
        let calls = Family::<CallLabel, Counter>::default();
        let requests = Family::<StatusLabel, Counter>::default();
        let breakers = Family::<TurnLabel, Counter>::default();
        let seconds = Histogram::new(BUCKETS_S);
        registry.register("payments", "Payments that reached a state", payments.clone());
        registry.register("psp_requests", "Requests to providers by operation and result", calls.clone());
        registry.register("psp_request_seconds", "Time of a request to a provider", seconds.clone());
        registry.register("http_answers", "Answers of the API by status", requests.clone());
        let webhooks_out = Family::<ResultLabel, Counter>::default();
        let webhooks_in = Family::<ResultLabel, Counter>::default();
        let outbox_waiting = Gauge::default();
        registry.register("webhooks_in", "What providers told by what was made of it", webhooks_in.clone());
        registry.register("webhooks_out", "Webhooks to merchants by what became of a try", webhooks_out.clone());
        registry.register("outbox_waiting", "Events that merchants have not taken yet", outbox_waiting.clone());
        registry.register("breaker_turns", "Accounts that began to rest or to work again", breakers.clone());
        let (at_work, connections, shed, cut) =
            (Gauge::default(), Gauge::default(), Counter::default(), Counter::default());
        registry.register("requests_at_work", "Requests at work", at_work.clone());
        registry.register("connections", "Open connections of the listener", connections.clone());
        registry.register("requests_shed", "Requests turned away because as many as may be were at work", shed.clone());
        registry.register("connections_cut", "Connections cut because their client was too slow", cut.clone());
        Self {
            registry: Mutex::new(registry),
            payments,
            calls,
            seconds,
            requests,
            webhooks_out,
            webhooks_in,
            outbox_waiting,
            breakers,
            at_work,
            connections,
            shed,
            cut,
        }
    }

    /// A payment reached a state.
    pub fn payment(&self, state: &'static str) {
        self.payments.get_or_create(&StateLabel { state }).inc();
    }

    /// A request to a provider ended after this many milliseconds.
    pub fn psp_call(&self, operation: &'static str, result: &'static str, ms: i64) {
        self.calls.get_or_create(&CallLabel { operation, result }).inc();
        self.seconds.observe(f64::from(i32::try_from(ms).unwrap_or(i32::MAX)) / 1000.0);
    }

    /// The breaker of a connector account opened or closed.
    pub fn breaker(&self, turn: &'static str) {
        self.breakers.get_or_create(&TurnLabel { turn }).inc();
    }

    /// The API answered.
    pub fn answered(&self, status: u16) {
        self.requests.get_or_create(&StatusLabel { status }).inc();
    }

    /// A webhook to a merchant was tried.
    pub fn webhook_out(&self, result: &'static str) {
        self.webhooks_out.get_or_create(&ResultLabel { result }).inc();
    }

    /// A provider told something, or somebody claimed to be one.
    pub fn webhook_in(&self, result: &'static str) {
        self.webhooks_in.get_or_create(&ResultLabel { result }).inc();
    }

    /// So many events wait for merchants.
    pub fn outbox_waiting(&self, events: u64) {
        self.outbox_waiting.set(i64::try_from(events).unwrap_or(i64::MAX));
    }

    /// What the listener counted.
    pub fn listener(&self, listener: &Counts) {
        let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.at_work.set(signed(listener.at_work));
        self.connections.set(signed(listener.open));
        self.shed.inner().store(listener.shed, Ordering::Relaxed);
        self.cut.inner().store(listener.slow_heads + listener.slow_answers, Ordering::Relaxed);
    }

    /// OpenMetrics text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if encode(&mut text, &registry).is_err() {
            text.clear();
        }
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

const BUCKETS_S: [f64; 10] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_in_the_text() {
        let metrics = Metrics::new();
        metrics.payment("succeeded");
        metrics.psp_call("authorize", "done", 120);
        metrics.answered(200);
        metrics.webhook_out("delivered");
        metrics.webhook_in("late");
        metrics.outbox_waiting(7);
        metrics.listener(&Counts { at_work: 3, shed: 8, ..Counts::default() });
        let text = metrics.text();
        assert!(text.contains("orchestrator_requests_at_work 3"));
        assert!(text.contains("orchestrator_requests_shed_total 8"));
        assert!(text.contains("orchestrator_payments_total{state=\"succeeded\"} 1"));
        assert!(text.contains("operation=\"authorize\",result=\"done\"} 1"));
        assert!(text.contains("orchestrator_webhooks_out_total{result=\"delivered\"} 1"));
        assert!(text.contains("orchestrator_webhooks_in_total{result=\"late\"} 1"));
        assert!(text.contains("orchestrator_outbox_waiting 7"));
        assert!(text.contains("orchestrator_http_answers_total{status=\"200\"} 1"));
    }
}
