//! A dry run says what routing does: two shops of the same name and accounts, one where rules are tried and one where they
//! hold.

use serde_json::{Value, json};

use super::desk_tests::{Desk, operators};
use super::dry_run;
use crate::intent::rig::{GOOD, Rig};
use crate::routing::Rules;

async fn shop() -> Desk {
    let rig = Rig::new().await;
    rig.add_account(2).await;
    rig.add_account(3).await;
    Desk::on(rig, &operators()).await
}

fn payment(number: u32) -> impl Fn(&mut Value) {
    move |body| {
        body["payment_id"] = json!(format!("pay_{number}"));
        body["amount"] = json!(100 + 317 * u64::from(number));
        let currency = ["USD", "EUR", "JPY"][number as usize % 3];
        body["currency"] = json!(currency);
        let shop = ["north", "south"][number as usize % 2];
        body["metadata"] = json!({"shop": shop});
        let country = ["DE", "FR", "US"][number as usize / 3 % 3];
        body["billing"] = json!({"address": {"country": country}});
    }
}

/// Documents of every kind of condition and way.
fn documents() -> Vec<Option<Value>> {
    vec![
        None,
        Some(json!({"fallback": ["rig 3", "rig 1"]})),
        Some(json!({"rules": [{"use": {"split": [
            {"account": "rig 1", "percent": 34}, {"account": "rig 2", "percent": 33}, {"account": "mca_3", "percent": 33}]}}]})),
        Some(json!({"rules": [
            {"if": {"currency": ["EUR"], "metadata": {"shop": "north"}}, "use": {"order": ["rig 2"]}},
            {"if": {"billing_country": ["FR"]}, "use": {"split": [
                {"account": "rig 1", "percent": 50}, {"account": "rig 3", "percent": 50}]}},
            {"if": {"amount": {"from": 5000}, "card_network": ["Visa"], "card_bin": ["4242"]}, "use": {"order": ["mca_3"]}},
        ], "fallback": ["rig 2", "rig 1", "rig 3"]})),
    ]
}

async fn firsts(desk: &Desk, payments: u32) -> Vec<String> {
    let mut firsts = Vec::new();
    for number in 0..payments {
        let (payment, _) = desk.rig.engine.payment(&desk.rig.merchant, &format!("pay_{number}")).await.unwrap();
        firsts.push(payment.attempts[0].account_id.clone());
    }
    firsts
}

#[actix_web::test]
async fn dry_run_tells_for_each_payment_what_routing_really_does() {
    const PAYMENTS: u32 = 24;
    let mut really = Vec::new();
    let mut shops = Vec::new();
    for document in documents() {
        let desk = shop().await;
        let text = document.as_ref().map(Value::to_string);
        desk.rig.store.save_routing(&desk.rig.merchant, text.as_deref()).await.unwrap();
        for number in 0..PAYMENTS {
            desk.pay(GOOD, payment(number)).await;
        }
        really.push(firsts(&desk, PAYMENTS).await);
        shops.push(desk);
    }
    assert!(really.windows(2).all(|pair| pair[0] != pair[1]), "the documents decide differently");
    for (stored, desk) in really.iter().zip(&shops) {
        // What is true of a payment stays true when the clock has moved on.
        desk.rig.clock.advance(86_400_000);
        for (document, expected) in documents().into_iter().zip(&really) {
            let rules: Option<Rules> = document.map(|document| serde_json::from_value(document).unwrap());
            let api = desk.api();
            let mut tried = dry_run::run(&api, &desk.rig.merchant, rules.as_ref(), 100).await.unwrap();
            assert_eq!(tried.len(), PAYMENTS as usize);
            tried.sort_by_key(|one| one.payment.payment_id[4..].parse::<u32>().unwrap());
            for (place, one) in tried.into_iter().enumerate() {
                assert_eq!(one.trial.now.as_ref(), Some(&stored[place]), "under the stored rules");
                assert_eq!(one.trial.then.as_ref(), Some(&expected[place]), "under {rules:?}");
            }
        }
    }
}

#[actix_web::test]
async fn account_that_is_gone_or_switched_off_begins_nothing() {
    let desk = shop().await;
    desk.pay(GOOD, payment(1)).await;
    let rules: Rules =
        serde_json::from_value(json!({"rules": [{"use": {"order": ["rig 2"]}}], "fallback": []})).unwrap();
    let then = async || {
        let tried = dry_run::run(&desk.api(), &desk.rig.merchant, Some(&rules), 10).await.unwrap();
        tried[0].trial.then.clone()
    };
    assert_eq!(then().await.as_deref(), Some("mca_2"));
    let accounts = desk.rig.store.connector_accounts(&desk.rig.merchant).await.unwrap();
    let mut off = accounts[1].clone();
    off.disabled = true;
    desk.rig.store.save_connector_account(&off, &accounts[1]).await.unwrap();
    assert_eq!(then().await, None);
    desk.rig.store.save_connector_account(&accounts[1], &off).await.unwrap();
    // What rests for a minute is no reason to think that rules are wrong.
    for _ in 0..10 {
        desk.rig.engine.breakers.record("mca_2", false, desk.rig.engine.now_ms());
    }
    assert_eq!(then().await.as_deref(), Some("mca_2"));
}
