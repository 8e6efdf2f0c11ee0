//! What a switch does with its locker from the first card to the last, and what becomes of it here.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use strongroom_tests::harness::{Rule, eventually};
use strongroom_wire::Scope;

use super::{Caller, MAIN, MASTERCARD, Rig, SCOPES, VISA, add, fault, named, reference};

#[tokio::test]
async fn a_switch_finds_its_locker_here() {
    let mut rig = Rig::new().await;
    let switch = &mut rig.switch;
    // It asks for a fingerprint first, to see whether the card is on a list of its own.
    let first = switch.done("/data/fingerprint", json!({"data": VISA, "key": "fs_1"}))["fingerprint_id"].clone();
    assert_eq!(switch.done("/data/fingerprint", json!({"data": VISA, "key": "fs_1"}))["fingerprint_id"], first);

    // A card is stored once, and the second time is told apart from one whose particulars changed.
    let added = switch.done("/data/add", add("cus_1", VISA));
    let card = reference(&added);
    assert_eq!(
        added,
        json!({"status": "Ok", "payload": {"card_reference": card, "duplication_check": null, "dedup": null}})
    );
    let again = switch.done("/data/add", add("cus_1", VISA));
    assert_eq!((reference(&again), &again["payload"]["duplication_check"]), (card.clone(), &json!("duplicated")));
    let back = switch.done("/data/retrieve", named("cus_1", &card));
    assert_eq!(back, json!({"status": "Ok", "payload": {"card": add("cus_1", VISA)["card"], "enc_card_data": null}}));

    // The particulars changed: the switch deletes the card and stores it anew under the reference that it keeps.
    let mut newer = add("cus_1", VISA);
    newer["card"]["card_exp_year"] = "2033".into();
    let changed = switch.done("/data/add", newer.clone());
    assert_eq!(
        (reference(&changed), &changed["payload"]["duplication_check"]),
        (card.clone(), &json!("meta_data_changed"))
    );
    assert_eq!(switch.done("/data/delete", named("cus_1", &card)), json!({"status": "Ok"}));
    let gone = switch.call("/data/retrieve", named("cus_1", &card));
    assert_eq!((fault(&gone), gone.sealed), ((404, "TE_02"), true));
    newer["requestor_card_reference"] = card.clone().into();
    let stored = switch.done("/data/add", newer.clone());
    assert_eq!((reference(&stored), &stored["payload"]["duplication_check"]), (card.clone(), &Value::Null));
    let back = switch.done("/data/retrieve", named("cus_1", &card));
    assert_eq!(back["payload"]["card"]["card_exp_year"], "2033");

    // Another customer's same card is another card; and what lives is not overwritten.
    let other = reference(&switch.done("/data/add", add("cus_2", VISA)));
    assert_ne!(other, card);
    let mut taken = add("cus_1", MASTERCARD);
    taken["requestor_card_reference"] = card.clone().into();
    assert_eq!(fault(&switch.call("/data/add", taken)), (409, "TE_03"));
    assert_eq!(switch.done("/data/retrieve", named("cus_1", &card))["payload"]["card"]["card_number"], VISA);

    // Deleting twice is the same as once.
    for _ in 0..2 {
        assert_eq!(switch.done("/data/delete", named("cus_1", &card)), json!({"status": "Ok"}));
    }
    let entries = rig.entries(5).await;
    let who = "spiffe://strongroom/switch/switch".to_owned();
    assert_eq!(entries[1], ("reveal".to_owned(), "allowed".to_owned(), who.clone(), card.clone()));
    assert_eq!(entries[2], ("delete".to_owned(), "allowed".to_owned(), who.clone(), card.clone()));
    assert_eq!(entries[4], ("delete".to_owned(), "failed".to_owned(), who, card));

    rig.world.vault.process().stop().await.unwrap();
    let looked = no_card_in_files(rig.world.path());
    assert!(looked > 5, "only {looked} files were searched");
}

