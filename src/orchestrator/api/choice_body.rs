//! The merchant's choice of connector accounts for one payment: `routing` and `connector` of a payment's body.

use serde::Deserialize;
use strongroom_wire::limits;

use super::body;
use crate::intent::{Fault, Terms};

/// `routing`: `{"type": "single", "data": {...}}` or `{"type": "priority", "data": [...]}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoutingBody {
    #[serde(rename = "type")]
    kind: RoutingWord,
    #[serde(rename = "data")]
    choice: Choice,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RoutingWord {
    Single,
    Priority,
    VolumeSplit,
    Advanced,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Choice {
    One(Chosen),
    Several(Vec<Chosen>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    connector: String,
    merchant_connector_id: Option<String>,
}

/// Puts the choice into the terms. A named account is chosen by its id; a connector alone means every account there.
///
/// # Errors
/// [`Fault::Invalid`], [`Fault::NotSupported`].
pub(super) fn apply(
    terms: &mut Terms,
    routing: Option<RoutingBody>,
    connectors: Option<Vec<String>>,
) -> Result<(), Fault> {
    let is_known = |name: &String| crate::connector::find(name).is_some();
    if let Some(names) = connectors {
        if names.len() > limits::CONNECTOR_ACCOUNTS_MAX || !names.iter().all(is_known) {
            return Err(Fault::Invalid { field: "connector", reason: "at most 20 names of connectors that exist" });
        }
        terms.connectors = names;
    }
    let Some(RoutingBody { kind, choice }) = routing else {
        return Ok(());
    };
    let field = "routing";
    let chosen = match (kind, choice) {
        (RoutingWord::Single, Choice::One(one)) => vec![one],
        (RoutingWord::Priority, Choice::Several(all)) if (1..=limits::CONNECTOR_ACCOUNTS_MAX).contains(&all.len()) => {
            all
        }
        (RoutingWord::VolumeSplit | RoutingWord::Advanced, _) => {
            return Err(Fault::NotSupported(
                "routing.type: single and priority choose for one payment; splits and rules belong to the merchant's \
                 routing document",
            ));
        }
        _ => {
            return Err(Fault::Invalid { field, reason: "single has one connector, priority a list of 1 to 20" });
        }
    };
    if !chosen.iter().all(|one| is_known(&one.connector)) {
        return Err(Fault::Invalid { field, reason: "it names no connector that exists" });
    }
    let mut accounts = Vec::with_capacity(chosen.len());
    for one in chosen {
        let name = body::text(field, one.merchant_connector_id, limits::PAYMENT_ID_CHARS_MAX)?;
        accounts.push(name.unwrap_or(one.connector));
    }
    terms.accounts = accounts;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::intent::rig::new_payment;

    fn applied(routing: Value) -> Result<Vec<String>, Fault> {
        let mut terms = new_payment(|_| {}).terms;
        apply(&mut terms, Some(serde_json::from_value(routing).unwrap()), None).map(|()| terms.accounts)
    }

    #[test]
    fn choice_names_accounts_in_order_and_connectors_where_no_account_is_named() {
        let one = json!({"connector": "stripe", "merchant_connector_id": "mca_1"});
        assert_eq!(applied(json!({"type": "single", "data": one})).unwrap(), ["mca_1"]);
        let both = json!({"type": "priority", "data": [one, {"connector": "stripe"}]});
        assert_eq!(applied(both).unwrap(), ["mca_1", "stripe"]);
    }

    #[test]
    fn choice_that_says_nothing_clear_is_refused() {
        let one = json!({"connector": "stripe"});
        for bad in [
            json!({"type": "single", "data": [one]}),
            json!({"type": "priority", "data": one}),
            json!({"type": "priority", "data": []}),
            json!({"type": "priority", "data": vec![one.clone(); limits::CONNECTOR_ACCOUNTS_MAX + 1]}),
            json!({"type": "single", "data": {"connector": "nobody"}}),
            json!({"type": "single", "data": {"connector": "stripe", "merchant_connector_id": "4242424242424242"}}),
            json!({"type": "volume_split", "data": [one]}),
        ] {
            assert!(applied(bad.clone()).is_err(), "{bad}");
        }
        assert!(serde_json::from_value::<RoutingBody>(json!({"type": "single", "data": {"name": "x"}})).is_err());
    }
}
