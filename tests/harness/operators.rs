//! Operators of an orchestrator's dashboard, and one who is logged in.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::{Answer, Binary, Client, Fault, Result, because, binary_path};

/// An operator who may change things.
pub const EDITOR: &str = "ada";
/// An operator who may only look.
pub const VIEWER: &str = "vic";
/// The password of both.
pub const OPERATOR_PASSWORD: &str = "strongroom tests 2026";

/// The tables of orchestratord's configuration that name [`EDITOR`] and [`VIEWER`], for
/// [`OrchestratorPlan::more`](super::OrchestratorPlan::more). orchestratord itself makes the hash of their password.
///
/// # Errors
/// When it does not.
pub fn operators() -> Result<String> {
    let hash = operator_hash(OPERATOR_PASSWORD)?;
    let table = |(name, role)| {
        format!("[[dashboard.operators]]\nname = \"{name}\"\nrole = \"{role}\"\npassword_hash = \"{hash}\"\n\n")
    };
    Ok([(EDITOR, "editor"), (VIEWER, "viewer")].into_iter().map(table).collect())
}

/// What `orchestratord operator-hash` answers to a password.
///
/// # Errors
/// When it refuses.
pub fn operator_hash(password: &str) -> Result<String> {
    let mut command = Command::new(binary_path(Binary::Orchestratord)?);
    command.arg("operator-hash").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(because("orchestratord operator-hash"))?;
    if let Some(mut stdin) = child.stdin.take() {
        writeln!(stdin, "{password}").map_err(because("orchestratord operator-hash"))?;
    }
    let done = child.wait_with_output().map_err(because("orchestratord operator-hash"))?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    } else {
        Err(Fault::new(String::from_utf8_lossy(&done.stderr).into_owned()))
    }
}

/// A browser without a screen in which an operator is logged in.
pub struct Desk {
    client: Client,
    form_token: String,
}

impl Desk {
    /// Logs in.
    ///
    /// # Errors
    /// When the dashboard refuses.
    pub async fn log_in(anyone: &Client, name: &str) -> Result<Self> {
        let client = anyone.clone().with("Origin", anyone.base());
        let fields = [("name", name), ("password", OPERATOR_PASSWORD)];
        let answer = post(&client, "/dashboard/login", &fields).await?;
        answer.must_be(303)?;
        let cookie = answer.header("set-cookie").and_then(|text| text.split(';').next()).unwrap_or_default();
        let mut desk = Self { client: client.with("Cookie", cookie), form_token: String::new() };
        let page = desk.get("/dashboard").await?;
        page.must_be(200)?;
        let rest = page.text();
        let rest =
            rest.split_once("name=\"form_token\" value=\"").ok_or_else(|| Fault::new("a page without a form"))?.1;
        desk.form_token = rest.split('"').next().unwrap_or_default().to_owned();
        Ok(desk)
    }

    /// A page.
    ///
    /// # Errors
    /// When there is no answer at all.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.client.get(path).await
    }

    /// Sends a form of a page.
    ///
    /// # Errors
    /// When there is no answer at all.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let mut all = vec![("form_token", self.form_token.as_str())];
        all.extend_from_slice(fields);
        post(&self.client, path, &all).await
    }
}

async fn post(client: &Client, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
    let mut body = reqwest::Url::parse("https://localhost").map_err(because("a form"))?;
    body.query_pairs_mut().extend_pairs(fields);
    let body = body.query().unwrap_or_default().as_bytes().to_vec();
    client.post_raw(path, "application/x-www-form-urlencoded", body).await
}
