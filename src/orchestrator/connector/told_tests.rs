//! Laws of every connector's webhooks, tried on what the simulator tells in each dialect (or on a call that is signed here
//! as the provider documents it): a forged, an altered and an old
//! one is refused, and one that is told again is known again.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use strongroom_simulator::{Carried, Inside};
use zeroize::Zeroizing;

use super::{
    Authorize, CaptureMethod, Connector, Credential, Credentials, Method, Operation, Payer, Progress, PspAnswer, Step,
    Told, WebhookCall, WebhookRefusal,
};
use crate::money::Money;
use crate::transport::Rendered;
use crate::vault::Card;

const NOW_S: i64 = 1_794_700_800;

/// What the laws have to know about a provider.
struct Row {
    name: &'static str,
    key1: Option<&'static str>,
    api_secret: Option<&'static str>,
    /// A secret to sign webhooks with, and another.
    secrets: [&'static str; 2],
    /// For how many seconds a signature is good; `None` where it holds no time, so that duplicates are known by their id
    /// alone.
    tolerance_s: Option<i64>,
    signs: Signs,
    /// Signs an event with the first secret; `None` takes one that the simulator tells.
    sample: Option<fn() -> Carried>,
}

/// What a signature covers.
enum Signs {
    /// Every byte of the body.
    Body,
    /// The values of these members; the provider leaves the rest open.
    Members(&'static [&'static str]),
}

const ROWS: [Row; 3] = [
    Row {
        name: "stripe",
        key1: None,
        api_secret: None,
        secrets: ["whsec_one", "whsec_two"],
        tolerance_s: Some(300),
        signs: Signs::Body,
        sample: None,
    },
    Row {
        name: "adyen",
        key1: Some("Shop"),
        api_secret: None,
        secrets: [
            "4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b",
            "4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c",
        ],
        tolerance_s: None,
        signs: Signs::Members(&[
            "pspReference",
            "merchantAccountCode",
            "merchantReference",
            "value",
            "currency",
            "eventCode",
            "success",
        ]),
        sample: None,
    },
    Row {
        name: "worldpay",
        key1: Some("password"),
        api_secret: Some("default"),
        secrets: ["event secret number one", "event secret number two"],
        tolerance_s: None,
        signs: Signs::Body,
        sample: Some(worldpay),
    },
];

/// `Event-Signature: {keyId}/SHA256/{HMAC of the body}`.
fn worldpay() -> Carried {
    let body =
        r#"{"eventId":"e-1","eventTimestamp":"2026-11-15T00:00:00.000Z","eventDetails":{"classification":"payment","#
            .to_owned()
            + r#""transactionReference":"pay_1_1","type":"authorized","date":"2026-11-15","#
            + r#""amount":{"value":1999,"currencyCode":"EUR"}}}"#;
    let mac = Hmac::<Sha256>::new_from_slice(b"event secret number one").expect("any length");
    let mac = mac.chain_update(&body).finalize().into_bytes();
    let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    let headers = vec![("event-signature".to_owned(), format!("1/SHA256/{hex}"))];
    Carried::foreign("worldpay", headers, body)
}

/// A connector and what its provider told about a payment.
struct Heard {
    connector: &'static dyn Connector,
    row: &'static Row,
    carried: Carried,
}

impl Heard {
    fn read(&self, secret: Option<&str>, body: &[u8], now_ms: i64) -> Result<Vec<super::PspEvent>, WebhookRefusal> {
        let call = WebhookCall { headers: &self.carried.headers, body, now_ms };
        self.connector.webhook(&call, &credentials(self.row, secret))
    }

    fn read_well(&self, body: &[u8]) -> Result<Vec<super::PspEvent>, WebhookRefusal> {
        self.read(Some(self.row.secrets[0]), body, NOW_S * 1000)
    }

    fn body(&self) -> &[u8] {
        self.carried.body.as_bytes()
    }
}

fn credentials(row: &Row, secret: Option<&str>) -> Credentials {
    let text = |text: &str| Zeroizing::new(text.to_owned());
    Credentials {
        api_key: text("sk_test_told"),
        key1: row.key1.map(text),
        api_secret: row.api_secret.map(text),
        webhook_secret: secret.map(text),
    }
}

/// Pays once at every provider and takes the first webhook that says something.
async fn heard() -> Vec<Heard> {
    let rows: BTreeMap<&str, &'static Row> = ROWS.iter().map(|row| (row.name, row)).collect();
    let mut all = Vec::new();
    for connector in super::all() {
        let row = rows.get(connector.name()).unwrap_or_else(|| panic!("{}: give it a row here", connector.name()));
        if let Some(sample) = row.sample {
            all.push(Heard { connector: *connector, row, carried: sample() });
            continue;
        }
        let provider = Inside::new("sk_test_told", row.secrets[0], || NOW_S);
        pay(*connector, row, &provider).await;
        let mut told = provider.webhooks().into_iter().map(|carried| Heard { connector: *connector, row, carried });
        let first = told.find(|heard| {
            let events = heard.read_well(heard.body()).unwrap_or_else(|why| panic!("{}: {why}", row.name));
            events.iter().any(|event| event.what != Told::Nothing)
        });
        all.push(first.unwrap_or_else(|| panic!("{}: nothing was told", row.name)));
    }
    all
}

