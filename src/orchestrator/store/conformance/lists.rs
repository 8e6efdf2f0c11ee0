//! Lists of payments and refunds.

use strongroom_wire::TenantId;

use super::super::{Effects, PaymentFilter, Store};
use super::{attempt, merchant_named, payment, refund};
use crate::intent::State;

fn lister() -> TenantId {
    "lister".parse().unwrap()
}

pub(super) async fn payments_are_filtered_and_paged(store: &dyn Store) {
    store.add_merchant(&merchant_named("lister")).await.unwrap();
    // Two of them were made in the same millisecond.
    for (id, created_ms, state, amount, currency, connector, customer) in [
        ("pay_a", 10, State::Succeeded, 100, "USD", Some("stripe"), Some("cus_1")),
        ("pay_b", 20, State::Failed, 200, "EUR", Some("adyen"), Some("cus_1")),
        ("pay_c", 20, State::Succeeded, 300, "USD", Some("adyen"), None),
        ("pay_d", 30, State::RequiresPaymentMethod, 400, "JPY", None, Some("cus_2")),
    ] {
        let mut made = payment(id);
        made.merchant_id = lister();
        made.created_ms = created_ms;
        made.terms.amount_minor = amount;
        made.terms.currency = currency.parse().unwrap();
        made.terms.customer_id = customer.map(|c| c.parse().unwrap());
        made.attempts = connector.map(|name| attempt(name, "mca_l", None)).into_iter().collect();
        let version = store.add_payment(&made, &Effects::default()).await.unwrap();
        // The columns follow the document.
        made.state = state;
        store.save_payment(&made, version, &Effects::default()).await.unwrap();
    }
    let list = async |filter: &PaymentFilter, limit: u32| {
        let payments = store.payments(&lister(), filter, limit).await.unwrap();
        payments.into_iter().map(|p| p.payment_id.trim_start_matches("pay_").to_owned()).collect::<String>()
    };
    let none = PaymentFilter::default;
    let usd = "USD".parse().unwrap();
    for (filter, expected) in [
        (none(), "dcba"),
        (PaymentFilter { customer_id: Some("cus_1".parse().unwrap()), ..none() }, "ba"),
        (PaymentFilter { customer_id: Some("cus_3".parse().unwrap()), ..none() }, ""),
        (PaymentFilter { status: vec![State::Succeeded], ..none() }, "ca"),
        (PaymentFilter { status: vec![State::Failed, State::RequiresPaymentMethod], ..none() }, "db"),
        (PaymentFilter { connector: vec!["adyen".into()], ..none() }, "cb"),
        (PaymentFilter { connector: vec!["adyen".into(), "stripe".into()], ..none() }, "cba"),
        (PaymentFilter { connector: vec!["a'b".into()], ..none() }, ""),
        (PaymentFilter { currency: vec![usd], ..none() }, "ca"),
        (PaymentFilter { currency: vec!["EUR".parse().unwrap(), "JPY".parse().unwrap()], ..none() }, "db"),
        (PaymentFilter { created_from_ms: Some(20), ..none() }, "dcb"),
        (PaymentFilter { created_from_ms: Some(21), ..none() }, "d"),
        (PaymentFilter { created_until_ms: Some(20), ..none() }, "cba"),
        (PaymentFilter { created_until_ms: Some(19), ..none() }, "a"),
        (PaymentFilter { amount_from_minor: Some(200), amount_until_minor: Some(300), ..none() }, "cb"),
        (PaymentFilter { amount_from_minor: Some(u64::MAX), ..none() }, ""),
        (PaymentFilter { amount_until_minor: Some(u64::MAX), ..none() }, "dcba"),
        (PaymentFilter { before: Some((20, "pay_c".into())), ..none() }, "ba"),
        (PaymentFilter { before: Some((20, "pay_b".into())), ..none() }, "a"),
        (PaymentFilter { before: Some((10, "pay_a".into())), ..none() }, ""),
        (
            PaymentFilter {
                status: vec![State::Succeeded],
                currency: vec![usd],
                before: Some((20, "pay_c".into())),
                ..none()
            },
            "a",
        ),
    ] {
        assert_eq!(list(&filter, 10).await, expected, "{filter:?}");
    }
    assert_eq!(list(&none(), 3).await, "dcb");
    assert!(store.payments(&"nobody".parse().unwrap(), &none(), 10).await.unwrap().is_empty());
}

pub(super) async fn refunds_are_paged_across_payments(store: &dyn Store) {
    for (payment_id, refunds) in [("pay_x", [("ref_1", 5), ("ref_4", 8)]), ("pay_y", [("ref_2", 7), ("ref_3", 7)])] {
        let mut made = payment(payment_id);
        made.merchant_id = lister();
        for (id, created_ms) in refunds {
            let mut one = refund(id);
            one.created_ms = created_ms;
            made.refunds.push(one);
        }
        store.add_payment(&made, &Effects::default()).await.unwrap();
    }
    let list = async |payment_id: Option<&str>, before: Option<(i64, String)>, limit: u32| {
        let refunds = store.refunds(&lister(), payment_id, before, limit).await.unwrap();
        assert!(refunds.iter().all(|(of, id)| of.refunds.iter().any(|r| r.refund_id == *id)));
        refunds.into_iter().map(|(_, id)| id.trim_start_matches("ref_").to_owned()).collect::<String>()
    };
    assert_eq!(list(None, None, 10).await, "4321");
    assert_eq!(list(None, None, 2).await, "43");
    assert_eq!(list(None, Some((7, "ref_3".into())), 10).await, "21");
    assert_eq!(list(Some("pay_x"), None, 10).await, "41");
    assert_eq!(list(Some("pay_x"), Some((8, "ref_4".into())), 10).await, "1");
    assert_eq!(list(Some("pay_z"), None, 10).await, "");
    assert!(store.refunds(&"nobody".parse().unwrap(), None, None, 10).await.unwrap().is_empty());
}
