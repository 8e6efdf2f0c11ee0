//! What is shredded stays so: a customer, a tenant, cards over age.

use strongroom_wire::acts::{ActKind, ActState, PendingAct, SetRetention, ShredTenant};
use strongroom_wire::limits;

use super::super::rig::{Rig, acme, officer, orchestrator};
use super::super::{acts, customer, retention, tenant};
use super::*;

async fn agreed(rig: &Rig, what: ActKind) -> PendingAct {
    let asked = acts::ask(&rig.vault, &officer("alice"), what).await.unwrap();
    acts::approve(&rig.vault, &officer("bob"), asked.act_id).await.unwrap()
}

#[actix_web::test]
async fn nothing_of_a_shredded_tenant_opens_and_its_name_is_not_given_again() {
    let rig = Rig::new().await;
    let token = rig.card("cus_1").await;
    assert!(rig.shows(token).await);
    let other = tenant::add(&rig.vault, &officer("alice"), "globex".parse().unwrap()).await.unwrap();
    let done = agreed(&rig, ActKind::ShredTenant(ShredTenant { tenant: acme() })).await;
    assert_eq!(done.state, ActState::Done);
    assert!(done.result.unwrap().starts_with("strongroom-shredding/1\ntenant acme\nkeys destroyed 3\n"));
    assert!(!rig.shows(token).await);
    assert!(rig.vault.store.card(&acme(), &token, 0).await.unwrap().is_some(), "its rows go afterwards");
    assert!(
        rig.vault
            .store
            .keys()
            .await
            .unwrap()
            .iter()
            .all(|row| row.name.tenant != Some(acme()) || row.wrapped.is_empty())
    );
    sweep(&rig.vault).await.unwrap();
    assert_eq!(rig.vault.store.count_stale(&acme(), u32::MAX).await, Ok(0));
    assert_eq!(rig.notes("key-destroyed").await[1], "records of the tenant shredded: 1");
    // A sweep more finds nothing to do and says nothing.
    sweep(&rig.vault).await.unwrap();
    assert_eq!(rig.notes("key-destroyed").await.len(), 2);
    let again = tenant::add(&rig.vault, &officer("alice"), acme()).await;
    assert!(matches!(again, Err(FlowError::Conflict(_))), "{again:?}");
    let listed = tenant::list(&rig.vault, &officer("alice")).await.unwrap().tenants;
    assert_eq!(listed.iter().map(|tenant| tenant.shredded).collect::<Vec<_>>(), [true, false]);
    assert_eq!(listed[1], other);
}

#[actix_web::test]
async fn a_shredding_that_was_killed_after_some_rows_goes_on_with_the_others() {
    let rig = Rig::new().await;
    for number in 0..5 {
        rig.card(&format!("cus_{number}")).await;
    }
    agreed(&rig, ActKind::ShredTenant(ShredTenant { tenant: acme() })).await;
    let page = rig.vault.store.stale_records(&acme(), u32::MAX, None, 2).await.unwrap();
    let places = page.records.into_iter().map(|record| record.place).collect();
    assert_eq!(rig.vault.store.shred_places(&acme(), places).await, Ok(2));
    sweep(&rig.vault).await.unwrap();
    assert_eq!(rig.vault.store.count_stale(&acme(), u32::MAX).await, Ok(0));
    assert_eq!(rig.notes("key-destroyed").await[1], "records of the tenant shredded: 3");
}

#[actix_web::test]
async fn a_customer_goes_with_every_card_and_an_entry_for_each() {
    let rig = Rig::new().await;
    let (first, stays) = (rig.card("cus_1").await, rig.card("cus_2").await);
    let who = orchestrator();
    let asked = || customer::delete(&rig.vault, &who, "cus_1".parse().unwrap());
    let deleted = asked().await.unwrap();
    assert_eq!((deleted.deleted, deleted.is_complete), (1, true));
    assert!(!rig.shows(first).await && rig.shows(stays).await);
    let entries = rig.vault.audit.entries(0, 1000).await.unwrap().entries;
    let of_card = entries.iter().find(|e| e.act == "delete" && e.subject == Some(first.to_string())).unwrap();
    assert_eq!(of_card.who, "spiffe://strongroom/orchestrator/main");
    assert_eq!(asked().await.unwrap().deleted, 0);
}

