//! What becomes of an act that nobody approves, and of one whose end the vault did not live to see.

use super::super::rig::{Rig, officer};
use super::*;

async fn only(rig: &Rig) -> PendingAct {
    let mut acts = list(&rig.vault, &officer("alice")).await.unwrap().acts;
    assert_eq!(acts.len(), 1);
    acts.remove(0)
}

#[actix_web::test]
async fn an_act_that_waited_too_long_is_done_by_nobody() {
    let rig = Rig::new().await;
    let key = rig.rotated().await;
    let asked = ask(&rig.vault, &officer("alice"), ActKind::DestroyKey(key.clone())).await.unwrap();
    rig.clock.advance_ms(limits::ACT_OPEN_MS - 1);
    expire(&rig.vault).await.unwrap();
    assert_eq!(only(&rig).await.state, ActState::Pending);
    rig.clock.advance_ms(1);
    let late = approve(&rig.vault, &officer("bob"), asked.act_id).await;
    assert_eq!(late, Err(FlowError::Conflict("the act ran out of time; ask for it again")));
    expire(&rig.vault).await.unwrap();
    assert_eq!(only(&rig).await.state, ActState::Expired);
    let ended =
        rig.vault.audit.entries(0, 1000).await.unwrap().entries.into_iter().rfind(|e| e.act == "two-person-act");
    assert!(ended.unwrap().note.contains("ran out"));
    assert_eq!(check(&rig.vault, &ActKind::DestroyKey(key)).await, Ok(()), "the key is still there");
    rig.clock.advance_ms(limits::ACT_KEPT_MS);
    expire(&rig.vault).await.unwrap();
    assert_eq!(list(&rig.vault, &officer("alice")).await.unwrap().acts, []);
}

#[actix_web::test]
async fn an_act_that_was_approved_and_not_done_goes_on_at_the_next_unseal() {
    let rig = Rig::new().await;
    let key = ActKind::DestroyKey(rig.rotated().await);
    let asked = ask(&rig.vault, &officer("alice"), key.clone()).await.unwrap();
    // As a vault leaves it that was killed after the approval.
    let (row, mut record) = find_open(&rig.vault, asked.act_id).await.unwrap();
    record.state = ActState::Approved;
    record.approved_by = Some(officer("bob").who.who());
    change(&rig.vault, row, &record).await.unwrap();
    resume(&rig.vault).await;
    let done = only(&rig).await;
    assert_eq!((done.state, done.fault), (ActState::Done, None));
    assert!(done.result.unwrap().starts_with("strongroom-destruction/1\n"));
    // Done twice it is the same as once.
    let agreed = Agreed { record };
    assert!(perform(&rig.vault, &agreed).await.unwrap().unwrap().starts_with("strongroom-destruction/1\n"));
}

#[actix_web::test]
async fn an_approval_is_no_good_after_its_day() {
    let rig = Rig::new().await;
    let asked = ask(&rig.vault, &officer("alice"), ActKind::DestroyKey(rig.rotated().await)).await.unwrap();
    let (row, mut record) = find_open(&rig.vault, asked.act_id).await.unwrap();
    record.state = ActState::Approved;
    change(&rig.vault, row, &record).await.unwrap();
    rig.clock.advance_ms(limits::ACT_OPEN_MS);
    resume(&rig.vault).await;
    assert_eq!(only(&rig).await.state, ActState::Approved);
    expire(&rig.vault).await.unwrap();
    assert_eq!(only(&rig).await.state, ActState::Expired);
}

#[actix_web::test]
async fn an_act_of_another_vault_or_of_other_words_is_refused() {
    let rig = Rig::new().await;
    let asked = ask(&rig.vault, &officer("alice"), ActKind::DestroyKey(rig.rotated().await)).await.unwrap();
    let row = rig.vault.store.acts().await.unwrap().remove(0);
    let later = ActRow { until_ms: row.until_ms + 1, ..row.clone() };
    assert!(rig.vault.store.swap_act(row.clone(), later.clone()).await.unwrap());
    assert_eq!(approve(&rig.vault, &officer("bob"), asked.act_id).await, Err(FlowError::Tampered));
    let foreign = ActRow { note: row.note.replace("alice", "carol"), ..row };
    assert!(rig.vault.store.swap_act(later, foreign).await.unwrap());
    assert_eq!(approve(&rig.vault, &officer("bob"), asked.act_id).await, Err(FlowError::Tampered));
    assert_eq!(list(&rig.vault, &officer("bob")).await, Err(FlowError::Tampered));
}
