//! Cards that came in encrypted fields, and PINs: opened in the vault, and nowhere in it afterwards.

use serde_json::json;
use strongroom_tests::harness::World;
use strongroom_tests::harness::fields::{NONCE, encrypted, of_card, of_pin, store_key};

use crate::cards::cards;
use crate::files::look_at_files;
use crate::memory::{assert_gone, with_keep_alive};
use crate::search::{Found, Search};

#[tokio::test(flavor = "multi_thread")]
async fn no_card_that_came_in_encrypted_fields_is_anywhere_in_the_vault() {
    let mut world = World::start(with_keep_alive(1)).await.unwrap();
    let cards = cards(100);
    let search = Search::new(&cards);
    let mut found = Found::default();
    let key = store_key(&world.release().await.unwrap()).await.unwrap();
    for (nth, card) in cards.iter().enumerate() {
        let release = world.release().await.unwrap();
        let right = of_card(&key, &card.number, &card.cvc);
        // Also where the number opens and something behind it does not.
        let mut wrong = right.clone();
        wrong["encrypted_cvv"] = json!(encrypted(NONCE, "none"));
        // As long as a PIN may not be: what opens is a card number.
        let pin = of_pin(&key, &card.number);
        for (path, body, status) in [
            ("/v1/payment_methods/encrypted_fields", &right, 201),
            ("/v1/payment_methods/encrypted_fields", &wrong, 422),
            ("/v1/pins/check", &pin, 422),
        ] {
            let answer = release.post(path, body).await.unwrap();
            assert_eq!(answer.status, status, "{path} for card {nth}");
            search.look(path, &answer.body, &mut found);
        }
    }
    assert_gone(&mut world, &cards, "after cards came in encrypted fields").await;
    for path in ["/metrics", "/v1/audit/entries?limit=1000"] {
        let answer = world.security().await.unwrap().get(path).await.unwrap();
        search.look(path, &answer.body, &mut found);
    }
    look_at_files(world.path(), &search, &mut found);
    assert!(found.is_nothing(), "{}:\n{}", found.summary(), found.places.join("\n"));
}