async fn pay(connector: &dyn Connector, row: &Row, provider: &Inside) {
    let operation = Operation::Authorize(Authorize {
        payment_id: "pay_1".into(),
        attempt_id: "pay_1_1".into(),
        idempotency_key: "key1".into(),
        amount: Money { minor: 1999, currency: "EUR".parse().expect("a currency") },
        capture: CaptureMethod::Manual,
        incremental: false,
        three_ds: false,
        return_url: Some("https://pay.example/back".into()),
        credential: Credential::OneTime,
        description: None,
        statement_descriptor: None,
        payer: Payer::default(),
    });
    let text = |text: &str| Zeroizing::new(text.to_owned());
    let card = Card {
        number: text("4242424242424242"),
        exp_month: 12,
        exp_year: 2031,
        cvc: Some(text("123")),
        holder_name: Some(text("Ada Lovelace")),
    };
    let mut progress = Progress::default();
    loop {
        let request = connector.request(&operation, &progress).expect("offered");
        let rendered = Rendered::of(&request, &credentials(row, None), Some(&card)).expect("filled");
        let headers: Vec<_> = rendered.headers.iter().map(|(name, value)| (&**name, value.as_str())).collect();
        let body = rendered.body.as_ref().map_or(&[][..], |body| &body[..]);
        let method = if request.method == Method::Get { "GET" } else { "POST" };
        let (status, body) = provider.handle(method, &rendered.target, &headers, body).await;
        match connector.outcome(&operation, &progress, &PspAnswer { status, body }) {
            Step::Next(next) => progress = next,
            Step::Done(_) => return,
            other => panic!("{}: {other:?}", row.name),
        }
    }
}

#[tokio::test]
async fn webhook_with_one_byte_changed_is_refused() {
    for heard in heard().await {
        let places: Vec<usize> = match heard.row.signs {
            Signs::Body => (0..heard.body().len()).collect(),
            Signs::Members(names) => names.iter().flat_map(|name| value_of(&heard.carried.body, name)).collect(),
        };
        assert!(places.len() > 30, "{}: only {} bytes", heard.row.name, places.len());
        for place in places {
            let mut body = heard.body().to_vec();
            // The lowest bit keeps most bytes a digit or a letter, so that the body is still read.
            body[place] ^= 1;
            let refused = heard.read_well(&body);
            assert!(refused.is_err(), "{}: byte {place}: {refused:?}", heard.row.name);
        }
        for (name, value) in &heard.carried.headers {
            let Some(digit) = value.rfind(|letter: char| letter.is_ascii_hexdigit()) else { continue };
            if !name.contains("signature") {
                continue;
            }
            let mut changed = value.clone();
            let other = if &value[digit..=digit] == "0" { "1" } else { "0" };
            changed.replace_range(digit..=digit, other);
            let headers = [(name.clone(), changed)];
            let call = WebhookCall { headers: &headers, body: heard.body(), now_ms: NOW_S * 1000 };
            let refused = heard.connector.webhook(&call, &credentials(heard.row, Some(heard.row.secrets[0])));
            assert_eq!(refused, Err(WebhookRefusal::Signature), "{}: {name}", heard.row.name);
        }
    }
}

/// Where the value of this member stands in the text, for each time that it is there.
fn value_of(body: &str, name: &str) -> Vec<usize> {
    let member = format!("\"{name}\":");
    let mut places = Vec::new();
    for (at, _) in body.match_indices(&member) {
        let begin = at + member.len();
        let rest = body[begin..].trim_start_matches('"');
        let begin = body.len() - rest.len();
        let end = rest.find(['"', ',', '}']).map_or(body.len(), |length| begin + length);
        places.extend(begin..end);
    }
    assert!(!places.is_empty(), "{name} is not in {body}");
    places
}

#[tokio::test]
async fn webhook_is_refused_with_another_secret_and_without_one() {
    for heard in heard().await {
        let read = |secret| heard.read(secret, heard.body(), NOW_S * 1000);
        let [right, wrong] = heard.row.secrets;
        assert!(read(Some(right)).is_ok(), "{}", heard.row.name);
        assert_eq!(read(Some(wrong)), Err(WebhookRefusal::Signature), "{}", heard.row.name);
        assert_eq!(read(None), Err(WebhookRefusal::NoSecret), "{}", heard.row.name);
        let bare = WebhookCall { headers: &[], body: b"{}", now_ms: NOW_S * 1000 };
        assert!(heard.connector.webhook(&bare, &credentials(heard.row, Some(right))).is_err(), "{}", heard.row.name);
    }
}

#[tokio::test]
async fn webhook_that_is_played_again_is_refused_once_old_and_known_until_then() {
    for heard in heard().await {
        let ids = |now_ms| {
            let events = heard.read(Some(heard.row.secrets[0]), heard.body(), now_ms)?;
            Ok::<Vec<String>, WebhookRefusal>(events.into_iter().map(|event| event.event_id).collect())
        };
        let first = ids(NOW_S * 1000).expect("read before");
        assert!(first.iter().all(|id| !id.is_empty() && id.len() <= 255), "{}: {first:?}", heard.row.name);
        let later_s = heard.row.tolerance_s.unwrap_or(30 * 24 * 3600);
        assert_eq!(ids((NOW_S + later_s) * 1000), Ok(first), "{}: told again", heard.row.name);
        if heard.row.tolerance_s.is_some() {
            assert_eq!(ids((NOW_S + later_s + 1) * 1000), Err(WebhookRefusal::Signature), "{}", heard.row.name);
        }
    }
}

#[tokio::test]
async fn webhook_names_the_payment_as_the_merchant_named_it() {
    for heard in heard().await {
        for event in heard.read_well(heard.body()).expect("read before") {
            let about = &event.about;
            assert!(
                about.attempt_id.as_deref() == Some("pay_1_1") || about.payment_id.as_deref() == Some("pay_1"),
                "{}: {about:?}",
                heard.row.name
            );
        }
    }
}
