//! A whole move between a real file and a real server: nothing is lost, nothing comes back, nothing wrong is taken for right.

use std::sync::Arc;

use strongroom_wire::admin::{KeyPurpose, RotationState};
use strongroom_wire::custody::RootChangeState;
use strongroom_wire::{ActId, TenantId};
use tempfile::TempDir;
use uuid::Uuid;

use super::super::target::Refusal;
use super::*;
use crate::store::conformance::{acme, answer, card, content, customer, key, tenant_row};
use crate::store::postgres::tests::options;
use crate::store::postgres::tests::server::Postgres;
use crate::store::postgres::{OpenError, PostgresStore};
use crate::store::{
    AcknowledgementRow, ActRow, CardFilter, CardRow, Cluster as _, Custody as _, KeptRow, KeyChange, NodeReport,
    RootChangeRow, RotationRow, SecretRow, SignTerm, SpentRow, SqliteOptions, SqliteStore, StagedKey, Store,
};

const RUN: Uuid = Uuid::from_u128(7);

/// A file with something in every table, and an empty database.
struct Rig {
    store: Arc<SqliteStore>,
    source: Source,
    database: String,
    acme: TenantId,
    cards: Vec<CardRow>,
    _folder: TempDir,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.db");
        let options = SqliteOptions { path, vault: "vault-a".to_owned(), bytes_max: None };
        let store = Arc::new(SqliteStore::open(&options).unwrap());
        let acme = acme(&*store).await;
        let mut cards = Vec::new();
        for nth in 0..40 {
            let mut row = card(&acme, (nth % 3 != 0).then(|| customer(&format!("cus_{}", nth % 5)).unwrap()));
            row.content.expires_ms = (nth % 7 == 0).then_some(u64::MAX >> 2);
            row.content.metadata = (nth % 4 == 0).then(|| content(1).envelope);
            if nth % 2 == 0 {
                row.created_ms = row.token.uuid().get_timestamp().map_or(0, |at| at.to_unix().0 * 1000);
            }
            store.insert_card(row.clone(), Some(answer(&acme, nth))).await.unwrap();
            cards.push(row);
        }
        fill(&*store, &acme).await;
        let source = Source::new(Arc::clone(&store));
        Self { store, source, database: Postgres::shared().fresh_database(), acme, cards, _folder: folder }
    }

    async fn target(&self) -> Target {
        Target::open(options(Postgres::shared(), &self.database)).await.unwrap()
    }

    async fn filling(&self) -> Filling {
        if self.source.started().await.unwrap().is_none() {
            self.source.begin(RUN, 5, None).await.unwrap();
        }
        Filling::take_up(self.source.clone(), self.target().await, RUN).await.unwrap()
    }

    async fn opened(&self) -> Result<PostgresStore, OpenError> {
        PostgresStore::open(options(Postgres::shared(), &self.database)).await
    }
}

/// Something in the tables that cards do not fill.
async fn fill(store: &dyn Store, acme: &TenantId) {
    let other: TenantId = "other".parse().unwrap();
    let keys = vec![key(KeyPurpose::Kek, Some(&other), 1), key(KeyPurpose::Session, Some(&other), 1)];
    store.insert_tenant(tenant_row(&other), keys.clone(), None).await.unwrap();
    let sign = key(KeyPurpose::Sign, None, 1);
    let term = SignTerm { node: None, term: 1, public_key: "audit+key".to_owned(), from_entry: 0, handover: None };
    let change = KeyChange { insert: vec![sign.clone()], sign_term: Some(term), ..KeyChange::default() };
    assert!(store.change_keys(change).await.unwrap());
    let secret = SecretRow {
        tenant: acme.clone(),
        id: strongroom_wire::SecretId::fresh(),
        name: "psp live".to_owned(),
        created_ms: 5,
        envelope: content(1).envelope,
        mac_term: 1,
        binding: [3; 16],
    };
    store.insert_secret(secret).await.unwrap();
    store.spend(SpentRow { term: 1, enc: [1; 32], request: [2; 32], at_ms: 5 }).await.unwrap();
    store.put_kept(KeptRow { name: "rule".to_owned(), value: vec![1, 2], note: "signed".to_owned() }).await.unwrap();
    let act = ActRow { id: ActId::fresh(), is_open: true, until_ms: 9, note: "an act".to_owned() };
    store.insert_act(act).await.unwrap();
    let rotation = RotationRow {
        key: KeyPurpose::Kek,
        tenant: Some(acme.clone()),
        to_term: 2,
        state: RotationState::Running,
        done: 1,
        total: 9,
        started_ms: 5,
        records_per_second_max: Some(4),
        emergency: false,
        fault: None,
        proof: None,
    };
    store.put_rotation(rotation).await.unwrap();
    store.adopt_root([7; 32]).await.unwrap();
    let change = RootChangeRow {
        from: [7; 32],
        to: [8; 32],
        rewraps: true,
        state: RootChangeState::Running,
        done: 0,
        total: 3,
        started_ms: 5,
        keys_per_second_max: None,
        fault: None,
        proof: None,
    };
    assert!(store.begin_root_change(change).await.unwrap());
    let staged = StagedKey { name: sign.name, instead_of: sign.wrapped, wrapped: vec![9; 60] };
    assert!(store.stage_keys([8; 32], vec![staged]).await.unwrap());
    let row = AcknowledgementRow { who: "ben".to_owned(), root: [7; 32], duty: 1, at_ms: 5 };
    assert!(store.acknowledge(row).await.unwrap());
    store.set_stays_sealed(true).await.unwrap();
}

