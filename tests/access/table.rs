//! The routes of the release and admin listeners, from the documents that they serve, and a right request for each.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use strongroom_tests::harness::{Answer, Client, Credentials, Result, Root, World, because, eventually, fields};
use strongroom_wire::{ActId, Scope, SecretId, Token};

/// Which listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    Release,
    Admin,
}

/// One method of one path of one listener.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) listener: Listener,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The scope that it takes, where it takes one.
    pub(crate) scope: Option<Scope>,
}

/// What paths and bodies name.
pub(crate) struct Named {
    pub(crate) token: String,
    pub(crate) secret: String,
    /// A secret that is a key for encrypted fields.
    pub(crate) field_key: String,
    pub(crate) tenant: String,
    /// Two acts that another officer asked for: one to approve, one to withdraw.
    pub(crate) acts: [String; 2],
    /// An export that another officer asked for and the first one approved.
    pub(crate) export: String,
    /// SHA-256 of a root.json to come.
    pub(crate) root: String,
}

impl Named {
    /// Ids that nobody has.
    pub(crate) fn nobody(tenant: &str) -> Self {
        Self {
            token: Token::fresh().to_string(),
            secret: SecretId::fresh().to_string(),
            field_key: SecretId::fresh().to_string(),
            tenant: tenant.to_owned(),
            root: "0".repeat(64),
            acts: [ActId::fresh().to_string(), ActId::fresh().to_string()],
            export: ActId::fresh().to_string(),
        }
    }

    /// A card and a secret that were stored just now.
    pub(crate) async fn stored(world: &World) -> Result<Self> {
        let release = world.release().await?;
        let card = release.post("/v1/payment_methods", &card_body()).await?.expect(201)?;
        let secret = release.post("/v1/secrets", &json!({ "name": "psp", "value": "hush" })).await?.expect(201)?;
        let field_key = fields::store_key(&release).await?;
        let word = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            token: word(&card, "payment_method_id"),
            secret: word(&secret, "secret_id"),
            field_key,
            tenant: world.tenant.clone(),
            root: world.next_root(Root::Dev)?,
            acts: asked(world).await?,
            export: approved_export(world).await?,
        })
    }
}

/// An export that bob asked for and alice approved.
async fn approved_export(world: &World) -> Result<String> {
    let bob = world.vault.admin(&world.pki, &world.credentials("security", "bob")?)?;
    let asked =
        bob.post("/v1/exports", &json!({ "tenant": world.tenant, "recipient": RECIPIENT })).await?.expect(202)?;
    let act = asked["act_id"].as_str().unwrap_or_default().to_owned();
    world.security().await?.send(Method::POST, &format!("/v1/acts/{act}/approve"), None, &[]).await?.expect(200)?;
    Ok(act)
}

/// The example of the age specification.
const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

/// The other officer asks for the destruction of two terms that retired.
async fn asked(world: &World) -> Result<[String; 2]> {
    let security = world.security().await?;
    let bob = world.vault.admin(&world.pki, &world.credentials("security", "bob")?)?;
    let mut acts = [String::new(), String::new()];
    for (act, term) in acts.iter_mut().zip(1..) {
        let rotate = json!({ "tenant": world.tenant });
        security.post("/v1/rotations", &rotate).await?.expect(202)?;
        eventually("the rotation to end", Duration::from_secs(30), || async {
            let now = security.get(&format!("/v1/rotations/{}", world.tenant)).await?.expect(200)?;
            Ok((now["state"] == "done").then_some(()))
        })
        .await?;
        let destroy = json!({ "purpose": "kek", "tenant": world.tenant, "term": term });
        let asked = bob.post("/v1/keys/destroy", &destroy).await?.expect(202)?;
        *act = asked["act_id"].as_str().unwrap_or_default().to_owned();
    }
    Ok(acts)
}

