//! `vaultctl inventory`: every algorithm, key and certificate in use, for people and for auditors' tools (PCI DSS 12.3.3).

mod cyclonedx;

use clap::{Args, ValueEnum};
use serde::Serialize;
use strongroom_keys::inventory::{AlgorithmKind, algorithms};
use strongroom_wire::admin::{KeyInfo, KeyList, RootKind, Status};
use strongroom_wire::certificate::{CertificateInfo, CertificateList, ListenerTls, RevocationListInfo};
use strongroom_wire::custody::RootStatus;

use crate::client::{Connection, converse};
use crate::failure::Failure;
use crate::root::place;
use crate::say::{Say, table};

/// List every algorithm, key and certificate in use
///
/// Algorithms are those compiled into this version; keys, certificates and what TLS speaks are asked of the vault, which has
/// to be unsealed. With --format cyclonedx the answer is a cryptography bill of materials that other tools read.
#[derive(Args)]
#[command(after_help = "\
Examples:
  vaultctl inventory --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key
  vaultctl inventory --format cyclonedx > cbom.json")]
pub(crate) struct Inventory {
    /// How to write it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables, or JSON with --json
    Text,
    /// CycloneDX 1.6, JSON
    Cyclonedx,
}

/// All of it.
#[derive(Serialize)]
struct Whole {
    /// Which vault.
    vault_id: String,
    /// vaultd's version.
    version: String,
    algorithms: Vec<AlgorithmLine>,
    tls: Vec<ListenerTls>,
    keys: Vec<KeyLine>,
    certificates: Vec<CertificateInfo>,
    revocation_lists: Vec<RevocationListInfo>,
}

#[derive(Serialize)]
struct AlgorithmLine {
    name: &'static str,
    kind: &'static str,
    bits: u32,
    parameters: String,
    purpose: &'static str,
    standard: &'static str,
}

#[derive(Serialize)]
struct KeyLine {
    /// As the vault lists it. The Root, which it does not list, has `sha256` of its root.json instead of a term.
    #[serde(flatten)]
    key: serde_json::Value,
    /// Where it is kept.
    location: String,
    /// What it is wrapped by.
    wrapped_by: String,
}

impl Inventory {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let (status, root, keys, certificates) = converse(async {
            let status: Status = client.get("/v1/status").await?;
            let root: RootStatus = client.get("/v1/root").await?;
            let keys: KeyList = client.get("/v1/keys").await?;
            let certificates: CertificateList = client.get("/v1/certificates").await?;
            Ok((status, root, keys, certificates))
        })?;
        if status.version != env!("CARGO_PKG_VERSION") {
            say.note("vaultd has another version than this vaultctl: its algorithms may differ from those listed here");
        }
        let whole = Whole::new(status, &root, &keys.keys, certificates);
        if self.format == Format::Cyclonedx {
            let document = cyclonedx::document(&whole);
            say.result(&document, &serde_json::to_string_pretty(&document).unwrap_or_default());
        } else {
            say.result(&whole, &whole.describe());
        }
        Ok(())
    }
}

impl Whole {
    fn new(status: Status, root: &RootStatus, keys: &[KeyInfo], certificates: CertificateList) -> Self {
        // As the status has it: `custodians`, `pkcs11`, ...
        let root_kind = serde_json::to_value(root.in_force.kind).unwrap_or_default();
        let wrapped_by = format!("Root ({}), AES-256-GCM", root_kind.as_str().unwrap_or_default());
        let algorithms = algorithms().into_iter().map(|one| AlgorithmLine {
            name: one.name,
            kind: kind(one.kind),
            bits: one.bits,
            parameters: one.parameters,
            purpose: one.purpose,
            standard: one.standard,
        });
        Self {
            vault_id: status.vault_id,
            version: status.version,
            algorithms: algorithms.collect(),
            tls: certificates.listeners,
            keys: std::iter::once(KeyLine::of_root(root))
                .chain(keys.iter().map(|key| KeyLine::new(key, &wrapped_by)))
                .collect(),
            certificates: certificates.certificates,
            revocation_lists: certificates.revocation_lists,
        }
    }