async fn to_the_end(filling: &mut Filling) {
    while filling.page(7).await.unwrap().is_some() {}
    while filling.follow(5).await.unwrap() > 0 {}
}

#[tokio::test]
async fn every_row_of_every_table_goes_over_and_a_vault_finds_it_there() {
    let rig = Rig::new().await;
    let mut filling = rig.filling().await;
    to_the_end(&mut filling).await;
    assert_eq!(filling.compare().await.unwrap(), Verdict::Same);
    let (rows, digest) = filling.result();
    let ours = rig.source.snapshot().await.unwrap().tally().await.unwrap();
    assert_eq!((ours.rows(), ours.digest()), (rows, digest));
    assert_eq!(ours.tables(), TABLES_ALL, "the rig has something in every table");
    assert_eq!(rig.opened().await.err(), Some(OpenError::HalfMoved));
    filling.target.release(RUN).await.unwrap();
    filling.target.release(RUN).await.unwrap();
    let there = rig.opened().await.unwrap();
    for row in &rig.cards {
        assert_eq!(there.card(&rig.acme, &row.token, 0).await.unwrap().as_ref(), Some(row));
    }
    for nth in 0..5 {
        let filter = CardFilter { customer: customer(&format!("cus_{nth}")), fingerprint: None };
        let list = |store: Arc<dyn Store>| {
            let (acme, filter) = (rig.acme.clone(), filter.clone());
            async move { store.cards(&acme, &filter, None, 1000, 0).await.unwrap() }
        };
        assert_eq!(there.cards(&rig.acme, &filter, None, 1000, 0).await.unwrap(), list(rig.store.clone()).await);
    }
    let here: &dyn Store = &*rig.store;
    assert_eq!(there.tenants().await, here.tenants().await);
    assert_eq!(there.kept("").await, here.kept("").await);
    assert_eq!(there.acts().await, here.acts().await);
    assert_eq!(there.rotations().await, here.rotations().await);
    assert_eq!(there.sign_terms().await, here.sign_terms().await);
    assert_eq!(there.root_change().await, here.root_change().await);
    assert_eq!(there.root_in_force().await, here.root_in_force().await);
    assert_eq!(there.acknowledgements().await, here.acknowledgements().await);
    assert_eq!(there.stays_sealed().await, here.stays_sealed().await);
    assert_eq!(there.count_staged().await, here.count_staged().await);
    let mut keys = (there.keys().await.unwrap(), here.keys().await.unwrap());
    keys.0.sort_by_key(|row| format!("{:?}", row.name));
    keys.1.sort_by_key(|row| format!("{:?}", row.name));
    assert_eq!(keys.0, keys.1);
    let kept = answer(&rig.acme, 4);
    assert_eq!(there.answer(&rig.acme, &kept.name, 0).await, here.answer(&rig.acme, &kept.name, 0).await);
    // The tenant is known under the number that its rows have, and a customer's card is found again.
    let again = CardRow { token: strongroom_wire::Token::fresh(), ..rig.cards[1].clone() };
    let found = there.insert_card(again, None).await;
    assert_eq!(found, Ok(crate::store::Inserted::Duplicate(rig.cards[1].token)));
}

