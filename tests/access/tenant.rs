//! Refused for whose it is: another tenant's header, no header where there are several, another tenant's records.

use reqwest::Method;
use strongroom_tests::harness::{Rule, World, WorldPlan, standard_policy};
use strongroom_wire::Scope;

use crate::table::{Listener, Named, Route, routes};

#[tokio::test]
async fn an_identity_of_another_tenant_is_refused_on_each_route() {
    let world = two_tenants().await;
    let named = Named::stored(&world).await.unwrap();
    let other = world.credentials("orchestrator", "other").unwrap();
    for route in bound(&world).await {
        let client = world.vault.release(&world.pki, &other).unwrap().tenant(&world.tenant);
        let answer = route.ask(&client, &named).await.unwrap();
        assert_eq!((answer.status, answer.problem().as_str()), (403, "denied"), "{}", route.name());
    }
}

#[tokio::test]
async fn an_identity_of_several_tenants_must_say_for_which() {
    let world = two_tenants().await;
    let named = Named::stored(&world).await.unwrap();
    let main = world.credentials("orchestrator", "main").unwrap();
    for route in bound(&world).await {
        let client = world.vault.release(&world.pki, &main).unwrap();
        let answer = route.ask(&client, &named).await.unwrap();
        assert_eq!((answer.status, answer.problem().as_str()), (403, "denied"), "{}", route.name());
    }
}

#[tokio::test]
async fn a_record_of_another_tenant_is_not_there() {
    let world = two_tenants().await;
    let named = Named::stored(&world).await.unwrap();
    let main = world.credentials("orchestrator", "main").unwrap();
    let mut tried = 0;
    for route in bound(&world).await.into_iter().filter(|route| route.path.contains("{id}")) {
        let client = world.vault.release(&world.pki, &main).unwrap().tenant("other");
        let answer = route.ask(&client, &named).await.unwrap();
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"), "{}", route.name());
        tried += 1;
    }
    assert!(tried >= 7, "only {tried} routes name a record");
    // Both records are still there for their own tenant.
    let release = world.release().await.unwrap();
    release.get(&format!("/v1/payment_methods/{}", named.token)).await.unwrap().must_be(200).unwrap();
    let secret = format!("/v1/secrets/{}/reveal", named.secret);
    release.send(Method::POST, &secret, None, &[]).await.unwrap().must_be(200).unwrap();
}

#[tokio::test]
async fn a_list_shows_the_tenants_own_cards_alone() {
    let world = two_tenants().await;
    let named = Named::stored(&world).await.unwrap();
    let main = world.credentials("orchestrator", "main").unwrap();
    let list = |tenant: &'static str| {
        let client = world.vault.release(&world.pki, &main).unwrap().tenant(tenant);
        async move { client.get("/v1/payment_methods").await.unwrap().expect(200).unwrap()["items"].clone() }
    };
    assert_eq!(list("other").await.as_array().unwrap().len(), 0);
    assert_eq!(list("acme").await[0]["payment_method_id"], named.token);
}

/// Routes that act on one tenant.
async fn bound(world: &World) -> Vec<Route> {
    let routes = routes(world).await.unwrap().into_iter();
    let bound: Vec<Route> = routes
        .filter(|route| route.listener == Listener::Release && route.scope.is_some_and(Scope::is_tenant_bound))
        .collect();
    assert!(bound.len() >= 11, "only {} routes act on a tenant", bound.len());
    bound
}

async fn two_tenants() -> World {
    let release: Vec<Scope> = Scope::ALL.into_iter().filter(|scope| !scope.is_admin()).collect();
    let other = Rule::new("orchestrator", "other", &["other"], &release).reveals(100, 100);
    let world =
        World::start(WorldPlan { policy: standard_policy().rule(other), ..WorldPlan::default() }).await.unwrap();
    world.register("other").await.unwrap();
    world
}