/// Every file of the world, the log among them.
fn no_card_in_files(folder: &Path) -> usize {
    let mut looked = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            looked += no_card_in_files(&path);
        } else {
            let bytes = fs::read(&path).unwrap();
            for number in [VISA, MASTERCARD] {
                let is_in = bytes.windows(number.len()).any(|window| window == number.as_bytes());
                assert!(!is_in, "a card number is in {}", path.display());
            }
            looked += 1;
        }
    }
    looked
}

#[tokio::test]
async fn version_2_keeps_a_card_of_an_entity_without_its_cvc() {
    let mut rig = Rig::new().await;
    let switch = &mut rig.switch;
    let card = json!({
        "card_number": VISA, "card_exp_month": "3", "card_exp_year": "31", "card_holder_name": null, "nick_name": "mine",
        "card_issuing_country": null, "card_network": "Visa", "card_issuer": null, "card_type": null, "card_cvc": "123",
    });
    let body = json!({
        "entity_id": "12345_cus_1", "vault_id": "0190c2f3-0000-7000-8000-000000000001", "data": {"Card": card}, "ttl": 60,
    });
    let added = switch.done("/api/v2/vault/add", body.clone());
    let vault_id = added["vault_id"].as_str().unwrap().to_owned();
    assert_eq!(added["entity_id"], "12345_cus_1");
    assert!(vault_id.starts_with("pm_"), "{vault_id}");
    assert_eq!(switch.done("/api/v2/vault/add", body)["vault_id"], vault_id.as_str());
    let asked = json!({"entity_id": "12345_cus_1", "vault_id": vault_id});
    let back = switch.done("/api/v2/vault/retrieve", asked.clone());
    assert_eq!(
        back,
        json!({"data": {"Card": {
            "card_number": VISA, "card_exp_month": "03", "card_exp_year": "2031", "card_holder_name": null, "nick_name": "mine",
            "card_issuing_country": null, "card_issuing_country_code": null, "card_network": "Visa", "card_issuer": null,
            "card_type": null,
        }}})
    );
    let data = r#"{"Card":{"card_number":"4242424242424242","card_exp_month":"03","card_exp_year":"2031"}}"#;
    let asked_of = |data: &str| json!({"data": data, "key": "12345_cus_1"});
    let print = switch.done("/api/v2/vault/fingerprint", asked_of(data));
    assert_eq!(print, switch.done("/api/v2/vault/fingerprint", asked_of(data)));
    assert_ne!(print, switch.done("/api/v2/vault/fingerprint", asked_of(&data.replace("2031", "2032"))));
    let stranger = json!({"entity_id": "12345_cus_2", "vault_id": vault_id});
    assert_eq!(fault(&switch.call("/api/v2/vault/retrieve", stranger)), (404, "TE_02"));
    assert_eq!(switch.done("/api/v2/vault/delete", asked.clone()), asked);
    assert_eq!(fault(&switch.call("/api/v2/vault/retrieve", asked)), (404, "TE_02"));
    let own_store =
        rig.world.release().await.unwrap().get("/v1/payment_methods?customer_id=12345_cus_1").await.unwrap();
    assert_eq!(own_store.expect(200).unwrap()["items"], json!([]));
}

