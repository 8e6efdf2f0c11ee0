//! Real answers against the OpenAPI document that vaultd serves: each operation with a success and with a problem.

use std::collections::BTreeSet;

use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{Answer, Client, Root, World, WorldPlan, passphrase_of};

use crate::table::{Listener, Named, Route, card_body, routes};

/// The document, and which answers were held against it.
struct Document {
    whole: Value,
    seen: BTreeSet<(String, u16)>,
}

#[tokio::test]
async fn every_operation_answers_as_the_document_says() {
    let world = World::vault_only().await.unwrap();
    let mut document = Document::of(&world).await;
    let named = Named::stored(&world).await.unwrap();
    let mut routes = routes(&world).await.unwrap();
    routes.sort_by_key(|route| (route.path == "/v1/seal", route.method == Method::DELETE));
    let nameless = world.pki.nameless_client().unwrap();
    for route in &routes {
        let refused = route.ask(&route.client(&world, &nameless).unwrap(), &named).await.unwrap();
        document.check(&route.method, &route.path, &refused);
    }
    // A rotation to show, and entries of one's own.
    let security = world.security().await.unwrap();
    security.post("/v1/rotations", &json!({ "tenant": world.tenant })).await.unwrap().must_be(202).unwrap();
    problems_of_bodies(&world, &mut document, &named).await;
    of_the_intake(&world, &mut document).await;
    for route in &routes {
        let (role, name) = route.asker();
        let client = route.client(&world, &world.credentials(role, name).unwrap()).unwrap();
        let answer = route.ask(&client, &named).await.unwrap();
        document.check(&route.method, &route.path, &answer);
    }
    while_sealed(&world, &mut document, &routes, &named).await;
    document.has_everything();
}

#[tokio::test]
async fn the_status_of_a_ceremony_is_as_the_document_says() {
    let world = World::start(WorldPlan { root: Root::Custodians(3, 2), ..WorldPlan::default() }).await.unwrap();
    let mut document = Document::of(&world).await;
    let custodian = world.vault.admin(&world.pki, &world.credentials("custodian", "c1").unwrap()).unwrap();
    let status = || async { custodian.get("/v1/status").await.unwrap() };
    document.check(&Method::GET, "/v1/status", &status().await);
    world.hand_in(1, &passphrase_of(1)).unwrap();
    let begun = status().await;
    document.check(&Method::GET, "/v1/status", &begun);
    let begun = begun.json().unwrap();
    assert_eq!((begun["phase"].as_str(), begun["shares_given"].as_u64()), (Some("unsealing"), Some(1)));
    // The custodians may begin anew, and what was handed in counts no more.
    let abandoned = custodian.send(Method::DELETE, "/v1/unseal", None, &[]).await.unwrap();
    document.check(&Method::DELETE, "/v1/unseal", &abandoned);
    assert_eq!(abandoned.expect(200).unwrap(), json!({ "phase": "sealed", "shares_given": 0, "threshold": 2 }));
    world.hand_in(2, &passphrase_of(2)).unwrap();
    assert_eq!(status().await.json().unwrap()["phase"], "unsealing", "an abandoned share still counts");
    world.hand_in(1, &passphrase_of(1)).unwrap();
    assert_eq!(status().await.json().unwrap()["phase"], "unsealed");
}

