//! What a body may say about the payer: where the bills and the goods go, which browser it is, what was agreed. Each has a
//! form; what is kept is what was checked.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strongroom_wire::limits;

use super::body::{self, TimeBody};
use crate::clock::rfc3339;
use crate::country::is_country;
use crate::intent::Fault;

/// `billing` and `shipping`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContactBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<AddressBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<PhoneBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct AddressBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    line1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line2: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line3: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PhoneBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country_code: Option<String>,
}

impl ContactBody {
    /// The form, checked. `field` is `billing` or `shipping`.
    pub(crate) fn read(self, field: &'static str) -> Result<Value, Fault> {
        if let Some(address) = &self.address {
            let parts = [&address.line1, &address.line2, &address.line3, &address.city, &address.state, &address.zip];
            for part in parts.into_iter().chain([&address.first_name, &address.last_name]) {
                body::text(field, part.clone(), limits::PAYMENT_TEXT_BYTES_MAX)?;
            }
            if address.country.as_deref().is_some_and(|code| !is_country(code)) {
                return Err(Fault::Invalid {
                    field,
                    reason: "address.country is an ISO 3166-1 code of two letters, such as DE",
                });
            }
        }
        if let Some(phone) = &self.phone {
            for part in [&phone.number, &phone.country_code] {
                body::text(field, part.clone(), limits::PAYMENT_TEXT_BYTES_MAX)?;
            }
        }
        if let Some(email) = &self.email {
            mail(field, email)?;
        }
        kept(field, &self)
    }
}

/// A mail address: a text with one @ that is neither first nor last.
pub(crate) fn mail(field: &'static str, text: &str) -> Result<(), Fault> {
    body::text(field, Some(text.to_owned()), limits::PAYMENT_TEXT_BYTES_MAX)?;
    match text.split_once('@') {
        Some((name, host)) if !name.is_empty() && !host.is_empty() && !host.contains('@') => Ok(()),
        _ => Err(Fault::Invalid { field, reason: "a mail address has one @ between a name and a host" }),
    }
}

/// `browser_info`: what 3-D Secure wants to know about the payer's browser.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BrowserBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    accept_header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accept_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    color_depth: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    screen_height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    screen_width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    java_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    java_script_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    os_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    os_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_model: Option<String>,
}

impl BrowserBody {
    /// The form, checked.
    pub(crate) fn read(self) -> Result<Value, Fault> {
        let field = "browser_info";
        for long in [&self.accept_header, &self.user_agent, &self.accept_language] {
            body::text(field, long.clone(), limits::BROWSER_TEXT_BYTES_MAX)?;
        }
        for short in [&self.language, &self.os_type, &self.os_version, &self.device_model] {
            body::text(field, short.clone(), limits::PAYMENT_TEXT_BYTES_MAX)?;
        }
        let checks = [
            (
                self.color_depth.is_some_and(|bits| !COLOR_DEPTHS.contains(&bits)),
                "color_depth is 1, 4, 8, 15, 16, 24, 30, 32 or 48",
            ),
            (
                [self.screen_height, self.screen_width].into_iter().flatten().any(|size| size > SCREEN_MAX),
                "screen_height and screen_width are at most 99999",
            ),
            (
                self.time_zone.is_some_and(|offset| offset.abs() > OFFSET_MAX_MIN),
                "time_zone is minutes between UTC and local time, -840 to 840",
            ),
        ];
        if let Some((_, reason)) = checks.into_iter().find(|(is_wrong, _)| *is_wrong) {
            return Err(Fault::Invalid { field, reason });
        }
        address(field, self.ip_address.as_deref())?;
        kept(field, &self)
    }
}

/// `customer_acceptance`: that and how the payer agreed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptanceBody {
    acceptance_type: AcceptanceWord,
    accepted_at: Option<TimeBody>,
    online: Option<OnlineBody>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum AcceptanceWord {
    Online,
    Offline,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct OnlineBody {
    ip_address: Option<String>,
    user_agent: String,
}

impl AcceptanceBody {
    /// The form, checked. The time is written in the form of all times.
    pub(crate) fn read(self) -> Result<Value, Fault> {
        let field = "customer_acceptance";
        if self.acceptance_type == AcceptanceWord::Offline && self.online.is_some() {
            return Err(Fault::Invalid { field, reason: "online belongs to acceptance_type online" });
        }
        if let Some(online) = &self.online {
            body::text(field, Some(online.user_agent.clone()), limits::BROWSER_TEXT_BYTES_MAX)?;
            address(field, online.ip_address.as_deref())?;
        }
        let accepted_at = self.accepted_at.map(|time| time.read("customer_acceptance.accepted_at")).transpose()?;
        let kept = serde_json::json!({
            "acceptance_type": self.acceptance_type,
            "accepted_at": accepted_at.map(rfc3339),
            "online": self.online,
        });
        body::object(field, &kept)?;
        Ok(kept)
    }
}

fn address(field: &'static str, text: Option<&str>) -> Result<(), Fault> {
    match text {
        Some(text) if text.parse::<IpAddr>().is_err() => {
            Err(Fault::Invalid { field, reason: "ip_address is an IPv4 or IPv6 address" })
        }
        _ => Ok(()),
    }
}

fn kept(field: &'static str, form: &impl Serialize) -> Result<Value, Fault> {
    let value = serde_json::to_value(form).map_err(|_| Fault::Internal)?;
    body::object(field, &value)?;
    Ok(value)
}

/// Of EMVCo's 3-D Secure 2, and the 30 bits that browsers tell nowadays.
const COLOR_DEPTHS: [u16; 9] = [1, 4, 8, 15, 16, 24, 30, 32, 48];
const SCREEN_MAX: u32 = 99_999;
const OFFSET_MAX_MIN: i32 = 14 * 60;