#[tokio::test]
async fn an_older_switch_calls_older_paths_in_older_words_and_wants_an_older_wrapping() {
    let caller = Caller { more: "tenant = \"acme\"\nanswers = \"RSA-OAEP\"", ..MAIN };
    let rule = Rule::new("switch", "switch", &["acme"], &SCOPES).reveals(100, 1_000);
    let mut rig = Rig::of(&[caller], "key_id = \"vault-key\"\n", rule).await;
    let switch = &mut rig.switch;
    // It knows no tenants yet, and some name the vault's key.
    let named_key = json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "vault-key"});
    let older = json!({"answer": "RSA-OAEP", "tenant": null, "jwe_header": named_key});
    let added = switch.with("/cards/add", add("cus_1", VISA), &older);
    assert_eq!((added.status, added.sealed), (200, true), "{:?}", added.said);
    let card = reference(&added.said);
    let back = switch.with("/cards/retrieve", named("cus_1", &card), &older);
    assert_eq!(back.said["payload"]["card"]["card_number"], VISA);
    let print = switch.with("/cards/fingerprint", json!({"card_number": VISA, "hash_key": "fs_1"}), &older);
    assert_eq!(print.said["card_fingerprint"].as_str().unwrap().len(), 20);
    assert_eq!(switch.with("/cards/delete", named("cus_1", &card), &older).said, json!({"status": "Ok"}));
}

#[tokio::test]
async fn twenty_at_once_get_one_reference() {
    let mut rig = Rig::new().await;
    let answers = rig.switch.all("/data/add", add("cus_1", VISA), &json!({"times": 20}));
    let said: Vec<&Value> = answers.iter().map(|answer| &answer.said).collect();
    assert!(answers.iter().all(|answer| answer.status == 200), "{said:?}");
    let references: BTreeSet<String> = said.iter().map(|said| reference(said)).collect();
    assert_eq!(references.len(), 1, "{references:?}");
    let new = said.iter().filter(|said| said["payload"]["duplication_check"].is_null()).count();
    let known = said.iter().filter(|said| said["payload"]["duplication_check"] == "duplicated").count();
    assert_eq!((new, known), (1, 19), "{said:?}");
}

#[tokio::test]
async fn a_fingerprint_is_the_callers_and_the_tenants_and_none_of_ours() {
    let other = Caller { name: "other", tenant_id: "second", more: "tenant = \"globex\"", signs: true };
    let rule = Rule::new("switch", "switch", &["acme"], &SCOPES).reveals(100, 1_000);
    let mut rig = Rig::of(&[MAIN, other], "", rule).await;
    let switch = &mut rig.switch;
    let of = |switch: &mut super::Switch, key: &str, number: &str| {
        switch.done("/data/fingerprint", json!({"data": number, "key": key}))["fingerprint_id"].clone()
    };
    let one = of(switch, "fs_1", VISA);
    assert_ne!(one, of(switch, "fs_2", VISA));
    assert_ne!(one, of(switch, "fs_1", MASTERCARD));
    let second = json!({"tenant": "second", "signer": "other", "opener": "other"});
    let elsewhere = switch.with("/data/fingerprint", json!({"data": VISA, "key": "fs_1"}), &second);
    assert_eq!(elsewhere.status, 200);
    assert_ne!(one, elsewhere.said["fingerprint_id"]);
    let card = reference(&switch.done("/data/add", add("cus_1", VISA)));
    let ours = rig.world.release().await.unwrap().get(&format!("/v1/payment_methods/{card}")).await.unwrap();
    let ours = ours.expect(200).unwrap()["card"]["fingerprint"].clone();
    assert!(ours.is_string() && ours != one);
}

