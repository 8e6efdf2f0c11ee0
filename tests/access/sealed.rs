//! Refused for when: a sealed vault answers health, status, unseal and checkpoint, and nothing else.

use reqwest::Method;
use serde_json::json;
use strongroom_tests::harness::{Root, World, WorldPlan};

use crate::table::{Listener, Named, Route, card_body, routes};

#[tokio::test]
async fn a_vault_that_was_never_unsealed_refuses_every_other_route() {
    let world = World::start(WorldPlan { root: Root::Custodians(3, 2), ..WorldPlan::default() }).await.unwrap();
    refuses_everything_else(&world, &Named::nobody(&world.tenant)).await;
}

#[tokio::test]
async fn a_vault_that_was_sealed_again_refuses_every_other_route() {
    let world = World::vault_only().await.unwrap();
    let named = Named::stored(&world).await.unwrap();
    let security = world.security().await.unwrap();
    security.send(Method::POST, "/v1/seal", None, &[]).await.unwrap().must_be(200).unwrap();
    refuses_everything_else(&world, &named).await;
}

#[tokio::test]
async fn a_session_does_not_open_a_sealed_intake() {
    let world = World::vault_only().await.unwrap();
    let asked = json!({ "allowed_origins": ["https://shop.example"] });
    let session = world.release().await.unwrap().post("/v1/sessions", &asked).await.unwrap().expect(201).unwrap();
    let bearer = format!("Bearer {}", session["client_secret"].as_str().unwrap());
    let security = world.security().await.unwrap();
    security.send(Method::POST, "/v1/seal", None, &[]).await.unwrap().must_be(200).unwrap();
    let intake = world.vault.intake(&world.pki).unwrap().with("Authorization", bearer);
    let refused = intake.post("/v1/payment_methods", &card_body()).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (503, "sealed"));
}

async fn refuses_everything_else(world: &World, named: &Named) {
    let mut refused = 0;
    for route in routes(world).await.unwrap() {
        let (role, name) = route.asker();
        let client = route.client(world, &world.credentials(role, name).unwrap()).unwrap();
        let answer = route.ask(&client, named).await.unwrap();
        if answers_while_sealed(&route) {
            assert_ne!(answer.problem(), "sealed", "{} should answer while sealed", route.name());
        } else {
            assert_eq!((answer.status, answer.problem().as_str()), (503, "sealed"), "{}", route.name());
            refused += 1;
        }
    }
    assert!(refused >= 15, "only {refused} routes were refused");
}

/// What an operator needs to open the vault and to see why it is closed.
fn answers_while_sealed(route: &Route) -> bool {
    let path = route.path.as_str();
    let admin = [
        "/v1/status",
        "/v1/certificates",
        "/v1/unseal",
        "/v1/root",
        "/v1/custodians",
        "/v1/custodians/acknowledgement",
        "/v1/audit/checkpoint",
        "/metrics",
    ];
    // A move of the store goes on while sealed, and may be given up.
    let of_a_move = path == "/v1/store/migration" && route.method != Method::POST;
    route.is_open() || of_a_move || (route.listener == Listener::Admin && admin.contains(&path))
}
