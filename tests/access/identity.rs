//! Refused for who they are: no certificate, another CA's, an expired one, one without a name, unknown, in another role.

use strongroom_tests::harness::{Credentials, Handshake, Pki, Policy, Rule, World, WorldPlan, standard_policy};
use strongroom_wire::Scope;

use crate::table::{Listener, Named, Route, routes};

#[tokio::test]
async fn no_certificate_is_refused_on_each_route() {
    let world = World::vault_only().await.unwrap();
    refused_in_the_handshake(&world, None).await;
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused_on_each_route() {
    let world = World::vault_only().await.unwrap();
    let foreign = Pki::new(world.path().join("foreign")).unwrap();
    for (role, name) in [("orchestrator", "main"), ("security", "alice")] {
        refused_in_the_handshake(&world, Some(&foreign.client(role, name).unwrap())).await;
    }
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_refused_on_each_route() {
    let world = World::vault_only().await.unwrap();
    for role in ["orchestrator", "security"] {
        let name = if role == "security" { "alice" } else { "main" };
        refused_in_the_handshake(&world, Some(&world.pki.expired_client(role, name).unwrap())).await;
        refused_in_the_handshake(&world, Some(&world.pki.future_client(role, name).unwrap())).await;
    }
}

#[tokio::test]
async fn a_certificate_without_a_name_is_refused_on_each_route() {
    let world = World::vault_only().await.unwrap();
    let nameless = world.pki.nameless_client().unwrap();
    let named = Named::stored(&world).await.unwrap();
    for route in routes(&world).await.unwrap().iter().filter(|route| !route.is_open()) {
        let answer = route.ask(&route.client(&world, &nameless).unwrap(), &named).await.unwrap();
        assert_eq!((answer.status, answer.problem().as_str()), (401, "unauthenticated"), "{}", route.name());
    }
}

#[tokio::test]
async fn an_identity_that_policy_does_not_know_is_refused_on_each_route() {
    let world = World::vault_only().await.unwrap();
    let stranger = world.credentials("orchestrator", "stranger").unwrap();
    let named = Named::stored(&world).await.unwrap();
    for route in routes(&world).await.unwrap().iter().filter(|route| route.scope.is_some()) {
        let answer = route.ask(&route.client(&world, &stranger).unwrap(), &named).await.unwrap();
        assert_eq!((answer.status, answer.problem().as_str()), (403, "denied"), "{}", route.name());
    }
}

#[tokio::test]
async fn the_other_listeners_role_is_refused_on_each_route() {
    let world = World::vault_only().await.unwrap();
    let named = Named::stored(&world).await.unwrap();
    for route in routes(&world).await.unwrap().iter().filter(|route| route.scope.is_some()) {
        let (role, name) = match route.listener {
            Listener::Release => ("security", "alice"),
            Listener::Admin => ("orchestrator", "main"),
        };
        let client = route.client(&world, &world.credentials(role, name).unwrap()).unwrap();
        let answer = route.ask(&client, &named).await.unwrap();
        assert_eq!((answer.status, answer.problem().as_str()), (403, "denied"), "{}", route.name());
    }
}

#[tokio::test]
async fn a_scope_opens_its_own_routes_and_no_other() {
    let mut policy = standard_policy();
    for scope in Scope::ALL {
        policy = policy.rule(only(scope));
    }
    let world = World::start(WorldPlan { policy, ..WorldPlan::default() }).await.unwrap();
    let routes = routes(&world).await.unwrap();
    let mut opened = 0;
    for scope in Scope::ALL {
        let who = world.credentials("only", scope.as_str()).unwrap();
        // To seal the vault would end the test; that the scope is enough is shown elsewhere.
        let tried =
            routes.iter().filter(|route| route.scope.is_some_and(|wanted| wanted != scope || scope != Scope::Seal));
        for route in tried {
            let named = Named::nobody(&world.tenant);
            let answer = route.ask(&route.client(&world, &who).unwrap(), &named).await.unwrap();
            if route.scope == Some(scope) {
                opened += 1;
                assert_ne!(answer.status, 403, "{} refuses its own scope", route.name());
            } else {
                assert_eq!(answer.status, 403, "{} lets {} in", route.name(), scope.as_str());
            }
        }
    }
    assert!(opened >= 20, "only {opened} routes were opened by their scope: refusing everybody would pass too");
}

#[tokio::test]
async fn a_refusal_is_an_audit_entry() {
    let world = World::vault_only().await.unwrap();
    let stranger = world.credentials("orchestrator", "stranger").unwrap();
    let named = Named::stored(&world).await.unwrap();
    let refused: Vec<Route> = routes(&world).await.unwrap().into_iter().filter(|route| route.scope.is_some()).collect();
    for route in &refused {
        route.ask(&route.client(&world, &stranger).unwrap(), &named).await.unwrap().must_be(403).unwrap();
    }
    let page = world.security().await.unwrap().get("/v1/audit/entries?limit=1000").await.unwrap().expect(200).unwrap();
    let entries = page["entries"].as_array().unwrap();
    let written = entries
        .iter()
        .filter(|entry| entry["who"] == "spiffe://strongroom/orchestrator/stranger" && entry["outcome"] == "refused")
        .inspect(|entry| assert_eq!(entry["reason"], "unknown_identity"))
        .count();
    assert_eq!(written, refused.len());
}

/// An identity with one scope, for every tenant.
fn only(scope: Scope) -> Rule {
    let rule = Rule::new("only", scope.as_str(), &["*"], &[scope]);
    if scope.is_release() { rule.reveals(1_000, 10_000) } else { rule }
}

async fn refused_in_the_handshake(world: &World, who: Option<&Credentials>) {
    let named = Named::nobody(&world.tenant);
    let [_, release, admin] = world.vault.addresses();
    for route in routes(world).await.unwrap() {
        let at = if route.listener == Listener::Release { release } else { admin };
        let asked = Handshake { who, ..Handshake::default() }.ask(
            &world.pki,
            at,
            route.method.as_str(),
            &route.concrete(&named),
        );
        assert!(asked.is_err(), "{} answered {asked:?} to a client that the handshake should refuse", route.name());
    }
    // The same way of asking is answered where the certificate is right, so it was the certificate.
    let right = world.credentials("orchestrator", "main").unwrap();
    let asked =
        Handshake { who: Some(&right), ..Handshake::default() }.ask(&world.pki, release, "GET", "/openapi.json");
    assert_eq!(asked.unwrap(), 200);
}

#[test]
fn the_policy_of_the_matrix_has_one_identity_for_each_scope() {
    let policy = Scope::ALL.into_iter().fold(Policy::default(), |policy, scope| policy.rule(only(scope)));
    assert_eq!(policy.text().matches("[[identity]]").count(), Scope::ALL.len());
}
