//! `/payments/list` and `/refunds/list`: a merchant's payments and refunds, newest first, page by page.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use strongroom_wire::limits;

use super::answer::{Answer, Refusal};
use super::{Api, who};
use crate::intent::{Fault, State};
use crate::store::PaymentFilter;
use crate::view;

/// `GET /payments/list`.
pub(crate) async fn payments(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let mut asked = Asked::read(request.query_string())?;
    let mut filter = PaymentFilter {
        customer_id: asked.one(&["customer_id"])?.map(|text| parse("customer_id", &text)).transpose()?,
        status: asked.many("status", state)?,
        connector: asked.many("connector", |name| api.engine.connector(name).map(|_| name.to_owned()))?,
        currency: asked.many("currency", |code| code.parse().ok())?,
        created_from_ms: asked.time(&["created_from", "created.gte"])?,
        created_until_ms: asked.time(&["created_until", "created.lte"])?,
        amount_from_minor: asked.one(&["amount_from"])?.map(|text| parse("amount_from", &text)).transpose()?,
        amount_until_minor: asked.one(&["amount_until"])?.map(|text| parse("amount_until", &text)).transpose()?,
        before: None,
    };
    let page = asked.page(PAYMENTS)?;
    filter.before = page.before;
    let mut found = api.engine.store().payments(&merchant, &filter, page.limit + 1).await?;
    let has_more = shorten(&mut found, page.limit);
    let last = found.last().filter(|_| has_more).map(|last| cursor(PAYMENTS, last.created_ms, &last.payment_id));
    Ok(answer(found.iter().map(view::payment).collect(), last))
}

/// `GET /refunds/list`.
pub(crate) async fn refunds(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let merchant = who::caller(&api, &request).await?.server()?;
    let mut asked = Asked::read(request.query_string())?;
    let payment_id = asked.one(&["payment_id"])?;
    let page = asked.page(REFUNDS)?;
    let mut found = api.engine.store().refunds(&merchant, payment_id.as_deref(), page.before, page.limit + 1).await?;
    let has_more = shorten(&mut found, page.limit);
    let mut shown = Vec::with_capacity(found.len());
    let mut last = None;
    for (payment, id) in &found {
        let refund = payment.refunds.iter().find(|refund| refund.refund_id == *id).ok_or(Fault::Internal)?;
        last = Some(cursor(REFUNDS, refund.created_ms, id));
        shown.push(view::refund(payment, refund));
    }
    Ok(answer(shown, last.filter(|_| has_more)))
}

fn answer(items: Vec<Value>, next_cursor: Option<String>) -> HttpResponse {
    Answer::ok(&json!({"count": items.len(), "data": items, "next_cursor": next_cursor})).into()
}

/// One more than asked for was looked up; whether it was there says whether there is another page.
fn shorten<T>(found: &mut Vec<T>, limit: u32) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = found.len() > limit;
    found.truncate(limit);
    has_more
}

/// The fields of a query that nobody has read yet.
struct Asked(Vec<(String, String)>);

/// Which part of a list.
struct Page {
    limit: u32,
    before: Option<(i64, String)>,
}

impl Asked {
    fn read(query: &str) -> Result<Self, Refusal> {
        let fields = serde_urlencoded::from_str(query);
        fields.map(Self).map_err(|_| Refusal::new(400, "IR_06", "The query cannot be read"))
    }

    /// A field that may be given once, under any of its names; the first is its name in messages.
    fn one(&mut self, names: &[&'static str]) -> Result<Option<String>, Refusal> {
        let fields = std::mem::take(&mut self.0).into_iter();
        let (mut given, others): (Vec<_>, _) = fields.partition(|(name, _)| names.contains(&name.as_str()));
        self.0 = others;
        match given.len() {
            0 => Ok(None),
            1 => Ok(given.pop().map(|(_, value)| value)),
            _ => Err(Fault::Invalid { field: names[0], reason: "it is given twice" }.into()),
        }
    }

    /// A field that may be given several times, or with commas between its values.
    fn many<T>(&mut self, name: &'static str, known: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Refusal> {
        let (given, others): (Vec<_>, _) =
            std::mem::take(&mut self.0).into_iter().partition(|(field, _)| field == name);
        self.0 = others;
        let values: Vec<&str> = given.iter().flat_map(|(_, values)| values.split(',')).collect();
        if values.len() > limits::LIST_CHOICES_MAX {
            return Err(Fault::Invalid { field: name, reason: "at most 50 values" }.into());
        }
        let known = values.into_iter().map(known).collect::<Option<_>>();
        known.ok_or_else(|| Fault::Invalid { field: name, reason: "an unknown value" }.into())
    }

    /// An RFC 3339 time in milliseconds since 1970.
    fn time(&mut self, names: &[&'static str]) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.one(names)? else { return Ok(None) };
        let reason = "an RFC 3339 time such as 2026-01-31T12:00:00Z";
        let at: Timestamp = text.parse().map_err(|_| Fault::Invalid { field: names[0], reason })?;
        Ok(Some(at.as_millisecond()))
    }

    /// The page; nothing else may be left in the query.
    fn page(mut self, list: &str) -> Result<Page, Refusal> {
        let limit = match self.one(&["limit"])? {
            None => limits::PAGE_ITEMS_DEFAULT,
            Some(text) => text.parse().unwrap_or(0),
        };
        if !(1..=limits::PAGE_ITEMS_MAX).contains(&limit) {
            return Err(Fault::Invalid { field: "limit", reason: "1 to 100" }.into());
        }
        let cursor = self.one(&["cursor"])?;
        let before = cursor.map(|text| {
            place(list, &text)
                .ok_or(Fault::Invalid { field: "cursor", reason: "next_cursor of an answer of this list" })
        });
        if !self.0.is_empty() {
            return Err(Refusal::new(400, "IR_06", "The query has a field that this call does not take"));
        }
        Ok(Page { limit, before: before.transpose()? })
    }
}

fn parse<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|_| Fault::Invalid { field, reason: "it cannot be one" }.into())
}

fn state(word: &str) -> Option<State> {
    State::ALL.into_iter().find(|state| state.word() == word)
}

/// A place in a list, as a text that callers only hand back.
pub(crate) fn cursor(list: &str, created_ms: i64, id: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list} {created_ms} {id}"))
}

/// The place that a cursor of this list stands for.
pub(crate) fn place(list: &str, cursor: &str) -> Option<(i64, String)> {
    if cursor.len() > limits::CURSOR_CHARS_MAX {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (of, rest) = text.split_once(' ')?;
    let (created_ms, id) = rest.split_once(' ')?;
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    (of == list && is_id).then_some((created_ms.parse().ok()?, id.to_owned()))
}

/// The lists, in their cursors.
pub(crate) const PAYMENTS: &str = "p";
const REFUNDS: &str = "r";