/// Bodies and headers that are wrong in every way that the document has an answer for.
async fn problems_of_bodies(world: &World, document: &mut Document, named: &Named) {
    let release = world.release().await.unwrap();
    let path = "/v1/payment_methods";
    for (kind, body, status) in [
        ("application/json", b"{".to_vec(), 400),
        ("application/json", br#"{"type":"card","card":{},"more":1}"#.to_vec(), 422),
        ("text/plain", b"{}".to_vec(), 415),
        ("application/json", vec![b' '; 40_000], 413),
    ] {
        let answer = release.post_raw(path, kind, body).await.unwrap();
        assert!(answer.status == status || status == 422 && answer.status == 400, "{kind}: {}", answer.status);
        document.check(&Method::POST, path, &answer);
    }
    let keyed = release.clone().with("Idempotency-Key", "order-schema");
    let mut other = card_body();
    other["customer_id"] = json!("cus_other");
    for (body, status) in [(card_body(), 201), (card_body(), 200), (other, 409)] {
        let answer = keyed.post(path, &body).await.unwrap();
        assert_eq!(answer.status, status);
        document.check(&Method::POST, path, &answer);
    }
    let nobody = Named::nobody(&named.tenant);
    for route in routes(world).await.unwrap().iter().filter(|route| route.path.contains("{id}")) {
        let main = world.credentials("orchestrator", "main").unwrap();
        let answer = route.ask(&route.client(world, &main).unwrap(), &nobody).await.unwrap();
        assert_eq!(answer.status, 404, "{}", route.name());
        document.check(&route.method, &route.path, &answer);
    }
}

async fn of_the_intake(world: &World, document: &mut Document) {
    let intake = world.vault.intake(&world.pki).unwrap().with("Origin", "https://shop.example");
    let path = "/v1/payment_methods";
    let refused = intake.post(path, &card_body()).await.unwrap();
    assert_eq!(refused.status, 401);
    document.check(&Method::POST, path, &refused);
    let asked = json!({ "allowed_origins": ["https://shop.example"] });
    let session = world.release().await.unwrap().post("/v1/sessions", &asked).await.unwrap().expect(201).unwrap();
    let bearer = format!("Bearer {}", session["client_secret"].as_str().unwrap());
    let stored = intake.clone().with("Authorization", bearer).post(path, &card_body()).await.unwrap();
    assert_eq!(stored.status, 201);
    document.check(&Method::POST, path, &stored);
    document.check(&Method::OPTIONS, path, &intake.send(Method::OPTIONS, path, None, &[]).await.unwrap());
    document.check(&Method::GET, "/v1/intake-key", &intake.get("/v1/intake-key").await.unwrap());
    of_the_sdk(&intake, session["client_secret"].as_str().unwrap(), document).await;
    let cvc = "/v1/payment_methods/{id}/cvc";
    let at = cvc.replace("{id}", stored.json().unwrap()["payment_method_id"].as_str().unwrap());
    document.check(&Method::OPTIONS, cvc, &intake.send(Method::OPTIONS, &at, None, &[]).await.unwrap());
}

async fn of_the_sdk(intake: &Client, session: &str, document: &mut Document) {
    let (get, post) = (Method::GET, Method::POST);
    document.check(&get, "/sdk/inventory.json", &intake.get("/sdk/inventory.json").await.unwrap());
    for (path, status) in [("/sdk/v1/strongroom.js", 200), ("/sdk/1.0.0/fields.css", 200), ("/sdk/1.0.0/other.js", 404)]
    {
        let answer = intake.get(path).await.unwrap();
        assert_eq!(answer.status, status, "{path}");
        document.check(&get, "/sdk/{version}/{file}", &answer);
    }
    let ticket = session.strip_prefix("ss_").unwrap().splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    for (query, status) in [(format!("?ticket={ticket}"), 200), (String::new(), 401)] {
        let answer = intake.get(&format!("/sdk/1.0.0/fields{query}")).await.unwrap();
        assert_eq!(answer.status, status);
        document.check(&get, "/sdk/{version}/fields", &answer);
    }
    for (kind, body, status) in [
        ("application/csp-report", r#"{"csp-report":{}}"#, 204),
        ("application/reports+json", "{}", 400),
        ("text/plain", "{}", 415),
    ] {
        let answer = intake.post_raw("/sdk/reports", kind, body.as_bytes().to_vec()).await.unwrap();
        assert_eq!(answer.status, status, "{kind}");
        document.check(&post, "/sdk/reports", &answer);
    }
}

/// The last route of all sealed the vault.
async fn while_sealed(world: &World, document: &mut Document, routes: &[Route], named: &Named) {
    for route in routes {
        let (role, name) =
            if route.listener == Listener::Release { ("orchestrator", "main") } else { ("security", "alice") };
        let client = route.client(world, &world.credentials(role, name).unwrap()).unwrap();
        document.check(&route.method, &route.path, &route.ask(&client, named).await.unwrap());
    }
}

impl Document {
    async fn of(world: &World) -> Self {
        let security = world.security().await.unwrap();
        let whole = security.get("/openapi.json").await.unwrap().expect(200).unwrap();
        Self { whole, seen: BTreeSet::new() }
    }

    /// The answer is one that the document has for the operation, with its content type and by its schema.
    fn check(&mut self, method: &Method, path: &str, answer: &Answer) {
        let name = format!("{method} {path}");
        let operation = &self.whole["paths"][path][method.as_str().to_lowercase()];
        let response = &operation["responses"][answer.status.to_string()];
        assert!(response.is_object(), "{name} answered {}, which the document does not have", answer.status);
        let response = match response["$ref"].as_str() {
            Some(pointer) => self.whole.pointer(pointer.trim_start_matches('#')).unwrap(),
            None => response,
        };
        let kind = answer.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
        match response["content"].as_object() {
            None => assert!(answer.body.is_empty(), "{name} answered {} with a body", answer.status),
            Some(content) => {
                let schema = content.get(kind).unwrap_or_else(|| panic!("{name} answered `{kind}`"))["schema"].clone();
                if kind.ends_with("json") {
                    let body = answer.json().unwrap();
                    let wrong: Vec<String> =
                        self.validator(&schema).iter_errors(&body).map(|error| error.to_string()).collect();
                    assert!(wrong.is_empty(), "{name} answered {}: {wrong:?}", answer.status);
                }
            }
        }
        for (header, _) in response["headers"].as_object().into_iter().flatten() {
            // Only a kept answer says so, and the intake tells browsers nothing of the log.
            let optional = ["Idempotent-Replayed", "Audit-Index", "Retry-After"].contains(&header.as_str());
            assert!(optional || answer.header(header).is_some(), "{name} answered without {header}");
        }
        self.seen.insert((name, answer.status));
    }

    fn validator(&self, schema: &Value) -> Validator {
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": self.whole["components"],
        });
        jsonschema::validator_for(&whole).unwrap()
    }

    /// Each operation was seen with a success and with a problem, or it is known why not.
    fn has_everything(&self) {
        for (path, item) in self.whole["paths"].as_object().unwrap() {
            for (method, _) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
                let name = format!("{} {path}", method.to_uppercase());
                let seen =
                    |problem: bool| self.seen.iter().any(|(of, status)| *of == name && (*status >= 400) == problem);
                assert!(seen(false) || NO_SUCCESS.contains(&name.as_str()), "{name} was never seen to succeed");
                assert!(seen(true) || NO_PROBLEM.contains(&name.as_str()), "{name} was never seen to refuse");
            }
        }
    }
}

/// A share is sealed; only `vaultctl` opens it. Custodians open vaults, and Roots change, in the end-to-end tests; stores move
/// in those of faults.
const NO_SUCCESS: [&str; 5] = [
    "POST /v1/unseal",
    "POST /v1/root/next/shares",
    "DELETE /v1/root/change",
    "POST /v1/store/migration",
    "DELETE /v1/store/migration",
];
/// Open to every client that got through the handshake, and always answered.
const NO_PROBLEM: [&str; 5] = [
    "OPTIONS /v1/payment_methods",
    "OPTIONS /v1/payment_methods/{id}/cvc",
    "GET /health/live",
    "GET /openapi.json",
    "GET /sdk/inventory.json",
];

#[tokio::test]
async fn an_answer_that_does_not_fit_is_noticed() {
    let world = World::vault_only().await.unwrap();
    let document = Document::of(&world).await;
    let validator = document.validator(&json!({ "$ref": "#/components/schemas/PaymentMethod" }));
    let release = world.release().await.unwrap();
    let mut right = release.post("/v1/payment_methods", &card_body()).await.unwrap().expect(201).unwrap();
    assert!(validator.is_valid(&right));
    right["card"]["number"] = json!("more than there should be");
    assert!(!validator.is_valid(&right));
}
