//! Why a page is not shown, as a page that says what to do.

use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use maud::html;

use super::page::{self, harden};
use crate::intent::Fault;
use crate::store::StoreError;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// Nobody is logged in; after that they want to go on here.
    #[error("log in first")]
    Stranger {
        /// An address of the dashboard.
        next: String,
    },
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The form did not come from a page of this dashboard.
    #[error("this form was not sent from a page of this dashboard, so nothing was done")]
    Foreign,
    /// The form is of another session.
    #[error("this form belongs to a session that is over, so nothing was done: open the page again")]
    Stale,
    /// A viewer wanted to change something.
    #[error("your role is viewer: an editor may do this")]
    Viewer,
    /// A field cannot be understood.
    #[error("{field}: {reason}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it should be.
        reason: &'static str,
    },
    /// The form is too large, or did not arrive.
    #[error("the form is larger than this page takes, or did not arrive in full")]
    Form,
    /// Too many tries to log in.
    #[error("too many tries to log in at a time: wait a few minutes and try again")]
    TooMany,
    /// Another verb.
    #[error("this address does not take such a request")]
    WrongVerb,
    /// The store.
    #[error("the store does not answer: try again in a moment")]
    Store,
    /// Ours.
    #[error("something went wrong here; the server's log says what")]
    Internal,
}

impl ResponseError for Trouble {
    fn status_code(&self) -> StatusCode {
        match self {
            Trouble::Stranger { .. } => StatusCode::SEE_OTHER,
            Trouble::NotFound(_) => StatusCode::NOT_FOUND,
            Trouble::Foreign | Trouble::Stale | Trouble::Viewer => StatusCode::FORBIDDEN,
            Trouble::Field { .. } => StatusCode::BAD_REQUEST,
            Trouble::Form => StatusCode::PAYLOAD_TOO_LARGE,
            Trouble::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Trouble::WrongVerb => StatusCode::METHOD_NOT_ALLOWED,
            Trouble::Store => StatusCode::from_u16(503).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            Trouble::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        if let Trouble::Stranger { next } = self {
            let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
            return see_other(&format!("/dashboard/login?{query}"));
        }
        let body = html! {
            h1 { "It did not work" }
            div.notice.bad role="alert" id="trouble" { p { "The reason: " (self) "." } }
            p { a href="/dashboard" { "Back to the overview" } }
        };
        let mut answer = page::bare(self.status_code(), "It did not work", &body);
        if *self == Trouble::TooMany {
            answer.headers_mut().insert(RETRY_AFTER, 60.into());
        }
        answer
    }
}

/// Sends the browser on, always with GET.
pub(super) fn see_other(to: &str) -> HttpResponse {
    let mut answer: HttpResponseBuilder = HttpResponse::SeeOther();
    harden(&mut answer);
    answer.insert_header((LOCATION, to)).finish()
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotFound("Payment") => Trouble::NotFound("payment"),
            Fault::NotFound(_) => Trouble::NotFound("thing"),
            Fault::Store | Fault::VaultUnavailable | Fault::Busy => Trouble::Store,
            other => {
                tracing::error!(fault = %other, "a page of the dashboard cannot be shown");
                Trouble::Internal
            }
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Fault::from(error).into()
    }
}