    fn describe(&self) -> String {
        let algorithms: Vec<[String; 5]> = self
            .algorithms
            .iter()
            .map(|one| {
                let bits = if one.bits == 0 { String::new() } else { one.bits.to_string() };
                [one.name.to_owned(), bits, one.parameters.clone(), one.standard.to_owned(), one.purpose.to_owned()]
            })
            .collect();
        let tls: Vec<[String; 4]> = self
            .tls
            .iter()
            .map(|one| {
                let join = |words: &[String]| words.join(" ");
                [one.listener.clone(), join(&one.versions), join(&one.key_exchange), join(&one.cipher_suites)]
            })
            .collect();
        let keys: Vec<[String; 8]> = self.keys.iter().map(KeyLine::cells).collect();
        let certificates: Vec<[String; 6]> = self
            .certificates
            .iter()
            .map(|one| {
                [
                    one.role.as_str().to_owned(),
                    if one.names.is_empty() { one.subject.clone() } else { one.names.join(" ") },
                    one.key_algorithm.clone(),
                    one.signature_algorithm.clone(),
                    one.not_after.clone(),
                    one.serial.clone(),
                ]
            })
            .collect();
        let key_head = ["KEY", "TENANT", "TERM", "STATE", "ALGORITHM", "DAYS", "LOCATION", "WRAPPED BY"];
        [
            format!("vault {}, version {}", self.vault_id, self.version),
            table(["ALGORITHM", "BITS", "PARAMETERS", "STANDARD", "PURPOSE"], &algorithms),
            table(["TLS", "VERSIONS", "KEY EXCHANGE", "CIPHER SUITES"], &tls),
            table(key_head, &keys),
            table(["CERTIFICATE", "NAME", "KEY", "SIGNED WITH", "ENDS", "SERIAL"], &certificates),
        ]
        .join("\n\n")
    }
}

impl KeyLine {
    fn new(key: &KeyInfo, wrapped_by: &str) -> Self {
        let json = serde_json::to_value(key).unwrap_or_default();
        let location = "vault.db, wrapped; in vaultd's memory while unsealed".to_owned();
        Self { key: json, location, wrapped_by: wrapped_by.to_owned() }
    }

    /// The Root in force: how long it is used is the operator's decision, so its age is what there is to say.
    fn of_root(root: &RootStatus) -> Self {
        let since = root.in_force_since.as_deref();
        let age_days = since.and_then(|since| since.parse::<jiff::Timestamp>().ok()).map(|since| {
            let age = jiff::Timestamp::now().duration_since(since);
            age.as_hours().max(0) / 24
        });
        let key = serde_json::json!({
            "purpose": "root",
            "tenant": null,
            "sha256": root.in_force.sha256,
            "state": "active",
            "algorithm": "AES-256-GCM",
            "created_at": since,
            "age_days": age_days,
        });
        let place = place(&root.in_force);
        let (location, wrapped_by) = match root.in_force.kind {
            RootKind::Custodians => {
                (format!("{place}; in vaultd's memory while unsealed"), "each share: its passphrase")
            }
            RootKind::Dev => (format!("{place}, a file; in vaultd's memory while unsealed"), "nothing"),
            RootKind::Pkcs11 => (format!("{place}; never in vaultd"), "the HSM"),
            RootKind::Kms => (format!("{place}; never in vaultd"), "AWS KMS"),
        };
        Self { key, location, wrapped_by: wrapped_by.to_owned() }
    }

    fn cells(&self) -> [String; 8] {
        let text = |field: &str| match &self.key[field] {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null if field == "tenant" => "(vault)".to_owned(),
            serde_json::Value::Null => "-".to_owned(),
            other => other.to_string(),
        };
        [
            text("purpose"),
            text("tenant"),
            text("term"),
            text("state"),
            text("algorithm"),
            text("age_days"),
            self.location.to_owned(),
            self.wrapped_by.clone(),
        ]
    }
}

fn kind(kind: AlgorithmKind) -> &'static str {
    match kind {
        AlgorithmKind::Aead => "aead",
        AlgorithmKind::Mac => "mac",
        AlgorithmKind::Signature => "signature",
        AlgorithmKind::Kem => "kem",
        AlgorithmKind::Hash => "hash",
        AlgorithmKind::PassphraseKdf => "passphrase-kdf",
        AlgorithmKind::SecretSharing => "secret-sharing",
        AlgorithmKind::Randomness => "randomness",
    }
}

#[cfg(test)]
mod tests {
    use strongroom_wire::admin::{KeyPurpose, KeyState, Phase};
    use strongroom_wire::certificate::CertificateRole;
    use strongroom_wire::custody::RootInfo;

    use super::*;

