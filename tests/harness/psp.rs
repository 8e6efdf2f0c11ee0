//! The PSP simulator as a process, its ledger and its faults on purpose.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Binary, Client, Credentials, Fault, Pki, Process, Result, because, binary_path};

/// A running simulator.
pub struct Psp {
    process: Process,
    client: Client,
    /// Where it listens.
    pub at: SocketAddr,
}

/// One movement of money at the PSP.
#[derive(Debug, Clone, Deserialize)]
pub struct LedgerLine {
    /// `authorize`, `capture`, `cancel`, `refund`.
    pub kind: String,
    /// In minor units.
    pub amount: i64,
    /// Lower-case ISO 4217 code.
    pub currency: String,
    /// The card's last four digits.
    pub last4: String,
    /// The payment intent at the PSP.
    pub payment_intent: String,
    /// Our payment's id, as the orchestrator put it into the metadata.
    pub payment_id: Option<String>,
}

/// The secret key that harness and simulator share; the simulator takes no live key.
pub const API_KEY: &str = "sk_test_strongroom_harness";

impl Psp {
    /// Starts a simulator with a server certificate of the PKI.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start(folder: PathBuf, pki: &Pki, server: &Credentials) -> Result<Self> {
        let ready = folder.join("psp-ready");
        // A ready file of an earlier run would speak of an address that nobody listens on.
        let _ = fs::remove_file(&ready);
        let mut command = Command::new(binary_path(Binary::Simulator)?);
        command.args(["--listen", "127.0.0.1:0", "--api-key", API_KEY, "--cert"]);
        command.arg(&server.certificate).arg("--key").arg(&server.key).arg("--ready-file").arg(&ready);
        let mut process = Process::start("psp-simulator", &mut command, &folder.join("psp.log"))?;
        let at: SocketAddr = process.ready(&ready).await?.trim().parse().map_err(because("the simulator's address"))?;
        let client = Client::new(pki, at, None)?.with("Authorization", format!("Bearer {API_KEY}"));
        Ok(Self { process, client, at })
    }

    /// Every movement of money, oldest first.
    ///
    /// # Errors
    /// When the simulator does not answer or its ledger has another form.
    pub async fn ledger(&self) -> Result<Vec<LedgerLine>> {
        let ledger = self.client.get("/ledger").await?.expect(200)?;
        serde_json::from_value(ledger["entries"].clone()).map_err(because("the ledger"))
    }

    /// The movements of one payment of ours.
    ///
    /// # Errors
    /// See [`Psp::ledger`].
    pub async fn ledger_of(&self, payment_id: &str) -> Result<Vec<LedgerLine>> {
        let lines = self.ledger().await?;
        Ok(lines.into_iter().filter(|line| line.payment_id.as_deref() == Some(payment_id)).collect())
    }

    /// Arms a fault for the next requests of an operation.
    ///
    /// # Errors
    /// When the simulator refuses it.
    pub async fn arm(&self, fault: &str, operation: &str, times: u32, delay_ms: u64) -> Result<()> {
        let body = json!({ "fault": fault, "operation": operation, "times": times, "delay_ms": delay_ms });
        self.client.post("/faults", &body).await?.expect(200).map(|_: Value| ())
    }

    /// Presses a button (`approve` or `fail`) on a 3-D Secure page; answers where the browser is sent.
    ///
    /// # Errors
    /// When the page is not the simulator's or does not take the click.
    pub async fn click(&self, page: &str, button: &str) -> Result<String> {
        let path = page.strip_prefix(self.client.base()).or_else(|| {
            // The simulator names itself by address; the client by name.
            page.strip_prefix(&format!("https://{}", self.at))
        });
        let path = path.ok_or_else(|| Fault::new("the page is not one of the simulator"))?;
        self.client.get(path).await?.must_be(200)?;
        let form = format!("outcome={button}").into_bytes();
        let answer = self.client.post_raw(path, "application/x-www-form-urlencoded", form).await?;
        answer.must_be(303)?;
        answer.header("location").map(str::to_owned).ok_or_else(|| Fault::new("the page sends the browser nowhere"))
    }

    /// The client that the harness itself uses, for the 3-D Secure page.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Where its log is.
    #[must_use]
    pub fn log(&self) -> &std::path::Path {
        self.process.log()
    }
}