/// Every route of the release and admin listeners, as vaultd's document has them.
pub(crate) async fn routes(world: &World) -> Result<Vec<Route>> {
    let document = world.release().await?.get("/openapi.json").await?.expect(200)?;
    let mut routes = Vec::new();
    let empty = serde_json::Map::new();
    for (path, item) in document["paths"].as_object().unwrap_or(&empty) {
        for (method, operation) in item.as_object().unwrap_or(&empty).iter().filter(|(name, _)| *name != "parameters") {
            let listeners = operation["x-listeners"].as_array().cloned().unwrap_or_default();
            for listener in listeners.iter().filter_map(Value::as_str) {
                let listener = match listener {
                    "release" => Listener::Release,
                    "admin" => Listener::Admin,
                    _ => continue,
                };
                let method = method.to_uppercase().parse().map_err(because("a method"))?;
                let scope = operation["x-scope"].as_str().and_then(|words| scope_on(listener, words));
                routes.push(Route { listener, method, path: path.clone(), scope });
            }
        }
    }
    assert!(routes.len() >= 28, "the document names only {} routes", routes.len());
    Ok(routes)
}

/// `reveal`, or `provision / tenants` where the listeners differ, or `audit-read (admin)` where only one asks for it.
fn scope_on(listener: Listener, words: &str) -> Option<Scope> {
    let of = |word: &str| Scope::ALL.into_iter().find(|scope| scope.as_str() == word.trim());
    if let Some((release, admin)) = words.split_once('/') {
        return of(if listener == Listener::Release { release } else { admin });
    }
    if let Some(word) = words.strip_suffix("(admin)") {
        return if listener == Listener::Admin { of(word) } else { None };
    }
    let scope = of(words);
    assert!(scope.is_some(), "the document names the scope `{words}`, which there is not");
    scope
}

impl Route {
    /// The path with its ids filled in.
    pub(crate) fn concrete(&self, named: &Named) -> String {
        let id = if self.path.contains("secrets") { &named.secret } else { &named.token };
        let of_acts = &named.acts[usize::from(self.method == Method::DELETE)];
        let act = if self.path.contains("exports") { &named.export } else { of_acts };
        self.path
            .replace("{id}", id)
            .replace("{act}", act)
            .replace("{customer_id}", "cus_access")
            .replace("{tenant}", &named.tenant)
            .replace("{index}", "0")
            .replace("{path}", "tile/entries/000.p/1")
    }

    /// A body that is right, so that a refusal cannot be about it.
    fn body(&self, named: &Named) -> Option<Value> {
        match (self.method.as_str(), self.path.as_str()) {
            ("POST", "/v1/payment_methods") => Some(card_body()),
            ("POST", "/v1/payment_methods/batch") => Some(json!({ "payment_methods": [batch_card()] })),
            ("POST", "/v1/payment_methods/encrypted_fields") => {
                Some(fields::of_card(&named.field_key, "4242424242424242", "123"))
            }
            ("POST", "/v1/pins/check") => Some(fields::of_pin(&named.field_key, "1234")),
            ("PATCH", "/v1/payment_methods/{id}") => Some(json!({ "metadata": { "order": "8" } })),
            ("POST", "/v1/payment_methods/{id}/reveal") => {
                Some(json!({ "purpose": "authorize", "reference": "pay_access" }))
            }
            ("POST", "/v1/payment_methods/{id}/cvc") => Some(json!({ "cvc": "123" })),
            // A dry run, because nobody listens at the destination.
            ("POST", "/v1/forward") => Some(json!({
                "destination": "psp",
                "method": "POST",
                "path": "/v1/payment_methods",
                "body": { "form": [["card[number]", "{{card.number}}"]] },
                "payment_method_id": named.token,
                "reference": "pay_access",
                "dry_run": true,
            })),
            ("POST", "/v1/sessions") => Some(json!({ "allowed_origins": ["https://shop.example"] })),
            ("POST", "/v1/secrets") => Some(json!({ "name": "psp", "value": "hush" })),
            ("POST", "/v1/tenants" | "/v1/rotations") => Some(json!({ "tenant": named.tenant })),
            ("POST", "/v1/store/migration") => Some(json!({ "records_per_second_max": 1000 })),
            ("POST", "/v1/store/verify") => Some(json!({ "sample": 10 })),
            // A share of the right form that belongs to nobody.
            ("POST", "/v1/unseal" | "/v1/root/next/shares") => Some(json!({
                "vault_id": "00000000-0000-4000-8000-000000000000",
                "index": 1,
                "share": format!("{}=", "A".repeat(43)),
            })),
            ("PUT", "/v1/tenants/{tenant}/retention") => Some(json!({ "days": 540 })),
            ("POST", "/v1/exports") => Some(json!({ "tenant": named.tenant, "recipient": RECIPIENT })),
            ("POST", "/v1/keys/destroy") => Some(json!({ "purpose": "kek", "tenant": named.tenant, "term": 2 })),
            ("POST", "/v1/root/change") => Some(json!({ "to": named.root })),
            ("POST", "/v1/custodians/acknowledgement") => Some(json!({ "duty": 1 })),
            (
                "POST",
                "/v1/payment_methods/{id}/retain"
                | "/v1/secrets/{id}/reveal"
                | "/v1/seal"
                | "/v1/reload"
                | "/v1/backups"
                | "/v1/acts/{act}/approve",
            ) => None,
            ("GET" | "DELETE", _) => None,
            (method, path) => {
                panic!("{method} {path} is new: say here what a right request is, and every test will try it")
            }
        }
    }

