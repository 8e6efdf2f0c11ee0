//! What a charge may say, and the native payment that it means.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use strongroom_wire::limits;

use super::amount::Amount;
use super::card::{Sealed, SealedBody};
use super::note::Note;
use super::scenario::{Ask, Scenario};
use crate::api::body;
use crate::api::payer_body::{ContactBody, mail};
use crate::api::payment_body::{AuthenticationWord, CustomerBody as NativeCustomer, PaymentBody};
use crate::country::is_country;
use crate::intent::{Fault, FutureUsage, NewPayment};
use crate::money::Currency;

/// `POST /orchestration/direct-charges`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DirectBody {
    amount: Amount,
    currency: String,
    customer: CustomerBody,
    payment_method: MethodBody,
    reference: Option<String>,
    redirect_url: Option<String>,
    meta: Option<Map<String, Value>>,
    merchant_vat_amount: Option<IgnoredAny>,
    authorization: Option<IgnoredAny>,
}

/// `POST /charges`: a charge of a card that was kept, without the payer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecurringBody {
    amount: Amount,
    currency: String,
    customer_id: String,
    pub(super) payment_method_id: String,
    recurring: Option<bool>,
    reference: Option<String>,
    redirect_url: Option<String>,
    meta: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomerBody {
    email: String,
    name: Option<NameBody>,
    phone: Option<PhoneBody>,
    address: Option<AddressBody>,
    meta: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NameBody {
    first: Option<String>,
    middle: Option<String>,
    last: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhoneBody {
    country_code: Option<String>,
    number: Option<String>,
}

/// An address, of a customer or of a card's bills.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AddressBody {
    line1: Option<String>,
    line2: Option<String>,
    city: Option<String>,
    state: Option<String>,
    postal_code: Option<String>,
    country: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MethodBody {
    #[serde(rename = "type")]
    kind: String,
    card: Option<CardBody>,
    bank_account: Option<IgnoredAny>,
    mobile_money: Option<IgnoredAny>,
    opay: Option<IgnoredAny>,
    applepay: Option<IgnoredAny>,
    googlepay: Option<IgnoredAny>,
    ussd: Option<IgnoredAny>,
    bank_transfer: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardBody {
    nonce: crate::vault::SecretText,
    encrypted_card_number: crate::vault::SecretText,
    encrypted_expiry_month: crate::vault::SecretText,
    encrypted_expiry_year: crate::vault::SecretText,
    encrypted_cvv: Option<crate::vault::SecretText>,
    billing_address: Option<AddressBody>,
    cof: Option<CofBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CofBody {
    enabled: bool,
    agreement_id: Option<String>,
}

/// A customer that was read.
struct ReadCustomer {
    native: NativeCustomer,
    /// What is answered about it.
    shown: Map<String, Value>,
    address: Option<AddressBody>,
}

/// A charge that was read: the native payment, its note and its card.
pub(super) struct Asked {
    pub(super) new: NewPayment,
    pub(super) card: Sealed,
    pub(super) ask: Option<Ask>,
}

impl DirectBody {
    /// The payment that it means, under these names.
    pub(super) fn read(
        self,
        payment_id: &str,
        customer_id: &str,
        scenario: Scenario,
        wants_three_ds: bool,
    ) -> Result<Asked, Fault> {
        if self.authorization.is_some() {
            return Err(Fault::NotSupported(
                "authorization: bring it with PUT /charges/{id}, when next_action asks for it",
            ));
        }
        if self.merchant_vat_amount.is_some() {
            return Err(Fault::NotSupported("merchant_vat_amount: no connector here takes it; leave it out"));
        }
        let card = self.payment_method.card()?;
        let three_ds = match scenario {
            Scenario::None => wants_three_ds && self.redirect_url.is_some(),
            Scenario::ThreeDs if self.redirect_url.is_none() => return Err(Fault::Missing("redirect_url")),
            Scenario::ThreeDs => true,
            Scenario::NoAuth | Scenario::Asks(_) => false,
        };
        let mut note = Note { asks: scenario.ask(), ..Note::default() };
        let mut native = common(&self.amount, &self.currency, self.reference, self.redirect_url, self.meta)?;
        native.payment_id = Some(payment_id.to_owned());
        native.authentication_type =
            Some(if three_ds { AuthenticationWord::ThreeDs } else { AuthenticationWord::NoThreeDs });
        if let Some(cof) = card.cof {
            note.agreement_id = text("payment_method.card.cof.agreement_id", cof.agreement_id)?;
            native.setup_future_usage = cof.enabled.then_some(FutureUsage::OffSession);
        }
        let bills_to = card.billing_address.map(|address| address.checked("payment_method.card.billing_address"));
        let ReadCustomer { native: customer, shown, address } = self.customer.read(customer_id)?;
        native.customer = Some(customer);
        native.billing = match bills_to {
            Some(address) => Some(address?.contact()?),
            None => address.map(AddressBody::contact).transpose()?,
        };
        note.customer = Some(shown);
        let sealed = SealedBody {
            nonce: card.nonce,
            number: card.encrypted_card_number,
            expiry_month: card.encrypted_expiry_month,
            expiry_year: card.encrypted_expiry_year,
            cvv: card.encrypted_cvv,
        };
        let card = sealed.read()?;
        let mut new = native.into_new()?;
        new.terms.door = Some(note.into_door()?);
        Ok(Asked { new, card, ask: scenario.ask() })
    }
}

impl RecurringBody {
    /// The payment that it means.
    pub(super) fn read(self, payment_id: &str) -> Result<NewPayment, Fault> {
        if self.recurring != Some(true) {
            return Err(Fault::Invalid {
                field: "recurring",
                reason: "true; a charge with the payer there goes to /orchestration/direct-charges",
            });
        }
        let mut native = common(&self.amount, &self.currency, self.reference, self.redirect_url, self.meta)?;
        native.payment_id = Some(payment_id.to_owned());
        native.customer_id = Some(self.customer_id);
        native.off_session = Some(true);
        native.authentication_type = Some(AuthenticationWord::NoThreeDs);
        let mut new = native.into_new()?;
        new.terms.door = Some(Note::default().into_door()?);
        Ok(new)
    }
}

fn common(
    amount: &Amount,
    currency: &str,
    reference: Option<String>,
    redirect_url: Option<String>,
    meta: Option<Map<String, Value>>,
) -> Result<PaymentBody, Fault> {
    let known: Currency = currency
        .parse()
        .map_err(|_| Fault::Invalid { field: "currency", reason: "a three-letter ISO 4217 code in upper case" })?;
    Ok(PaymentBody {
        amount: Some(amount.minor(known)?),
        currency: Some(currency.to_owned()),
        merchant_order_reference_id: text("reference", reference)?,
        return_url: body::text("redirect_url", redirect_url, limits::URL_BYTES_MAX)?,
        metadata: meta,
        ..PaymentBody::default()
    })
}

impl MethodBody {
    fn card(self) -> Result<CardBody, Fault> {
        let others = [
            self.bank_account,
            self.mobile_money,
            self.opay,
            self.applepay,
            self.googlepay,
            self.ussd,
            self.bank_transfer,
        ];
        if self.kind != "card" || others.iter().any(Option::is_some) {
            return Err(Fault::Invalid { field: "payment_method.type", reason: "card; no other type is offered here" });
        }
        self.card.ok_or(Fault::Missing("payment_method.card"))
    }
}

impl CustomerBody {
    /// The customer, checked.
    fn read(self, id: &str) -> Result<ReadCustomer, Fault> {
        mail("customer.email", &self.email)?;
        let mut shown = Map::from_iter([("email".to_owned(), json!(self.email))]);
        let mut native = NativeCustomer {
            id: id.to_owned(),
            name: None,
            email: Some(self.email),
            phone: None,
            phone_country_code: None,
        };
        if let Some(name) = self.name {
            let parts = [("first", name.first), ("middle", name.middle), ("last", name.last)];
            let mut noted = Map::new();
            for (part, value) in parts {
                if let Some(value) = text("customer.name", value)? {
                    noted.insert(part.to_owned(), value.into());
                }
            }
            let words: Vec<&str> =
                ["first", "middle", "last"].iter().filter_map(|part| noted.get(*part)?.as_str()).collect();
            // Together again: a number may stand in two parts.
            native.name = text("customer.name", Some(words.join(" ")).filter(|name| !name.is_empty()))?;
            shown.insert("name".to_owned(), Value::Object(noted));
        }
        if let Some(phone) = self.phone {
            native.phone = text("customer.phone", phone.number)?;
            native.phone_country_code = text("customer.phone", phone.country_code)?;
            let noted = json!({"country_code": native.phone_country_code, "number": native.phone});
            shown.insert("phone".to_owned(), noted);
        }
        let address = self.address.map(|address| address.checked("customer.address")).transpose()?;
        if let Some(address) = &address {
            shown.insert("address".to_owned(), address.shown());
        }
        if let Some(meta) = self.meta {
            let meta = Value::Object(body::metadata(Some(meta))?);
            shown.insert("meta".to_owned(), meta);
        }
        Ok(ReadCustomer { native, shown, address })
    }
}

impl AddressBody {
    /// The address, if each part may be kept.
    pub(super) fn checked(self, field: &'static str) -> Result<Self, Fault> {
        for part in [&self.line1, &self.line2, &self.city, &self.state, &self.postal_code] {
            text(field, part.clone())?;
        }
        if self.country.as_deref().is_some_and(|code| !is_country(code)) {
            return Err(Fault::Invalid { field, reason: "country is an ISO 3166-1 code of two letters, such as US" });
        }
        body::object(field, &self.shown())?;
        Ok(self)
    }

    /// The same with every part that a comparison of addresses needs.
    pub(super) fn complete(self, field: &'static str) -> Result<Self, Fault> {
        let given = [&self.line1, &self.city, &self.postal_code, &self.country];
        if given.iter().any(|part| part.as_deref().is_none_or(str::is_empty)) {
            return Err(Fault::Invalid { field, reason: "line1, city, postal_code and country are needed" });
        }
        self.checked(field)
    }

    /// In the words of this dialect.
    pub(super) fn shown(&self) -> Value {
        let parts = [
            ("line1", &self.line1),
            ("line2", &self.line2),
            ("city", &self.city),
            ("state", &self.state),
            ("postal_code", &self.postal_code),
            ("country", &self.country),
        ];
        let given = parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), json!(part.as_ref()?))));
        Value::Object(given.collect())
    }

    /// As the native address of bills.
    pub(super) fn contact(self) -> Result<ContactBody, Fault> {
        let mut address = self.shown();
        if let Some(zip) = address.as_object_mut().and_then(|parts| parts.remove("postal_code")) {
            address["zip"] = zip;
        }
        serde_json::from_value(json!({"address": address})).map_err(|_| Fault::Internal)
    }
}

fn text(field: &'static str, value: Option<String>) -> Result<Option<String>, Fault> {
    body::text(field, value, limits::PAYMENT_TEXT_BYTES_MAX)
}
