//! Single schemas of a specification, for what Prism does not look at: answers and webhooks.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

/// A specification of this folder.
pub(crate) struct Specification(Value);

impl Specification {
    /// Reads it.
    pub(crate) fn open(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("specs").join(name);
        Self(serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    }

    /// What is wrong with an answer to `POST path` with this status; `None` if nothing is.
    pub(crate) fn complaint_of_answer(&self, path: &str, status: u16, body: &Value) -> Option<String> {
        let operation = &self.0["paths"][path]["post"];
        assert!(operation.is_object(), "{path} is not in the specification");
        let schema = &operation["responses"][status.to_string()]["content"]["application/json"]["schema"];
        if schema.is_null() { Some(format!("no status {status}")) } else { self.complaint(schema, body) }
    }

    /// What is wrong with the body of a webhook of this name; `None` if nothing is.
    pub(crate) fn complaint_of_webhook(&self, name: &str, body: &Value) -> Option<String> {
        let schema =
            &self.0["webhooks"][format!("/{name}")]["post"]["requestBody"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{name} is not in the specification");
        self.complaint(schema, body)
    }

    fn complaint(&self, schema: &Value, body: &Value) -> Option<String> {
        // The references in a schema are places in its document.
        let whole = json!({ "allOf": [schema], "components": self.0["components"] });
        let validator = jsonschema::draft202012::new(&whole).unwrap();
        let complaints: Vec<String> =
            validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        (!complaints.is_empty()).then(|| complaints.join("; "))
    }
}
