//! The editor of a merchant's routing rules: checked line by line, tried on past payments, and saved only over what the
//! editor saw.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use strongroom_wire::{TenantId, limits};

use super::fields::Fields;
use super::login::Body;
use super::operators::Role;
use super::page::{Frame, Here};
use super::place::line_of;
use super::trouble::{Trouble, see_other};
use super::words::free;
use super::{Dashboard, dry_run, session};
use crate::account::ConnectorAccount;
use crate::api::{Api, holds_card_number};
use crate::routing::{BadRules, Rules};
use crate::store::StoreError;

/// `GET /dashboard/routing`.
pub(super) async fn show(
    dashboard: Data<Dashboard>,
    api: Data<Api>,
    request: HttpRequest,
) -> Result<HttpResponse, Trouble> {
    let mut query = Fields::of_query(&request)?;
    let merchant = query.merchant()?;
    let is_saved = query.one("saved")?.is_some();
    query.end()?;
    let frame = Frame::open(&dashboard, &api, &request, merchant).await?;
    let merchant = match frame.merchant(Here::Routing) {
        Ok(merchant) => merchant,
        Err(page) => return Ok(*page),
    };
    let stored = api.engine.store().routing(merchant).await?;
    let text = stored.as_deref().map(pretty).unwrap_or_default();
    // The API refuses such rules, too; whatever wrote them, they are not shown.
    let is_card = holds_card_number(&text);
    let text = if is_card { String::new() } else { text };
    let notice = html! {
        @if is_card { (card_problem().show()) }
        @if is_saved { div.notice.good role="status" id="saved" { p { "Saved. The rules hold from the next confirmation on." } } }
    };
    let draft = Draft { text: &text, version: &version(stored.as_deref()), payments: PAYMENTS_USUAL };
    let accounts = api.engine.accounts(merchant).await?;
    Ok(frame.show(Here::Routing, "Routing", &editor(&frame, merchant, &draft, &accounts, &notice, &html! {})))
}

/// What an operator wants of the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Validate,
    DryRun,
    Save,
}

impl Act {
    fn of_word(word: &str) -> Option<Self> {
        match word {
            "validate" => Some(Act::Validate),
            "dry_run" => Some(Act::DryRun),
            "save" => Some(Act::Save),
            _ => None,
        }
    }
}

/// What stands in the editor.
struct Draft<'a> {
    text: &'a str,
    /// Of the stored rules that it was made from.
    version: &'a str,
    /// How many payments a dry run goes through.
    payments: u32,
}

