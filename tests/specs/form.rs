//! Form bodies held against a schema: names in brackets become objects and lists, texts become what the schema wants.

use serde_json::{Map, Value, json};

/// What is wrong with the fields of a form; `None` if nothing is. Objects are closed: a member that the schema does not
/// name is wrong, also where the schema does not say so.
pub(crate) fn complaint(schema: &Value, fields: &[(String, String)]) -> Option<String> {
    let mut closed = schema.clone();
    close(&mut closed);
    let mut body = Value::Object(Map::new());
    for (name, text) in fields {
        let steps: Vec<&str> = name.split('[').map(|step| step.trim_end_matches(']')).collect();
        put(&mut body, &steps, text);
    }
    let body = typed(&closed, &body);
    let validator = jsonschema::draft4::new(&closed).unwrap();
    let complaints: Vec<String> =
        validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    (!complaints.is_empty()).then(|| complaints.join("; "))
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object) && !members.contains_key("additionalProperties")
            {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

/// Digits name places of a list, in order.
fn put(body: &mut Value, steps: &[&str], text: &str) {
    let Some((first, rest)) = steps.split_first() else {
        *body = json!(text);
        return;
    };
    if first.bytes().all(|byte| byte.is_ascii_digit()) {
        if !body.is_array() {
            *body = json!([]);
        }
        let mut inner = Value::Null;
        put(&mut inner, rest, text);
        body.as_array_mut().unwrap().push(inner);
    } else {
        if !body.is_object() {
            *body = json!({});
        }
        put(&mut body[*first], rest, text);
    }
}

/// The body with texts as numbers and truth values where the schema has such; a text that is none stays one.
fn typed(schema: &Value, body: &Value) -> Value {
    if let Some(choices) = schema["anyOf"].as_array() {
        let mut tried = choices.iter().map(|choice| (choice, typed(choice, body)));
        let fits = tried.find(|(choice, body)| jsonschema::draft4::new(choice).unwrap().is_valid(body));
        return fits.map_or_else(|| body.clone(), |(_, body)| body);
    }
    match (schema["type"].as_str(), body) {
        (Some("integer"), Value::String(text)) => text.parse::<i64>().map_or_else(|_| body.clone(), Value::from),
        (Some("boolean"), Value::String(text)) => text.parse::<bool>().map_or_else(|_| body.clone(), Value::from),
        (_, Value::Object(members)) => {
            let member = |(name, value): (&String, &Value)| {
                let inner = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                (name.clone(), typed(inner, value))
            };
            members.iter().map(member).collect()
        }
        (_, Value::Array(values)) => values.iter().map(|value| typed(&schema["items"], value)).collect(),
        _ => body.clone(),
    }
}
