//! The bodies of connector accounts, and what they mean.

use serde::Deserialize;
use strongroom_wire::limits;

use super::body;
use crate::account::Accepts;
use crate::connector::Credentials;
use crate::intent::Fault;
use crate::money::Currency;
use crate::routing::{Country, Network};
use crate::vault::SecretText;

/// `POST /account/{merchant_id}/connectors`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewConnectorBody {
    pub(crate) connector_type: ConnectorTypeWord,
    pub(crate) connector_name: String,
    pub(crate) connector_label: Option<String>,
    pub(crate) connector_account_details: DetailsBody,
    pub(crate) connector_webhook_details: Option<WebhookBody>,
    pub(crate) accepts: Option<AcceptsBody>,
    pub(crate) destination: Option<String>,
    pub(crate) test_mode: Option<bool>,
    pub(crate) disabled: Option<bool>,
    #[serde(default = "yes")]
    pub(crate) verify: bool,
}

/// `POST /account/{merchant_id}/connectors/{merchant_connector_id}`: what is absent stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectorChangeBody {
    #[serde(rename = "connector_type")]
    pub(crate) _connector_type: Option<ConnectorTypeWord>,
    pub(crate) connector_label: Option<String>,
    pub(crate) connector_account_details: Option<DetailsBody>,
    pub(crate) connector_webhook_details: Option<WebhookBody>,
    pub(crate) accepts: Option<AcceptsBody>,
    pub(crate) test_mode: Option<bool>,
    pub(crate) disabled: Option<bool>,
    #[serde(default = "yes")]
    pub(crate) verify: bool,
    pub(crate) overlap_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConnectorTypeWord {
    PaymentProcessor,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetailsBody {
    auth_type: AuthTypeWord,
    api_key: SecretText,
    key1: Option<SecretText>,
    api_secret: Option<SecretText>,
}

impl DetailsBody {
    /// From the parts that there are.
    pub(crate) fn of(api_key: SecretText, key1: Option<SecretText>, api_secret: Option<SecretText>) -> Self {
        let auth_type = match (&key1, &api_secret) {
            (None, None) => AuthTypeWord::Header,
            (_, None) => AuthTypeWord::Body,
            (_, Some(_)) => AuthTypeWord::Signature,
        };
        Self { auth_type, api_key, key1, api_secret }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
enum AuthTypeWord {
    #[serde(rename = "HeaderKey")]
    Header,
    #[serde(rename = "BodyKey")]
    Body,
    #[serde(rename = "SignatureKey")]
    Signature,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookBody {
    pub(crate) merchant_secret: SecretText,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct AcceptsBody {
    currencies: Vec<Currency>,
    countries: Vec<Country>,
    card_networks: Vec<Network>,
    minimum_amount: Option<u64>,
    maximum_amount: Option<u64>,
}

fn yes() -> bool {
    true
}

/// The credentials that a body brings, with its webhook secret or the one that there was.
///
/// # Errors
/// [`Fault::Invalid`] for parts that do not belong together or cannot be sent.
pub(super) fn credentials(
    details: DetailsBody,
    webhook: Option<WebhookBody>,
    before: Option<&Credentials>,
) -> Result<Credentials, Fault> {
    let fits = match details.auth_type {
        AuthTypeWord::Header => details.key1.is_none() && details.api_secret.is_none(),
        AuthTypeWord::Body => details.key1.is_some() && details.api_secret.is_none(),
        AuthTypeWord::Signature => details.key1.is_some() && details.api_secret.is_some(),
    };
    let field = "connector_account_details";
    if !fits {
        return Err(Fault::Invalid {
            field,
            reason: "HeaderKey has api_key; BodyKey also key1; SignatureKey also api_secret",
        });
    }
    let parts = [Some(&details.api_key), details.key1.as_ref(), details.api_secret.as_ref()];
    if parts.into_iter().flatten().any(|part| !is_plain(part.expose())) {
        return Err(Fault::Invalid { field, reason: "each part is 1 to 1024 visible ASCII characters without quotes" });
    }
    Ok(Credentials {
        api_key: details.api_key.into_inner(),
        key1: details.key1.map(SecretText::into_inner),
        api_secret: details.api_secret.map(SecretText::into_inner),
        webhook_secret: match webhook {
            Some(webhook) => Some(webhook_secret(webhook)?),
            None => before.and_then(|before| before.webhook_secret.clone()),
        },
    })
}

/// What the provider signs its webhooks with.
///
/// # Errors
/// [`Fault::Invalid`].
pub(super) fn webhook_secret(webhook: WebhookBody) -> Result<zeroize::Zeroizing<String>, Fault> {
    if is_plain(webhook.merchant_secret.expose()) {
        Ok(webhook.merchant_secret.into_inner())
    } else {
        Err(Fault::Invalid {
            field: "connector_webhook_details.merchant_secret",
            reason: "1 to 1024 visible ASCII characters without quotes",
        })
    }
}

/// What an account takes.
///
/// # Errors
/// [`Fault::Invalid`].
pub(super) fn accepts(asked: Option<AcceptsBody>) -> Result<Accepts, Fault> {
    let asked = asked.unwrap_or_default();
    let field = "accepts";
    let sizes = [asked.currencies.len(), asked.countries.len(), asked.card_networks.len()];
    if sizes.iter().any(|size| *size > limits::ACCEPTED_VALUES_MAX) {
        return Err(Fault::Invalid { field, reason: "a list has at most 200 values" });
    }
    if let (Some(least), Some(most)) = (asked.minimum_amount, asked.maximum_amount)
        && least > most
    {
        return Err(Fault::Invalid { field, reason: "minimum_amount is above maximum_amount" });
    }
    Ok(Accepts {
        currencies: asked.currencies,
        countries: asked.countries.into_iter().map(|country| country.0).collect(),
        card_networks: asked.card_networks.into_iter().map(|network| network.0).collect(),
        minimum_amount: asked.minimum_amount,
        maximum_amount: asked.maximum_amount,
    })
}

/// A label that names an account beside ids and names of connectors.
///
/// # Errors
/// [`Fault::Invalid`].
pub(super) fn label(text: String) -> Result<String, Fault> {
    let field = "connector_label";
    let text = body::text(field, Some(text), limits::PAYMENT_TEXT_BYTES_MAX)?.unwrap_or_default();
    if text.trim().is_empty() || text.starts_with("mca_") || crate::connector::find(&text).is_some() {
        let reason = "not empty, no name of a connector and without mca_ in front, so that it names one account";
        return Err(Fault::Invalid { field, reason });
    }
    Ok(text)
}

fn is_plain(text: &str) -> bool {
    (1..=CREDENTIAL_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
}

const CREDENTIAL_CHARS_MAX: usize = 1024;