#[actix_web::test]
async fn a_customer_with_more_cards_than_one_request_takes_needs_another() {
    let rig = Rig::new().await;
    let mut row = rig.vault.store.card(&acme(), &rig.card("cus_1").await, 0).await.unwrap().unwrap();
    for number in 0..limits::CUSTOMER_CARDS_MAX {
        row.token = strongroom_wire::Token::fresh();
        row.fingerprint[..4].copy_from_slice(&number.to_be_bytes());
        rig.vault.store.insert_card(row.clone(), None).await.unwrap();
    }
    let who = orchestrator();
    let asked = || customer::delete(&rig.vault, &who, "cus_1".parse().unwrap());
    let first = asked().await.unwrap();
    assert_eq!((first.deleted, first.is_complete), (limits::CUSTOMER_CARDS_MAX, false));
    let rest = asked().await.unwrap();
    assert_eq!((rest.deleted, rest.is_complete), (1, true));
}

#[actix_web::test]
async fn cards_over_age_are_reported_before_and_shredded_by_the_sweep() {
    let rig = Rig::new().await;
    let old = rig.card("cus_1").await;
    rig.clock.advance_ms(40 * 24 * 3_600 * 1_000);
    let young = rig.card("cus_2").await;
    let rule = |days| SetRetention { tenant: acme(), days };
    assert_eq!(agreed(&rig, ActKind::SetRetention(rule(Some(30)))).await.state, ActState::Done);
    let report = retention::report(&rig.vault, &officer("alice")).await.unwrap();
    assert_eq!((report.tenants[0].over_age, report.tenants[0].days), (1, 30));
    assert!(report.tenants[0].oldest_created_at.is_some());
    retention::sweep(&rig.vault).await.unwrap();
    assert!(!rig.shows(old).await && rig.shows(young).await);
    assert_eq!(rig.notes("over-age").await, ["kept for days: 30"]);
    let report = retention::report(&rig.vault, &officer("alice")).await.unwrap();
    assert_eq!((report.tenants[0].over_age, report.tenants[0].oldest_created_at.clone()), (0, None));
    // Whoever holds the scope for some tenants sees theirs alone.
    tenant::add(&rig.vault, &officer("alice"), "globex".parse().unwrap()).await.unwrap();
    let other = SetRetention { tenant: "globex".parse().unwrap(), days: Some(7) };
    assert_eq!(agreed(&rig, ActKind::SetRetention(other)).await.state, ActState::Done);
    for (name, sees) in [("alice", 2), ("carol", 1)] {
        assert_eq!(retention::list(&rig.vault, &officer(name)).await.unwrap().rules.len(), sees, "{name}");
        assert_eq!(retention::report(&rig.vault, &officer(name)).await.unwrap().tenants.len(), sees, "{name}");
    }
    // One person may keep cards longer, and nobody alone for a shorter time.
    assert!(retention::keeps_longer(&rig.vault, &rule(None)).await.unwrap());
    assert!(retention::keeps_longer(&rig.vault, &rule(Some(31))).await.unwrap());
    assert!(!retention::keeps_longer(&rig.vault, &rule(Some(29))).await.unwrap());
    assert!(retention::set(&rig.vault, &officer("alice"), &rule(Some(29))).await.is_err());
    for days in [Some(0), Some(limits::RETENTION_DAYS_MAX + 1)] {
        let refused = retention::keeps_longer(&rig.vault, &rule(days)).await;
        assert!(matches!(refused, Err(FlowError::Field { field: "days", .. })));
    }
}

#[actix_web::test]
async fn a_rule_that_the_vault_did_not_sign_shreds_nothing() {
    let rig = Rig::new().await;
    let token = rig.card("cus_1").await;
    rig.clock.advance_ms(40 * 24 * 3_600 * 1_000);
    retention::put(&rig.vault, &SetRetention { tenant: acme(), days: Some(100) }).await.unwrap();
    let mut row = rig.vault.store.kept("retention/").await.unwrap().remove(0);
    row.value = String::from_utf8(row.value).unwrap().replace("100", "10").into_bytes();
    rig.vault.store.put_kept(row).await.unwrap();
    assert_eq!(retention::sweep(&rig.vault).await, Err(FlowError::Tampered));
    assert!(rig.shows(token).await);
}
