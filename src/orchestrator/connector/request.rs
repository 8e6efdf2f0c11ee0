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
            Body::Json(json) => json.wants_card(),
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
    /// `Authorization: Basic` with `api_key` as the user name and `key1` as the password.
    Basic,
    /// As [`Auth::Basic`], with this part of the credentials as this query parameter behind the others: the merchant's name
    /// at the provider, which is no secret.
    BasicWithQuery(&'static str, AccountPart),
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// None.
    Empty,
    /// `application/x-www-form-urlencoded`, in this order; names such as `card[number]` are encoded by `transport`.
    Form(Vec<(String, Field)>),
    /// JSON; sent as `application/json` unless the request's headers name another `Content-Type`.
    Json(Json),
}

/// A JSON value with slots. Members keep their order, so that the same arguments give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number; providers' amounts, months and years are.
    Number(i64),
    /// Sent as it is; see [`Field::Text`].
    Text(String),
    /// Filled by `transport` from the card; see [`Field::Slot`].
    Slot(Slot),
    /// Filled by `transport` from the account's credentials.
    Account(AccountPart),
    /// Values in order.
    List(Vec<Json>),
    /// Members in order. A member whose slot has nothing to fill it is left out.
    Object(Vec<(String, Json)>),
}

/// A part of the credentials that a provider wants inside the body (a merchant account, an entity).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountPart {
    /// `key1`.
    Key1,
    /// `api_secret`.
    ApiSecret,
}

impl Json {
    /// An object of these members.
    #[must_use]
    pub fn object<const N: usize>(members: [(&str, Json); N]) -> Self {
        Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Json::Text(text.into())
    }

    /// Adds a member to an object; anything else stays as it is.
    #[must_use]
    pub fn with(mut self, name: &str, value: Json) -> Self {
        if let Json::Object(members) = &mut self {
            members.push((name.to_owned(), value));
        }
        self
    }

    /// As [`Json::with`], where there is a value.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<Json>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn wants_card(&self) -> bool {
        match self {
            Json::Slot(_) => true,
            Json::List(values) => values.iter().any(Json::wants_card),
            Json::Object(members) => members.iter().any(|(_, value)| value.wants_card()),
            Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::Account(_) => false,
        }
    }
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
    /// The month as a JSON number; in JSON alone.
    ExpMonthNumber,
    /// The year of four digits as a JSON number; in JSON alone.
    ExpYearNumber,
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
            Slot::ExpMonthNumber => "{{card.exp_month_number}}",
            Slot::ExpYearNumber => "{{card.exp_year_number}}",
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