/// `POST /dashboard/routing`.
pub(super) async fn act(
    dashboard: Data<Dashboard>,
    api: Data<Api>,
    request: HttpRequest,
    Body(body): Body,
) -> Result<HttpResponse, Trouble> {
    // A form spells a byte with up to three.
    let form_bytes_max = 3 * limits::DASHBOARD_RULES_BYTES_MAX + limits::DASHBOARD_FORM_BYTES_MAX;
    let (visitor, mut fields) = session::form((&dashboard, &api), &request, body, form_bytes_max).await?;
    let act = fields.word("act", Act::of_word)?.ok_or(Trouble::Field { field: "act", reason: "what is to be done" })?;
    let merchant = fields.merchant()?.ok_or(Trouble::Field { field: "merchant", reason: "whose rules these are" })?;
    let seen = fields.raw("version")?.unwrap_or_default();
    let payments = fields.word("payments", |text| {
        text.parse().ok().filter(|count| (1..=limits::DRY_RUN_PAYMENTS_MAX).contains(count))
    })?;
    let text = fields.raw("rules")?.unwrap_or_default().replace("\r\n", "\n");
    fields.end()?;
    if act == Act::Save {
        visitor.may_edit()?;
    }
    let operator = visitor.name.clone();
    let frame = Frame::of(visitor, &api, Some(merchant.clone())).await?;
    // No account may lose its name between the look at it and the write.
    let _turn = if act == Act::Save { Some(api.account_changes.lock().await) } else { None };
    let accounts = api.engine.accounts(&merchant).await?;
    let page = |status: StatusCode, text: &str, version: &str, notice: &Markup, below: &Markup| {
        let draft = Draft { text, version, payments: payments.unwrap_or(PAYMENTS_USUAL) };
        frame.show_with(status, Here::Routing, "Routing", &editor(&frame, &merchant, &draft, &accounts, notice, below))
    };
    let read = match read(&text, &accounts) {
        Ok(read) => read,
        Err(problem) => {
            let kept = if problem.is_card { "" } else { text.as_str() };
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, kept, &seen, &problem.show(), &html! {}));
        }
    };
    let rules = read.as_ref().map(|read| &read.rules);
    match act {
        Act::Validate => {
            let notice =
                html! { div.notice.good role="status" id="valid" { p { (summary(rules)) " Nothing was saved." } } };
            Ok(page(StatusCode::OK, &text, &seen, &notice, &html! {}))
        }
        Act::DryRun => {
            let count = payments.unwrap_or(PAYMENTS_USUAL);
            let tried = dry_run::run(&api, &merchant, rules, count).await?;
            Ok(page(StatusCode::OK, &text, &seen, &html! {}, &dry_run::show(&tried, count, &accounts)))
        }
        Act::Save => {
            let stored = api.engine.store().routing(&merchant).await?;
            let document = read.as_ref().map(|read| read.document.as_str());
            let is_as_seen = version(stored.as_deref()) == seen;
            let saved = match is_as_seen {
                true => api.engine.store().swap_routing(&merchant, stored.as_deref(), document).await,
                false => Err(StoreError::Conflict),
            };
            match saved {
                Ok(()) => {
                    tracing::info!(
                        event = "operator_rules",
                        operator = operator.as_str(),
                        merchant_id = merchant.as_str(),
                        before = version(stored.as_deref()).as_str(),
                        after = version(document).as_str(),
                        rules = rules.map_or(0, |rules| rules.rules.len()),
                        "an operator saved routing rules"
                    );
                    Ok(see_other(&format!("/dashboard/routing?merchant={merchant}&saved=1")))
                }
                Err(StoreError::Conflict) => {
                    let now = api.engine.store().routing(&merchant).await?;
                    let below = theirs(now.as_deref());
                    Ok(page(StatusCode::CONFLICT, &text, &version(now.as_deref()), &conflict(), &below))
                }
                Err(other) => Err(other.into()),
            }
        }
    }
}

/// Rules that were found good.
struct Read {
    rules: Rules,
    /// The text that is stored.
    document: String,
}

/// Why a text is no set of rules.
struct Problem {
    /// From 1, where known.
    line: Option<usize>,
    /// Where in the document, where known.
    path: Option<String>,
    why: String,
    /// It holds what looks like a card number, so it is not shown again.
    is_card: bool,
}

/// The rules in a text; `None` where it is empty, which means that there are none.
fn read(text: &str, accounts: &[ConnectorAccount]) -> Result<Option<Read>, Problem> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let plain = |why: &str| Problem { line: None, path: None, why: why.to_owned(), is_card: false };
    if text.len() > limits::DASHBOARD_RULES_BYTES_MAX {
        return Err(plain("the text is longer than 32768 bytes"));
    }
    if holds_card_number(text) {
        return Err(card_problem());
    }
    let unread = |error: serde_json::Error| {
        let said = error.to_string();
        let why = said.rsplit_once(" at line ").map_or(said.as_str(), |(why, _)| why).to_owned();
        Problem { line: Some(error.line()), path: None, why, is_card: false }
    };
    let rules: Rules = serde_json::from_str(text).map_err(unread)?;
    let document = serde_json::from_str::<Value>(text).map_err(unread)?;
    if !document.is_object() {
        return Err(Problem { line: Some(1), ..plain("rules are an object in braces, as in the example") });
    }
    let document = document.to_string();
    if holds_card_number(&document) {
        return Err(card_problem());
    }
    let bad = |BadRules { path, reason }: BadRules| Problem {
        line: Some(line_of(text, &path)),
        path: Some(path),
        why: reason.to_owned(),
        is_card: false,
    };
    rules.check().map_err(bad)?;
    rules.check_names(accounts).map_err(bad)?;
    Ok(Some(Read { rules, document }))
}

