//! [`Transport`] through the vault: a request with card slots goes there as a template, and the vault fills and sends it.
//! This process never holds a card. What has no slot is sent from here, as [`HttpTransport`] does.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use strongroom_wire::forward::{
    ForwardBody, ForwardMethod, ForwardRequest, Forwarded, HeaderText, InDoubt, Json as Template, Slot as WireSlot,
};

use super::{CardPass, Handover, HttpTransport, NotSent, Rendered, Sent, Transport};
use crate::connector::{AccountPart, Body, Credentials, Doubt, Field, Json, Method, PspAnswer, PspRequest, Slot};
use crate::vault::{ForwardFault, Forwarder};

/// Sends cards through the vault.
pub struct ForwardTransport {
    direct: HttpTransport,
    vault: Arc<dyn Forwarder>,
    /// How long the vault may take in all: as long as the slowest provider, and a little for itself.
    patience: Duration,
}

impl ForwardTransport {
    /// A transport that sends what has no card from here, and hands the rest to the vault.
    #[must_use]
    pub fn new(direct: HttpTransport, vault: Arc<dyn Forwarder>, patience: Duration) -> Self {
        Self { direct, vault, patience }
    }
}

#[async_trait]
impl Transport for ForwardTransport {
    async fn send(&self, connector: &str, request: &PspRequest, credentials: &Credentials, card: CardPass<'_>) -> Sent {
        if !request.wants_card() {
            return self.direct.send(connector, request, credentials, card).await;
        }
        let CardPass::ByVault(handover) = card else {
            return Sent::NotSent(NotSent::Unbuildable);
        };
        let Some(template) = template(connector, request, credentials, handover) else {
            return Sent::NotSent(NotSent::Unbuildable);
        };
        match self.vault.forward(&handover.tenant, &template, self.patience).await {
            Ok(Forwarded::Sent { status, body, .. }) => Sent::Answer(PspAnswer { status, body: body.into_bytes() }),
            Ok(Forwarded::NotSent { reason }) => {
                tracing::warn!(connector, reason = reason.as_str(), "the vault could not send");
                Sent::NotSent(NotSent::Unreachable)
            }
            Ok(Forwarded::InDoubt { reason: InDoubt::TimedOut }) => Sent::InDoubt(Doubt::TimedOut),
            Ok(Forwarded::InDoubt { reason: InDoubt::ConnectionLost }) => Sent::InDoubt(Doubt::ConnectionLost),
            // A dry run was not asked for.
            Ok(Forwarded::InDoubt { reason: InDoubt::Unreadable } | Forwarded::DryRun { .. }) => {
                Sent::InDoubt(Doubt::Unreadable)
            }
            Err(ForwardFault::NotSent(why)) => Sent::NotSent(NotSent::Vault(why)),
            Err(ForwardFault::InDoubt(doubt)) => Sent::InDoubt(doubt),
        }
    }

    fn knows(&self, destination: &str) -> bool {
        self.direct.knows(destination)
    }

    fn needs_card(&self) -> bool {
        false
    }
}

/// The request as the vault takes it. `None`: it cannot be said there, among other reasons because a text in it looks like
/// a slot; a merchant's words must not become one.
fn template(
    connector: &str,
    request: &PspRequest,
    credentials: &Credentials,
    handover: &Handover,
) -> Option<ForwardRequest> {
    let bare = PspRequest { body: Body::Empty, query: Vec::new(), ..request.clone() };
    let rendered = Rendered::of(&bare, credentials, None)?;
    let headers = rendered.headers.into_iter().filter(|(name, _)| name != "idempotency-key");
    let template = ForwardRequest {
        destination: connector.parse().ok()?,
        method: match request.method {
            Method::Post => ForwardMethod::Post,
            Method::Get | Method::Delete => return None,
        },
        path: request.path.clone(),
        query: request.query.clone(),
        headers: headers.map(|(name, value)| (name, HeaderText::new(value.as_str().to_owned()))).collect(),
        body: Some(match &request.body {
            Body::Empty => return None,
            Body::Form(pairs) => ForwardBody::Form(
                pairs.iter().map(|(name, field)| Some((name.clone(), form_value(field)?))).collect::<Option<_>>()?,
            ),
            Body::Json(json) => ForwardBody::Json(json_value(json, credentials)?),
        }),
        payment_method_id: handover.token,
        cvc_token: handover.cvc_token.as_ref().map(|token| token.expose().to_owned()),
        reference: handover.reference.parse().ok()?,
        idempotency_key: request.idempotency_key.clone(),
        dry_run: false,
    };
    template.check().is_ok().then_some(template)
}

fn form_value(field: &Field) -> Option<String> {
    match field {
        Field::Text(text) => plain(text),
        Field::Slot(slot) => Some(wire_slot(*slot).as_str().to_owned()),
    }
}

fn json_value(json: &Json, credentials: &Credentials) -> Option<Template> {
    Some(match json {
        Json::Bool(truth) => Template::Bool(*truth),
        Json::Number(number) => Template::Number((*number).into()),
        Json::Text(text) => Template::Text(plain(text)?),
        Json::Slot(slot) => Template::Text(wire_slot(*slot).as_str().to_owned()),
        Json::Account(part) => {
            let text = match part {
                AccountPart::Key1 => credentials.key1.as_ref(),
                AccountPart::ApiSecret => credentials.api_secret.as_ref(),
            };
            Template::Text(plain(text?)?)
        }
        Json::List(items) => {
            Template::List(items.iter().map(|item| json_value(item, credentials)).collect::<Option<_>>()?)
        }
        Json::Object(members) => Template::Object(
            members
                .iter()
                .map(|(name, value)| Some((name.clone(), json_value(value, credentials)?)))
                .collect::<Option<_>>()?,
        ),
    })
}

/// Text that cannot be read as a slot.
fn plain(text: &str) -> Option<String> {
    (!text.contains("{{")).then(|| text.to_owned())
}

fn wire_slot(slot: Slot) -> WireSlot {
    match slot {
        Slot::Number => WireSlot::Number,
        Slot::ExpMonth => WireSlot::ExpMonth,
        Slot::ExpYear => WireSlot::ExpYear,
        Slot::Cvc => WireSlot::Cvc,
        Slot::HolderName => WireSlot::HolderName,
        Slot::ExpMonthNumber => WireSlot::ExpMonthNumber,
        Slot::ExpYearNumber => WireSlot::ExpYearNumber,
    }
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
