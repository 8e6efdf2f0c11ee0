//! Front doors beside the native API: each folder speaks the API of somebody else's product, so that an existing integration can
//! point here. A folder only translates: it reads a request, calls the engine, and answers in its own words. It has no state
//! machine and no store of its own; what it must remember stands as a note in the payment ([`DoorNote`]), and which invoice
//! or customer used a card token among the answers that are kept for idempotency keys.
//!
//! Each is switched on by a table in the configuration and lives below a path of its own on the one listener, so that no
//! address means two things.

mod direct_charges;
mod gateway_accounts;
mod invoices;
mod pace;

use std::sync::Arc;

use serde::Deserialize;

use crate::api::Pages;
use crate::intent::{DialectName, Payment};
use crate::store::OutboxEvent;
use crate::webhook::{Native, Spoken, Voice};
pub use direct_charges::DirectChargesConfig;
pub use gateway_accounts::GatewayAccountsConfig;
pub use invoices::InvoicesConfig;

#[cfg(doc)]
use crate::intent::DoorNote;

/// `[dialects]`: which doors are open.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DialectsConfig {
    /// Customer, payment method and charge in one call.
    pub direct_charges: Option<DirectChargesConfig>,
    /// Charges at accounts that the call names.
    pub gateway_accounts: Option<GatewayAccountsConfig>,
    /// Invoices, card tokens and customer tokens.
    pub invoices: Option<InvoicesConfig>,
}

impl DialectsConfig {
    /// Whether every door has a path that nothing else has.
    ///
    /// # Errors
    /// The key, and what it should be.
    pub fn check(&self) -> Result<(), (String, &'static str)> {
        let mut seen: Vec<&str> = Vec::new();
        for (name, at) in self.paths() {
            let key = format!("dialects.{name}.at");
            let name_of = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let plain = at.strip_prefix('/').is_some_and(|name| (1..=PATH_CHARS_MAX).contains(&name.len()));
            if !plain || !at.chars().skip(1).all(name_of) {
                return Err((key, "a slash and 1 to 32 of a-z 0-9 -, such as /direct"));
            }
            if TAKEN.contains(&at) || seen.contains(&at) {
                return Err((key, "a path that neither the native API nor another dialect has"));
            }
            seen.push(at);
        }
        self.gateway_accounts.as_ref().map_or(Ok(()), GatewayAccountsConfig::check)?;
        self.invoices.as_ref().map_or(Ok(()), InvoicesConfig::check)
    }

    fn paths(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let direct = self.direct_charges.as_ref().map(|config| ("direct_charges", config.at.as_str()));
        let gateway = self.gateway_accounts.as_ref().map(|config| ("gateway_accounts", config.at.as_str()));
        let invoices = self.invoices.as_ref().map(|config| ("invoices", config.at.as_str()));
        [direct, gateway, invoices].into_iter().flatten()
    }
}

/// The routes of every door that is open.
#[must_use]
pub fn doors(config: &DialectsConfig) -> Vec<Pages> {
    let direct = config.direct_charges.clone().map(direct_charges::door);
    let gateway = config.gateway_accounts.clone().map(gateway_accounts::door);
    let invoices = config.invoices.clone().map(invoices::door);
    [direct, gateway, invoices].into_iter().flatten().collect()
}

/// What tells merchants about payments in the words of the door by which they came; `None` where no door is open.
#[must_use]
pub fn voice(config: &DialectsConfig) -> Option<Arc<dyn Voice>> {
    let open = Doors {
        direct_charges: config.direct_charges.is_some(),
        gateway_accounts: config.gateway_accounts.is_some(),
        invoices: config.invoices.is_some(),
    };
    config.paths().next().is_some().then(|| Arc::new(open) as Arc<dyn Voice>)
}

/// Which doors are open. Of payments that came through one that was closed since, the native API tells.
struct Doors {
    direct_charges: bool,
    gateway_accounts: bool,
    invoices: bool,
}

impl Voice for Doors {
    fn speak(&self, payment: &Payment, event: &OutboxEvent) -> Option<Spoken> {
        match payment.terms.door.as_ref().map(|door| door.dialect) {
            Some(DialectName::DirectCharges) if self.direct_charges => direct_charges::speak(payment, event),
            Some(DialectName::GatewayAccounts) if self.gateway_accounts => gateway_accounts::speak(payment, event),
            Some(DialectName::Invoices) if self.invoices => invoices::speak(payment, event),
            _ => Native.speak(payment, event),
        }
    }
}

/// First words of the native API's paths and of the pages.
const TAKEN: [&str; 15] = [
    "/payments",
    "/redirect",
    "/refunds",
    "/customers",
    "/payment-methods",
    "/account",
    "/accounts",
    "/webhooks",
    "/events",
    "/api-keys",
    "/health",
    "/metrics",
    "/openapi",
    "/dashboard",
    "/routing",
];
/// Longest name of a path.
const PATH_CHARS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use strongroom_wire::limits;

    use super::*;

    #[test]
    fn doors_have_paths_of_their_own() {
        let read = |text: &str| toml::from_str::<DialectsConfig>(text).unwrap().check();
        assert_eq!(read(""), Ok(()));
        assert_eq!(read("[direct_charges]\n[gateway_accounts]\n[invoices]\n"), Ok(()));
        for at in ["direct", "/", "/a/b", "/Direct", "/payments", "/dashboard", "/{id}"] {
            let (key, _) = read(&format!("[direct_charges]\nat = {at:?}\n")).unwrap_err();
            assert_eq!(key, "dialects.direct_charges.at", "{at}");
        }
        assert!(read(&format!("[invoices]\nat = \"/{}\"\n", "a".repeat(PATH_CHARS_MAX))).is_ok());
        assert!(read(&format!("[invoices]\nat = \"/{}\"\n", "a".repeat(PATH_CHARS_MAX + 1))).is_err());
        for (door, name, most) in [
            ("gateway_accounts", "requests_per_minute", limits::DOOR_REQUESTS_PER_MINUTE_MAX),
            ("gateway_accounts", "burst", limits::DOOR_BURST_MAX),
            ("invoices", "requests_per_minute", limits::DOOR_REQUESTS_PER_MINUTE_MAX),
            ("invoices", "page_requests_per_minute", limits::DOOR_REQUESTS_PER_MINUTE_MAX),
            ("invoices", "burst", limits::DOOR_BURST_MAX),
        ] {
            let with = |number: u32| read(&format!("[{door}]\n{name} = {number}\n"));
            assert!(with(1).is_ok() && with(most).is_ok());
            assert_eq!(with(0).unwrap_err().0, format!("dialects.{door}.{name}"));
            assert_eq!(with(most + 1).unwrap_err().0, format!("dialects.{door}.{name}"));
        }
        assert!(read("[direct_charges]\nat = \"/a\"\n[invoices]\nat = \"/a\"\n").is_err(), "one path, two doors");
    }
}