fn card_problem() -> Problem {
    let why = "the text holds what looks like a card number, so it is not shown; a BIN prefix has at most 8 digits";
    Problem { line: None, path: None, why: why.to_owned(), is_card: true }
}

impl Problem {
    fn show(&self) -> Markup {
        html! {
            div.notice.bad role="alert" id="invalid" {
                p {
                    strong { "These rules cannot be used" @if let Some(line) = self.line { ", line " (line) } ": " }
                    @if let Some(path) = &self.path { code { (path) } " – " }
                    (free(&self.why)) "."
                }
                p { "Nothing was saved. Mend it and try again." }
            }
        }
    }
}

/// Names a stored text: what is saved later is saved only over this one.
fn version(stored: Option<&str>) -> String {
    stored.map_or("none".to_owned(), |text| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn pretty(document: &str) -> String {
    let value = serde_json::from_str::<Value>(document).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| document.to_owned())
}

fn summary(rules: Option<&Rules>) -> String {
    match rules {
        None => "Empty: without rules the oldest account comes first.".to_owned(),
        Some(rules) => match rules.rules.len() {
            1 => "1 rule, and every account that it names is there.".to_owned(),
            count => format!("{count} rules, and every account that they name is there."),
        },
    }
}

fn conflict() -> Markup {
    html! {
        div.notice.bad role="alert" id="conflict" {
            p { strong { "Somebody else saved other rules meanwhile, so yours were not saved." } }
            p { "Below the editor stands what is stored now. Bring both together; saving again replaces what is stored now." }
        }
    }
}

fn theirs(stored: Option<&str>) -> Markup {
    html! {
        section.card aria-labelledby="stored-title" {
            h2 id="stored-title" { "What is stored now" }
            @match stored {
                Some(text) => pre tabindex="0" id="stored" { (free(&pretty(text))) },
                None => p.none id="stored" { "No rules: somebody took them away." },
            }
        }
    }
}

fn editor(
    frame: &Frame,
    merchant: &TenantId,
    draft: &Draft<'_>,
    accounts: &[ConnectorAccount],
    notice: &Markup,
    below: &Markup,
) -> Markup {
    let is_editor = frame.visitor.role == Role::Editor;
    html! {
        h1 { "Routing" }
        p.lead { "Which of the merchant's accounts a payment is tried at first, and which follow." }
        (notice)
        form.card method="post" action="/dashboard/routing" id="routing" {
            (frame.token())
            input type="hidden" name="merchant" value=(merchant);
            input type="hidden" name="version" value=(draft.version);
            label for="rules" { "Rules (JSON)" }
            p.fine id="rules-help" {
                "The first rule whose conditions (" code { "if" } ") all hold decides; then come the accounts of " code { "fallback" }
                ", or all others, the oldest first. Empty: no rules."
            }
            textarea name="rules" id="rules" spellcheck="false" autocomplete="off" wrap="off" aria-describedby="rules-help"
                readonly[!is_editor] { "\n" (draft.text) }
            div.actions {
                button type="submit" name="act" value="validate" id="validate" { "Validate" }
                button type="submit" name="act" value="dry_run" id="dry-run-start" { "Dry run" }
                label for="payments" { "on the newest" }
                select name="payments" id="payments" {
                    @for count in PAYMENTS_CHOICES { option value=(count) selected[count == draft.payments] { (count) " payments" } }
                }
                @if is_editor { button.main.push type="submit" name="act" value="save" id="save" { "Save" } }
                @else { span.fine.push { "An editor may change and save them." } }
            }
        }
        (below)
        (reference(accounts))
    }
}

/// What rules may name.
fn reference(accounts: &[ConnectorAccount]) -> Markup {
    html! {
        div.row {
            section.card aria-labelledby="accounts-title" {
                h2 id="accounts-title" { "Accounts that rules may name" }
                @if accounts.is_empty() { p.none { "The merchant has no connector account yet." } }
                ul {
                    @for account in accounts {
                        li { code { (free(&account.label)) } " or " code { (account.account_id) } ", " (account.connector)
                            @if account.disabled { ", disabled" } }
                    }
                }
            }
            section.card aria-labelledby="example-title" {
                h2 id="example-title" { "What rules look like" }
                pre tabindex="0" { (EXAMPLE) }
            }
        }
    }
}

const EXAMPLE: &str = r#"{
  "rules": [
    {
      "name": "euro cards from Germany",
      "if": {
        "currency": ["EUR"],
        "card_network": ["Visa", "Mastercard"],
        "billing_country": ["DE"],
        "amount": { "from": 1000, "to": 50000 }
      },
      "use": { "order": ["label a", "label b"] }
    },
    {
      "if": { "metadata": { "shop": "north" } },
      "use": {
        "split": [
          { "account": "label a", "percent": 80 },
          { "account": "label b", "percent": 20 }
        ]
      }
    }
  ],
  "fallback": ["label b"]
}"#;
const PAYMENTS_USUAL: u32 = 100;
const PAYMENTS_CHOICES: [u32; 3] = [25, PAYMENTS_USUAL, limits::DRY_RUN_PAYMENTS_MAX];

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Problem {
        read(text, &[]).err().expect("these are no rules")
    }

    #[test]
    fn problems_name_their_line_and_field_and_what_would_do() {
        for (text, line, part) in [
            ("{\n\"rules\": [,]\n}", Some(2), "expected value"),
            ("{\n\n\"ruls\": []}", Some(3), "unknown field `ruls`, expected `rules` or `fallback`"),
            ("{\"rules\": [\n{\"use\": {\"random\": []}}]}", Some(2), "expected `split` or `order`"),
            (
                "{\"rules\": [\n{\"if\": {\"currency\": [\"EURO\"]}, \"use\": {\"order\": [\"a\"]}}]}",
                Some(2),
                "ISO 4217",
            ),
            ("{\"rules\": [\n{\"if\":\n{\"currency\": []}, \"use\": {\"order\": [\"a\"]}}]}", Some(3), "leave it out"),
            ("{\"rules\": [\n{\"use\": {\"order\": [\"a\"]}}]}", Some(2), "no connector account of this merchant"),
            ("[]", Some(1), "an object in braces"),
            ("7", Some(1), "invalid type"),
        ] {
            let problem = problem(text);
            assert_eq!(problem.line, line, "{text}");
            assert!(problem.why.contains(part), "{text}: {}", problem.why);
            assert!(!problem.is_card);
        }
        let long = format!("{{\"rules\":[]{}}}", " ".repeat(limits::DASHBOARD_RULES_BYTES_MAX));
        assert!(problem(&long).why.contains("32768"));
    }

    #[test]
    fn card_number_in_rules_is_refused_and_not_shown_again() {
        for text in [
            "{\"rules\":[{\"name\":\"4242 4242 4242 4242\",\"use\":{\"order\":[\"a\"]}}]}",
            "{\"rules\":[{\"name\":\"\\u0034242424242424242\",\"use\":{\"order\":[\"a\"]}}]}",
            "not even JSON 4242424242424242",
        ] {
            assert!(problem(text).is_card, "{text}");
            assert!(!problem(text).show().into_string().contains("4242"));
        }
    }

    #[test]
    fn empty_text_means_no_rules_and_versions_tell_texts_apart() {
        assert!(read(" \n", &[]).is_ok_and(|read| read.is_none()));
        assert!(
            read("{\"rules\":[]}", &[]).is_ok_and(|read| read.is_some_and(|read| read.document == "{\"rules\":[]}"))
        );
        assert_eq!(version(None), "none");
        assert_ne!(version(Some("{}")), version(Some("{ }")));
    }

    #[test]
    fn example_in_the_page_is_a_set_of_rules() {
        let rules: Rules = serde_json::from_str(EXAMPLE).unwrap();
        rules.check().unwrap();
    }
}
