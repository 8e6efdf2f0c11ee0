//! vaultd killed around an exchange of the intake key: afterwards one key is handed out, a card that is sealed to it is
//! taken, and one that was sealed before is taken or refused as the exchange says.

use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::{Kem, X25519HkdfSha256};
use hpke::{Deserializable as _, OpModeS, Serializable as _, single_shot_seal};
use serde_json::{Value, json};
use strongroom_tests::harness::{Answer, Client, World};

const ROUNDS: u32 = 12;

#[tokio::test]
async fn killed_around_an_exchange_of_its_key_the_intake_has_the_one_before_or_the_next() {
    let mut world = World::vault_only().await.unwrap();
    // How long one takes here, so that the kills fall into all of it.
    let (security, began) = (world.security().await.unwrap(), Instant::now());
    security.post("/v1/rotations", &json!({ "key": "intake" })).await.unwrap().must_be(202).unwrap();
    let one = began.elapsed();
    let (mut before_it, mut after_it) = (0, 0);
    for round in 0..ROUNDS {
        let emergency = round % 2 == 1;
        let release = world.release().await.unwrap();
        let old = key(&release).await;
        let sealed = seal(&old, &world.tenant);
        let security = world.security().await.unwrap();
        let ask = json!({ "key": "intake", "emergency": emergency });
        let asking = tokio::spawn(async move { security.post("/v1/rotations", &ask).await });
        // From before the request is read to after it is answered.
        tokio::time::sleep(one * round / 8).await;
        world.vault.process().kill().unwrap();
        let answered = asking.await.unwrap().is_ok_and(|answer| answer.status == 202);
        world.vault.restart().await.unwrap();

        let release = world.release().await.unwrap();
        let now = key(&release).await;
        let is_exchanged = now["key_id"] != old["key_id"];
        assert!(is_exchanged || !answered, "an exchange that was answered is forgotten");
        store(&release, &seal(&now, &world.tenant)).await.must_be(201).unwrap();
        let earlier = store(&release, &sealed).await;
        if is_exchanged && emergency {
            assert_eq!((earlier.status, earlier.problem().as_str()), (409, "intake-key-gone"));
        } else {
            earlier.must_be(201).unwrap();
        }
        let states = states(&world).await;
        assert_eq!(states.iter().filter(|state| *state == "active").count(), 1, "{states:?}");
        assert!(states.len() == 1 || !is_exchanged || !emergency, "{states:?}");
        *(if is_exchanged { &mut after_it } else { &mut before_it }) += 1;
    }
    eprintln!("killed {before_it} times before the exchange and {after_it} times after it");
    // However it was cut off, it can be asked for.
    let ask = json!({ "key": "intake", "emergency": true });
    let done = world.security().await.unwrap().post("/v1/rotations", &ask).await.unwrap().expect(202).unwrap();
    assert_eq!((done["key"].as_str(), done["state"].as_str()), (Some("intake"), Some("done")));
    assert_eq!(states(&world).await, ["active"]);
    let (key, kept) = world.keep_checkpoint().await.unwrap();
    world.verify_audit(&key, Some(&kept)).unwrap();
}

async fn key(client: &Client) -> Value {
    client.get("/v1/intake-key").await.unwrap().expect(200).unwrap()
}

async fn store(release: &Client, body: &Value) -> Answer {
    release.post("/v1/payment_methods", body).await.unwrap()
}

/// Of the intake keys that are not destroyed.
async fn states(world: &World) -> Vec<String> {
    let list = world.security().await.unwrap().get("/v1/keys").await.unwrap().expect(200).unwrap();
    let intake = list["keys"].as_array().unwrap().iter().filter(|key| key["purpose"] == "intake");
    intake.map(|key| key["state"].as_str().unwrap().to_owned()).collect()
}

/// The body of a request with a card that is sealed for the tenant.
fn seal(key: &Value, tenant: &str) -> Value {
    let word = |field: &str| key[field].as_str().unwrap();
    let public = BASE64_URL_SAFE_NO_PAD.decode(word("public_key")).unwrap();
    let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&public).unwrap();
    let info = format!("strongroom intake v1\n{}\n{}\ntenant {tenant}", word("vault_id"), word("key_id"));
    let card = json!({ "number": "4242424242424242", "exp_month": 12, "exp_year": 2031 }).to_string();
    let (enc, ciphertext) = single_shot_seal::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        info.as_bytes(),
        card.as_bytes(),
        &[],
    )
    .unwrap();
    json!({ "type": "card", "encrypted_card": {
        "key_id": word("key_id"),
        "enc": BASE64_URL_SAFE_NO_PAD.encode(enc.to_bytes()),
        "ciphertext": BASE64_URL_SAFE_NO_PAD.encode(ciphertext),
    }})
}
