//! Reports of browsers that a policy of the card fields was broken or a script had another hash (PCI DSS 11.6.1): counted,
//! and told to whoever reads the log, in words of our own. What a report says is anybody's text and is not repeated.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use futures_util::StreamExt as _;
use serde_json::Value;
use strongroom_wire::{Kind, limits};

use super::connection::Peer;
use super::problem::Refusal;
use super::state::State;
use crate::telemetry::log;

/// `POST /sdk/reports`: what browsers send by `report-uri` and `report-to`. It always answers the same to what it can read.
pub(super) async fn take(request: HttpRequest, state: web::Data<State>, sent: Sent) -> Result<HttpResponse, Refusal> {
    if let Some(ip) = request.conn_data::<Peer>().map(Peer::ip)
        && let Err(seconds) = state.report_rate.count(ip, state.vault.now_ms())
    {
        let detail = "this address sent as many reports as it may in a minute";
        return Err(Refusal::new(Kind::RateLimited, detail).retry_after(seconds));
    }
    for seen in read(&sent.0?)? {
        state.vault.metrics.sdk_report(seen.what);
        if LOGGED.may(state.vault.now_ms()) {
            log::warn(
                "sdk_report",
                &[("what", &seen.what), ("directive", &seen.directive), ("blocked", &seen.blocked)],
            );
        }
    }
    Ok(HttpResponse::NoContent().finish())
}

/// The bytes of a report, of any of the types that browsers give them; or why they were not taken.
pub(super) struct Sent(Result<Vec<u8>, Refusal>);

impl FromRequest for Sent {
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refusal>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind =
            request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_known = KINDS.contains(&kind.split(';').next().unwrap_or_default().trim());
        let mut payload = payload.take();
        Box::pin(async move {
            if !is_known {
                let detail = "send reports as application/csp-report or application/reports+json";
                return Ok(Self(Err(Refusal::new(Kind::UnsupportedMedia, detail))));
            }
            let mut bytes = Vec::new();
            let collect = async {
                while let Some(chunk) = payload.next().await {
                    let chunk = chunk.map_err(|_| Refusal::new(Kind::Malformed, "the body broke off"))?;
                    if bytes.len() + chunk.len() > limits::SDK_REPORT_BYTES_MAX {
                        let detail = format!("a report has at most {} bytes", limits::SDK_REPORT_BYTES_MAX);
                        return Err(Refusal::new(Kind::TooLarge, detail));
                    }
                    bytes.extend_from_slice(&chunk);
                }
                Ok(())
            };
            let within = Duration::from_secs(limits::BODY_TTL_S);
            let late = || Err(Refusal::new(Kind::Malformed, "the body did not come in time"));
            let done = tokio::time::timeout(within, collect).await.unwrap_or_else(|_| late());
            Ok(Self(done.map(|()| bytes)))
        })
    }
}

/// What was understood of one report: words that stand in this file.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    what: &'static str,
    directive: &'static str,
    blocked: &'static str,
}

fn read(bytes: &[u8]) -> Result<Vec<Seen>, Refusal> {
    let body: Value = serde_json::from_slice(bytes)
        .map_err(|_| Refusal::new(Kind::Malformed, "a report is JSON, as browsers write it"))?;
    if let Some(report) = body.get("csp-report") {
        return Ok(vec![csp(report, "effective-directive", "violated-directive", "blocked-uri")]);
    }
    let reports = body.as_array().ok_or_else(|| Refusal::new(Kind::Malformed, "reports stand in a list"))?;
    if reports.len() > limits::SDK_REPORTS_MAX {
        let detail = format!("at most {} reports come in one request", limits::SDK_REPORTS_MAX);
        return Err(Refusal::new(Kind::TooLarge, detail));
    }
    Ok(reports.iter().map(one).collect())
}

fn one(report: &Value) -> Seen {
    let body = &report["body"];
    match report["type"].as_str() {
        Some("csp-violation") => csp(body, "effectiveDirective", "effectiveDirective", "blockedURL"),
        Some("integrity-violation") => {
            Seen { what: "integrity-violation", directive: "", blocked: place(body["blockedURL"].as_str()) }
        }
        _ => Seen { what: "other", directive: "", blocked: "" },
    }
}

fn csp(report: &Value, directive: &str, older: &str, blocked: &str) -> Seen {
    let said = report[directive].as_str().or(report[older].as_str()).unwrap_or_default();
    let said = said.split(' ').next().unwrap_or_default();
    let directive = DIRECTIVES.into_iter().find(|known| *known == said).unwrap_or("other");
    Seen { what: "csp-violation", directive, blocked: place(report[blocked].as_str()) }
}

