//! Messages that are not a caller's, and callers that want more than is theirs.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use strongroom_tests::harness::Rule;
use strongroom_wire::limits;

use super::{Caller, MAIN, MASTERCARD, Rig, SCOPES, VISA, add, certificate, fault, named, reference};

#[tokio::test]
async fn whatever_is_wrong_with_a_message_it_is_told_in_the_same_words() {
    let mut rig = Rig::new().await;
    let switch = &mut rig.switch;
    let jwe = |header: Value| json!({ "jwe_header": header });
    let jws = |header: Value| json!({ "jws_header": header });
    let orders = [
        json!({"signer": "stranger"}),
        json!({"signer": "locker"}),
        json!({"seal_to": "stranger"}),
        jws(json!({"alg": "RS256"})),
        jws(json!({"alg": "RS256", "kid": "2"})),
        jws(json!({"alg": "PS256", "kid": "1"})),
        jws(json!({"alg": "HS256", "kid": "1"})),
        jws(json!({"alg": "none", "kid": "1"})),
        jwe(json!({"alg": "RSA-OAEP", "enc": "A256GCM"})),
        jwe(json!({"alg": "RSA1_5", "enc": "A256GCM"})),
        jwe(json!({"alg": "dir", "enc": "A256GCM"})),
        jwe(json!({"alg": "RSA-OAEP-256", "enc": "A128GCM"})),
        jwe(json!({"alg": "RSA-OAEP-256", "enc": "A256CBC-HS512"})),
        jwe(json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "zip": "DEF"})),
        jwe(json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "unknown"})),
        json!({"inner": add("cus_1", VISA).to_string()}),
        json!({"raw": add("cus_1", VISA).to_string()}),
        json!({"raw": "{}"}),
        json!({"raw": "not JSON"}),
    ];
    let mut said = Vec::new();
    for order in &orders {
        let answer = switch.with("/data/add", add("cus_1", VISA), order);
        assert_eq!((fault(&answer), answer.sealed), ((400, "TE_03"), false), "{order}");
        said.push(answer.said["message"].clone());
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    // Each is an entry, and none of them stored anything.
    let entries = rig.entries(orders.len()).await;
    assert!(
        entries.iter().all(|entry| (entry.0.as_str(), entry.1.as_str()) == ("unidentified", "refused")),
        "{entries:?}"
    );
    let stored = rig.world.release().await.unwrap().get("/v1/payment_methods?customer_id=cus_1").await.unwrap();
    assert_eq!(stored.expect(200).unwrap()["items"], json!([]));
    assert_eq!(rig.switch.call("/data/add", add("cus_1", VISA)).status, 200);
}

#[tokio::test]
async fn a_message_is_taken_once() {
    let mut rig = Rig::new().await;
    let card = reference(&rig.switch.done("/data/add", add("cus_1", VISA)));
    let answers = rig.switch.all("/data/retrieve", named("cus_1", &card), &json!({"again": true}));
    assert_eq!(answers[0].said["payload"]["card"]["card_number"], VISA);
    assert_eq!((fault(&answers[1]), answers[1].sealed), ((409, "TE_03"), false));
    let entries = rig.entries(2).await;
    assert_eq!((entries[0].0.as_str(), entries[0].1.as_str()), ("reveal", "allowed"));
    assert_eq!((entries[1].0.as_str(), entries[1].1.as_str()), ("unidentified", "refused"));
}

