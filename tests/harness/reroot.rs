//! Another Root for a running vault, by the real `vaultctl`: made or dealt anew in `next`, brought, agreed on, put in its place.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use strongroom_wire::hex::hex;

use super::elsewhere::Environment;
use super::pki::{text, vaultctl};
use super::world::{deal_root, secret_file};
use super::{Fault, Hsm, Kms, Result, Root, World, because, eventually, passphrase_of};

impl World {
    /// Has vaultd reach the Root in force and the one to come from its next start on, and no other. An HSM or KMS that is
    /// not there yet is brought.
    ///
    /// # Errors
    /// When one cannot be brought, or the configuration not be written.
    pub async fn reach(&mut self, now: Root, next: Root) -> Result<()> {
        let (now, mut environment) = self.way_to(now, "root").await?;
        let (next, more) = self.way_to(next, "root.next").await?;
        environment.extend(more);
        self.vault.set_roots(&now, &next, environment)
    }

    async fn way_to(&mut self, root: Root, table: &str) -> Result<(String, Environment)> {
        match root {
            Root::Hsm => {
                let known = self.hsm.take().map_or_else(|| Hsm::make(&self.path().join("hsm")), Ok)?;
                let hsm = self.hsm.insert(known);
                Ok((hsm.lines(table)?, hsm.environment()))
            }
            Root::Kms => {
                let known = match self.kms.take() {
                    Some(known) => known,
                    None => Kms::start(self.path()).await?,
                };
                let kms = self.kms.insert(known);
                Ok((kms.lines(table), kms.environment()))
            }
            Root::Dev | Root::Custodians(..) => Ok((String::new(), Vec::new())),
        }
    }

    /// Makes a Root to come in `next`, where vaultd's configuration names it. Answers the SHA-256 of its root.json.
    ///
    /// # Errors
    /// When `vaultctl` refuses.
    pub fn next_root(&self, root: Root) -> Result<String> {
        self.clear_next()?;
        let (next, before) = (self.path().join("next"), self.path().join("root/root.json"));
        let successor = ["--for", text(&before)?];
        match (root, &self.hsm, &self.kms) {
            (Root::Hsm, Some(hsm), _) => drop(hsm.init(&next, &successor)?),
            (Root::Kms, _, Some(kms)) => drop(kms.init(&kms.key()?, &next, &successor)?),
            _ => deal_root(&next, root, Some(&before))?,
        }
        let json = std::fs::read(self.path().join("next/root.json")).map_err(because("the next root.json"))?;
        Ok(hex(&Sha256::digest(json)))
    }

    /// Deals the Root anew: shares of `root` that are brought, other shares in `next`.
    ///
    /// # Errors
    /// When `vaultctl` refuses.
    pub fn redeal(&self, brought: &[u8], shares: u8, threshold: u8) -> Result<()> {
        self.clear_next()?;
        let root = self.path().join("root/root.json");
        let out = self.path().join("next");
        let (count, needed) = (shares.to_string(), threshold.to_string());
        let mut files: Vec<(&str, PathBuf)> = Vec::new();
        for number in brought {
            files.push(("--share", self.path().join(format!("root/share-{number}.json"))));
            files.push(("--share-passphrase-file", self.passphrase_file(*number)?));
        }
        for number in 1..=shares {
            files.push(("--passphrase-file", self.passphrase_file(number)?));
        }
        let mut arguments = vec!["shares", "redeal", "--root", text(&root)?, "--out", text(&out)?];
        arguments.extend(["--shares", &count, "--threshold", &needed, "--open-milliseconds", "0"]);
        for (flag, file) in &files {
            arguments.extend([*flag, text(file)?]);
        }
        vaultctl(&arguments).map(drop)
    }

    /// Hands in custodian `number`'s share of the Root to come.
    ///
    /// # Errors
    /// When the share is refused; the fault shows what `vaultctl` said.
    pub fn hand_in_next(&self, number: u8) -> Result<String> {
        let who = self.credentials("custodian", &format!("c{number}"))?;
        let file = self.passphrase_file(number)?;
        let share = self.path().join(format!("next/share-{number}.json"));
        let arguments = ["root", "share", "--acknowledge", "--share", text(&share)?, "--passphrase-file", text(&file)?];
        self.vaultctl(&who, &arguments)
    }

    /// One officer asks for the change to `next` and the other one approves it.
    ///
    /// # Errors
    /// When either is refused.
    pub fn agree_on_next(&self, keys_per_second: Option<u32>) -> Result<()> {
        let (alice, bob) = (self.credentials("security", "alice")?, self.credentials("security", "bob")?);
        let to = self.path().join("next/root.json");
        let rate = keys_per_second.map(|rate| rate.to_string());
        let mut arguments = vec!["--json", "root", "change", "--to", text(&to)?];
        if let Some(rate) = &rate {
            arguments.extend(["--keys-per-second", rate]);
        }
        let asked: Value = serde_json::from_str(&self.vaultctl(&alice, &arguments)?).map_err(because("an act"))?;
        let act = asked["act_id"].as_str().ok_or_else(|| Fault::new("the act has no id"))?;
        self.vaultctl(&bob, &["acts", "approve", act]).map(drop)
    }

    /// The change when it is no longer running.
    ///
    /// # Errors
    /// When it takes longer than a minute.
    pub async fn change_is_over(&self) -> Result<Value> {
        let security = self.security().await?;
        eventually("the change of the root to end", Duration::from_secs(60), || async {
            let now = security.get("/v1/root").await?.expect(200)?;
            Ok((now["change"]["state"] != "running").then(|| now["change"].clone()))
        })
        .await
    }

    /// What an operator does once the Root to come is in force: its files take the place of those before.
    ///
    /// # Errors
    /// When a file cannot be moved.
    pub fn keep_next(&self) -> Result<()> {
        let (root, next) = (self.path().join("root"), self.path().join("next"));
        std::fs::remove_dir_all(&root).map_err(because("the files of the root before"))?;
        std::fs::rename(next, root).map_err(because("the files of the root in force"))
    }

    fn clear_next(&self) -> Result<()> {
        let next = self.path().join("next");
        if next.exists() { std::fs::remove_dir_all(next).map_err(because("an earlier root to come")) } else { Ok(()) }
    }

    fn passphrase_file(&self, number: u8) -> Result<PathBuf> {
        let file = self.path().join(format!("typed-{number}"));
        secret_file(&file, &passphrase_of(number))?;
        Ok(file)
    }
}
