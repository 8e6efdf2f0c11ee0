//! Why a command did not do what it was asked, and what to do next.

use serde::Serialize;
use strongroom_wire::Problem;

/// A refusal or fault, in words for the person at the terminal. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    /// What happened.
    error: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// The field at fault, where the vault named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The problem's type, where the vault answered one.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    type_uri: Option<String>,
    /// The request's id, for whoever reads the vault's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Box<str>>,
    /// What the process ends with.
    #[serde(skip)]
    code: u8,
    /// The vault was not reached, or not heard to the end.
    #[serde(skip)]
    unheard: bool,
}

impl Failure {
    /// What happened and what to do next.
    pub(crate) fn new(error: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            next: Some(next.into()),
            field: None,
            type_uri: None,
            request_id: None,
            code: 1,
            unheard: false,
        }
    }

    /// An error whose message says what to do.
    pub(crate) fn of(error: impl std::fmt::Display) -> Self {
        Self {
            error: error.to_string(),
            next: None,
            field: None,
            type_uri: None,
            request_id: None,
            code: 1,
            unheard: false,
        }
    }

    /// What the vault answered.
    pub(crate) fn problem(problem: Problem) -> Self {
        Self {
            error: format!("{}: {}", problem.title, problem.detail),
            next: None,
            field: problem.field,
            type_uri: Some(problem.type_uri),
            request_id: problem.request_id.map(String::into_boxed_str),
            code: 1,
            unheard: false,
        }
    }

    /// Done but for a part, which the failure is about: the process ends with 3.
    pub(crate) fn in_part(self) -> Self {
        Self { code: 3, ..self }
    }

    /// The vault was not reached, or not heard to the end.
    pub(crate) fn unheard(self) -> Self {
        Self { unheard: true, ..self }
    }

    /// With more to do next.
    pub(crate) fn and(self, more: &str) -> Self {
        let next = self.next.map_or_else(|| more.to_owned(), |next| format!("{next}; {more}"));
        Self { next: Some(next), ..self }
    }

    /// What the process ends with.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// Whether the same request may succeed a little later.
    pub(crate) fn may_pass(&self) -> bool {
        use strongroom_wire::Kind;
        let passing = [Kind::RateLimited, Kind::NotRecorded, Kind::Unavailable, Kind::QuotaExceeded];
        self.unheard || passing.into_iter().any(|kind| self.is(kind))
    }

    /// Whether the vault answered a problem of this kind.
    pub(crate) fn is(&self, kind: strongroom_wire::Kind) -> bool {
        self.type_uri.as_deref().and_then(strongroom_wire::Kind::from_type_uri) == Some(kind)
    }

    /// The lines for a terminal.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("error: {}", self.error)];
        lines.extend(self.field.as_ref().map(|field| format!("field: {field}")));
        lines.extend(self.request_id.as_ref().map(|id| format!("request: {id}")));
        lines.extend(self.next.as_ref().map(|next| format!(" next: {next}")));
        lines
    }
}
