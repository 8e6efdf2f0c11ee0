//! The list of accounts: which outcomes go on to the next one, which do not, and lists that are refused before any charge.

use serde_json::{Value, json};
use strongroom_wire::limits;

use super::door_tests::{CHARGE, Till, code, with};
use crate::intent::rig::{GOOD, Trouble};

async fn three() -> Till {
    let till = Till::new().await;
    till.rig.add_account(2).await;
    till.rig.add_account(3).await;
    till
}

fn falling() -> Value {
    with("fallbackAccounts", json!(["rig 2", "rig 3"]))
}

fn tried(answer: &Value) -> Vec<(&str, &str)> {
    let rows = answer["attempts"].as_array().unwrap().iter();
    rows.map(|row| (row["paymentGatewayAccountName"].as_str().unwrap(), row["status"].as_str().unwrap())).collect()
}

#[actix_web::test]
async fn accounts_are_tried_in_order_until_one_succeeds() {
    let till = three().await;
    till.rig.trouble_of(1, "/pay", Trouble::Soft);
    till.rig.trouble_of(2, "/pay", Trouble::Unreachable);
    let (status, paid) = till.post(CHARGE, falling()).await;
    assert_eq!(
        (status, &paid["status"], &paid["paymentGatewayAccountName"]),
        (200, &json!("captured"), &json!("rig 3"))
    );
    assert_eq!(tried(&paid), [("rig 1", "declined"), ("rig 2", "failed"), ("rig 3", "captured")]);
    assert!(paid.get("error").is_none());
    assert_eq!(till.rig.charges(), 1);
    let other = with("paymentGatewayAccountName", json!("rig 3"));
    assert_eq!(till.post(CHARGE, other).await.1["paymentGatewayAccountName"], "rig 3", "the named one, not the oldest");
}

#[actix_web::test]
async fn all_fail_and_nothing_beyond_the_list_is_tried() {
    let till = three().await;
    till.rig.trouble_of(1, "/pay", Trouble::Soft);
    till.rig.trouble_of(2, "/pay", Trouble::Soft);
    let (status, paid) = till.post(CHARGE, with("fallbackAccounts", json!(["rig 2"]))).await;
    assert_eq!((status, &paid["status"], &paid["error"]["code"]), (200, &json!("declined"), &json!("declined")));
    assert_eq!(tried(&paid), [("rig 1", "declined"), ("rig 2", "declined")]);
    assert_eq!(till.rig.charges(), 0);
}

#[actix_web::test]
async fn hard_decline_refusal_and_doubt_end_the_list_so_that_nothing_is_charged_twice() {
    for (trouble, status, charges) in [
        (Trouble::Hard, "declined", 0),
        (Trouble::Forbidden, "declined", 0),
        (Trouble::Refused, "failed", 0),
        (Trouble::Action, "requiresAction", 0),
        (Trouble::LostRequest, "pending", 0),
        (Trouble::LostAnswer, "pending", 1),
    ] {
        let till = three().await;
        till.rig.trouble_of(1, "/pay", trouble);
        let (_, paid) = till.post(CHARGE, falling()).await;
        assert_eq!((&paid["status"], tried(&paid).len()), (&json!(status), 1), "{trouble:?}");
        assert_eq!(till.rig.charges(), charges, "{trouble:?}");
    }
}

#[actix_web::test]
async fn list_with_duplicates_unknown_names_or_too_many_is_refused_before_anything_is_charged() {
    let till = three().await;
    for (names, refusal) in [
        (json!(["rig 2", "rig 2"]), (400, "invalidRequest")),
        (json!(["rig 2", "RIG 2"]), (400, "invalidRequest")),
        (json!(["rig 1"]), (400, "invalidRequest")),
        (json!(["rig 2", "nobody"]), (404, "accountNotFound")),
        (json!(["Rig 2"]), (404, "accountNotFound")),
        // Names of connectors and ids of accounts are no names here.
        (json!(["rig"]), (404, "accountNotFound")),
        (json!(["mca_2"]), (404, "accountNotFound")),
        (json!([""]), (404, "accountNotFound")),
        (json!([GOOD]), (400, "invalidRequest")),
        (json!("rig 2"), (400, "invalidRequest")),
        (
            json!((0..=limits::GATEWAY_FALLBACKS_MAX).map(|n| format!("x{n}")).collect::<Vec<_>>()),
            (400, "invalidRequest"),
        ),
    ] {
        let refused = till.post(CHARGE, with("fallbackAccounts", names.clone())).await;
        assert_eq!(code(&refused), refusal, "{names}");
    }
    assert_eq!((till.rig.charges(), till.rig.cards_in_vault()), (0, 0));
}