/// What was blocked, by its kind alone.
fn place(blocked: Option<&str>) -> &'static str {
    match blocked.unwrap_or_default() {
        "inline" => "inline",
        "eval" => "eval",
        "trusted-types-sink" | "trusted-types-policy" => "trusted-types",
        text if text.starts_with("data") => "data",
        text if text.starts_with("blob") => "blob",
        text if text.starts_with("https:") || text.starts_with("http:") => "address",
        _ => "other",
    }
}

/// How many lines of this minute were written.
struct Lines(Mutex<(u64, u32)>);

impl Lines {
    fn may(&self, now_ms: u64) -> bool {
        // A poisoned lock means that a thread panicked between two counts; they are still counts.
        let mut lines = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if lines.0 != now_ms / 60_000 {
            *lines = (now_ms / 60_000, 0);
        }
        lines.1 = lines.1.saturating_add(1);
        lines.1 <= limits::SDK_REPORTS_LOGGED_PER_MINUTE_MAX
    }
}

static LOGGED: Lines = Lines(Mutex::new((0, 0)));

const KINDS: [&str; 3] = ["application/csp-report", "application/reports+json", "application/json"];

const DIRECTIVES: [&str; 14] = [
    "script-src",
    "script-src-elem",
    "script-src-attr",
    "style-src",
    "style-src-elem",
    "style-src-attr",
    "connect-src",
    "img-src",
    "frame-src",
    "frame-ancestors",
    "form-action",
    "base-uri",
    "require-trusted-types-for",
    "default-src",
];

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use serde_json::json;

    use super::super::rate::Rate;
    use super::*;

    fn seen(report: &Value) -> Vec<Seen> {
        read(report.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn both_forms_of_a_report_are_understood() {
        let older = json!({"csp-report": {"violated-directive": "script-src 'self'", "blocked-uri": "inline"}});
        let expected = Seen { what: "csp-violation", directive: "script-src", blocked: "inline" };
        assert_eq!(seen(&older), [expected]);
        let newer = json!([
            {"type": "csp-violation", "body": {"effectiveDirective": "connect-src", "blockedURL": "https://evil.example/"}},
            {"type": "integrity-violation", "body": {"blockedURL": "https://vault.example/sdk/1.0.0/fields.js"}},
            {"type": "deprecation", "body": {}},
        ]);
        let expected = [
            Seen { what: "csp-violation", directive: "connect-src", blocked: "address" },
            Seen { what: "integrity-violation", directive: "", blocked: "address" },
            Seen { what: "other", directive: "", blocked: "" },
        ];
        assert_eq!(seen(&newer), expected);
    }

    #[test]
    fn what_a_report_says_is_never_repeated() {
        let report =
            json!({"csp-report": {"violated-directive": "4242424242424242", "blocked-uri": "4242424242424242"}});
        assert_eq!(seen(&report), [Seen { what: "csp-violation", directive: "other", blocked: "other" }]);
    }

    #[test]
    fn too_many_reports_and_what_is_none_are_refused() {
        let many = |count: usize| Value::from(vec![json!({"type": "csp-violation"}); count]).to_string();
        assert_eq!(read(many(limits::SDK_REPORTS_MAX).as_bytes()).unwrap().len(), limits::SDK_REPORTS_MAX);
        assert!(read(many(limits::SDK_REPORTS_MAX + 1).as_bytes()).is_err());
        for text in ["", "{}", "7", "null"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn one_address_sends_no_more_reports_than_it_may() {
        let (rate, address) = (Rate::new(limits::SDK_REPORTS_PER_MINUTE_MAX), IpAddr::from([192, 0, 2, 1]));
        assert!((0..limits::SDK_REPORTS_PER_MINUTE_MAX).all(|_| rate.count(address, 60_000).is_ok()));
        assert_eq!(rate.count(address, 60_000), Err(60));
    }

    #[test]
    fn a_flood_of_reports_does_not_flood_the_log() {
        let lines = Lines(Mutex::new((0, 0)));
        let most = limits::SDK_REPORTS_LOGGED_PER_MINUTE_MAX;
        assert!((0..most).all(|_| lines.may(60_000)));
        assert!(!lines.may(60_000) && !lines.may(119_999) && lines.may(120_000));
    }
}