#[tokio::test]
async fn nobody_reaches_the_card_of_another_tenant_customer_or_caller() {
    let other = Caller { name: "other", tenant_id: "second", more: "tenant = \"globex\"", signs: true };
    let rule = Rule::new("switch", "switch", &["acme"], &SCOPES).reveals(100, 1_000);
    let mut rig = Rig::of(&[MAIN, other], "", rule).await;
    let switch = &mut rig.switch;
    let card = reference(&switch.done("/data/add", add("cus_1", VISA)));
    let of_other = json!({"tenant": "second", "signer": "other", "opener": "other"});
    let at_globex = |mut body: Value| {
        body["merchant_id"] = "globex".into();
        body
    };
    // A customer of the same merchant, another merchant's tenant, a tenant that is not the caller's.
    assert_eq!(fault(&switch.call("/data/retrieve", named("cus_2", &card))), (404, "TE_02"));
    assert_eq!(switch.call("/data/delete", named("cus_2", &card)).status, 200);
    let stolen = switch.with("/data/retrieve", at_globex(named("cus_1", &card)), &of_other);
    assert_eq!(fault(&stolen), (404, "TE_02"));
    assert_eq!(switch.with("/data/delete", at_globex(named("cus_1", &card)), &of_other).status, 200);
    assert_eq!(fault(&switch.with("/data/retrieve", named("cus_1", &card), &of_other)), (403, "TE_00"));
    assert_eq!(fault(&switch.call("/data/add", at_globex(add("cus_1", VISA)))), (403, "TE_00"));
    let mut under_it = at_globex(add("cus_1", MASTERCARD));
    under_it["requestor_card_reference"] = card.clone().into();
    assert_eq!(fault(&switch.with("/data/add", under_it, &of_other)), (409, "TE_03"));
    // A key of one caller under the name of the other, and a name that nobody has.
    for order in [json!({"tenant": "second"}), json!({"signer": "other"})] {
        assert_eq!(fault(&switch.with("/data/retrieve", named("cus_1", &card), &order)), (400, "TE_03"));
    }
    for tenant in [json!("third"), json!(""), Value::Null] {
        let answer = switch.with("/data/retrieve", named("cus_1", &card), &json!({ "tenant": tenant }));
        assert_eq!((fault(&answer), answer.sealed), ((400, "TE_03"), false), "{tenant}");
    }
    // It is there all the same.
    assert_eq!(switch.done("/data/retrieve", named("cus_1", &card))["payload"]["card"]["card_number"], VISA);
}

