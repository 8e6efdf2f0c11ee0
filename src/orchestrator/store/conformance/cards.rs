//! Cards of payments, kept cards and their names.

use strongroom_wire::Token;
use strongroom_wire::payment_method::{Brand, CardSummary};

use super::super::{ChoreKind, Effects, NewChore, PaymentToken, Record, SavedUse, Store};
use super::{payment, shop};
use crate::intent::{Method, State};

pub(super) fn chore(kind: ChoreKind, token: Token) -> NewChore {
    NewChore { merchant_id: shop(), kind, record: Record::Card(token), payment_id: "pay_e".into(), due_ms: 0 }
}

pub(super) async fn are_in_use_while_a_payment_lives_or_a_chore_will_keep_them(store: &dyn Store) {
    let mut using = payment("pay_u");
    using.state = State::RequiresCapture;
    let token = Token::fresh();
    using.method = Some(method(token));
    let version = store.add_payment(&using, &Effects::default()).await.unwrap();
    assert!(store.is_card_in_use(&shop(), token, "").await.unwrap());
    assert!(!store.is_card_in_use(&shop(), token, "pay_u").await.unwrap());
    assert!(!store.is_card_in_use(&"other".parse().unwrap(), token, "").await.unwrap());
    using.state = State::Succeeded;
    let keeps = Effects { chores: vec![chore(ChoreKind::Retain, token)], ..Effects::default() };
    store.save_payment(&using, version, &keeps).await.unwrap();
    assert!(store.is_card_in_use(&shop(), token, "pay_u").await.unwrap(), "it is about to be kept");
    let chores = store.due_chores(0, 10).await.unwrap();
    store.finish_chore(chores[0].id).await.unwrap();
    store.add_chore(&NewChore { due_ms: 50, ..chore(ChoreKind::ShredStray, token) }).await.unwrap();
    assert!(!store.is_card_in_use(&shop(), token, "").await.unwrap(), "a card that will be shredded is not used");
    assert!(store.due_chores(49, 10).await.unwrap().is_empty());
    let chores = store.due_chores(50, 10).await.unwrap();
    assert_eq!((chores.len(), chores[0].kind), (1, ChoreKind::ShredStray));
    store.finish_chore(chores[0].id).await.unwrap();
}

fn method(token: Token) -> Method {
    let card = CardSummary {
        brand: Brand::Visa,
        bin: "42424242".into(),
        last4: "4242".into(),
        exp_month: 3,
        exp_year: 2034,
        fingerprint: "f".into(),
    };
    Method { token, fresh: true, kept: false, card, network_transaction_id: None }
}

pub(super) async fn payment_tokens_end(store: &dyn Store) {
    let token = PaymentToken {
        payment_token: "token_1".into(),
        merchant_id: shop(),
        customer_id: "cus_1".parse().unwrap(),
        token: Token::fresh(),
        expires_ms: 10,
    };
    store.add_payment_tokens(std::slice::from_ref(&token), 0).await.unwrap();
    assert_eq!(store.payment_token(&shop(), "token_1", 9).await.unwrap(), Some(token));
    assert_eq!(store.payment_token(&shop(), "token_1", 10).await.unwrap(), None);
}

pub(super) async fn use_of_a_kept_card_is_forgotten_when_told_so(store: &dyn Store) {
    let (paid, customer) = (payment("pay_f"), "cus_f".parse().unwrap());
    let mut version = store.add_payment(&paid, &Effects::default()).await.unwrap();
    let tokens = [Token::fresh(), Token::fresh()];
    for token in tokens {
        let used = SavedUse {
            merchant_id: shop(),
            customer_id: "cus_f".parse().unwrap(),
            token,
            last_used_ms: 5,
            network_transaction_id: None,
            off_session: true,
        };
        let effects = Effects { used: Some(used), ..Effects::default() };
        version = store.save_payment(&paid, version, &effects).await.unwrap();
    }
    store.forget_saved_use(&shop(), &"cus_g".parse().unwrap(), tokens[0]).await.unwrap();
    assert_eq!(store.saved_uses(&shop(), &customer).await.unwrap().len(), 2);
    store.forget_saved_use(&shop(), &customer, tokens[0]).await.unwrap();
    let left = store.saved_uses(&shop(), &customer).await.unwrap();
    assert_eq!((left.len(), left[0].token), (1, tokens[1]));
    store.forget_saved_use(&shop(), &customer, tokens[0]).await.unwrap();
}
