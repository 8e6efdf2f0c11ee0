//! The pure mapping to the provider in memory, as three connectors: one with a single capture, one that can do everything,
//! and one that can do everything but cannot be asked.

use serde_json::Value;

use crate::connector::{
    Auth, Authorize, BadCredentials, Body, Capabilities, CaptureMethod, Connector, Credential, Credentials, Decline,
    DeclineKind, Doubt, Field, Method, Operation, Outcome, Progress, PspAnswer, PspEvent, PspRequest, Refusal, Slot,
    Step, Unsupported, WebhookCall, WebhookRefusal,
};

/// Two steps to authorize, as at Stripe.
pub(crate) struct RigConnector {
    name: &'static str,
    able: &'static Capabilities,
}

/// One capture; found by asking.
pub(crate) const PLAIN: &str = "rig";
/// Several captures, increments, zero amounts, cards from elsewhere.
pub(crate) const FULL: &str = "full";
/// The same, but it cannot be asked, and it wants what the payer's browser brings back.
pub(crate) const BLIND: &str = "blind";

const ONE_CAPTURE: Capabilities = Capabilities {
    partial_capture: true,
    multiple_captures: false,
    incremental: false,
    zero_amount: false,
    foreign_network_id: false,
    can_sync: true,
    authorization_days: 7,
    currencies: &[],
    networks: &[],
    three_ds: true,
    idempotent_replay_s: Some(86_400),
};
const EVERYTHING: Capabilities = Capabilities {
    multiple_captures: true,
    incremental: true,
    zero_amount: true,
    foreign_network_id: true,
    ..ONE_CAPTURE
};
const UNASKED: Capabilities = Capabilities { can_sync: false, ..EVERYTHING };

pub(crate) static CONNECTORS: &[&dyn Connector] = &[
    &RigConnector { name: PLAIN, able: &ONE_CAPTURE },
    &RigConnector { name: FULL, able: &EVERYTHING },
    &RigConnector { name: BLIND, able: &UNASKED },
];

