//! The bodies of `/PaymentGatewayAccounts`, and what they are in the native dialect.

use serde::Deserialize;
use strongroom_wire::limits;

use super::fail::Fail;
use crate::api::connector_body::{ConnectorChangeBody, ConnectorTypeWord, DetailsBody, NewConnectorBody, WebhookBody};
use crate::vault::SecretText;

/// `POST /PaymentGatewayAccounts`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewAccountBody {
    name: String,
    provider: String,
    credentials: CredentialsBody,
    destination: Option<String>,
    test_mode: Option<bool>,
    enabled: Option<bool>,
}

/// `PUT /PaymentGatewayAccounts/{name}`: what is absent stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct AccountChangeBody {
    name: Option<String>,
    test_mode: Option<bool>,
    enabled: Option<bool>,
}

/// `POST /PaymentGatewayAccounts/{name}/rotate`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RotateBody {
    credentials: CredentialsBody,
    overlap_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CredentialsBody {
    api_key: SecretText,
    key1: Option<SecretText>,
    api_secret: Option<SecretText>,
    webhook_secret: Option<SecretText>,
}

impl CredentialsBody {
    fn native(self) -> (DetailsBody, Option<WebhookBody>) {
        let webhook = self.webhook_secret.map(|merchant_secret| WebhookBody { merchant_secret });
        (DetailsBody::of(self.api_key, self.key1, self.api_secret), webhook)
    }
}

impl NewAccountBody {
    pub(super) fn native(self) -> Result<NewConnectorBody, Fail> {
        let (details, webhook) = self.credentials.native();
        Ok(NewConnectorBody {
            connector_type: ConnectorTypeWord::PaymentProcessor,
            connector_name: self.provider,
            connector_label: Some(checked(self.name)?),
            connector_account_details: details,
            connector_webhook_details: webhook,
            accepts: None,
            destination: self.destination,
            test_mode: self.test_mode,
            disabled: self.enabled.map(|enabled| !enabled),
            verify: true,
        })
    }
}

impl AccountChangeBody {
    pub(super) fn native(self) -> Result<ConnectorChangeBody, Fail> {
        let label = self.name.map(checked).transpose()?;
        Ok(ConnectorChangeBody {
            connector_label: label,
            test_mode: self.test_mode,
            disabled: self.enabled.map(|enabled| !enabled),
            ..NOTHING
        })
    }
}

impl RotateBody {
    pub(super) fn native(self) -> ConnectorChangeBody {
        let (details, webhook) = self.credentials.native();
        ConnectorChangeBody {
            connector_account_details: Some(details),
            connector_webhook_details: webhook,
            overlap_seconds: self.overlap_seconds,
            ..NOTHING
        }
    }
}

/// A name that stands well in an address.
fn checked(name: String) -> Result<String, Fail> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let fits = (1..=limits::GATEWAY_ACCOUNT_NAME_CHARS_MAX).contains(&name.len());
    if fits && name.bytes().all(allowed) && name.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
        Ok(name)
    } else {
        Err(Fail::field("name", "1 to 64 of A-Z a-z 0-9 _ - . with a letter or digit among them"))
    }
}

const NOTHING: ConnectorChangeBody = ConnectorChangeBody {
    _connector_type: None,
    connector_label: None,
    connector_account_details: None,
    connector_webhook_details: None,
    accepts: None,
    test_mode: None,
    disabled: None,
    verify: true,
    overlap_seconds: None,
};
