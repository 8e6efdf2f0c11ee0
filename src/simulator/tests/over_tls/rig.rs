//! A running simulator over real TLS and a client that trusts it.

use std::fs;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use reqwest::{Certificate, Client, Response, StatusCode};
use serde_json::Value;
use strongroom_simulator::{Config, start};

/// A running simulator and a client that trusts it.
pub(crate) struct Psp {
    pub(crate) base: String,
    pub(crate) client: Client,
    stop: actix_web::dev::ServerHandle,
    pub(crate) folder: tempfile::TempDir,
}

impl Drop for Psp {
    fn drop(&mut self) {
        drop(self.stop.stop(false));
    }
}

pub(crate) const KEY: &str = "sk_test_simulator";

pub(crate) fn config(folder: &tempfile::TempDir, listen: &str) -> Config {
    let path = |name: &str| folder.path().join(name);
    Config {
        listen: listen.parse().expect("an address"),
        cert: path("cert.pem"),
        key: path("key.pem"),
        api_keys: vec![KEY.to_owned()],
        webhooks: Vec::new(),
        webhook_ca: None,
        ready_file: Some(path("ready")),
    }
}

pub(crate) fn certified() -> (tempfile::TempDir, Certificate) {
    let folder = tempfile::tempdir().expect("a folder");
    let pair =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("a pair");
    fs::write(folder.path().join("cert.pem"), pair.cert.pem()).expect("written");
    fs::write(folder.path().join("key.pem"), pair.signing_key.serialize_pem()).expect("written");
    (folder, Certificate::from_pem(pair.cert.pem().as_bytes()).expect("a certificate"))
}

pub(crate) fn psp() -> Psp {
    // Another test may have been first; either way there is a provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (folder, certificate) = certified();
    let config = config(&folder, "127.0.0.1:0");
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let running = start(&config).expect("started");
            tell.send((running.address, running.handle)).expect("the test waits");
            running.ended.await
        })
    });
    let (address, stop): (SocketAddr, _) = told.recv().expect("started");
    let no_redirect = reqwest::redirect::Policy::none();
    let client = Client::builder().tls_certs_only([certificate]).redirect(no_redirect).build().expect("a client");
    Psp { base: format!("https://{address}"), client, stop, folder }
}

impl Psp {
    pub(crate) async fn try_post(&self, path: &str, key: &str, form: &[(&str, &str)]) -> reqwest::Result<Response> {
        let request = self.client.post(format!("{}{path}", self.base)).bearer_auth(KEY).header("Idempotency-Key", key);
        request.form(form).send().await
    }

    pub(crate) async fn post(&self, path: &str, key: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let response = self.try_post(path, key, form).await.expect("an answer");
        (response.status(), response.json().await.expect("JSON"))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.base)).bearer_auth(KEY);
        request.send().await.expect("an answer").json().await.expect("JSON")
    }

    pub(crate) async fn arm(&self, fault: Value) {
        let body = fault.to_string();
        let sent = self.client.post(format!("{}/faults", self.base)).bearer_auth(KEY).body(body).send().await;
        assert_eq!(sent.expect("an answer").status(), 200);
    }

    pub(crate) async fn method(&self, number: &str) -> String {
        let card =
            [("card[number]", number), ("card[exp_month]", "12"), ("card[exp_year]", "2031"), ("card[cvc]", "123")];
        let mut form = vec![("type", "card")];
        form.extend(card);
        let (status, method) = self.post("/v1/payment_methods", &format!("pm-{number}"), &form).await;
        assert_eq!(status, 200, "{method}");
        method["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn captures(&self, payment: &str) -> u64 {
        let ledger = self.get(&format!("/ledger?payment={payment}")).await;
        ledger["totals"]["captures"].as_u64().expect("a count")
    }
}
