//! Fields of queries and forms: each may be given once, and none that nobody asks for.

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use strongroom_wire::{TenantId, limits};

use super::trouble::Trouble;
use crate::api::holds_card_number;

/// The fields that nobody has read yet.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Of a request's query.
    pub(super) fn of_query(request: &HttpRequest) -> Result<Self, Trouble> {
        Self::parse(request.query_string().as_bytes())
    }

    /// Of a form of at most so many bytes.
    pub(super) async fn of_form(mut payload: Payload, bytes_max: usize) -> Result<Self, Trouble> {
        let mut body = BytesMut::new();
        while let Some(piece) = payload.next().await {
            let piece: Bytes = piece.map_err(|_| Trouble::Form)?;
            if body.len() + piece.len() > bytes_max {
                return Err(Trouble::Form);
            }
            body.extend_from_slice(&piece);
        }
        Self::parse(&body)
    }

    fn parse(text: &[u8]) -> Result<Self, Trouble> {
        let fields = serde_urlencoded::from_bytes(text);
        fields.map(Self).map_err(|_| Trouble::Field { field: "form", reason: "it cannot be read" })
    }

    /// A field; what is empty is absent, because a browser sends every field of a form. A card number is refused, so that no
    /// page and no address of a page repeats one.
    pub(super) fn one(&mut self, name: &'static str) -> Result<Option<String>, Trouble> {
        let text = self.raw(name)?;
        match &text {
            Some(text) if holds_card_number(text) => {
                Err(Trouble::Field { field: name, reason: "it looks like a card number, which belongs nowhere here" })
            }
            _ => Ok(text),
        }
    }

    /// The same for a text that is looked through elsewhere, or shown nowhere.
    pub(super) fn raw(&mut self, name: &'static str) -> Result<Option<String>, Trouble> {
        let fields = std::mem::take(&mut self.0).into_iter();
        let (mut given, others): (Vec<_>, _) = fields.partition(|(field, _)| field == name);
        self.0 = others;
        match given.len() {
            0 | 1 => Ok(given.pop().map(|(_, value)| value).filter(|value| !value.is_empty())),
            _ => Err(Trouble::Field { field: name, reason: "it is given twice" }),
        }
    }

    /// A field that is one of some words.
    pub(super) fn word<T>(
        &mut self,
        name: &'static str,
        known: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Trouble> {
        match self.one(name)? {
            None => Ok(None),
            Some(text) => known(&text).map(Some).ok_or(Trouble::Field { field: name, reason: "an unknown value" }),
        }
    }

    /// The merchant that a page is about.
    pub(super) fn merchant(&mut self) -> Result<Option<TenantId>, Trouble> {
        self.word("merchant", |text| text.trim().parse().ok())
    }

    /// A time as `datetime-local` fields send it, in UTC, or in RFC 3339 form: milliseconds since 1970.
    pub(super) fn time(&mut self, name: &'static str) -> Result<Option<i64>, Trouble> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        // A civil time would be read out of a text with a zone, too, so that one is tried first.
        let at = text.parse::<jiff::Timestamp>().ok().or_else(|| {
            let local: jiff::civil::DateTime = text.parse().ok()?;
            local.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp()).ok()
        });
        let reason = "a time in UTC such as 2026-01-31T12:00";
        at.map(|at| Some(at.as_millisecond())).ok_or(Trouble::Field { field: name, reason })
    }

    /// Refuses what is left.
    pub(super) fn end(self) -> Result<(), Trouble> {
        match self.0.first() {
            None => Ok(()),
            Some(_) => Err(Trouble::Field { field: "form", reason: "it has a field that this page does not take" }),
        }
    }
}

/// A place in a list that the dashboard handed out: milliseconds since 1970 and an id.
pub(super) fn place(list: &str, cursor: Option<&str>) -> Result<Option<(i64, String)>, Trouble> {
    let Some(cursor) = cursor else { return Ok(None) };
    let reason = "it is no place of this list: begin with the newest";
    let fits = cursor.len() <= limits::CURSOR_CHARS_MAX;
    let place = crate::api::place(list, cursor).filter(|_| fits);
    place.map(Some).ok_or(Trouble::Field { field: "cursor", reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn fields_are_read_once_and_what_nobody_asks_for_is_refused() {
        let mut some = fields("a=1&b=&c=x%20y&d=4");
        assert_eq!(some.one("a"), Ok(Some("1".into())));
        assert_eq!(some.one("b"), Ok(None), "empty is absent");
        assert_eq!(some.one("c"), Ok(Some("x y".into())));
        assert_eq!(some.one("e"), Ok(None));
        assert!(some.end().is_err());
        assert!(fields("a=1&a=2").one("a").is_err());
        assert!(fields("a=").end().is_err());
        assert!(fields("a=4242+4242+4242+4242").one("a").is_err());
        assert!(fields("a=4242+4242+4242+4242").raw("a").is_ok());
    }

    #[test]
    fn times_are_utc_with_and_without_a_zone() {
        for (text, expected) in [
            ("1970-01-01T00:01", Some(60_000)),
            ("1970-01-01T00:01:01", Some(61_000)),
            ("1970-01-01T00:01:01.5Z", Some(61_500)),
            ("1970-01-01T01:01:00%2B01:00", Some(60_000)),
        ] {
            assert_eq!(fields(&format!("t={text}")).time("t"), Ok(expected), "{text}");
        }
        for bad in ["yesterday", "2026-13-01T00:00", "12"] {
            assert!(fields(&format!("t={bad}")).time("t").is_err(), "{bad}");
        }
    }

    #[actix_web::test]
    async fn form_over_its_limit_is_refused() {
        let form = |bytes: usize| {
            let body = Bytes::from(format!("a={}", "x".repeat(bytes - 2)));
            Payload::from(body)
        };
        let limit = limits::DASHBOARD_FORM_BYTES_MAX;
        assert!(Fields::of_form(form(limit), limit).await.is_ok());
        assert_eq!(Fields::of_form(form(limit + 1), limit).await.err(), Some(Trouble::Form));
    }

    #[test]
    fn cursors_of_other_lists_or_of_nobody_are_refused() {
        let good = crate::api::cursor("p", 5, "pay_1");
        assert_eq!(place("p", Some(&good)), Ok(Some((5, "pay_1".into()))));
        assert_eq!(place("p", None), Ok(None));
        let long = crate::api::cursor("p", 5, &"x".repeat(limits::CURSOR_CHARS_MAX));
        for bad in ["", "x", long.as_str(), &crate::api::cursor("r", 5, "ref_1")] {
            assert!(place("p", Some(bad)).is_err(), "{bad}");
        }
    }
}