const TABLES_ALL: usize = 14;

#[tokio::test]
async fn what_changes_during_the_copy_is_there_as_it_is_in_the_end() {
    let rig = Rig::new().await;
    let mut filling = rig.filling().await;
    let place = super::super::TABLES.iter().position(|table| table.name() == "cards").unwrap();
    // A page that was read, and not loaded yet when its cards are deleted.
    let (records, _) = rig.source.page(place, None, 10).await.unwrap();
    let (gone, changed, kept) = (&rig.cards[1], &rig.cards[2], &rig.cards[30]);
    assert!(rig.store.delete_card(&rig.acme, &gone.token).await.unwrap());
    let new = content(2);
    assert!(rig.store.swap_card(&rig.acme, &changed.token, changed.content.clone(), new.clone()).await.unwrap());
    let mark = filling.mark.next();
    filling.target.load(place, &records, &filling.mark, &mark).await.unwrap();
    filling.mark = mark;
    while filling.page(9).await.unwrap().is_some() {
        filling.follow(1).await.unwrap();
    }
    let late = card(&rig.acme, customer("cus_late"));
    rig.store.insert_card(late.clone(), None).await.unwrap();
    assert!(rig.store.delete_card(&rig.acme, &kept.token).await.unwrap());
    assert_eq!(filling.compare().await.unwrap(), Verdict::Same);
    // And after the comparison.
    let last = card(&rig.acme, customer("cus_last"));
    rig.store.insert_card(last.clone(), None).await.unwrap();
    assert!(rig.store.delete_card(&rig.acme, &late.token).await.unwrap());
    assert!(
        rig.store.insert_card(CardRow { token: strongroom_wire::Token::fresh(), ..late.clone() }, None).await.is_ok()
    );
    rig.source.hold().await.unwrap();
    while filling.follow(2).await.unwrap() > 0 {}
    assert_eq!(filling.verdict(), Verdict::Same);
    let ours = rig.source.snapshot().await.unwrap().tally().await.unwrap();
    assert_eq!((ours.rows(), ours.digest()), filling.result(), "what was kept true is what is there");
    assert!(filling.target.claims_are_whole().await.unwrap());
    filling.target.release(RUN).await.unwrap();
    let there = rig.opened().await.unwrap();
    assert_eq!(there.card(&rig.acme, &gone.token, 0).await, Ok(None));
    assert_eq!(there.card(&rig.acme, &kept.token, 0).await, Ok(None));
    assert_eq!(there.card(&rig.acme, &late.token, 0).await, Ok(None));
    assert_eq!(there.card(&rig.acme, &changed.token, 0).await.unwrap().unwrap().content, new);
    assert_eq!(there.card(&rig.acme, &last.token, 0).await, Ok(Some(last)));
}

#[tokio::test]
async fn what_an_earlier_attempt_sent_late_changes_nothing() {
    let rig = Rig::new().await;
    let mut first = rig.filling().await;
    first.page(7).await.unwrap();
    let mut second = rig.filling().await;
    assert_eq!(second.mark().done(), first.mark().done(), "it goes on where the first one was");
    assert_eq!(first.page(7).await, Err(Trouble::Refused(Refusal::Lost)));
    rig.store.delete_card(&rig.acme, &rig.cards[0].token).await.unwrap();
    assert_eq!(first.follow(7).await, Err(Trouble::Refused(Refusal::Lost)));
    to_the_end(&mut second).await;
    assert_eq!(second.compare().await.unwrap(), Verdict::Same);
}

