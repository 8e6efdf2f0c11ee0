//! The 3-D Secure page of a payment, and the way back to the merchant with a `redirectResult`.

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Path};

use super::Adyen;
use crate::page::{self, Verdict};

/// `GET /checkoutshopper/threeDS/{id}`: the page that a cardholder sees. It needs no key: its id cannot be guessed.
pub(super) async fn page(adyen: Data<Adyen>, id: Path<String>) -> HttpResponse {
    match adyen.book().challenged(&id) {
        Some((payment, true)) => page::ask(payment.amount, &payment.currency),
        Some((_, false)) => page::over(),
        None => HttpResponse::NotFound().finish(),
    }
}

/// `POST /checkoutshopper/threeDS/{id}` with `outcome=approve` or `outcome=fail`: sends the browser back to `returnUrl`.
pub(super) async fn verdict(adyen: Data<Adyen>, id: Path<String>, body: Bytes) -> HttpResponse {
    let Some(verdict) = Verdict::of(&body) else { return HttpResponse::UnprocessableEntity().finish() };
    let mut book = adyen.book();
    match book.authenticate(&id, verdict) {
        Some(location) => page::back(Some(location)),
        None if book.challenged(&id).is_some() => page::over(),
        None => HttpResponse::NotFound().finish(),
    }
}
