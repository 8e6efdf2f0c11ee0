//! The bodies of `/PaymentGateway`, and what they are in the native dialect.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use strongroom_wire::{TenantId, limits};

use super::card_body::{CardBody, checked};
use super::fail::Fail;
use super::tokens;
use crate::api::answer::Refusal;
use crate::api::holds_card_number;
use crate::api::once::digest;
use crate::api::payment_body::{AuthenticationWord, CaptureWord, PaymentBody};
use crate::intent::{CvcInput, DialectName, DoorNote, Engine, FutureUsage, MethodInput};
use crate::vault::SecretText;

/// `POST /PaymentGateway/charge` and `authorize`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PayBody {
    amount: u64,
    currency: String,
    payment_gateway_account_name: String,
    #[serde(default)]
    fallback_accounts: Vec<String>,
    card: Option<CardBody>,
    card_token: Option<String>,
    cvv: Option<SecretText>,
    description: Option<String>,
    reference: Option<String>,
    statement_descriptor: Option<String>,
    return_url: Option<String>,
    metadata: Option<Map<String, Value>>,
}

/// Accounts to try, by name, each once.
pub(super) struct Names(Vec<String>);

impl PayBody {
    /// SHA-256 of what was asked: of the card only what may be kept.
    pub(super) fn digest(&self, operation: &str) -> String {
        let asked = json!([
            operation,
            self.amount,
            self.currency,
            self.payment_gateway_account_name,
            self.fallback_accounts,
            self.card.as_ref().map(CardBody::mark),
            self.card_token,
            self.description,
            self.reference,
            self.statement_descriptor,
            self.return_url,
            self.metadata,
        ]);
        digest(asked.to_string().as_bytes())
    }

    /// The named account and its fallbacks.
    ///
    /// # Errors
    /// A name twice, be it in other letters, or too many of them.
    pub(super) fn names(&self) -> Result<Names, Fail> {
        let field = "fallbackAccounts";
        if self.fallback_accounts.len() > limits::GATEWAY_FALLBACKS_MAX {
            return Err(Fail::field(field, "at most 4 names"));
        }
        let given = std::iter::once(&self.payment_gateway_account_name).chain(&self.fallback_accounts);
        // The names are part of a digest that is kept.
        if given.into_iter().any(|name| holds_card_number(name)) {
            return Err(Fail::field("paymentGatewayAccountName", "a name of an account holds a card number"));
        }
        let mut names = vec![self.payment_gateway_account_name.clone()];
        for name in &self.fallback_accounts {
            if names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                return Err(Fail::field(
                    field,
                    "an account stands there twice, or is paymentGatewayAccountName itself",
                ));
            }
            names.push(name.clone());
        }
        Ok(Names(names))
    }

    /// The card that it names.
    ///
    /// # Errors
    /// None or two of them, or one that cannot be.
    pub(super) fn take_method(&mut self, takes_cards: bool) -> Result<MethodInput, Fail> {
        let cvv = self.cvv.take();
        if !takes_cards && (self.card.is_some() || cvv.is_some()) {
            let message =
                "This orchestrator takes no card numbers or CVVs: post them to the vault's intake and send cardToken";
            return Err(Fail::new(400, "notSupported", message));
        }
        match (self.card.take(), &self.card_token) {
            (Some(card), None) if cvv.is_none() => Ok(MethodInput::Card(Box::new(card.read()?))),
            (None, Some(name)) => {
                let cvc = match cvv {
                    Some(cvv) => CvcInput::Plain(checked("cvv", cvv)?.into_inner()),
                    None => CvcInput::None,
                };
                Ok(MethodInput::Stored(tokens::token(name)?, cvc))
            }
            (Some(_), None) => Err(Fail::field("cvv", "it goes with cardToken; that of a card stands in card.cvv")),
            (Some(_), Some(_)) => Err(Fail::field("cardToken", "name one card only: card or cardToken")),
            (None, None) => Err(Fail { code: "missingField", ..Fail::field("card", "send card or cardToken") }),
        }
    }

    /// The payment in the native dialect.
    pub(super) fn native(self, payment_id: String, capture: CaptureWord, asks_no_cvc: bool) -> PaymentBody {
        PaymentBody {
            amount: Some(self.amount),
            currency: Some(self.currency),
            payment_id: Some(payment_id),
            capture_method: Some(capture),
            authentication_type: Some(AuthenticationWord::NoThreeDs),
            description: self.description,
            merchant_order_reference_id: self.reference,
            statement_descriptor_name: self.statement_descriptor,
            return_url: self.return_url,
            metadata: self.metadata,
            // The native dialect asks the payer of a kept card for its CVC, unless the card serves payments without one.
            // There is no customer, so nothing is noted about the card by it.
            setup_future_usage: asks_no_cvc.then_some(FutureUsage::OffSession),
            ..PaymentBody::default()
        }
    }
}

impl Names {
    /// The ids of the accounts, in order, and the note by which they keep their names in this transaction, whatever they are
    /// called later.
    ///
    /// # Errors
    /// One that is no account's, before a card goes anywhere or anything is charged.
    pub(super) async fn find(&self, engine: &Engine, merchant: &TenantId) -> Result<(Vec<String>, DoorNote), Refusal> {
        let accounts = engine.accounts(merchant).await?;
        let (mut ids, mut known) = (Vec::new(), Map::new());
        for name in &self.0 {
            let account = accounts.iter().find(|account| account.label == *name);
            let account =
                account.ok_or_else(|| Refusal::new(404, "HE_02", "A payment gateway account does not exist"))?;
            ids.push(account.account_id.clone());
            known.insert(account.account_id.clone(), account.label.clone().into());
        }
        let note = Map::from_iter([("accounts".to_owned(), Value::Object(known))]);
        Ok((ids, DoorNote { dialect: DialectName::GatewayAccounts, note }))
    }
}

/// `POST /PaymentGateway/capture`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CaptureBody {
    pub(super) transaction_id: String,
    pub(super) amount: Option<u64>,
}

/// `POST /PaymentGateway/void`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct VoidBody {
    pub(super) transaction_id: String,
    pub(super) reason: Option<String>,
}

/// `POST /PaymentGateway/refund`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RefundBody {
    pub(super) transaction_id: String,
    pub(super) amount: Option<u64>,
    pub(super) reason: Option<String>,
    pub(super) metadata: Option<Map<String, Value>>,
}
