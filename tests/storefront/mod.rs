//! A small shop with a server and pages of its own, where the demo and the browser tests pay: it knows customers, baskets and
//! orders, and never sees a card.

mod cashier;
mod catalogue;
mod ears;
mod pages;
mod panel;
mod routes;
mod visitors;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer, rt};
use serde_json::{Value, json};
use strongroom_wire::Scope;

use crate::harness::{Fault, Policy, Result, Rule, World, because, standard_policy, word};
use cashier::Cashier;
use ears::Ears;
use panel::Panel;
use visitors::Visitors;

/// A running shop. Dropping it closes it.
pub struct Storefront {
    at: SocketAddr,
    server: ServerHandle,
    thread: Option<thread::JoinHandle<()>>,
    counter: Data<Counter>,
}

/// What the shop's handlers share.
struct Counter {
    cashier: Cashier,
    visitors: Mutex<Visitors>,
    panel: Panel,
    addresses: Addresses,
    sdk: Sdk,
}

/// The SDK's loader as the pages fetch it.
struct Sdk {
    url: String,
    integrity: String,
}

/// Where a browser finds everybody.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The shop itself: plain HTTP, which browsers take for safe on loopback.
    pub shop: String,
    /// The vault's intake.
    pub vault: String,
    /// The orchestrator.
    pub pay: String,
    /// The PSP, for the page of the bank.
    pub psp: String,
}

impl Addresses {
    /// `shop`, `vault`, `pay`, `psp`.
    #[must_use]
    pub fn as_json(&self) -> Value {
        json!({ "shop": self.shop, "vault": self.vault, "pay": self.pay, "psp": self.psp })
    }

    fn of(world: &World, shop: SocketAddr) -> Result<Self> {
        let [intake, _, _] = world.vault.addresses();
        Ok(Self {
            shop: format!("http://shop.localhost:{}", shop.port()),
            vault: format!("https://vault.localhost:{}", intake.port()),
            pay: format!("https://localhost:{}", world.payments()?.at().port()),
            psp: world.psp()?.client().base().to_owned(),
        })
    }
}

impl Sdk {
    /// The loader of this version, with the hash that the vault publishes for it.
    async fn of(world: &World, addresses: &Addresses) -> Result<Self> {
        let inventory = world.vault.intake(&world.pki)?.get("/sdk/inventory.json").await?.expect(200)?;
        let loader = inventory["files"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|file| file["path"].as_str().is_some_and(|path| path.ends_with("/strongroom.js")));
        let loader = loader.ok_or_else(|| Fault::new("the vault serves no loader of the SDK"))?;
        let (path, integrity) = (word(loader, "path")?, word(loader, "integrity")?);
        Ok(Self { url: format!("{}{path}", addresses.vault), integrity })
    }
}

impl Storefront {
    /// The usual policy, and an auditor whose entries the panel shows. A world with a storefront has it.
    #[must_use]
    pub fn policy() -> Policy {
        standard_policy().rule(Rule::new(AUDITOR.0, AUDITOR.1, &["*"], &[Scope::AuditRead]))
    }

    /// Opens the shop of a world's merchant on a port of loopback, any free one if none is named.
    ///
    /// # Errors
    /// When the port is taken, the world has no orchestrator, or its vault serves no SDK.
    pub async fn open(world: &mut World, port: Option<u16>) -> Result<Self> {
        world.vault.serve_fields().await?;
        let world = &*world;
        let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0)))
            .map_err(because(format!("the shop's port {}", port.unwrap_or(0))))?;
        let at = listener.local_addr().map_err(because("the shop's port"))?;
        let addresses = Addresses::of(world, at)?;
        let sdk = Sdk::of(world, &addresses).await?;
        // The orchestrator takes a publishable key from pages of these origins alone.
        let payments = world.payments()?;
        let account = format!("/accounts/{}", payments.merchant.id);
        payments.operator().post(&account, &json!({ "allowed_origins": [addresses.shop] })).await?.must_be(200)?;
        let ears = Arc::new(Ears::default());
        let counter = Data::new(Counter {
            cashier: Cashier::of(world, &addresses)?,
            visitors: Mutex::default(),
            panel: Panel::of(world, Arc::clone(&ears))?,
            addresses,
            sdk,
        });
        let shared = counter.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .app_data(Data::from(Arc::clone(&ears)))
                .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
                .wrap(from_fn(ears::listen))
                .configure(routes::all)
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(0)
        .listen(listener)
        .map_err(because("the shop"))?
        .run();
        let handle = server.handle();
        // A thread of its own: whoever opened the shop may be busy waiting for a browser.
        let serving = thread::spawn(move || {
            // When it ends, the shop is closed; there is nobody left to tell.
            let _ended = rt::System::new().block_on(server);
        });
        Ok(Self { at, server: handle, thread: Some(serving), counter })
    }

    /// Where browsers find it, and everybody whom its pages name.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.counter.addresses
    }

    /// Where it listens.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// Every byte that its server received from browsers: request lines, headers, bodies.
    ///
    /// # Errors
    /// When there was more than it keeps.
    pub fn heard(&self) -> Result<Vec<u8>> {
        self.counter.panel.ears().everything()
    }
}

impl Drop for Storefront {
    fn drop(&mut self) {
        // The order to stop is given by the call itself; its future only waits.
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            // A shop that did not stop well is closed all the same.
            let _ended = thread.join();
        }
    }
}

/// Role and name of the auditor.
const AUDITOR: (&str, &str) = ("auditor", "panel");

/// Largest body that a page of the shop sends.
const BODY_BYTES_MAX: usize = 16 * 1024;
