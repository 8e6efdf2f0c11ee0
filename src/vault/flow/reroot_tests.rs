//! Changes of the Root that are interrupted, given up, or should never begin.

use strongroom_keys::reroot::Reroot;
use strongroom_keys::root::{Descriptor, dev, found};
use strongroom_wire::acts::{ActKind, ActState};
use strongroom_wire::custody::RootChange;
use strongroom_wire::hex::hex;

use super::super::rig::{Rig, acme, officer};
use super::super::{acts, custody, tenant, unseal};
use super::*;
use crate::store::StagedKey;

impl Rig {
    /// Puts a development Root where the configuration names the one to come.
    fn next_dev(&self) -> Descriptor {
        let (key, descriptor) = dev::make_for(self.vault.root.descriptor().vault_id()).unwrap();
        self.put_next(&descriptor);
        self.put_next_key(&key);
        descriptor
    }

    async fn agreed(&self, to: &Descriptor, keys_per_second_max: Option<u32>) -> Result<ActState, FlowError> {
        let asked = ChangeRootRequest { to: hex(&to.sum()), keys_per_second_max };
        let act = acts::ask(&self.vault, &officer("alice"), ActKind::ChangeRoot(asked)).await?;
        Ok(acts::approve(&self.vault, &officer("bob"), act.act_id).await?.state)
    }

    async fn change(&self) -> RootChange {
        custody::status(&self.vault, &officer("alice")).await.unwrap().change.unwrap()
    }

