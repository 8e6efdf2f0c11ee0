//! Stripe's API holds what the connector sends; its own Python package holds the parameters that are younger than the
//! specification, and verifies what the simulator tells.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Map, Value, json};
use strongroom_tests::harness::{API_KEY, Client, Peer, Pki, Psp, Reply, eventually};

use crate::form;

/// Stripe's requests, with the parameters that came later.
fn specification() -> Value {
    let mut whole = file("requests.json");
    for later in file("later.json")["parameters"].as_array().unwrap() {
        let path = later["path"].as_str().unwrap();
        let content = &mut whole["paths"][path]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"];
        let mut schema = &mut content["schema"];
        for place in later["place"].as_array().unwrap() {
            schema = &mut schema["properties"][place.as_str().unwrap()];
            // A choice between the parameters and an empty text, which unsets them.
            if schema["anyOf"].is_array() {
                schema = &mut schema["anyOf"][0];
            }
        }
        let name = later["name"].as_str().unwrap();
        assert!(schema["properties"].is_object() && schema["properties"][name].is_null(), "{later}");
        schema["properties"][name] = later["schema"].clone();
    }
    whole
}

fn file(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("specs/stripe").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What is wrong with a request as golden files spell it; `None` if nothing is.
fn complaint(specification: &Value, request: &Value) -> Option<String> {
    let (verb, path) = request["call"].as_str().unwrap().split_once(' ').unwrap();
    let operation = &specification["paths"][template(path)][verb.to_lowercase()];
    if operation.is_null() {
        return Some(format!("no {verb} {path}"));
    }
    let (schema, fields) = if verb == "GET" {
        let parameters = operation["parameters"].as_array().unwrap();
        let query = parameters.iter().filter(|parameter| parameter["in"] == "query");
        let properties: Map<String, Value> =
            query.map(|it| (it["name"].as_str().unwrap().to_owned(), it["schema"].clone())).collect();
        (json!({ "type": "object", "properties": properties }), &request["query"])
    } else {
        let content = &operation["requestBody"]["content"]["application/x-www-form-urlencoded"];
        (content["schema"].clone(), &request["form"])
    };
    form::complaint(&schema, &filled(fields))
}

/// The path as the specification writes it.
fn template(path: &str) -> String {
    let parts = path.split('/').map(|part| match part.split_once('_') {
        Some(("pi" | "seti", _)) => "{intent}",
        Some(("re", _)) => "{refund}",
        _ => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

fn filled(fields: &Value) -> Vec<(String, String)> {
    let nothing = Map::new();
    let fields = fields.as_object().unwrap_or(&nothing).iter();
    let fill = fields.map(|(name, value)| {
        let text = match value["slot"].as_str() {
            Some("{{card.number}}") => "4242424242424242",
            Some("{{card.exp_month}}") => "12",
            Some("{{card.exp_year}}") => "2031",
            Some("{{card.cvc}}") => "123",
            Some("{{card.holder_name}}") => "Ada Lovelace",
            Some(other) => panic!("{other}"),
            None => value.as_str().unwrap(),
        };
        (name.clone(), text.to_owned())
    });
    fill.collect()
}

/// The requests of the connector's golden exchanges, with the place where each stands.
fn requests() -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../src/orchestrator/connector/stripe/golden");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let all: Vec<Value> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for exchange in &all {
            let place = format!("{}: {}", path.file_stem().unwrap().to_string_lossy(), exchange["title"]);
            let steps = exchange["steps"].as_array().unwrap().iter();
            found.extend(steps.map(|step| (place.clone(), step["request"].clone())));
        }
    }
    found
}

#[test]
fn every_request_to_stripe_is_one_that_its_specification_allows() {
    let specification = specification();
    let mut calls = BTreeMap::<String, u32>::new();
    for (place, request) in requests() {
        assert_eq!(complaint(&specification, &request), None, "{place}: {request}");
        *calls.entry(template(request["call"].as_str().unwrap())).or_default() += 1;
    }
    assert_eq!(calls.len(), 14, "a call of the connector has no golden exchange: {calls:?}");
}

#[test]
fn request_that_breaks_the_specification_is_noticed() {
    let specification = specification();
    let find = |call: &str, field: &str| {
        let found = requests().into_iter().find(|(_, it)| it["call"] == call && !it["form"][field].is_null());
        found.unwrap_or_else(|| panic!("{call} with {field}")).1
    };
    let intents = "POST /v1/payment_intents";
    let capture = "POST /v1/payment_intents/pi_1SaB/capture";
    let cases = [
        (intents, "amount", "ammount", "1999"),
        (intents, "amount", "amount", "19.99"),
        (intents, "confirm", "confirm", "yes"),
        (intents, "capture_method", "capture_method", "later"),
        (intents, "payment_method_types[0]", "payment_method_types", "card"),
        (intents, "setup_future_usage", "setup_future_usage", "sometimes"),
        (
            intents,
            "payment_method_options[card][request_multicapture]",
            "payment_method_options[card][request_multicaptures]",
            "if_available",
        ),
        (
            intents,
            "payment_method_options[card][request_multicapture]",
            "payment_method_options[card][request_multicapture]",
            "always",
        ),
        (capture, "final_capture", "final_capture", "no"),
        (capture, "amount_to_capture", "amount", "1999"),
        ("POST /v1/setup_intents", "usage", "usage", "never"),
        ("POST /v1/setup_intents", "usage", "off_session", "true"),
        ("POST /v1/refunds", "amount", "amount", "all"),
        ("POST /v1/payment_methods", "card[number]", "card[pan]", "4242424242424242"),
    ];
    for (call, field, name, value) in cases {
        let mut request = find(call, field);
        assert_eq!(complaint(&specification, &request), None);
        let members = request["form"].as_object_mut().unwrap();
        members.remove(field);
        members.insert(name.to_owned(), json!(value));
        assert!(complaint(&specification, &request).is_some(), "{call}: {name}={value}");
    }
    for missing in ["amount", "currency"] {
        let mut request = find(intents, "amount");
        request["form"].as_object_mut().unwrap().remove(missing);
        assert!(complaint(&specification, &request).is_some(), "{missing}");
    }
    let odd = json!({ "call": "GET /v1/payment_intents", "query": { "limits": "100" } });
    assert!(complaint(&specification, &odd).is_some());
    assert!(complaint(&specification, &json!({ "call": "POST /v1/payment_intent" })).is_some());
}

#[test]
fn parameters_that_came_later_are_in_stripes_own_package() {
    let later = file("later.json");
    let named = later["parameters"].as_array().unwrap().iter().filter(|later| later["by_request"].is_null());
    let mut count = 0;
    for later in named {
        let ask =
            json!({ "ask": "parameter", "module": later["module"], "class": later["class"], "name": later["name"] });
        let typed = package(&ask);
        let typed = typed.as_str().unwrap_or_else(|| panic!("the package has no such parameter: {later}"));
        let mut words = later["schema"]["enum"].as_array().into_iter().flatten().map(|word| word.as_str().unwrap());
        assert!(words.all(|word| typed.contains(&format!("'{word}'"))), "{later}: {typed}");
        assert!(later["schema"]["type"] != "boolean" || typed.contains("bool"), "{later}: {typed}");
        count += 1;
    }
    assert_eq!(count, 3);
    let other = &json!({ "ask": "parameter", "module": "_payment_intent_capture_params",
        "class": "PaymentIntentCaptureParams", "name": "final_captures" });
    assert_eq!(package(other), Value::Null, "the package is really asked");
}

#[tokio::test]
async fn simulators_webhooks_pass_stripes_own_verification() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path().join("pki")).unwrap();
    let shop = Peer::start(&pki.server("shop").unwrap(), |_| Reply::Answer(200, "", String::new())).await.unwrap();
    let psp = Psp::start(folder.path().to_owned(), &pki, &pki.server("psp").unwrap()).await.unwrap();
    let authority = fs::read_to_string(pki.ca()).unwrap();
    let target = json!({ "provider": "stripe", "url": shop.url(), "secret": SECRET, "ca": authority });
    psp.client().post("/webhooks", &target).await.unwrap().must_be(200).unwrap();

    let client = Client::new(&pki, psp.at, None).unwrap().with("Authorization", format!("Bearer {API_KEY}"));
    let form = "amount=1999&currency=eur&confirm=true&payment_method_data[type]=card&payment_method_data[card][number]=\
                4242424242424242&payment_method_data[card][exp_month]=12&payment_method_data[card][exp_year]=2031&\
                metadata[payment_id]=pay_1";
    let kind = "application/x-www-form-urlencoded";
    client.post_raw("/v1/payment_intents", kind, form.into()).await.unwrap().must_be(200).unwrap();
    psp.client().post("/disputes", &json!({ "payment_id": "pay_1" })).await.unwrap().must_be(200).unwrap();
    let heard = eventually("the webhooks", Duration::from_secs(30), || async {
        let heard = shop.heard();
        Ok((heard.len() >= 2).then_some(heard))
    });
    for request in heard.await.unwrap() {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let header = lines.find(|(name, _)| name.eq_ignore_ascii_case("stripe-signature")).unwrap().1;
        let verify = |body: &str, header: &str, secret: &str| {
            package(&json!({ "ask": "verify", "body": body, "header": header, "secret": secret }))
        };
        assert_eq!(verify(body, header, SECRET), json!(true), "{body}");
        assert_eq!(verify(&body.replacen("1999", "1998", 1), header, SECRET), json!(false));
        assert_eq!(verify(body, header, "whsec_another"), json!(false));
    }
}

/// Asks Stripe's package, in the Python of the environment that `cargo xtask test` makes.
fn package(question: &Value) -> Value {
    let made = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    let python = std::env::var_os("STRONGROOM_PYTHON").map_or(made, PathBuf::from);
    assert!(python.exists(), "Stripe's package is not installed: `cargo xtask test` makes its environment");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("specs/stripe/package.py");
    let mut asked = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    asked.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let said = asked.wait_with_output().unwrap();
    assert!(said.status.success());
    serde_json::from_slice(&said.stdout).unwrap()
}

const SECRET: &str = "whsec_specs";
