//! A CVC comes in at one node and leaves at another, once in the whole cluster.

use std::time::Duration;

use serde_json::json;
use strongroom_tests::harness::{Client, Result, card, eventually, word};

use crate::{Site, reveal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cvc_that_came_in_at_one_node_leaves_at_another_once_in_the_whole_cluster() {
    let site = Site::start(3).await;
    let nodes = site.cluster.releases().unwrap();
    // Nodes that have just started have to hear of each other's keys first.
    eventually("nodes to open each other's CVCs", Duration::from_secs(90), || async {
        let (token, cvc_token) = typed_in(&site, &nodes[1]).await?;
        Ok((reveal(&nodes[2], &token, Some(&cvc_token)).await?.status == 200).then_some(()))
    })
    .await
    .unwrap();
    for _ in 0..5 {
        let (token, cvc_token) = typed_in(&site, &nodes[1]).await.unwrap();
        let released = reveal(&nodes[2], &token, Some(&cvc_token)).await.unwrap().expect(200).unwrap();
        assert_eq!((&released["card"]["number"], &released["card"]["cvc"]), (&json!(card::VISA), &json!("987")));
        for node in &nodes {
            reveal(node, &token, Some(&cvc_token)).await.unwrap().must_be(409).unwrap();
        }
        // Asked for everywhere at once it comes out at one.
        let (token, cvc_token) = typed_in(&site, &nodes[0]).await.unwrap();
        let asked: Vec<_> = (0..6)
            .map(|nth| {
                let (node, token, cvc_token) = (nodes[nth % 3].clone(), token.clone(), cvc_token.clone());
                tokio::spawn(async move { reveal(&node, &token, Some(&cvc_token)).await.unwrap().status })
            })
            .collect();
        let mut released = 0;
        for one in asked {
            released += u32::from(one.await.unwrap() == 200);
        }
        assert_eq!(released, 1, "a CVC was released {released} times");
    }
}

/// A browser hands a card with its CVC to the first node's intake, in a session that another node made.
async fn typed_in(site: &Site, maker: &Client) -> Result<(String, serde_json::Value)> {
    let session = json!({ "allowed_origins": ["https://shop.example"] });
    let session = maker.post("/v1/sessions", &session).await?.expect(201)?;
    let bearer = format!("Bearer {}", word(&session, "client_secret")?);
    let intake = site.cluster.node(0).intake(&site.cluster.world.pki)?.with("Authorization", bearer);
    let body =
        json!({ "type": "card", "card": { "number": card::VISA, "exp_month": 12, "exp_year": 2031, "cvc": "987" } });
    let stored = intake.with("Origin", "https://shop.example").post("/v1/payment_methods", &body).await?.expect(201)?;
    Ok((word(&stored, "payment_method_id")?, stored["cvc_token"].clone()))
}