#[tokio::test]
async fn a_merchant_that_is_new_becomes_a_tenant_where_the_configuration_says_so() {
    let caller = Caller { more: "provision = true\nmerchants = { \"ACME_Ltd\" = \"acme\" }", ..MAIN };
    let scopes = [Scope::Tokenize, Scope::Reveal, Scope::Delete, Scope::Provision];
    let rule = Rule::new("switch", "switch", &["*"], &scopes).reveals(100, 1_000);
    let mut rig = Rig::of(&[caller], "", rule).await;
    let switch = &mut rig.switch;
    let of = |merchant: &str| {
        let mut body = add("cus_1", VISA);
        body["merchant_id"] = merchant.into();
        body
    };
    // Of many at once, too.
    let answers = switch.all("/data/add", of("merchant_1700000000"), &json!({"times": 5}));
    let all: BTreeSet<String> = answers.iter().map(|answer| reference(&answer.said)).collect();
    assert_eq!(all.len(), 1, "{answers:?}");
    let mapped = reference(&switch.done("/data/add", of("ACME_Ltd")));
    assert_eq!(mapped, reference(&switch.done("/data/add", of("acme"))));
    assert_eq!(fault(&switch.call("/data/add", of("Nobody_Ltd"))), (400, "TE_03"));
    // No request of version 2 or for a fingerprint names a merchant, and none is said to stand for it.
    assert_eq!(fault(&switch.call("/data/fingerprint", json!({"data": VISA, "key": "k"}))), (400, "TE_03"));
    // A retrieval makes no tenant.
    let mut unknown = named("cus_1", &mapped);
    unknown["merchant_id"] = "merchant_2".into();
    assert_eq!(fault(&switch.call("/data/retrieve", unknown)), (404, "TE_02"));
    let tenants = rig.world.security().await.unwrap().get("/v1/tenants").await.unwrap().expect(200).unwrap();
    let names: Vec<&str> =
        tenants["tenants"].as_array().unwrap().iter().map(|one| one["tenant"].as_str().unwrap()).collect();
    assert!(names.contains(&"merchant_1700000000") && !names.contains(&"merchant_2"), "{names:?}");
}

/// Its messages are sealed on the way, so that not even the buffers of an open connection hold a number.
#[tokio::test]
async fn no_card_stays_in_the_memory_of_the_vault() {
    let mut rig = Rig::new().await;
    let card = reference(&rig.switch.done("/data/add", add("cus_1", VISA_DEBIT)));
    rig.switch.done("/data/retrieve", named("cus_1", &card));
    rig.switch.done("/data/fingerprint", json!({"data": VISA_DEBIT, "key": "fs_1"}));
    let mut wrong = add("cus_1", VISA_DEBIT);
    wrong["ttl"] = 1.into();
    assert_eq!(rig.switch.call("/data/add", wrong).status, 400);
    let id = rig.world.vault.process().id();
    let texts = texts_of(VISA_DEBIT);
    let searched = || async { Ok(places_in_memory(id, &texts).is_empty().then_some(())) };
    if eventually("an empty memory", Duration::from_secs(20), searched).await.is_err() {
        panic!("in vaultd's memory: {:?}", places_in_memory(id, &texts));
    }
    // It is the process that served, and serves.
    let back = rig.switch.done("/data/retrieve", named("cus_1", &card));
    assert_eq!(back["payload"]["card"]["card_number"], VISA_DEBIT);
}

/// A number in digits, and in base64 wherever it begins in it.
fn texts_of(number: &str) -> Vec<String> {
    let in_base64 = (0..3).map(|before| {
        let text = BASE64_URL_SAFE_NO_PAD.encode(format!("{}{number}", " ".repeat(before)));
        // The first and last characters depend on what stands around it.
        text[4..text.len() - 3].to_owned()
    });
    in_base64.chain([number.to_owned()]).collect()
}

fn places_in_memory(id: u32, texts: &[String]) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{id}/maps")).expect("this test reads /proc/PID/maps: run it as root");
    let memory = File::open(format!("/proc/{id}/mem")).expect("this test reads /proc/PID/mem: run it as root");
    let mut places = Vec::new();
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let is_program = rest.starts_with("r-") && rest.contains(" /");
        if !rest.starts_with('r') || rest.contains("[vvar") || rest.ends_with("[vsyscall]") || is_program {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // A mapping may be gone by now.
        if memory.read_exact_at(&mut bytes, from).is_ok() {
            let text = String::from_utf8_lossy(&bytes);
            places.extend(texts.iter().filter(|one| text.contains(one.as_str())).map(|one| format!("{one}: {line}")));
        }
    }
    places
}

const VISA_DEBIT: &str = "4000056655665556";
