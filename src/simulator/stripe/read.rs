//! The requests that look something up.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;
use strongroom_wire::limits;

use super::Stripe;
use super::exchange::look;
use super::form::Form;
use super::refusal::Refusal;
use super::shape::{self, View};

/// `GET /v1/payment_methods/{id}`
pub(super) async fn method(stripe: Data<Stripe>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    look(&stripe, &request, |book, form| {
        form.finish()?;
        Ok(shape::method(book.method(&id)?))
    })
    .await
}

/// `GET /v1/payment_intents/{id}`
pub(super) async fn intent(stripe: Data<Stripe>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    look(&stripe, &request, |book, mut form| {
        let view = view(&request, &mut form)?;
        form.finish()?;
        Ok(shape::intent(book, book.intent(&id)?, view))
    })
    .await
}

/// `GET /v1/payment_intents`, newest first
pub(super) async fn intents(stripe: Data<Stripe>, request: HttpRequest) -> HttpResponse {
    look(&stripe, &request, |book, mut form| {
        let page = Page::parse(&mut form)?;
        let view = view(&request, &mut form)?;
        form.finish()?;
        let rows = book.intents().filter(|intent| page.holds(intent.created));
        let rows = rows.map(|intent| (intent.id.as_str(), || shape::intent(book, intent, view)));
        page.cut("/v1/payment_intents", rows)
    })
    .await
}

/// `GET /v1/setup_intents/{id}`
pub(super) async fn setup(stripe: Data<Stripe>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    look(&stripe, &request, |book, form| {
        form.finish()?;
        Ok(shape::setup(book, book.setup(&id)?))
    })
    .await
}

/// `GET /v1/setup_intents`, newest first
pub(super) async fn setups(stripe: Data<Stripe>, request: HttpRequest) -> HttpResponse {
    look(&stripe, &request, |book, mut form| {
        let page = Page::parse(&mut form)?;
        form.finish()?;
        let rows = book.setups().filter(|setup| page.holds(setup.created));
        page.cut("/v1/setup_intents", rows.map(|setup| (setup.id.as_str(), || shape::setup(book, setup))))
    })
    .await
}

/// `GET /v1/charges/{id}`
pub(super) async fn charge(stripe: Data<Stripe>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    look(&stripe, &request, |book, form| {
        form.finish()?;
        Ok(shape::charge(book, book.charge(&id)?))
    })
    .await
}

/// `GET /v1/refunds/{id}`
pub(super) async fn refund(stripe: Data<Stripe>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    look(&stripe, &request, |book, form| {
        form.finish()?;
        Ok(shape::refund(book.read_refund(&id)?))
    })
    .await
}

/// `GET /v1/refunds`, newest first
pub(super) async fn refunds(stripe: Data<Stripe>, request: HttpRequest) -> HttpResponse {
    look(&stripe, &request, |book, mut form| {
        let page = Page::parse(&mut form)?;
        let intent = form.text("payment_intent");
        let charge = form.text("charge");
        form.finish()?;
        let rows = book.refunds().filter(|refund| {
            page.holds(refund.created)
                && intent.as_ref().is_none_or(|wanted| **wanted == refund.intent)
                && charge.as_ref().is_none_or(|wanted| **wanted == refund.charge)
        });
        page.cut("/v1/refunds", rows.map(|refund| (refund.id.as_str(), || shape::refund(refund))))
    })
    .await
}

/// How the caller wants payment intents: by `expand`, where nothing but the charge can be expanded here, and by the
/// `Stripe-Version` header.
pub(super) fn view(request: &HttpRequest, form: &mut Form) -> Result<View, Refusal> {
    let wanted = form.list("expand");
    if wanted.iter().any(|name| !matches!(name.as_str(), "latest_charge" | "data.latest_charge")) {
        return Err(Refusal::invalid("parameter_invalid", "The simulator expands latest_charge alone.").param("expand"));
    }
    let version = request.headers().get("stripe-version").and_then(|value| value.to_str().ok());
    // Versions are dates, so their texts sort as they do.
    Ok(View { whole_charge: !wanted.is_empty(), charges: version.is_some_and(|version| version < "2022-11-15") })
}

/// Which part of a list is wanted.
struct Page {
    limit: usize,
    after: Option<String>,
    before: Option<String>,
    from: i64,
    to: i64,
}

impl Page {
    fn parse(form: &mut Form) -> Result<Self, Refusal> {
        let limit = form.integer("limit")?.unwrap_or(10);
        if !(1..=i64::from(limits::PAGE_ITEMS_MAX)).contains(&limit) {
            return Err(Refusal::invalid("parameter_invalid_integer", "limit: from 1 to 100.").param("limit"));
        }
        let after = form.plain("starting_after", 64)?;
        let before = form.plain("ending_before", 64)?;
        if after.is_some() && before.is_some() {
            return Err(Refusal::invalid("parameter_invalid", "Give starting_after or ending_before, not both."));
        }
        let exact = form.integer("created")?;
        let from =
            [exact, form.integer("created[gte]")?, form.integer("created[gt]")?.map(|bound| bound.saturating_add(1))];
        let to =
            [exact, form.integer("created[lte]")?, form.integer("created[lt]")?.map(|bound| bound.saturating_sub(1))];
        Ok(Self {
            limit: usize::try_from(limit).unwrap_or(1),
            after,
            before,
            from: from.into_iter().flatten().max().unwrap_or(i64::MIN),
            to: to.into_iter().flatten().min().unwrap_or(i64::MAX),
        })
    }

    fn holds(&self, created: i64) -> bool {
        (self.from..=self.to).contains(&created)
    }

    /// The page out of all rows (id and how to show it), which come newest first.
    fn cut<'a, S: FnOnce() -> Value>(
        &self,
        url: &str,
        rows: impl Iterator<Item = (&'a str, S)>,
    ) -> Result<Value, Refusal> {
        let mut rows: Vec<(&str, S)> = rows.collect();
        let place = |id: &str, rows: &[(&str, S)], param| {
            rows.iter().position(|row| row.0 == id).ok_or_else(|| Refusal::missing("object to page from", param))
        };
        let mut has_more = false;
        if let Some(id) = &self.before {
            rows.truncate(place(id, &rows, "ending_before")?);
            let surplus = rows.len().saturating_sub(self.limit);
            has_more = surplus > 0;
            rows.drain(..surplus);
        } else {
            if let Some(id) = &self.after {
                let place = place(id, &rows, "starting_after")?;
                rows.drain(..=place);
            }
            has_more |= rows.len() > self.limit;
            rows.truncate(self.limit);
        }
        Ok(shape::list(url, rows.into_iter().map(|(_, show)| show()).collect(), has_more))
    }
}