#[tokio::test]
async fn bad_input_is_told_in_the_dialects_form_and_changes_nothing() {
    let mut rig = Rig::new().await;
    let switch = &mut rig.switch;
    for (path, value, field) in [
        ("/card/card_number", json!("4242424242424241"), "card.card_number"),
        ("/card/card_exp_year", json!("2020"), "card.card_exp_year"),
        ("/card/card_exp_month", json!("13"), "card.card_exp_month"),
        ("/card/nick_name", json!("4242 4242 4242 4242"), "card"),
        ("/card/card_cvc", json!("123"), "card"),
        ("/merchant_customer_id", json!(""), "merchant_customer_id"),
        ("/enc_card_data", json!("abc"), "enc_card_data"),
        ("/ttl", json!(0), "ttl"),
        ("/requestor_card_reference", json!("0190c2f3-0000-7000-8000-000000000001"), "requestor_card_reference"),
    ] {
        let mut body = add("cus_1", VISA);
        let (folder, name) = path.rsplit_once('/').unwrap();
        body.pointer_mut(folder).unwrap()[name] = value;
        let answer = switch.call("/data/add", body);
        assert_eq!((fault(&answer), answer.sealed), ((400, "TE_03"), true), "{path}");
        let message = answer.said["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("Failed while validation: {field}: ")), "{message}");
    }
    assert_eq!(fault(&switch.call("/data/add", json!("{\"merchant_id\""))), (400, "TE_03"));
    // What nobody's handler has is told in the same form, and in plain.
    let large = json!({"raw": format!("{{\"header\":\"{}\"}}", "x".repeat(limits::BODY_BYTES_MAX))});
    let answer = switch.with("/data/add", Value::Null, &large);
    assert_eq!((fault(&answer), answer.sealed), ((413, "TE_03"), false));
    assert_eq!(fault(&switch.call("/data/update", json!({}))), (404, "TE_02"));
    assert_eq!(fault(&switch.with("/health", Value::Null, &json!({"raw": "{}"}))), (405, "TE_03"));
    let stored = rig.world.release().await.unwrap().get("/v1/payment_methods?customer_id=cus_1").await.unwrap();
    assert_eq!(stored.expect(200).unwrap()["items"], json!([]));
}

#[tokio::test]
async fn quotas_scopes_and_a_seal_hold_here_too() {
    let rule = Rule::new("switch", "switch", &["acme"], &SCOPES[..2]).reveals(2, 1_000);
    let mut rig = Rig::of(&[MAIN], "", rule).await;
    let switch = &mut rig.switch;
    let card = reference(&switch.done("/data/add", add("cus_1", VISA)));
    for _ in 0..2 {
        switch.done("/data/retrieve", named("cus_1", &card));
    }
    let spent = switch.call("/data/retrieve", named("cus_1", &card));
    assert_eq!((fault(&spent), spent.sealed), ((429, "TE_00"), true));
    assert!(spent.headers["retry-after"].as_str().unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!(fault(&switch.call("/data/delete", named("cus_1", &card))), (403, "TE_00"));
    rig.world.security().await.unwrap().post("/v1/seal", &json!({})).await.unwrap();
    let sealed = rig.switch.call("/data/add", add("cus_2", VISA));
    assert_eq!((fault(&sealed), &sealed.said["message"]), ((503, "TE_00"), &json!("Custodian is locked")));
}

#[tokio::test]
async fn where_certificates_are_asked_for_they_must_be_the_callers() {
    let plain =
        Caller { name: "plain", tenant_id: "plain", more: "tenant = \"globex\"\nmessages = \"plain\"", signs: false };
    let rule = Rule::new("switch", "switch", &["acme"], &SCOPES).reveals(100, 1_000);
    let mut rig = Rig::of(&[MAIN, plain], "client_certificates = true\n", rule).await;
    let (own, other) =
        (rig.world.credentials("switch", "switch").unwrap(), rig.world.credentials("switch", "plain").unwrap());
    let switch = &mut rig.switch;
    // Without one there is no connection.
    assert_eq!(switch.with("/data/add", add("cus_1", VISA), &json!({"once": true})).status, 0);
    let right = json!({"cert": certificate(&own)});
    assert_eq!(switch.with("/data/add", add("cus_1", VISA), &right).status, 200);
    let stolen = switch.with("/data/add", add("cus_1", VISA), &json!({"cert": certificate(&other)}));
    assert_eq!((fault(&stolen), stolen.sealed), ((401, "TE_00"), false));
    // A caller whose messages are plain is known by its certificate alone, and nobody else may speak plainly.
    let mut body = add("cus_1", VISA);
    body["merchant_id"] = "globex".into();
    let with = |tenant: &str, who| json!({"plain": true, "tenant": tenant, "cert": certificate(who)});
    let spoken = switch.with("/data/add", body.clone(), &with("plain", &other));
    assert_eq!((spoken.status, spoken.sealed, spoken.said["status"].as_str()), (200, false, Some("Ok")));
    assert_eq!(fault(&switch.with("/data/add", body.clone(), &with("plain", &own))), (401, "TE_00"));
    assert_eq!(fault(&switch.with("/data/add", add("cus_1", VISA), &with("public", &own))), (400, "TE_03"));
}

#[tokio::test]
async fn a_key_that_the_policy_does_not_pin_is_nobodys() {
    let pinned = |name: &'static str| {
        move |keys: &Path| {
            let pem = fs::read_to_string(keys.join(format!("{name}.pub"))).unwrap();
            let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            let pin = BASE64_STANDARD.encode(Sha256::digest(BASE64_STANDARD.decode(text).unwrap()));
            let rule = Rule::new("switch", "switch", &["acme"], &SCOPES).reveals(100, 1_000);
            Rule { pins: vec![format!("sha256/{pin}")], ..rule }
        }
    };
    let mut right = Rig::with_keys(&[MAIN], "", pinned("switch")).await;
    assert_eq!(right.switch.call("/data/add", add("cus_1", VISA)).status, 200);
    let mut wrong = Rig::with_keys(&[MAIN], "", pinned("stranger")).await;
    let answer = wrong.switch.call("/data/add", add("cus_1", VISA));
    assert_eq!((fault(&answer), answer.sealed), ((401, "TE_00"), false));
    let entries = wrong.entries(1).await;
    assert_eq!((entries[0].1.as_str(), entries[0].2.as_str()), ("refused", "spiffe://strongroom/switch/switch"));
}
