//! `vaultctl init --pkcs11` and `--kms`: a Root in an HSM or in AWS KMS, proved before its root.json is written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use strongroom_keys::root::place::{HsmSite, KmsSite, Site};
use strongroom_keys::root::{Descriptor, RootError, found_in_hsm, found_in_kms};
use uuid::Uuid;

use crate::client::converse;
use crate::failure::Failure;
use crate::file::{self, Mode};
use crate::say::Say;

/// Where a Root shall live that is not with custodians.
#[derive(Args)]
#[command(next_help_heading = "In an HSM or KMS")]
pub(crate) struct Elsewhere {
    /// Keep the Root in an HSM: its PKCS#11 library
    #[arg(long, value_name = "MODULE", conflicts_with_all = OTHERS, requires_all = ["token", "pin_file"])]
    pkcs11: Option<PathBuf>,
    /// Label of the token
    #[arg(long, value_name = "LABEL", requires = "pkcs11")]
    token: Option<String>,
    /// File with the token's user PIN as its only line, readable by you alone
    #[arg(long, value_name = "FILE", requires = "pkcs11")]
    pin_file: Option<PathBuf>,
    /// Label of the key in the token
    #[arg(long, value_name = "LABEL", requires = "pkcs11", default_value = "strongroom-root")]
    key_label: String,
    /// Slot of the token, where several hold tokens that look alike
    #[arg(long, value_name = "N", requires = "pkcs11")]
    slot: Option<u64>,
    /// Take the key of that label that is in the token, instead of making one
    #[arg(long, requires = "pkcs11")]
    existing: bool,
    /// Keep the Root in AWS KMS: id, ARN or alias of a symmetric key
    #[arg(long, value_name = "KEY", conflicts_with_all = OTHERS, conflicts_with = "pkcs11", requires = "region")]
    kms: Option<String>,
    /// Region of the key
    #[arg(long, value_name = "REGION", requires = "kms")]
    region: Option<String>,
    /// Another endpoint than AWS's own; https, or http on loopback
    #[arg(long, value_name = "URL", requires = "kms")]
    endpoint: Option<String>,
    /// Profile of the shared AWS configuration
    #[arg(long, value_name = "NAME", requires = "kms")]
    profile: Option<String>,
}

/// Options that make another kind of Root.
const OTHERS: [&str; 5] = ["shares", "threshold", "custodians", "passphrase_files", "dev"];

#[derive(Serialize)]
struct Made {
    vault_id: String,
    root: PathBuf,
    key: String,
}

impl Elsewhere {
    /// Whether the Root shall live in an HSM or KMS.
    pub(crate) fn is_wanted(&self) -> bool {
        self.pkcs11.is_some() || self.kms.is_some()
    }

    /// Makes or finds the key, proves it and writes root.json.
    pub(crate) fn run(self, vault_id: Uuid, out: &Path, say: &Say) -> Result<(), Failure> {
        let root_file = out.join("root.json");
        file::refuse_existing([&root_file])?;
        say.note(if self.pkcs11.is_some() { "asking the HSM" } else { "asking KMS" });
        let descriptor = converse(async { self.found(vault_id).await.map_err(Failure::of) })?;
        file::folder(out)?;
        file::create(&root_file, Mode::Public, descriptor.to_json().as_bytes())?;
        let (key, table) = match (descriptor.hsm_key(), descriptor.kms_key()) {
            (Some(key), _) => {
                (format!("{} in token {} ({})", key.key_label, key.token_label, key.token_serial), "pkcs11")
            }
            (None, Some(key)) => (key.arn.clone(), "kms"),
            (None, None) => (String::new(), ""),
        };
        let made = Made { vault_id: vault_id.to_string(), root: root_file.clone(), key };
        let text = format!(
            "vault {vault_id}\n  {}\nkey {}\nKeep root.json beside vaultd and say in its configuration how it is reached \
             ([root.{table}]);\nthe vault then opens by itself. Whoever may use this key and reads the store reads every card.",
            root_file.display(),
            made.key
        );
        say.result(&made, &text);
        Ok(())
    }

    async fn found(&self, vault_id: Uuid) -> Result<Descriptor, RootError> {
        let site = self.site();
        match (&self.kms, &self.region) {
            (Some(key), Some(region)) => found_in_kms(vault_id, &site, key, region).await,
            _ => {
                let token = self.token.as_deref().unwrap_or_default();
                found_in_hsm(vault_id, &site, token, &self.key_label, self.existing).await
            }
        }
    }

    fn site(&self) -> Site {
        let hsm = self.pkcs11.as_ref().map(|module| HsmSite {
            module: module.clone(),
            pin_file: self.pin_file.clone().unwrap_or_default(),
            slot: self.slot,
            timeout: CALL_MAX,
        });
        let kms = self.kms.is_some().then(|| KmsSite {
            endpoint: self.endpoint.clone(),
            profile: self.profile.clone(),
            timeout: CALL_MAX,
        });
        Site { hsm, kms }
    }
}

const CALL_MAX: Duration = Duration::from_secs(30);
