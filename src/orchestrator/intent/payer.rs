//! What a payment says about its payer, for the issuer's and the provider's checks.

use serde_json::Value;

use super::terms::Terms;
use crate::connector::{Address, Browser, Payer};

/// Read from what was checked when it came. What an older version kept in another form is left out.
pub(super) fn payer(terms: &Terms) -> Payer {
    let of = |part: &str| terms.extra.get(part).unwrap_or(&Value::Null);
    let (billing, browser) = (of("billing"), of("browser_info"));
    let online = &of("customer_acceptance")["online"];
    Payer {
        customer_id: terms.customer_id.as_ref().map(ToString::to_string),
        email: text(billing, "email").or_else(|| of("email").as_str().map(str::to_owned)),
        ip: text(browser, "ip_address").or_else(|| text(online, "ip_address")),
        browser: read_browser(browser),
        billing: billing.get("address").filter(|address| address.is_object()).map(read_address),
    }
}

/// Only a browser that is known in full: a provider takes all of it or nothing.
fn read_browser(browser: &Value) -> Option<Browser> {
    let number = |name: &str| browser[name].as_i64();
    Some(Browser {
        accept_header: text(browser, "accept_header").unwrap_or_else(|| "*/*".into()),
        user_agent: text(browser, "user_agent")?,
        language: text(browser, "language")?,
        // The schemes know no 30 bits; what is shown is that of 24.
        color_depth: number("color_depth").map(|bits| if bits == 30 { 24 } else { bits })?.try_into().ok()?,
        screen_height: number("screen_height")?.try_into().ok()?,
        screen_width: number("screen_width")?.try_into().ok()?,
        time_zone_offset_min: number("time_zone")?.try_into().ok()?,
        java_enabled: browser["java_enabled"].as_bool().unwrap_or(false),
    })
}

fn read_address(address: &Value) -> Address {
    let part = |name: &str| text(address, name);
    Address {
        line1: part("line1"),
        line2: part("line2"),
        city: part("city"),
        state: part("state"),
        zip: part("zip"),
        country: part("country"),
    }
}

fn text(object: &Value, name: &str) -> Option<String> {
    object[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::rig::new_payment;
    use super::*;

    fn of(parts: Value) -> Payer {
        let terms = new_payment(|terms| terms.extra = parts.as_object().unwrap().clone()).terms;
        payer(&terms)
    }

    #[test]
    fn payer_is_what_billing_browser_and_acceptance_say() {
        let payer = of(json!({
            "email": "a@shop.test",
            "billing": {"address": {"line1": "1 Road", "city": "Town", "zip": "12", "country": "DE"}, "email": "b@shop.test"},
            "customer_acceptance": {"online": {"ip_address": "203.0.113.9", "user_agent": "x"}},
            "browser_info": {"user_agent": "Mozilla", "language": "en-GB", "color_depth": 30, "screen_height": 900,
                "screen_width": 1440, "time_zone": -60},
        }));
        assert_eq!((payer.email.as_deref(), payer.ip.as_deref()), (Some("b@shop.test"), Some("203.0.113.9")));
        assert_eq!(payer.billing.unwrap().country.as_deref(), Some("DE"));
        let browser = payer.browser.unwrap();
        assert_eq!((browser.color_depth, browser.time_zone_offset_min), (24, -60));
        assert_eq!((browser.accept_header.as_str(), browser.java_enabled), ("*/*", false));
    }

    #[test]
    fn browser_that_is_known_in_part_is_left_out_and_nonsense_of_old_is_no_error() {
        let partly = of(json!({"browser_info": {"user_agent": "Mozilla", "ip_address": "2001:db8::1"}}));
        assert_eq!((partly.browser, partly.ip.as_deref()), (None, Some("2001:db8::1")));
        assert_eq!(of(json!({"billing": "x", "browser_info": [1], "email": 7})), Payer::default());
    }
}