    async fn over(&self) -> RootChange {
        loop {
            let change = self.change().await;
            // Until the task has left, another one cannot begin.
            if change.state != RootChangeState::Running && self.vault.root.working().is_none() {
                return change;
            }
            actix_web::rt::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The change when it came to its end, through whatever stopped it on the way.
    async fn done(&self) -> RootChange {
        for _ in 0..10_000 {
            let change = self.over().await;
            if change.state == RootChangeState::Done {
                return change;
            }
            actix_web::rt::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("the change did not go on");
    }

    async fn reopen(&self) {
        unseal::seal(&self.vault, &officer("alice")).await.unwrap();
        unseal::by_itself(&self.vault).await.unwrap();
    }

    /// A key made now opens at the next unseal: it was made under the Root that is in force.
    async fn still_works(&self) {
        self.reopen().await;
        let name = format!("tenant-{}", self.vault.store.tenants().await.unwrap().len()).parse().unwrap();
        tenant::add(&self.vault, &officer("alice"), name).await.unwrap();
        self.reopen().await;
        assert!(self.vault.barrier.active_term(&acme()).is_some());
    }
}

#[actix_web::test]
async fn two_people_put_another_root_in_force_and_no_key_is_left_under_the_one_before() {
    let rig = Rig::new().await;
    let before = rig.vault.root.get().await.unwrap();
    let next = rig.next_dev();
    assert_eq!(rig.agreed(&next, None).await, Ok(ActState::Done));
    let change = rig.over().await;
    let keys = rig.vault.store.keys().await.unwrap().len() as u64;
    assert_eq!((change.state, change.done, change.total, change.rewraps), (RootChangeState::Done, keys, keys, true));
    assert_eq!(rig.vault.store.root_in_force().await, Ok(Some(next.sum())));
    for row in rig.vault.store.keys().await.unwrap() {
        let again = keyring::rewrap(Arc::clone(&before), Arc::clone(&before), row).await;
        assert!(again.is_err(), "a key is left under the Root before");
    }
    let key = rig.vault.barrier.sign(|signer| signer.public_key().clone()).unwrap();
    let proof = Reroot::open(&change.proof.unwrap(), &key).unwrap();
    assert_eq!((proof.to, proof.rewrapped), (next.sum(), Some(keys)));
    rig.still_works().await;
}

#[actix_web::test]
async fn a_change_that_was_interrupted_goes_on_at_the_next_unseal() {
    let rig = Rig::new().await;
    let next = rig.next_dev();
    let from = rig.vault.root.descriptor().sum();
    let row = RootChangeRow {
        from,
        to: next.sum(),
        rewraps: true,
        state: RootChangeState::Running,
        done: 1,
        total: 4,
        started_ms: 1,
        keys_per_second_max: None,
        fault: None,
        proof: None,
    };
    assert!(rig.vault.store.begin_root_change(row).await.unwrap());
    // Nobody agreed on what the row says: whoever wrote it, the vault did not.
    rig.reopen().await;
    let waits = rig.over().await;
    assert_eq!(waits.state, RootChangeState::Stopped);
    assert!(waits.fault.unwrap().contains("nobody is known to have agreed"));
    // Somebody else than the vault cannot say that nothing has to be wrapped either.
    rig.tampered("UPDATE root_changes SET rewraps = 0");
    // One is staged, another one from bytes that it has no more.
    let (current, root) = (rig.vault.root.get().await.unwrap(), rig.vault.root.next().await.unwrap());
    let keys = rig.vault.store.keys().await.unwrap();
    let right = keyring::rewrap(Arc::clone(&current), Arc::clone(&root), keys[0].clone()).await.unwrap();
    let stale = StagedKey { instead_of: vec![1; 60], ..keyring::rewrap(current, root, keys[1].clone()).await.unwrap() };
    rig.vault.store.stage_keys(next.sum(), vec![right, stale]).await.unwrap();
    assert_eq!(rig.agreed(&next, Some(1)).await, Ok(ActState::Done));
    rig.reopen().await;
    let change = rig.done().await;
    let keys = rig.vault.store.keys().await.unwrap().len() as u64;
    assert_eq!((change.state, change.done), (RootChangeState::Done, keys));
    assert_eq!(rig.vault.store.root_in_force().await, Ok(Some(next.sum())));
    rig.still_works().await;
}

#[actix_web::test]
async fn a_change_that_runs_says_how_fast_it_is_and_how_long_it_takes() {
    let rig = Rig::new().await;
    for n in 0..8 {
        tenant::add(&rig.vault, &officer("alice"), format!("early-{n}").parse().unwrap()).await.unwrap();
    }
    let first = custody::status(&rig.vault, &officer("alice")).await.unwrap();
    assert!(first.in_force_since.is_some(), "the first Root is in force since the first unseal");
    let next = rig.next_dev();
    rig.agreed(&next, Some(40)).await.unwrap();
    let (mut rates, mut done) = (Vec::new(), 0);
    while rig.vault.root.working().is_some() {
        let change = rig.change().await;
        assert!(change.done >= done);
        done = change.done;
        if let (RootChangeState::Running, Some(rate)) = (change.state, change.keys_per_second) {
            assert_eq!(change.seconds_left, (rate > 0).then(|| (change.total - change.done).div_ceil(rate)));
            rates.push(rate);
        }
        actix_web::rt::time::sleep(Duration::from_millis(20)).await;
    }
    // Batches are ten keys, so a moment after one it may look faster than the limit, and it never does in the long run.
    assert!(rates.last().is_some_and(|rate| (20..=60).contains(rate)), "{rates:?}");
    let over = rig.over().await;
    assert_eq!((over.state, over.keys_per_second, over.seconds_left), (RootChangeState::Done, None, None));
    let status = custody::status(&rig.vault, &officer("alice")).await.unwrap();
    let done_at = over.proof.as_deref().and_then(Reroot::read).unwrap().at_ms;
    assert_eq!(status.in_force_since, Some(strongroom_wire::admin::rfc3339_ms(done_at)));
}

#[actix_web::test]
async fn a_change_whose_store_takes_nothing_says_so_and_goes_on_when_there_is_room() {
    let rig = Rig::new().await;
    let next = rig.next_dev();
    rig.agreed(&next, Some(4)).await.unwrap();
    let full = rig.full();
    let stopped = loop {
        let change = rig.change().await;
        if change.state != RootChangeState::Running {
            break change;
        }
        actix_web::rt::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(stopped.state, RootChangeState::Stopped);
    assert!(stopped.fault.as_deref().is_some_and(|fault| fault.contains("make room on its disk")), "{stopped:?}");
    assert_eq!(rig.vault.store.root_in_force().await, Ok(Some(rig.vault.root.descriptor().sum())));
    drop(full);
    let done = rig.done().await;
    assert!(done.proof.is_some() && done.fault.is_none(), "{done:?}");
    rig.still_works().await;
}

#[actix_web::test]
async fn a_change_that_was_swapped_and_not_vouched_for_is_vouched_for_at_the_next_unseal() {
    let rig = Rig::new().await;
    let next = rig.next_dev();
    rig.agreed(&next, None).await.unwrap();
    let proof = rig.over().await.proof;
    // As if the process had ended between the two.
    rig.tampered("UPDATE root_changes SET state = 1, proof = NULL");
    rig.reopen().await;
    let change = rig.over().await;
    assert_eq!((change.state, change.proof), (RootChangeState::Done, proof));
}

#[actix_web::test]
async fn a_tenant_that_is_registered_meanwhile_comes_along() {
    let rig = Rig::new().await;
    for n in 0..20 {
        tenant::add(&rig.vault, &officer("alice"), format!("early-{n}").parse().unwrap()).await.unwrap();
    }
    let next = rig.next_dev();
    rig.agreed(&next, Some(320)).await.unwrap();
    let mut late = 0;
    while rig.change().await.state == RootChangeState::Running {
        tenant::add(&rig.vault, &officer("alice"), format!("late-{late}").parse().unwrap()).await.unwrap();
        late += 1;
        actix_web::rt::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(late > 3, "the change was over before anybody came");
    assert_eq!(rig.over().await.state, RootChangeState::Done);
    rig.still_works().await;
    assert!(rig.vault.barrier.active_term(&format!("late-{}", late - 1).parse().unwrap()).is_some());
}

#[actix_web::test]
async fn a_change_that_is_given_up_leaves_the_root_before() {
    let rig = Rig::new().await;
    for n in 0..20 {
        tenant::add(&rig.vault, &officer("alice"), format!("early-{n}").parse().unwrap()).await.unwrap();
    }
    let before = rig.vault.root.descriptor();
    let next = rig.next_dev();
    rig.agreed(&next, Some(100)).await.unwrap();
    let given_up = custody::abandon(&rig.vault, &officer("alice")).await.unwrap();
    assert_eq!(given_up.state, RootChangeState::Abandoned);
    assert_eq!(rig.over().await.state, RootChangeState::Abandoned);
    assert_eq!(rig.vault.store.root_in_force().await, Ok(Some(before.sum())));
    assert_eq!(rig.vault.store.count_staged().await.unwrap().0, 0);
    assert_eq!(custody::abandon(&rig.vault, &officer("alice")).await, Err(FlowError::NotFound));
    rig.still_works().await;
    // Another one may begin.
    let other = rig.next_dev();
    rig.agreed(&other, None).await.unwrap();
    assert_eq!(rig.over().await.state, RootChangeState::Done);
}

#[actix_web::test]
async fn a_vault_that_is_sealed_meanwhile_keeps_the_root_before_and_goes_on_after_the_unseal() {
    let rig = Rig::new().await;
    for n in 0..20 {
        tenant::add(&rig.vault, &officer("alice"), format!("early-{n}").parse().unwrap()).await.unwrap();
    }
    let next = rig.next_dev();
    rig.agreed(&next, Some(100)).await.unwrap();
    unseal::seal(&rig.vault, &officer("alice")).await.unwrap();
    assert_eq!(rig.over().await.state, RootChangeState::Stopped);
    assert_ne!(rig.vault.store.root_in_force().await, Ok(Some(next.sum())));
    unseal::by_itself(&rig.vault).await.unwrap();
    assert_eq!(rig.done().await.state, RootChangeState::Done);
    rig.still_works().await;
}

#[actix_web::test]
async fn a_root_json_that_is_not_the_one_agreed_on_does_not_come_into_force() {
    let rig = Rig::new().await;
    let (first, before) = (rig.next_dev(), rig.vault.root.descriptor());
    let asked =
        |to: &Descriptor| ActKind::ChangeRoot(ChangeRootRequest { to: hex(&to.sum()), keys_per_second_max: None });
    let act = acts::ask(&rig.vault, &officer("alice"), asked(&first)).await.unwrap();
    // Between the two another file is put there.
    let second = rig.next_dev();
    let refused = acts::approve(&rig.vault, &officer("bob"), act.act_id).await;
    assert!(matches!(refused, Err(FlowError::Conflict(_))), "{refused:?}");
    assert!(matches!(acts::ask(&rig.vault, &officer("alice"), asked(&first)).await, Err(FlowError::Conflict(_))));
    // Of another vault.
    let (_, foreign) = dev::make().unwrap();
    rig.put_next(&foreign);
    assert!(matches!(acts::ask(&rig.vault, &officer("alice"), asked(&foreign)).await, Err(FlowError::Conflict(_))));
    // The key of the first beside the root.json of the second.
    rig.put_next(&first);
    assert!(rig.agreed(&first, None).await.is_err());
    assert_eq!(rig.vault.store.root_in_force().await, Ok(Some(before.sum())));
    rig.put_next(&second);
    assert_eq!(rig.agreed(&second, None).await, Ok(ActState::Done));
    assert_eq!(rig.over().await.state, RootChangeState::Done);
}

#[actix_web::test]
async fn a_root_of_custodians_who_did_not_come_does_not_come_into_force() {
    let rig = Rig::new().await;
    let (next, _shares) = found(3, 2).unwrap();
    rig.put_next(&next);
    let (next, _shares) = strongroom_keys::root::found_for(rig.vault.root.descriptor().vault_id(), 3, 2).unwrap();
    rig.put_next(&next);
    let refused = rig.agreed(&next, None).await;
    assert!(matches!(refused, Err(FlowError::Conflict(_))), "{refused:?}");
    assert_eq!(rig.vault.store.root_change().await, Ok(None));
    // Nothing there at all.
    rig.remove_next();
    assert!(matches!(rig.agreed(&next, None).await, Err(FlowError::Conflict(_))));
}

#[actix_web::test]
async fn a_change_asked_for_out_of_range_is_refused_with_its_field() {
    let rig = Rig::new().await;
    let next = rig.next_dev();
    let cases = [(hex(&next.sum()), Some(0), "keys_per_second_max"), ("AA".repeat(32), None, "to")];
    for (to, keys_per_second_max, field) in cases {
        let asked = ActKind::ChangeRoot(ChangeRootRequest { to, keys_per_second_max });
        match acts::ask(&rig.vault, &officer("alice"), asked).await {
            Err(FlowError::Field { field: at, .. }) => assert_eq!(at, field),
            other => panic!("{other:?}"),
        }
    }
}
