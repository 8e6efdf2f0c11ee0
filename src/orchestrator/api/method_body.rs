//! The card that a body names: typed, kept, or kept and used without the payer.

use serde::Deserialize;
use serde_json::Value;

use super::payment_body::PaymentBody;
use crate::intent::{CvcInput, Fault, MethodInput};
use crate::vault::{CardInput, SecretText};

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MethodWord {
    Card,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MethodTypeWord {
    Credit,
    Debit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MethodBody {
    card: Option<CardBody>,
    card_token: Option<CardTokenBody>,
    billing: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CardBody {
    card_number: SecretText,
    card_exp_month: SecretText,
    card_exp_year: SecretText,
    card_holder_name: Option<SecretText>,
    card_cvc: Option<SecretText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CardTokenBody {
    cvc_token: Option<SecretText>,
    card_cvc: Option<SecretText>,
    #[serde(rename = "card_holder_name")]
    _card_holder_name: Option<SecretText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecurringBody {
    #[serde(rename = "type")]
    kind: RecurringWord,
    data: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RecurringWord {
    PaymentMethodId,
    MandateId,
    ProcessorPaymentToken,
}

impl PaymentBody {
    /// The card that the body names, taken out of it. Without `takes_cards` a card number or CVC in clear is refused.
    pub(crate) fn take_method(&mut self, takes_cards: bool) -> Result<Option<MethodInput>, Fault> {
        let (card, card_token) = match self.payment_method_data.take() {
            Some(MethodBody { card, card_token, billing }) => {
                self.billing = self.billing.take().or(billing);
                (card, card_token)
            }
            None => (None, None),
        };
        let given = [
            card.is_some(),
            self.payment_method_id.is_some(),
            self.payment_token.is_some(),
            self.recurring_details.is_some(),
        ];
        if given.iter().filter(|given| **given).count() > 1 {
            return Err(Fault::Invalid {
                field: "payment_method_data",
                reason: "name one card only: payment_method_data.card, payment_method_id, payment_token or recurring_details",
            });
        }
        let plain = self.card_cvc.take();
        let cvc = match card_token {
            Some(CardTokenBody { cvc_token: Some(sealed), .. }) => CvcInput::Sealed(sealed),
            Some(CardTokenBody { card_cvc: Some(typed), .. }) => CvcInput::Plain(checked_cvc(typed)?),
            _ => plain.map(checked_cvc).transpose()?.map_or(CvcInput::None, CvcInput::Plain),
        };
        if !takes_cards && (card.is_some() || matches!(cvc, CvcInput::Plain(_))) {
            return Err(Fault::NotSupported(NO_CARDS_HERE));
        }
        if let Some(card) = card {
            return Ok(Some(MethodInput::Card(Box::new(card.read()?))));
        }
        if let Some(id) = &self.payment_method_id {
            let token = id.parse().map_err(|_| Fault::NotFound("Payment method"))?;
            return Ok(Some(MethodInput::Stored(token, cvc)));
        }
        if let Some(name) = self.payment_token.take() {
            return Ok(Some(MethodInput::PaymentToken(name, cvc)));
        }
        if let Some(recurring) = &self.recurring_details {
            if recurring.kind != RecurringWord::PaymentMethodId {
                return Err(Fault::NotSupported("recurring_details.type: only payment_method_id is offered"));
            }
            let token = recurring.data.parse().map_err(|_| Fault::NotFound("Payment method"))?;
            return Ok(Some(MethodInput::Recurring(token)));
        }
        Ok(None)
    }
}

impl CardBody {
    fn read(self) -> Result<CardInput, Fault> {
        let month = self.card_exp_month.expose().trim();
        let exp_month = match month.len() {
            1 | 2 => month.parse().ok(),
            _ => None,
        };
        let year = self.card_exp_year.expose().trim();
        let exp_year = match year.len() {
            2 => year.parse::<u16>().ok().map(|y| 2000 + y),
            4 => year.parse().ok(),
            _ => None,
        };
        Ok(CardInput {
            exp_month: exp_month.ok_or(Fault::BadCardDetail("card_exp_month"))?,
            exp_year: exp_year.ok_or(Fault::BadCardDetail("card_exp_year"))?,
            number: self.card_number,
            cvc: self.card_cvc,
            holder_name: self.card_holder_name.filter(|name| !name.expose().is_empty()),
        })
    }
}

const NO_CARDS_HERE: &str = "This orchestrator takes no card numbers or CVCs: post them to the vault's intake (see POST \
    /payments/{id}/vault_session) and send payment_method_id and payment_method_data.card_token.cvc_token";

fn checked_cvc(cvc: SecretText) -> Result<zeroize::Zeroizing<String>, Fault> {
    let text = cvc.expose();
    if matches!(text.len(), 3 | 4) && text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(cvc.into_inner())
    } else {
        Err(Fault::BadCardDetail("card_cvc"))
    }
}
