//! Health: whether the process lives, and whether it can take payments.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::json;
use tokio::sync::Mutex;

use super::Api;
use super::answer::Answer;
use crate::intent::Engine;

/// `GET /health`: the process answers.
pub(crate) async fn live() -> HttpResponse {
    Answer::ok(&json!({"status": "live"})).into()
}

/// `GET /health/ready`: the store and the vault answer. 503 otherwise, with what is missing.
pub(crate) async fn ready(api: Data<Api>) -> HttpResponse {
    let mut missing = Vec::new();
    if api.engine.store().ping().await.is_err() {
        missing.push("store");
    }
    if !api.readiness.vault_answers(&api.engine).await {
        missing.push("vault");
    }
    if missing.is_empty() {
        return Answer::ok(&json!({"status": "ready"})).into();
    }
    let body = json!({"status": "not ready", "missing": missing}).to_string().into_bytes();
    Answer { status: 503, body }.into()
}

/// What the vault said last. Anybody may ask whether this server is ready, so the vault is asked once in two seconds.
#[derive(Default)]
pub(crate) struct Readiness {
    /// When it was asked, milliseconds since 1970, and whether it answered. Held while it is asked, so that of many
    /// callers one asks and the others wait for the same answer.
    vault: Mutex<Option<(i64, bool)>>,
}

impl Readiness {
    async fn vault_answers(&self, engine: &Engine) -> bool {
        let mut told = self.vault.lock().await;
        let now = engine.now_ms();
        if let Some((asked, answered)) = *told
            && now.abs_diff(asked) < FRESH_MS
        {
            return answered;
        }
        let answered = engine.vault().ping(PATIENCE).await.is_ok();
        *told = Some((engine.now_ms(), answered));
        answered
    }
}

/// How long an answer of the vault stands, in milliseconds.
const FRESH_MS: u64 = 2_000;
/// How long the vault may take; a probe that waits longer is given up by most who send one.
const PATIENCE: Duration = Duration::from_secs(1);
