//! Merchants and what belongs to them.

use serde_json::Map;
use strongroom_wire::SecretId;

use super::super::{Store, StoreError};
use super::{merchant_named, shop};
use crate::account::{ApiKey, ConnectorAccount, Customer};

pub(super) async fn api_keys_end(store: &dyn Store) {
    let key = ApiKey {
        key_id: "key_1".into(),
        merchant_id: shop(),
        name: "n".into(),
        description: None,
        prefix: "sk_a".into(),
        hash: "h".into(),
        created_ms: 0,
        expires_ms: None,
        revoked_ms: None,
    };
    store.add_api_key(&key).await.unwrap();
    assert!(store.revoke_api_key(&shop(), "key_1", 5).await.unwrap());
    assert!(!store.revoke_api_key(&shop(), "key_2", 5).await.unwrap());
    assert_eq!(store.api_key_of_hash("h").await.unwrap().unwrap().revoked_ms, Some(5));
}

pub(super) async fn documents_are_replaced_only_as_they_were_seen(store: &dyn Store) {
    let merchant = merchant_named("seller");
    store.add_merchant(&merchant).await.unwrap();
    let mut renamed = merchant.clone();
    (renamed.merchant_name, renamed.publishable_key) = (Some("Seller".into()), "pk_new".into());
    assert_eq!(store.save_merchant(&renamed, &renamed).await, Err(StoreError::Conflict));
    store.save_merchant(&renamed, &merchant).await.unwrap();
    assert_eq!(store.save_merchant(&merchant, &merchant).await, Err(StoreError::Conflict));
    assert_eq!(store.merchant_of_publishable_key("pk_new").await.unwrap(), Some(renamed.clone()));
    assert_eq!(store.merchant_of_publishable_key("pk_seller").await.unwrap(), None);
    let stranger = merchant_named("nobody");
    assert_eq!(store.save_merchant(&stranger, &stranger).await, Err(StoreError::Conflict));
    let mut thief = renamed.clone();
    thief.publishable_key = "pk_shop".into();
    assert_eq!(store.save_merchant(&thief, &renamed).await, Err(StoreError::Duplicate), "another merchant's key");

    let account = ConnectorAccount {
        account_id: "mca_seen".into(),
        merchant_id: shop(),
        connector: "rig".into(),
        label: "first".into(),
        secret_id: SecretId::fresh(),
        has_webhook_secret: false,
        rotated_ms: None,
        retired: Vec::new(),
        accepts: Default::default(),
        destination: None,
        deleted_ms: None,
        test_mode: true,
        disabled: false,
        created_ms: 3,
    };
    store.add_connector_account(&account).await.unwrap();
    let disabled = ConnectorAccount { disabled: true, ..account.clone() };
    assert_eq!(store.save_connector_account(&disabled, &disabled).await, Err(StoreError::Conflict));
    store.save_connector_account(&disabled, &account).await.unwrap();
    assert_eq!(store.save_connector_account(&account, &account).await, Err(StoreError::Conflict));
    let elsewhere = ConnectorAccount { merchant_id: "seller".parse().unwrap(), ..disabled.clone() };
    assert_eq!(store.save_connector_account(&elsewhere, &elsewhere).await, Err(StoreError::Conflict));
    assert_eq!(store.connector_accounts(&shop()).await.unwrap(), [disabled]);

    let customer = Customer {
        customer_id: "cus_seen".parse().unwrap(),
        merchant_id: shop(),
        name: Some("A".into()),
        email: None,
        phone: None,
        phone_country_code: None,
        description: None,
        metadata: Map::new(),
        default_method: None,
        created_ms: 4,
    };
    store.add_customer(&customer).await.unwrap();
    let renamed = Customer { name: Some("B".into()), ..customer.clone() };
    store.save_customer(&renamed, &customer).await.unwrap();
    assert_eq!(store.save_customer(&customer, &customer).await, Err(StoreError::Conflict));
    assert_eq!(store.customer(&shop(), &customer.customer_id).await.unwrap(), Some(renamed.clone()));
    assert_eq!(store.customers(&shop(), 10, 0).await.unwrap(), [renamed]);
    assert!(store.customers(&shop(), 10, 1).await.unwrap().is_empty());
}

pub(super) async fn routing_rules_are_replaced_only_as_they_were_seen(store: &dyn Store) {
    let swap = async |seen: Option<&str>, document: Option<&str>| store.swap_routing(&shop(), seen, document).await;
    assert_eq!(swap(Some("{}"), Some("{}")).await, Err(StoreError::Conflict), "there are none");
    assert_eq!(swap(Some("{}"), None).await, Err(StoreError::Conflict));
    assert_eq!(swap(None, None).await, Ok(()));
    assert_eq!(swap(None, Some("{}")).await, Ok(()));
    assert_eq!(swap(None, Some("[]")).await, Err(StoreError::Conflict), "somebody else was first");
    assert_eq!(swap(None, None).await, Err(StoreError::Conflict));
    assert_eq!(swap(Some("{ }"), Some("[]")).await, Err(StoreError::Conflict));
    assert_eq!(store.routing(&shop()).await.unwrap().as_deref(), Some("{}"));
    assert_eq!(swap(Some("{}"), Some("[]")).await, Ok(()));
    assert_eq!(store.routing(&shop()).await.unwrap().as_deref(), Some("[]"));
    assert_eq!(swap(Some("[]"), None).await, Ok(()));
    assert_eq!(store.routing(&shop()).await.unwrap(), None);
}

pub(super) async fn routing_rules_are_kept_as_they_came(store: &dyn Store) {
    assert_eq!(store.routing(&shop()).await.unwrap(), None);
    for text in [r#"{"b":1,"a":2}"#, "{}"] {
        store.save_routing(&shop(), Some(text)).await.unwrap();
        assert_eq!(store.routing(&shop()).await.unwrap().as_deref(), Some(text), "not one byte differs");
    }
    assert_eq!(store.routing(&"seller".parse().unwrap()).await.unwrap(), None);
    store.save_routing(&shop(), None).await.unwrap();
    assert_eq!(store.routing(&shop()).await.unwrap(), None);
}
