//! `[locker]`: the card-vault dialect's keys, and who speaks it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use strongroom_wire::{TenantId, limits};

use super::{ConfigError, Listen};

/// `[locker]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locker {
    /// The RSA key that opens messages and signs answers: PKCS#8 in PEM, mode 0600.
    pub key: PathBuf,
    /// What callers name it, where they name it in a message at all.
    pub key_id: Option<String>,
    /// Whether a caller must show a client certificate of the internal CA that names its identity, too: yes, unless the
    /// operator says otherwise for a caller that has none.
    #[serde(default = "yes")]
    pub client_certificates: bool,
    /// Who may call, by a name of the operator's choice.
    pub caller: BTreeMap<String, Caller>,
}

/// `[locker.caller.NAME]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// What it says in the header `x-tenant-id`. A request without that header is of the only caller, where there is one alone.
    pub tenant_id: String,
    /// Who it is to the policy: `spiffe://<trust-domain>/<role>/<name>`.
    pub identity: String,
    /// Its RSA public key (PEM), which verifies its messages and takes the answers; not where messages are plain.
    pub key: Option<PathBuf>,
    /// The `kid` of its messages; not where messages are plain.
    pub key_id: Option<String>,
    /// How messages come and answers go.
    #[serde(default)]
    pub messages: Messages,
    /// How the key of an answer is wrapped.
    #[serde(default)]
    pub answers: AnswerWrapping,
    /// Whose cards requests are about that name no merchant: fingerprints, and all of version 2.
    pub tenant: Option<TenantId>,
    /// Tenants of merchants whose own name is no tenant's name. Every other merchant is the tenant of its name.
    #[serde(default)]
    pub merchants: BTreeMap<String, TenantId>,
    /// Whether a merchant that is not known is registered as a tenant when its first card comes. It needs the scope `provision`.
    #[serde(default)]
    pub provision: bool,
}

/// How messages come and answers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Messages {
    /// A JWS inside a JWE.
    #[default]
    #[serde(rename = "jwe")]
    Jwe,
    /// JSON as it is; only where a client certificate says who calls.
    #[serde(rename = "plain")]
    Plain,
}

/// How the content key of an answer is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum AnswerWrapping {
    /// What a switch wants whose `decryption_scheme` says so, or says nothing.
    #[serde(rename = "RSA-OAEP")]
    Sha1,
    /// The better one.
    #[default]
    #[serde(rename = "RSA-OAEP-256")]
    Sha256,
}

fn yes() -> bool {
    true
}

impl Locker {
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        std::iter::once(&mut self.key)
            .chain(self.caller.values_mut().filter_map(|caller| caller.key.as_mut()))
            .collect()
    }
}