    pub(super) fn whole() -> Whole {
        let status = Status {
            vault_id: "3f1c".to_owned(),
            phase: Phase::Unsealed,
            root: RootKind::Custodians,
            threshold: 2,
            shares: 3,
            shares_given: 0,
            version: "0.1.0".to_owned(),
            schema: 1,
            audit_size: 7,
            checkpoint_size: 7,
            uptime_seconds: 1,
            warnings: Vec::new(),
            nodes: None,
        };
        let key: KeyInfo = KeyInfo {
            purpose: KeyPurpose::Kek,
            tenant: Some("acme".parse().unwrap()),
            term: 3,
            state: KeyState::Active,
            algorithm: "AES-256-GCM".to_owned(),
            created_at: "2025-11-24T16:00:00.123Z".to_owned(),
            age_days: 12,
            wraps: 5,
            expires_at: None,
            due: false,
        };
        let certificate = CertificateInfo {
            role: CertificateRole::IntakeServer,
            destination: None,
            subject: "CN=vaultd".to_owned(),
            names: vec!["DNS:vault.example".to_owned()],
            issuer: "CN=ca".to_owned(),
            serial: "0a".to_owned(),
            key_algorithm: "EC P-256".to_owned(),
            key_bits: 256,
            signature_algorithm: "ECDSA with SHA-256".to_owned(),
            not_before: "2025-11-24T16:00:00.000Z".to_owned(),
            not_after: "2026-02-24T16:00:00.000Z".to_owned(),
            days_left: 91,
            sha256: "00".repeat(32),
            pin: "sha256/".to_owned(),
            last_seen: None,
        };
        let listener = ListenerTls {
            listener: "intake".to_owned(),
            versions: vec!["TLSv1_3".to_owned(), "TLSv1_2".to_owned()],
            cipher_suites: vec!["TLS13_AES_256_GCM_SHA384".to_owned()],
            key_exchange: vec!["X25519MLKEM768".to_owned()],
            client_certificates: false,
        };
        let list = CertificateList {
            certificates: vec![certificate],
            revocation_lists: Vec::new(),
            listeners: vec![listener],
        };
        Whole::new(status, &root(RootKind::Custodians), &[key], list)
    }

    fn root(kind: RootKind) -> RootStatus {
        let in_force = RootInfo { sha256: "ab".repeat(32), kind, threshold: 2, shares: 3, pkcs11: None, kms: None };
        RootStatus {
            vault_id: "3f1c".to_owned(),
            in_force,
            in_force_since: Some("2025-11-24T16:00:00.123Z".to_owned()),
            next: None,
            next_fault: None,
            change: None,
        }
    }

    #[test]
    fn the_root_has_a_row_that_says_where_it_is_and_since_when() {
        let line = |kind| KeyLine::of_root(&root(kind));
        let custodians = line(RootKind::Custodians);
        assert_eq!(
            (custodians.key["purpose"].as_str(), custodians.key["sha256"].as_str()),
            (Some("root"), Some("ab".repeat(32).as_str()))
        );
        assert_eq!(custodians.location, "custodians, 2 of 3; in vaultd's memory while unsealed");
        assert!(custodians.key["age_days"].as_i64().is_some_and(|days| days > 0), "{}", custodians.key);
        assert_eq!(custodians.cells()[..4], ["root", "(vault)", "-", "active"]);
        for kind in [RootKind::Pkcs11, RootKind::Kms] {
            assert!(line(kind).location.ends_with("never in vaultd"));
        }
        // Since when is not known while a change is open; then nothing is made up.
        let unknown = KeyLine::of_root(&RootStatus { in_force_since: None, ..root(RootKind::Dev) });
        assert_eq!((unknown.cells()[5].as_str(), unknown.key["created_at"].is_null()), ("-", true));
    }

    #[test]
    fn the_inventory_says_of_each_key_where_it_is_and_what_wraps_it() {
        let whole = whole();
        let json = serde_json::to_value(&whole).unwrap();
        assert_eq!(json["keys"][0]["purpose"], "root");
        assert_eq!(json["keys"][1]["tenant"], "acme");
        assert_eq!(json["keys"][1]["wrapped_by"], "Root (custodians), AES-256-GCM");
        let text = whole.describe();
        for word in ["AES-256-GCM", "X25519MLKEM768", "acme", "EC P-256", "Ed25519", "vault.db"] {
            assert!(text.contains(word), "{word} is missing:\n{text}");
        }
    }
}
