//! An HTTP request to a provider with slots where secrets go, and the answer to it.

/// One HTTP request, free of secrets: it may be compared, printed and kept as a golden file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PspRequest {
    /// The verb.
    pub method: Method,
    /// Path below the destination's base URL; begins with `/`. Ids in it are percent-encoded by the connector.
    pub path: String,
    /// Query pairs, in order; `transport` encodes them.
    pub query: Vec<(String, String)>,
    /// How the credentials are presented.
    pub auth: Auth,
    /// Further headers, such as an API version.
    pub headers: Vec<(&'static str, String)>,
    /// Sent as `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The body.
    pub body: Body,
    /// Whether this request can move or reserve money. When `false`, a lost answer puts nothing in doubt.
    pub moves_money: bool,
}

impl PspRequest {
    /// Whether a card is needed to send it.
    #[must_use]
    pub fn wants_card(&self) -> bool {
        match &self.body {
            Body::Empty => false,
            Body::Form(pairs) => pairs.iter().any(|(_, field)| matches!(field, Field::Slot(_))),
        }
    }
}

/// The verbs that providers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or changes.
    Post,
    /// Removes.
    Delete,
}

/// How `transport` presents the credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer {api_key}`.
    Bearer,
    /// The API key alone in this header.
    Header(&'static str),
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// None.
    Empty,
    /// `application/x-www-form-urlencoded`, in this order; names such as `card[number]` are encoded by `transport`.
    Form(Vec<(String, Field)>),
}

/// A value of a form pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Sent as it is. Text that looks like a slot stays text: slots are a type, so a merchant's words cannot become one.
    Text(String),
    /// Filled by `transport` from the card, just before sending. Where the card lacks that part (no CVC, no holder name)
    /// the pair is left out.
    Slot(Slot),
}

/// A part of the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The number, digits only.
    Number,
    /// Two digits, `01` to `12`.
    ExpMonth,
    /// Four digits.
    ExpYear,
    /// Three or four digits; absent unless this payment brought one.
    Cvc,
    /// As embossed; may be absent.
    HolderName,
}

impl Slot {
    /// How templates and golden files spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Slot::Number => "{{card.number}}",
            Slot::ExpMonth => "{{card.exp_month}}",
            Slot::ExpYear => "{{card.exp_year}}",
            Slot::Cvc => "{{card.cvc}}",
            Slot::HolderName => "{{card.holder_name}}",
        }
    }
}

/// A complete answer of a provider, within the size limit.
pub struct PspAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body as it came.
    pub body: Vec<u8>,
}
