//! What a refusal leaves behind: an audit entry with the right reason, and everything else as it was.

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{Client, Rule, World, WorldPlan, standard_policy};
use strongroom_wire::Scope;

use crate::table::{Listener, Named, card_body, routes};

#[tokio::test]
async fn refused_requests_change_nothing() {
    let release: Vec<Scope> = Scope::ALL.into_iter().filter(|scope| !scope.is_admin()).collect();
    let policy = standard_policy()
        .rule(Rule::new("orchestrator", "other", &["other"], &release).reveals(9, 9))
        .rule(Rule::new("only", "nothing", &["*"], &[Scope::ReadMasked]));
    let world = World::start(WorldPlan { policy, ..WorldPlan::default() }).await.unwrap();
    let named = Named::stored(&world).await.unwrap();
    let before = everything(&world).await;
    for (role, name) in
        [("orchestrator", "other"), ("orchestrator", "stranger"), ("only", "nothing"), ("custodian", "c1")]
    {
        let who = world.credentials(role, name).unwrap();
        let mut refused = 0;
        for route in routes(&world).await.unwrap() {
            // Whether the request is let in is what the other tests look at.
            if route.method == Method::GET || route.scope == Some(Scope::Unseal) {
                continue;
            }
            let answer = route.ask(&route.client(&world, &who).unwrap(), &named).await.unwrap();
            assert_eq!(answer.status, 403, "{} as {role}/{name}", route.name());
            refused += 1;
        }
        assert!(refused >= 10, "only {refused} routes change something");
    }
    assert_eq!(everything(&world).await, before);
}

#[tokio::test]
async fn each_refusal_is_an_entry_with_its_reason() {
    let scopes = [Scope::Reveal, Scope::ReadMasked];
    let policy = standard_policy()
        .rule(Rule::new("orchestrator", "limited", &["acme"], &scopes).reveals(1, 1))
        .rule(Rule::new("only", "read", &["acme"], &[Scope::ReadMasked]));
    let world = World::start(WorldPlan { policy, ..WorldPlan::default() }).await.unwrap();
    world.register("other").await.unwrap();
    let named = Named::stored(&world).await.unwrap();
    let reveal = format!("/v1/payment_methods/{}/reveal", named.token);
    let purpose = json!({ "purpose": "authorize", "reference": "pay_refused" });
    let as_who = |role: &str, name: &str, tenant: &str| {
        let who = world.credentials(role, name).unwrap();
        world.vault.release(&world.pki, &who).unwrap().tenant(tenant)
    };
    as_who("orchestrator", "limited", "acme").post(&reveal, &purpose).await.unwrap().must_be(200).unwrap();
    let nameless = world.vault.release(&world.pki, &world.pki.nameless_client().unwrap()).unwrap();
    let cases: [(&str, Client, u16); 5] = [
        ("unknown_identity", as_who("orchestrator", "stranger", "acme"), 403),
        ("scope", as_who("only", "read", "acme"), 403),
        ("tenant", as_who("orchestrator", "limited", "other"), 403),
        ("quota", as_who("orchestrator", "limited", "acme"), 429),
        ("credentials", nameless.tenant("acme"), 401),
    ];
    for (reason, client, status) in cases {
        let from = entries(&world, 0).await.len();
        let refused = client.post(&reveal, &purpose).await.unwrap();
        assert_eq!(refused.status, status, "{reason}");
        let retry_after = refused.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
        assert_eq!(retry_after.is_some_and(|seconds| seconds > 0), status == 429, "{reason}");
        let request = refused.header("x-request-id").unwrap().to_owned();
        let written = entries(&world, from).await;
        let entry = written.iter().find(|entry| entry["request"] == request.as_str());
        let entry = entry.unwrap_or_else(|| panic!("a refusal for {reason} left no entry: {written:#?}"));
        assert_eq!((entry["outcome"].as_str(), entry["reason"].as_str()), (Some("refused"), Some(reason)));
    }
    // The same of a client session that is none.
    let from = entries(&world, 0).await.len();
    let intake = world.vault.intake(&world.pki).unwrap().with("Authorization", "Bearer none");
    intake.post("/v1/payment_methods", &card_body()).await.unwrap().must_be(401).unwrap();
    let written = entries(&world, from).await;
    assert!(written.iter().any(|entry| entry["outcome"] == "refused" && entry["reason"] == "credentials"));
}

/// What there is, by everything that can be listed.
async fn everything(world: &World) -> Vec<Value> {
    let (release, security) = (world.release().await.unwrap(), world.security().await.unwrap());
    let mut seen = Vec::new();
    for (client, path) in [(&release, "/v1/payment_methods"), (&security, "/v1/tenants"), (&security, "/v1/keys")] {
        seen.push(client.get(path).await.unwrap().expect(200).unwrap());
    }
    let status = security.get("/v1/status").await.unwrap().expect(200).unwrap();
    seen.push(status["phase"].clone());
    seen.push(json!(security.get("/v1/rotations/acme").await.unwrap().status));
    let other = release.tenant("other").get("/v1/payment_methods").await.unwrap();
    seen.push(json!(other.status));
    seen
}

async fn entries(world: &World, from: usize) -> Vec<Value> {
    let path = format!("/v1/audit/entries?limit=1000&from={from}");
    let page = world.security().await.unwrap().get(&path).await.unwrap().expect(200).unwrap();
    page["entries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_route_of_each_listener_is_in_the_matrix() {
    let world = World::vault_only().await.unwrap();
    let routes = routes(&world).await.unwrap();
    let mut open: Vec<String> =
        routes.iter().filter(|route| route.scope.is_none()).map(|route| route.path.clone()).collect();
    open.sort_unstable();
    open.dedup();
    // Everything that takes no scope: the document, health, the signed checkpoint, the proof of one's own entry, and the
    // public key that cards are sealed to.
    let known = [
        "/health/live",
        "/health/ready",
        "/openapi.json",
        "/v1/audit/checkpoint",
        "/v1/audit/proofs/{index}",
        "/v1/intake-key",
    ];
    assert_eq!(open, known);
    // One's own proof is really one's own.
    let named = Named::stored(&world).await.unwrap();
    let stranger = world.credentials("orchestrator", "stranger").unwrap();
    let proof =
        routes.iter().find(|route| route.listener == Listener::Release && route.path.contains("proofs")).unwrap();
    let answer = proof.ask(&proof.client(&world, &stranger).unwrap(), &named).await.unwrap();
    assert!(answer.status == 403 || answer.status == 404, "a stranger got the proof of another's entry");
}
