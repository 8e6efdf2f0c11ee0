//! What every store must do, written against the trait; each backend runs it.

mod accounts;
mod cards;
mod desk;
mod kept;
mod lists;
mod outbox;
mod payments;

use std::sync::Arc;

use serde_json::Map;
use strongroom_wire::TenantId;

use super::{Store, StoreError};
use crate::account::Merchant;
use crate::intent::rig::new_payment;
use crate::intent::{Attempt, AttemptStatus, Payment, Refund, RefundStatus, State};

/// Runs everything on a store that is empty.
pub(super) async fn conform(store: Arc<dyn Store>) {
    with_merchant(&*store).await;
    accounts::api_keys_end(&*store).await;
    accounts::documents_are_replaced_only_as_they_were_seen(&*store).await;
    accounts::routing_rules_are_kept_as_they_came(&*store).await;
    accounts::routing_rules_are_replaced_only_as_they_were_seen(&*store).await;
    payments::are_changed_by_one_at_a_time(&*store).await;
    payments::refund_ids_belong_to_one_payment(&*store).await;
    payments::effects_are_stored_with_the_payment_or_not_at_all(&*store).await;
    payments::due_ones_are_found_by_time(&*store).await;
    payments::are_found_by_the_ids_of_the_provider(&*store).await;
    cards::are_in_use_while_a_payment_lives_or_a_chore_will_keep_them(&*store).await;
    cards::payment_tokens_end(&*store).await;
    cards::use_of_a_kept_card_is_forgotten_when_told_so(&*store).await;
    lists::payments_are_filtered_and_paged(&*store).await;
    lists::refunds_are_paged_across_payments(&*store).await;
    outbox::of_each_payment_the_oldest_that_waits_is_claimed_once(&*store).await;
    outbox::events_are_given_up_replayed_and_listed(&*store).await;
    outbox::an_event_of_a_provider_is_answered_once(&*store).await;
    outbox::sweeping_takes_what_is_done_and_old(&*store).await;
    kept::idempotency_keys_are_reserved_once(&*store).await;
    kept::a_key_is_taken_over_when_its_run_is_gone(&*store).await;
    kept::a_change_under_a_key_is_stored_by_its_holder_alone(&*store).await;
    desk::merchants_are_listed_page_by_page(&*store).await;
    desk::payments_are_counted_within_a_bound(&*store).await;
    desk::sessions_begin_are_seen_and_end(&*store).await;
    desk::tries_are_counted_until_a_name_is_locked(&*store).await;
    store.ping().await.unwrap();
}

pub(super) fn shop() -> TenantId {
    "shop".parse().unwrap()
}

pub(super) fn merchant_named(name: &str) -> Merchant {
    Merchant {
        merchant_id: name.parse().unwrap(),
        merchant_name: None,
        publishable_key: format!("pk_{name}"),
        profile_id: "pro_1".into(),
        metadata: Map::new(),
        webhooks: Default::default(),
        encryption: Default::default(),
        allowed_origins: vec![format!("https://{name}.test")],
        created_ms: 1,
    }
}

pub(super) async fn with_merchant(store: &dyn Store) {
    let merchant = merchant_named("shop");
    store.add_merchant(&merchant).await.unwrap();
    assert_eq!(store.add_merchant(&merchant).await, Err(StoreError::Duplicate));
    assert_eq!(store.merchant(&shop()).await.unwrap(), Some(merchant.clone()));
    assert_eq!(store.merchant_of_publishable_key("pk_shop").await.unwrap(), Some(merchant));
    assert_eq!(store.merchant_of_publishable_key("pk_2").await.unwrap(), None);
}

pub(super) fn payment(id: &str) -> Payment {
    Payment {
        payment_id: id.into(),
        merchant_id: shop(),
        state: State::Succeeded,
        terms: new_payment(|_| {}).terms,
        captured_minor: 0,
        method: None,
        attempts: Vec::new(),
        pending: None,
        redirect_url: None,
        watch: None,
        asked_ms: None,
        refunds: Vec::new(),
        captures: Vec::new(),
        increments: Vec::new(),
        disputes: Vec::new(),
        plan: Vec::new(),
        authorized_until_ms: None,
        capture_due_ms: None,
        capture_tries: 0,
        told: None,
        vault_sessions: 1,
        cancellation_reason: None,
        client_secret: "s".into(),
        created_ms: 0,
        modified_ms: 0,
        expires_ms: 0,
    }
}

pub(super) fn refund(id: &str) -> Refund {
    Refund {
        refund_id: id.into(),
        amount_minor: 1,
        status: RefundStatus::Succeeded,
        reason: None,
        metadata: Map::new(),
        psp_refund_id: None,
        error_code: None,
        error_message: None,
        flight: None,
        told: None,
        created_ms: 0,
        modified_ms: 0,
    }
}

pub(super) fn attempt(connector: &str, account_id: &str, psp_id: Option<&str>) -> Attempt {
    Attempt {
        attempt_id: "a".into(),
        connector: connector.into(),
        account_id: account_id.into(),
        status: AttemptStatus::Charged,
        idempotency_key: "k".into(),
        psp_id: psp_id.map(str::to_owned),
        network_transaction_id: None,
        error_code: None,
        error_message: None,
        decline_kind: None,
        handles: Default::default(),
        authorization_days: 7,
        created_ms: 0,
        ended_ms: None,
    }
}
