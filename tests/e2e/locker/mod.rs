//! The card-vault dialect, spoken by a client that another library of JOSE makes: the way a payments switch calls its locker.

mod session;
mod wrong;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use strongroom_tests::harness::{Credentials, Rule, VaultPlan, World, WorldPlan, standard_policy};
use strongroom_wire::Scope;
use tempfile::TempDir;

/// Published test numbers.
const VISA: &str = "4242424242424242";
const MASTERCARD: &str = "5555555555554444";

/// The switch: a process of its own.
struct Switch {
    child: Child,
    orders: ChildStdin,
    results: BufReader<ChildStdout>,
    base: String,
    ca: PathBuf,
    document: Value,
}

/// One answer.
#[derive(Debug)]
struct Answered {
    status: u16,
    headers: Value,
    sealed: bool,
    said: Value,
}

impl Switch {
    fn start(keys: &Path) -> Self {
        let mut child = Command::new(super::localstripe::python())
            .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("e2e/locker/client.py"))
            .arg(keys)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, results) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let none = (String::new(), PathBuf::new());
        Self { child, orders, results, base: none.0, ca: none.1, document: Value::Null }
    }

    fn order(&mut self, order: &Value) -> Vec<Value> {
        writeln!(self.orders, "{order}").unwrap();
        let mut line = String::new();
        assert!(self.results.read_line(&mut line).unwrap() > 0, "the switch ended");
        serde_json::from_str(&line).unwrap()
    }

    /// Several answers to one order; `more` says what is special about its messages.
    fn all(&mut self, path: &str, body: Value, more: &Value) -> Vec<Answered> {
        let mut order = json!({"url": format!("{}{path}", self.base), "ca": self.ca, "body": body});
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let results = self.order(&order);
        let answered = |mut result: Value| Answered {
            status: result["status"].as_u64().unwrap().try_into().unwrap(),
            headers: result["headers"].take(),
            sealed: result["sealed"].as_bool().unwrap(),
            said: result["said"].take(),
        };
        results.into_iter().map(answered).collect()
    }

    fn with(&mut self, path: &str, body: Value, more: &Value) -> Answered {
        self.all(path, body, more).remove(0)
    }

    fn call(&mut self, path: &str, body: Value) -> Answered {
        self.with(path, body, &json!({}))
    }

    /// The answer of a request that is done; request and answer are held against the document that the listener serves.
    fn done(&mut self, path: &str, body: Value) -> Value {
        let answer = self.call(path, body.clone());
        assert_eq!((answer.status, answer.sealed), (200, true), "{path}: {}", answer.said);
        let operation = &self.document["paths"][path]["post"];
        let sent = &operation["requestBody"]["content"]["application/json"]["x-content"]["$ref"];
        let got = &operation["responses"]["200"]["content"]["application/json"]["x-content"]["$ref"];
        for (schema, value) in [(sent, &body), (got, &answer.said)] {
            let mut whole = self.document.clone();
            whole["$ref"] = schema.clone();
            let checker = jsonschema::validator_for(&whole).unwrap();
            let faults: Vec<String> = checker.iter_errors(value).map(|fault| fault.to_string()).collect();
            assert!(schema.is_string() && faults.is_empty(), "{path} {schema}: {faults:?}");
        }
        answer.said
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What an error is, once its form is checked.
fn fault(answer: &Answered) -> (u16, &str) {
    let said = answer.said.as_object().unwrap();
    assert_eq!(said.keys().collect::<Vec<_>>(), ["code", "data", "message"], "{said:?}");
    assert!(said["data"].is_null() && !said["message"].as_str().unwrap().contains("4242"));
    (answer.status, said["code"].as_str().unwrap())
}

/// A vault whose locker listener knows callers.
struct Rig {
    world: World,
    switch: Switch,
    _folder: TempDir,
}

/// One caller of the configuration.
struct Caller {
    name: &'static str,
    tenant_id: &'static str,
    more: &'static str,
    signs: bool,
}

const MAIN: Caller = Caller { name: "switch", tenant_id: "public", more: "tenant = \"acme\"", signs: true };

impl Rig {
    async fn new() -> Self {
        Self::of(&[MAIN], "", Rule::new("switch", "switch", &["acme"], &SCOPES).reveals(1_000, 10_000)).await
    }

    /// Callers, more lines of `[locker]`, the rule of the caller that is called `switch`.
    async fn of(callers: &[Caller], lines: &str, rule: Rule) -> Self {
        Self::with_keys(callers, lines, |_| rule).await
    }

    /// The same, where the rule is made when the keys are there.
    async fn with_keys(callers: &[Caller], lines: &str, rule: impl FnOnce(&Path) -> Rule) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut switch = Switch::start(folder.path());
        let mut names = vec!["locker", "stranger"];
        names.extend(callers.iter().filter(|caller| caller.signs).map(|caller| caller.name));
        switch.order(&json!({ "make": names }));
        // A switch without a client certificate, unless a test says otherwise.
        let head = if lines.contains("client_certificates") { "" } else { "client_certificates = false\n" };
        let mut text = format!("[locker]\nkey = {:?}\n{head}{lines}\n", folder.path().join("locker.key"));
        let mut policy = standard_policy().rule(rule(folder.path()));
        for Caller { name, tenant_id, more, signs } in callers {
            let _ = write!(
                text,
                "[locker.caller.{name}]\ntenant_id = \"{tenant_id}\"\nidentity = \"spiffe://strongroom/switch/{name}\"\n{more}\n"
            );
            if *signs {
                let _ = writeln!(text, "key = {:?}\nkey_id = \"1\"", folder.path().join(format!("{name}.pub")));
            }
            if *name != "switch" {
                policy = policy.rule(Rule::new("switch", name, &["globex"], &SCOPES).reveals(1_000, 10_000));
            }
        }
        let vault = VaultPlan { locker: Some(text), keep_alive_seconds: 60, ..VaultPlan::default() };
        let world = World::start(WorldPlan { vault, policy, ..WorldPlan::default() }).await.unwrap();
        world.register("globex").await.unwrap();
        switch.base = format!("https://localhost:{}", world.vault.locker().unwrap().port());
        switch.ca = world.pki.ca();
        switch.document = serde_json::from_str(include_str!("../../../src/vault/dialect/locker/openapi.json")).unwrap();
        Self { world, switch, _folder: folder }
    }

    /// The newest entries of the audit log, oldest first: act, outcome, who, subject.
    async fn entries(&self, count: usize) -> Vec<(String, String, String, String)> {
        let security = self.world.security().await.unwrap();
        let page = security.get("/v1/audit/entries?limit=1000").await.unwrap().expect(200).unwrap();
        let all = page["entries"].as_array().unwrap();
        let word = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let of_switch = |entry: &&Value| word(entry, "act") != "audit-read";
        let all: Vec<&Value> = all.iter().filter(of_switch).collect();
        all[all.len() - count..]
            .iter()
            .map(|entry| (word(entry, "act"), word(entry, "outcome"), word(entry, "who"), word(entry, "subject")))
            .collect()
    }
}

/// The files of a certificate as the client takes them.
fn certificate(who: &Credentials) -> Value {
    json!([who.certificate, who.key])
}

fn add(customer: &str, number: &str) -> Value {
    json!({
        "merchant_id": "acme",
        "merchant_customer_id": customer,
        "card": {
            "card_number": number, "name_on_card": "Ada Lovelace", "card_exp_month": "12", "card_exp_year": "2031",
            "card_brand": null, "card_isin": null, "nick_name": "mine",
        },
        "ttl": 220_752_000,
    })
}

fn named(customer: &str, reference: &str) -> Value {
    json!({"merchant_id": "acme", "merchant_customer_id": customer, "card_reference": reference})
}

fn reference(answer: &Value) -> String {
    answer["payload"]["card_reference"].as_str().unwrap().to_owned()
}

const SCOPES: [Scope; 3] = [Scope::Tokenize, Scope::Reveal, Scope::Delete];
