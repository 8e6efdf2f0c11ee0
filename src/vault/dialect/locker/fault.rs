//! Errors as the dialect has them: `{"code","message","data"}`, where the code is one of four.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use bytes::Bytes;
use serde_json::json;
use strongroom_wire::Kind;

use super::answer::with_body;
use crate::api::problem::Refusal;

/// An error of the dialect.
pub(super) struct Fault {
    pub(super) status: StatusCode,
    code: &'static str,
    message: String,
}

impl Fault {
    /// What a refusal is in the dialect's words.
    pub(super) fn of(refusal: &Refusal) -> Self {
        let problem = refusal.problem();
        let kind = Kind::from_type_uri(&problem.type_uri).unwrap_or(Kind::Internal);
        let detail = match &problem.field {
            Some(field) => format!("{field}: {}", problem.detail),
            None => problem.detail.clone(),
        };
        let (status, code, message) = match kind {
            Kind::NotFound => (404, NOT_FOUND, "Requested resource not found".to_owned()),
            Kind::NoRoute => (404, NOT_FOUND, detail),
            // Its validation answers 400, whatever is wrong.
            Kind::Malformed | Kind::InvalidField | Kind::InvalidCard | Kind::CardInText => {
                (400, INVALID, format!("Failed while validation: {detail}"))
            }
            Kind::TooLarge
            | Kind::UnsupportedMedia
            | Kind::MethodNotAllowed
            | Kind::Conflict
            | Kind::IdempotencyConflict
            | Kind::SealedTwice => (problem.status, INVALID, detail),
            Kind::Sealed => (503, PROCESSING, "Custodian is locked".to_owned()),
            Kind::NotRecorded | Kind::Unavailable | Kind::Tampered | Kind::KeyExpired => {
                (problem.status, STORAGE, detail)
            }
            Kind::Unauthenticated
            | Kind::SessionInvalid
            | Kind::Denied
            | Kind::QuotaExceeded
            | Kind::RateLimited
            | Kind::CvcGone
            | Kind::IntakeKeyGone
            | Kind::ShareRefused
            | Kind::Unacknowledged
            | Kind::Overloaded
            | Kind::Internal => (problem.status, PROCESSING, detail),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code, message }
    }

    pub(super) fn json(&self) -> Vec<u8> {
        // An object of strings always serializes.
        serde_json::to_vec(&json!({"code": self.code, "message": self.message, "data": null})).unwrap_or_default()
    }
}

/// A refusal in plain, for whoever is not known.
pub(super) fn refuse(refusal: &Refusal) -> HttpResponse {
    let fault = Fault::of(refusal);
    with_body(fault.status, refusal.retry_after_s(), Bytes::from(fault.json()))
}

const PROCESSING: &str = "TE_00";
const STORAGE: &str = "TE_01";
const NOT_FOUND: &str = "TE_02";
const INVALID: &str = "TE_03";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::FlowError;

    fn of(refusal: &Refusal) -> (u16, serde_json::Value) {
        let fault = Fault::of(refusal);
        (fault.status.as_u16(), serde_json::from_slice(&fault.json()).unwrap())
    }

    #[test]
    fn each_kind_has_a_code_of_the_dialect_and_a_status_of_its_class() {
        for kind in Kind::ALL {
            let (status, json) = of(&Refusal::new(*kind, "why"));
            assert_eq!(status / 100, kind.status() / 100, "{kind:?}");
            assert!(["TE_00", "TE_01", "TE_02", "TE_03"].contains(&json["code"].as_str().unwrap()));
            assert_eq!(json.as_object().unwrap().len(), 3);
            assert!(json["data"].is_null() && !json["message"].as_str().unwrap().is_empty());
        }
    }

    #[test]
    fn what_the_switch_tells_apart_is_told_apart() {
        assert_eq!(of(&FlowError::NotFound.into()).1["message"], "Requested resource not found");
        assert_eq!(of(&FlowError::NotFound.into()).0, 404);
        let (status, json) = of(&Refusal::new(Kind::InvalidCard, "check the digits").at("card.card_number"));
        assert_eq!((status, &json["code"]), (400, &"TE_03".into()));
        assert_eq!(json["message"], "Failed while validation: card.card_number: check the digits");
        let sealed = Refusal::from(FlowError::Sealed);
        assert_eq!(of(&sealed).1["message"], "Custodian is locked");
        assert_eq!(refuse(&sealed).headers().get("retry-after").unwrap(), "30");
    }
}
