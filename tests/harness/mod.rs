//! The harness: a fresh vault, orchestrator and PSP as real processes on loopback, and clients that speak to them.

mod binary;
mod client;
mod elsewhere;
mod fault;
mod handshake;
mod kms_proxy;
mod orchestrator;
mod peer;
mod pki;
mod postgres;
mod process;
mod psp;
mod receiver;
mod reroot;
mod shop;
mod vault;
mod world;

pub use binary::{Binary, path_of as binary_path, take_from as take_binaries_from};
pub use client::{Answer, Client};
pub use elsewhere::{Hsm, Kms, PIN};
pub use fault::{Fault, Result, because};
pub use handshake::{Handshake, Talk};
pub use kms_proxy::{KmsProxy, Mood};
pub use orchestrator::{Merchant, Orchestrator, OrchestratorPlan, SharedDatabase};
pub use peer::{Peer, Reply};
pub use pki::{Credentials, Pki};
pub use postgres::{Pooler, Postgres};
pub use process::{Process, eventually};
pub use psp::{API_KEY, LedgerLine, Psp};
pub use receiver::Receiver;
pub use shop::{Checkout, Shop, card, with_card, word};
pub use vault::{DestinationPlan, Policy, Rule, Vault, VaultPlan};
pub use world::{Root, TENANT, World, WorldPlan, passphrase_of, standard_policy, verify_log};
