//! Payment methods: a raw card is checked, matched with the published numbers, and forgotten.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Book, Call, Method, fresh_id, room};
use crate::cards;
use crate::stripe::form::Form;
use crate::stripe::refusal::Refusal;

impl Book {
    /// `POST /v1/payment_methods`; answers the id.
    pub(crate) fn create_method(&mut self, mut form: Form, call: &Call) -> Result<String, Refusal> {
        let kind = form.choice("type", &["card"])?;
        let kind =
            kind.ok_or_else(|| Refusal::invalid("parameter_missing", "Missing required param: type.").param("type"))?;
        debug_assert_eq!(kind, "card");
        let method = Method::parse(&mut form, "", call)?;
        form.finish()?;
        self.add_method(method)
    }

    pub(super) fn add_method(&mut self, method: Method) -> Result<String, Refusal> {
        room(self.methods.len())?;
        let id = method.id.clone();
        self.methods.insert(id.clone(), method);
        Ok(id)
    }
}

impl Method {
    /// Reads `card[...]`, `billing_details[...]` and `metadata[...]`, for `payment_method_data` under a prefix.
    pub(super) fn parse(form: &mut Form, prefix: &'static str, call: &Call) -> Result<Method, Refusal> {
        let name = |field: &'static str| {
            if prefix.is_empty() { field.to_owned() } else { prefixed(prefix, field) }
        };
        let missing = |field: &'static str| {
            Refusal::invalid("parameter_missing", format!("Missing required param: {field}.")).param(field)
        };
        let number = form.text(&name("card[number]")).ok_or_else(|| missing("card[number]"))?;
        let exp_month = form.text(&name("card[exp_month]")).ok_or_else(|| missing("card[exp_month]"))?;
        let exp_year = form.text(&name("card[exp_year]")).ok_or_else(|| missing("card[exp_year]"))?;
        let cvc = form.text(&name("card[cvc]"));
        let card = cards::find(&number, &[])?;

        let exp_month = exp_month.parse().ok().filter(|month| (1..=12).contains(month));
        let exp_month = exp_month.ok_or_else(|| {
            Refusal::card("invalid_expiry_month", None, "Your card's expiration month is invalid.").param("exp_month")
        })?;
        let year_wrong =
            || Refusal::card("invalid_expiry_year", None, "Your card's expiration year is invalid.").param("exp_year");
        let exp_year: i64 = exp_year.parse().map_err(|_| year_wrong())?;
        // Stripe takes a year of two digits as one of this century.
        let exp_year = if exp_year < 100 { 2000 + exp_year } else { exp_year };
        let (year, month) = year_and_month(call.now);
        if exp_year < year || exp_year > year + 50 || (exp_year == year && exp_month < month) {
            return Err(year_wrong());
        }
        if let Some(cvc) = &cvc {
            let digits = if card.brand == "amex" { 3..=4 } else { 3..=3 };
            if !digits.contains(&cvc.len()) || !cvc.bytes().all(|byte| byte.is_ascii_digit()) {
                let message = "Your card's security code is invalid.";
                return Err(Refusal::card("invalid_cvc", None, message).param("cvc"));
            }
        }
        let holder_name = form.text(&name("billing_details[name]")).map(|text| text.chars().take(96).collect());
        for field in ["email", "phone"] {
            form.text(&name(if field == "email" { "billing_details[email]" } else { "billing_details[phone]" }));
        }
        for field in ADDRESS {
            form.text(&name(field));
        }
        let metadata = if prefix.is_empty() { form.metadata()? } else { Default::default() };
        let created = call.now;
        Ok(Method {
            id: fresh_id("pm"),
            card,
            exp_month,
            exp_year,
            cvc_given: cvc.is_some(),
            holder_name,
            metadata,
            created,
        })
    }
}

/// `payment_method_data` and `card[number]` make `payment_method_data[card][number]`.
fn prefixed(prefix: &str, field: &str) -> String {
    match field.split_once('[') {
        Some((first, rest)) => format!("{prefix}[{first}][{rest}"),
        None => format!("{prefix}[{field}]"),
    }
}

fn year_and_month(now: i64) -> (i64, i64) {
    let time = Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC);
    (i64::from(time.year()), i64::from(time.month()))
}

const ADDRESS: &[&str] = &[
    "billing_details[address][line1]",
    "billing_details[address][line2]",
    "billing_details[address][city]",
    "billing_details[address][state]",
    "billing_details[address][postal_code]",
    "billing_details[address][country]",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-15.
    const NOW: i64 = 1_794_700_800;

    fn create(fields: &str) -> Result<Method, String> {
        let mut book = Book::default();
        let call = Call { now: NOW, ..Call::default() };
        let form = Form::parse(fields.as_bytes()).map_err(|refusal| refusal.body(None).to_string())?;
        let code = |refusal: Refusal| refusal.body(None)["error"]["code"].as_str().unwrap_or("").to_owned();
        let id = book.create_method(form, &call).map_err(code)?;
        Ok(book.methods.remove(&id).expect("kept"))
    }

    #[test]
    fn published_number_becomes_its_row_of_the_table() {
        let fields = "type=card&card[number]=378282246310005&card[exp_month]=12&card[exp_year]=34&card[cvc]=1234";
        let method = create(fields).expect("taken");
        assert_eq!((method.card.brand, method.card.last4()), ("amex", "0005"));
        assert_eq!((method.exp_month, method.exp_year, method.cvc_given), (12, 2034, true));
    }

    #[test]
    fn bad_card_fields_have_stripes_codes() {
        let with = |month: &str, year: &str, cvc: &str| {
            let number = "4242424242424242";
            create(&format!(
                "type=card&card[number]={number}&card[exp_month]={month}&card[exp_year]={year}&card[cvc]={cvc}"
            ))
            .err()
        };
        assert_eq!(with("11", "2026", "123"), None);
        assert_eq!(with("10", "2026", "123").as_deref(), Some("invalid_expiry_year"));
        assert_eq!(with("13", "2030", "123").as_deref(), Some("invalid_expiry_month"));
        assert_eq!(with("12", "2099", "123").as_deref(), Some("invalid_expiry_year"));
        assert_eq!(with("12", "2030", "1234").as_deref(), Some("invalid_cvc"));
        assert_eq!(create("type=sepa_debit").err().as_deref(), Some("parameter_invalid"));
        assert_eq!(create("type=card&card[exp_month]=1").err().as_deref(), Some("parameter_missing"));
    }
}