impl Connector for RigConnector {
    fn name(&self) -> &'static str {
        self.name
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.able
    }

    fn check_credentials(&self, credentials: &Credentials) -> Result<(), BadCredentials> {
        let good = credentials.api_key.starts_with("sk_");
        if good { Ok(()) } else { Err(BadCredentials { field: "api_key", reason: "begins with sk_" }) }
    }

    fn probe(&self) -> Option<PspRequest> {
        Some(ask("/probe", "limit", "1"))
    }

    fn request(&self, operation: &Operation, progress: &Progress) -> Result<PspRequest, Unsupported> {
        let able = self.able;
        Ok(match operation {
            Operation::Authorize(_) | Operation::Verify(_) if progress.step == 0 => {
                tell("/card", "", vec![("number".into(), Field::Slot(Slot::Number))], false)
            }
            Operation::Verify(_) if !able.zero_amount => return Err(Unsupported("not offered here")),
            Operation::Authorize(a) | Operation::Verify(a) => pay(a, progress),
            Operation::Sync(_) | Operation::SyncRefund(_) if !able.can_sync => panic!("this provider cannot be asked"),
            Operation::Sync(s) => match &s.psp_id {
                Some(id) => ask("/look", "id", id),
                None => ask("/find", "attempt_id", &s.attempt_id),
            },
            Operation::Complete(_) if able.can_sync => return Err(Unsupported("not needed here")),
            Operation::Complete(c) => {
                let result = c.returned.get("result").ok_or(Unsupported("the browser brought nothing of ours"))?;
                let fields = vec![text("id", c.psp_id.as_deref().unwrap()), text("result", result)];
                tell("/complete", &c.idempotency_key, fields, true)
            }
            Operation::Capture(c) => {
                let fields = vec![
                    text("id", &c.psp_id),
                    text("amount", &c.amount.minor.to_string()),
                    text("final", &c.is_final.to_string()),
                ];
                tell("/capture", &c.idempotency_key, fields, true)
            }
            Operation::Increment(i) => {
                let fields = vec![text("id", &i.psp_id), text("amount", &i.total.minor.to_string())];
                tell("/raise", &i.idempotency_key, fields, true)
            }
            Operation::Cancel(c) => tell("/cancel", &c.idempotency_key, vec![text("id", &c.psp_id)], true),
            Operation::Refund(r) => {
                let fields = vec![text("refund_id", &r.refund_id), text("amount", &r.amount.minor.to_string())];
                tell("/refund", &r.idempotency_key, fields, true)
            }
            Operation::SyncRefund(s) => ask("/look", "id", &format!("refund {}", s.refund_id)),
        })
    }

    fn outcome(&self, operation: &Operation, progress: &Progress, answer: &PspAnswer) -> Step {
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        if matches!(operation, Operation::Authorize(_) | Operation::Verify(_)) && progress.step == 0 {
            let values = [("card".to_owned(), answer["card"].to_string())].into();
            return Step::Next(Progress { step: 1, values });
        }
        let handles = [("seen".to_owned(), answer["status"].to_string())].into();
        let psp_id = answer["id"].as_str().unwrap_or_default().to_owned();
        if let Operation::Sync(sync) = operation
            && let Some(total) = sync.raised_to
            && answer["status"] == "authorized"
            && answer["amount"] != total.minor
        {
            return Step::Absent;
        }
        let network_transaction_id = Some("ntid".to_owned());
        Step::Done(match answer["status"].as_str().unwrap() {
            "absent" => return Step::Absent,
            "fault" => return Step::InDoubt(Doubt::ServerFault),
            "authorized" => Outcome::Authorized { psp_id, network_transaction_id, handles },
            "verified" => Outcome::Verified { psp_id, network_transaction_id, handles },
            "captured" | "part" => {
                let amount_minor = answer["taken"].as_u64().unwrap_or(0);
                Outcome::Captured { psp_id, amount_minor, network_transaction_id, handles }
            }
            "cancelled" => Outcome::Cancelled { psp_id },
            "refunded" => Outcome::Refunded { psp_id, amount_minor: answer["amount"].as_u64().unwrap_or(0) },
            "pending" => Outcome::Pending { psp_id, handles },
            "failed" => Outcome::Refused(Refusal { code: "refund_failed".into(), message: "It failed.".into() }),
            "refused" => Outcome::Refused(Refusal { code: "refused".into(), message: "Not now.".into() }),
            "action" => {
                let redirect_url = answer["url"].as_str().unwrap_or("https://psp.test/3ds").to_owned();
                Outcome::RequiresAction { psp_id, redirect_url, handles }
            }
            declined => Outcome::Declined(Decline {
                psp_id: Some(psp_id),
                code: "card_declined".into(),
                decline_code: Some("generic_decline".into()),
                message: "Your card was declined.".into(),
                kind: match declined {
                    "hard" => DeclineKind::Hard,
                    "forbidden" => DeclineKind::DoNotRetry,
                    _ => DeclineKind::Soft,
                },
            }),
        })
    }

    fn needs_return(&self) -> bool {
        !self.able.can_sync
    }

    fn webhook(&self, call: &WebhookCall<'_>, credentials: &Credentials) -> Result<Vec<PspEvent>, WebhookRefusal> {
        super::webhook::read(call, credentials)
    }
}

fn pay(authorize: &Authorize, progress: &Progress) -> PspRequest {
    let capture = if authorize.capture == CaptureMethod::Automatic { "automatic" } else { "manual" };
    let credential = match &authorize.credential {
        Credential::OneTime => "once".to_owned(),
        Credential::FirstToStore { off_session } => format!("first {off_session}"),
        Credential::StoredByPayer { network_transaction_id } => format!("payer {network_transaction_id:?}"),
        Credential::StoredByMerchant { network_transaction_id, category } => {
            format!("merchant {network_transaction_id:?} {category:?}")
        }
    };
    let fields = vec![
        text("card", &progress.values["card"]),
        text("amount", &authorize.amount.minor.to_string()),
        text("capture", capture),
        text("attempt_id", &authorize.attempt_id),
        text("credential", &credential),
    ];
    tell("/pay", &authorize.idempotency_key, fields, true)
}

fn text(name: &str, value: &str) -> (String, Field) {
    (name.to_owned(), Field::Text(value.to_owned()))
}

fn ask(path: &str, name: &str, value: &str) -> PspRequest {
    PspRequest {
        method: Method::Get,
        path: path.into(),
        query: vec![(name.into(), value.into())],
        auth: Auth::Bearer,
        headers: Vec::new(),
        idempotency_key: None,
        body: Body::Empty,
        moves_money: false,
    }
}

fn tell(path: &str, key: &str, fields: Vec<(String, Field)>, moves_money: bool) -> PspRequest {
    PspRequest {
        method: Method::Post,
        path: path.into(),
        query: Vec::new(),
        auth: Auth::Bearer,
        headers: Vec::new(),
        idempotency_key: (!key.is_empty()).then(|| key.to_owned()),
        body: Body::Form(fields),
        moves_money,
    }
}