/// What the text alone can show.
pub(super) fn check(listen: &Listen, locker: Option<&Locker>) -> Result<(), ConfigError> {
    let refuse = |key, why| Err(ConfigError::Value { key, why });
    let locker = match (listen.locker, locker) {
        (None, None) => return Ok(()),
        (Some(_), Some(locker)) => locker,
        (Some(_), None) => return refuse("locker", "say in [locker] who may call, or take listen.locker out"),
        (None, Some(_)) => return refuse("listen.locker", "give an address, or take [locker] out"),
    };
    if locker.caller.is_empty() || locker.caller.len() > limits::LOCKER_CALLERS_MAX {
        return refuse("locker.caller", "give 1 to 64 callers");
    }
    if locker.key_id.as_deref().is_some_and(|id| !is_name(id)) {
        return refuse("locker.key_id", NAME);
    }
    let mut names: Vec<&str> = locker.caller.values().map(|caller| caller.tenant_id.as_str()).collect();
    names.sort_unstable();
    if names.iter().any(|name| !is_name(name)) {
        return refuse("locker.caller.tenant_id", NAME);
    }
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return refuse("locker.caller.tenant_id", "two callers say the same; give each its own");
    }
    for caller in locker.caller.values() {
        match (caller.messages, &caller.key, &caller.key_id) {
            (Messages::Plain, _, _) if !locker.client_certificates => {
                return refuse("locker.caller.messages", "plain messages need locker.client_certificates = true");
            }
            (Messages::Plain, None, None) => {}
            (Messages::Plain, ..) => {
                return refuse("locker.caller.key", "plain messages have no key; take key and key_id out");
            }
            (Messages::Jwe, Some(_), Some(id)) if is_name(id) => {}
            (Messages::Jwe, Some(_), Some(_)) => return refuse("locker.caller.key_id", NAME),
            (Messages::Jwe, ..) => return refuse("locker.caller.key", "give key and key_id, which show who calls"),
        }
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    (1..=limits::LOCKER_NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

const NAME: &str = "give 1 to 64 visible characters of ASCII";

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::Config;
    use super::*;

    const EXAMPLE: &str = include_str!("vaultd.example.toml");
    const CALLER: &str = "tenant_id = \"public\"\nidentity = \"spiffe://strongroom/switch/main\"\n";
    const JWE: &str = "key = \"switch.pub.pem\"\nkey_id = \"1\"\n";

    fn fault(head: &str, callers: &[&str]) -> Option<String> {
        let mut text = EXAMPLE.replace("[listen]\n", "[listen]\nlocker = \"127.0.0.1:8446\"\n");
        let _ = write!(text, "\n[locker]\nkey = \"locker.key\"\n{head}");
        for (place, caller) in callers.iter().enumerate() {
            let _ = write!(text, "\n[locker.caller.c{place}]\n{caller}");
        }
        match Config::parse(&text) {
            Ok(config) => config.check().err().map(|fault| fault.to_string()),
            Err(fault) => Some(fault.to_string()),
        }
    }

    #[test]
    fn a_caller_has_a_key_or_a_certificate() {
        let jwe = format!("{CALLER}{JWE}");
        let plain = format!("{CALLER}messages = \"plain\"\n");
        assert_eq!(fault("", &[&jwe]), None);
        assert_eq!(fault("client_certificates = true\n", &[&jwe]), None);
        assert_eq!(fault("client_certificates = true\n", &[&plain]), None);
        assert_eq!(fault("", &[&plain]), None, "certificates are asked for unless somebody says otherwise");
        assert_eq!(fault("client_certificates = false\n", &[&jwe]), None);
        assert!(fault("client_certificates = false\n", &[&plain]).unwrap().contains("client_certificates"));
        assert!(fault("", &[CALLER]).unwrap().contains("locker.caller.key"));
        assert!(
            fault("client_certificates = true\n", &[&format!("{plain}{JWE}")]).unwrap().contains("locker.caller.key")
        );
        assert!(fault("", &[&format!("{jwe}answers = \"RSA1_5\"\n")]).is_some());
        assert!(fault("", &[&format!("{jwe}plain = true\n")]).is_some());
    }

    #[test]
    fn callers_are_told_apart_and_counted() {
        let jwe = format!("{CALLER}{JWE}");
        assert!(fault("", &[]).is_some());
        assert!(fault("", &[&jwe, &jwe]).unwrap().contains("locker.caller.tenant_id"));
        let many = |count: usize| -> Vec<String> {
            (0..count).map(|place| jwe.replace("public", &format!("t{place}"))).collect()
        };
        let of = |count| fault("", &many(count).iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(of(limits::LOCKER_CALLERS_MAX), None);
        assert!(of(limits::LOCKER_CALLERS_MAX + 1).unwrap().contains("locker.caller"));
    }

    #[test]
    fn names_have_a_longest_length() {
        let of = |chars: usize| fault("", &[&format!("{CALLER}{JWE}").replace("public", &"p".repeat(chars))]);
        assert_eq!(of(limits::LOCKER_NAME_CHARS_MAX), None);
        assert!(of(limits::LOCKER_NAME_CHARS_MAX + 1).is_some() && of(0).is_some());
        let id = |chars: usize| fault(&format!("key_id = {:?}\n", "k".repeat(chars)), &[&format!("{CALLER}{JWE}")]);
        assert_eq!(id(limits::LOCKER_NAME_CHARS_MAX), None);
        assert!(id(limits::LOCKER_NAME_CHARS_MAX + 1).is_some());
    }

    #[test]
    fn the_address_and_the_callers_come_together() {
        let none = Config::parse(EXAMPLE).unwrap();
        assert!(none.listen.locker.is_none() && none.locker.is_none() && none.check().is_ok());
        let address = EXAMPLE.replace("[listen]\n", "[listen]\nlocker = \"127.0.0.1:8446\"\n");
        assert!(Config::parse(&address).unwrap().check().unwrap_err().to_string().starts_with("locker"));
        let beyond = address.replace("127.0.0.1:8446", "0.0.0.0:8446");
        assert!(!Config::parse(&beyond).unwrap().is_loopback_only());
    }
}