#[tokio::test]
async fn rows_that_are_not_the_same_are_found_whatever_is_wrong_with_them() {
    let rig = Rig::new().await;
    let server = Postgres::shared();
    let token = rig.cards[3].token.uuid();
    let also = rig.cards[4].token.uuid();
    for (harm, mend, table) in [
        (
            format!("UPDATE cards SET binding = '{token}' WHERE token = '{token}'"),
            format!(
                "UPDATE cards SET binding = '{}' WHERE token = '{token}'",
                Uuid::from_bytes(rig.cards[3].content.binding)
            ),
            "cards",
        ),
        (
            format!(
                "CREATE TABLE aside AS SELECT * FROM cards WHERE token = '{also}'; DELETE FROM cards WHERE token = '{also}'"
            ),
            "INSERT INTO cards SELECT * FROM aside; DROP TABLE aside".to_owned(),
            "cards",
        ),
        (
            "UPDATE keys SET wraps = wraps + 1 WHERE purpose = 4".to_owned(),
            "UPDATE keys SET wraps = wraps - 1 WHERE purpose = 4".to_owned(),
            "keys",
        ),
        (
            "INSERT INTO kept VALUES ('more', '\\x01', '')".to_owned(),
            "DELETE FROM kept WHERE name = 'more'".to_owned(),
            "kept",
        ),
    ] {
        let mut filling = rig.filling().await;
        to_the_end(&mut filling).await;
        assert_eq!(filling.compare().await.unwrap(), Verdict::Same);
        server.sql(&rig.database, &harm);
        match filling.compare().await.unwrap() {
            Verdict::Differs(found) => assert_eq!(found.table, table),
            other => panic!("{harm}: {other:?}"),
        }
        server.sql(&rig.database, &mend);
    }
    let mut filling = rig.filling().await;
    server.sql(&rig.database, "DELETE FROM claims WHERE token = (SELECT min(token::text)::uuid FROM claims)");
    assert_eq!(filling.compare().await.unwrap(), Verdict::Claims);
}

#[tokio::test]
async fn an_envelope_of_an_old_form_is_not_taken_over() {
    let rig = Rig::new().await;
    let mut filling = rig.filling().await;
    to_the_end(&mut filling).await;
    let mut old = content(1);
    old.envelope[0] = 0;
    let row = CardRow { content: old, ..card(&rig.acme, None) };
    rig.store.insert_card(row.clone(), None).await.unwrap();
    assert_eq!(filling.compare().await.unwrap(), Verdict::Strange(1));
    rig.store.delete_card(&rig.acme, &row.token).await.unwrap();
    while filling.follow(9).await.unwrap() > 0 {}
    assert_eq!(filling.verdict(), Verdict::Same);
}

#[tokio::test]
async fn a_database_that_is_not_empty_is_not_moved_into_and_is_left_as_it_is() {
    let rig = Rig::new().await;
    let used = rig.opened().await.unwrap();
    let target = rig.target().await;
    assert_eq!(target.check(None).await, Ok(()));
    // A vault that runs on it, before it has any row.
    let node = NodeReport {
        node: "a".parse().unwrap(),
        run: Uuid::from_u128(1),
        holds: false,
        taken: 0,
        settled: 0,
        news: Vec::new(),
    };
    assert!(used.join(node.clone()).await.unwrap());
    assert_eq!(target.check(None).await, Err(Trouble::Refused(Refusal::NotEmpty)));
    used.depart(node.run).await.unwrap();
    // As a node that left.
    drop(used);
    let used = rig.opened().await.unwrap();
    acme(&used).await;
    assert_eq!(target.check(None).await, Err(Trouble::Refused(Refusal::NotEmpty)));
    assert_eq!(target.claim(RUN).await.err(), Some(Trouble::Refused(Refusal::NotEmpty)));
    target.empty(RUN).await.unwrap();
    assert_eq!(used.tenants().await.unwrap().len(), 1, "what this move did not fill it does not empty");
}

#[tokio::test]
async fn a_database_is_filled_by_one_move_and_empty_when_that_is_given_up() {
    let rig = Rig::new().await;
    let mut filling = rig.filling().await;
    to_the_end(&mut filling).await;
    let (target, other) = (rig.target().await, Uuid::from_u128(8));
    assert_eq!(target.check(None).await, Err(Trouble::Refused(Refusal::OtherMove)));
    assert_eq!(target.check(Some(RUN)).await, Ok(()));
    assert_eq!(target.claim(other).await.err(), Some(Trouble::Refused(Refusal::OtherMove)));
    assert_eq!(target.empty(other).await, Err(Trouble::Refused(Refusal::OtherMove)));
    assert_eq!(target.release(other).await, Err(Trouble::Refused(Refusal::OtherMove)));
    target.empty(RUN).await.unwrap();
    assert_eq!(target.release(RUN).await, Err(Trouble::Refused(Refusal::Lost)), "an empty database is not the store");
    assert_eq!(filling.follow(1).await, Ok(0));
    assert_eq!(target.check(None).await, Ok(()), "as if nothing had been");
    rig.source.abandon().await.unwrap();
    let mut again = rig.filling().await;
    to_the_end(&mut again).await;
    assert_eq!(again.compare().await.unwrap(), Verdict::Same);
}
