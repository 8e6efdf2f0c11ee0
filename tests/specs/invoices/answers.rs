//! Holds answers of the invoices' door against the specification whose words it speaks.

use serde_json::Value;

/// What is wrong with this answer to `verb path` (without the path below which the door lives); `None` if nothing is, or the
/// specification does not know the call.
pub(crate) fn complaint(verb: &str, path: &str, status: u16, body: &Value) -> Option<String> {
    let document: Value = serde_json::from_str(include_str!("answers.json")).unwrap();
    let named: Vec<&str> =
        path.split('/').map(|part| NAMES.iter().find(|(p, _)| part.starts_with(p)).map_or(part, |n| n.1)).collect();
    let answers = &document["paths"][named.join("/")][verb.to_lowercase()]["responses"];
    // A fault of the server is in no specification.
    if answers.is_null() || status >= 500 {
        return None;
    }
    let answer = answers.get(status.to_string()).or_else(|| answers.get("4XX").filter(|_| status >= 400));
    let Some(answer) = answer else {
        return Some(format!("{verb} {path}: no status {status}"));
    };
    let schema = &answer["content"]["application/json"]["schema"];
    let validator = jsonschema::draft202012::new(schema).unwrap();
    let complaints: Vec<String> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    (!complaints.is_empty()).then(|| format!("{verb} {path}: {status}: {}", complaints.join("; ")))
}

/// How ids begin, and what the specification calls them.
const NAMES: [(&str, &str); 5] = [
    ("iv_", "{invoice_id}"),
    ("tr_", "{transaction_id}"),
    ("cust_", "{customer_id}"),
    ("tok_", "{token_id}"),
    ("ev_", "{event_id}"),
];
