//! The card that a body names: typed, kept, or kept and used without the payer.

use std::fmt::Formatter;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use strongroom_wire::limits;

use super::free_text::holds_card_number;
use super::payer_body::ContactBody;
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
    billing: Option<ContactBody>,
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

/// By what a payment without the payer is allowed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecurringBody {
    #[serde(rename = "type")]
    kind: RecurringWord,
    data: Agreement,
}

/// A name, or a card. Read in one pass, so that no card number lies in memory that is not wiped.
enum Agreement {
    Name(String),
    Card(Box<ForeignBody>),
}

/// A card that the payer agreed to at another provider.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForeignBody {
    card_number: SecretText,
    card_exp_month: SecretText,
    card_exp_year: SecretText,
    card_holder_name: Option<SecretText>,
    network_transaction_id: String,
}

impl<'de> Deserialize<'de> for Agreement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Agreement;

            fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name or a card")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Agreement, E> {
                Ok(Agreement::Name(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Agreement, A::Error> {
                let card = ForeignBody::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Agreement::Card(Box::new(card)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RecurringWord {
    PaymentMethodId,
    NetworkTransactionIdAndCardDetails,
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
        let foreign = matches!(&self.recurring_details, Some(RecurringBody { data: Agreement::Card(_), .. }));
        if !takes_cards && (card.is_some() || foreign || matches!(cvc, CvcInput::Plain(_))) {
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
        if let Some(recurring) = &mut self.recurring_details {
            return recurring.take().map(Some);
        }
        Ok(match cvc {
            CvcInput::None => None,
            cvc => Some(MethodInput::Chosen(cvc)),
        })
    }

    /// The scheme's id of a payment at another provider, where the body names a card by one.
    pub(crate) fn take_network_id(&mut self) -> Result<Option<String>, Fault> {
        let Some(RecurringBody { data: Agreement::Card(card), .. }) = &mut self.recurring_details else {
            return Ok(None);
        };
        let id = std::mem::take(&mut card.network_transaction_id);
        let plain = (NETWORK_ID_CHARS_MIN..=limits::NETWORK_ID_CHARS_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !plain || is_card_number(&id) {
            return Err(Fault::Invalid {
                field: "recurring_details.data.network_transaction_id",
                reason: "4 to 64 letters and digits, as the scheme gave them",
            });
        }
        Ok(Some(id))
    }
}

/// Whether it can be a card number. The ids of some schemes have 15 digits, as the numbers of one have that begin with 34
/// or 37.
fn is_card_number(id: &str) -> bool {
    holds_card_number(id) && (id.len() != 15 || id.starts_with("34") || id.starts_with("37"))
}

impl RecurringBody {
    fn take(&mut self) -> Result<MethodInput, Fault> {
        match (self.kind, &mut self.data) {
            (RecurringWord::PaymentMethodId, Agreement::Name(name)) => {
                Ok(MethodInput::Recurring(name.parse().map_err(|_| Fault::NotFound("Payment method"))?))
            }
            (RecurringWord::NetworkTransactionIdAndCardDetails, Agreement::Card(card)) => {
                let empty = || SecretText::new(String::new());
                let card = CardBody {
                    card_number: std::mem::replace(&mut card.card_number, empty()),
                    card_exp_month: std::mem::replace(&mut card.card_exp_month, empty()),
                    card_exp_year: std::mem::replace(&mut card.card_exp_year, empty()),
                    card_holder_name: card.card_holder_name.take(),
                    card_cvc: None,
                };
                Ok(MethodInput::Foreign(Box::new(card.read()?)))
            }
            (RecurringWord::PaymentMethodId | RecurringWord::NetworkTransactionIdAndCardDetails, _) => {
                Err(Fault::Invalid {
                    field: "recurring_details.data",
                    reason: "a payment_method_id, or the card with its network_transaction_id, as type says",
                })
            }
            (RecurringWord::MandateId | RecurringWord::ProcessorPaymentToken, _) => Err(Fault::NotSupported(
                "recurring_details.type: payment_method_id and network_transaction_id_and_card_details are offered",
            )),
        }
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

const NETWORK_ID_CHARS_MIN: usize = 4;
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