    /// Somebody of the standard policy who may ask.
    pub(crate) fn asker(&self) -> (&'static str, &'static str) {
        match (self.listener, self.scope) {
            (Listener::Release, _) => ("orchestrator", "main"),
            (Listener::Admin, Some(Scope::Unseal)) => ("custodian", "c1"),
            (Listener::Admin, _) => ("security", "alice"),
        }
    }

    /// Asks with this client.
    pub(crate) async fn ask(&self, client: &Client, named: &Named) -> Result<Answer> {
        client.send(self.method.clone(), &self.concrete(named), self.body(named).as_ref(), &[]).await
    }

    /// A client of this route's listener.
    pub(crate) fn client(&self, world: &World, who: &Credentials) -> Result<Client> {
        match self.listener {
            Listener::Release => Ok(world.vault.release(&world.pki, who)?.tenant(&world.tenant)),
            Listener::Admin => world.vault.admin(&world.pki, who),
        }
    }

    /// Whether any certificate of the CA is enough.
    pub(crate) fn is_open(&self) -> bool {
        self.path.starts_with("/health/") || self.path == "/openapi.json"
    }

    /// For messages.
    pub(crate) fn name(&self) -> String {
        format!("{:?} {} {}", self.listener, self.method, self.path)
    }
}

/// A batch takes no CVC.
fn batch_card() -> Value {
    json!({ "type": "card", "card": { "number": "4242424242424242", "exp_month": 12, "exp_year": 2031 } })
}

pub(crate) fn card_body() -> Value {
    json!({ "type": "card", "card": { "number": "4242424242424242", "exp_month": 12, "exp_year": 2031, "cvc": "123" } })
}

#[tokio::test]
async fn every_route_answers_whom_policy_allows() {
    let world = World::vault_only().await.unwrap();
    let named = Named::stored(&world).await.unwrap();
    let mut routes = routes(&world).await.unwrap();
    // What takes something away comes last.
    routes.sort_by_key(|route| (route.path == "/v1/seal", route.method == Method::DELETE));
    for route in &routes {
        let (role, name) = route.asker();
        let client = route.client(&world, &world.credentials(role, name).unwrap()).unwrap();
        let answer = route.ask(&client, &named).await.unwrap();
        // A vault with a development Root is open and has no ceremony, and says so.
        let wanted: &[u16] = match (route.method.as_str(), route.path.as_str()) {
            (_, "/v1/unseal") => &[200, 409],
            // The Root to come is a development one too, and nobody agreed to it yet.
            ("POST", "/v1/root/next/shares") => &[422],
            ("DELETE", "/v1/root/change") => &[404],
            // The configuration names no database to move to.
            ("POST" | "DELETE", "/v1/store/migration") => &[409],
            ("GET", "/v1/audit/proofs/{index}") if route.listener == Listener::Release => &[200, 404],
            _ => &[200, 201, 202, 204],
        };
        assert!(wanted.contains(&answer.status), "{} answered {}: {}", route.name(), answer.status, answer.problem());
        assert!(answer.header("x-request-id").is_some_and(|id| id.starts_with("req_")), "{} has no id", route.name());
    }
}
