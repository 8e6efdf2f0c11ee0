//! What is known about the payer, in Adyen's words and within its rules: a part that Adyen would refuse is left out, so that
//! no payment fails for an address.

use crate::connector::{Address, Browser, Json, Payer};

/// Adds what is known. With the payer away there is no browser to tell about.
pub(super) fn with_payer(body: Json, payer: &Payer, away: bool) -> Json {
    let body = if away { body } else { body.with("channel", Json::text("Web")) };
    body.with_some("shopperReference", payer.customer_id.as_deref().map(shopper))
        .with_some("shopperEmail", payer.email.as_deref().map(Json::text))
        .with_some("shopperIP", payer.ip.as_deref().filter(|_| !away).map(Json::text))
        .with_some("browserInfo", payer.browser.as_ref().filter(|_| !away).map(browser))
        .with_some("billingAddress", payer.billing.as_ref().and_then(address))
}

/// A statement descriptor in the characters that Adyen takes.
pub(super) fn statement(text: &str) -> String {
    let taken = |letter: char| letter.is_ascii_alphanumeric() || " .,'_-?+*/".contains(letter);
    let kept: String = text.chars().filter(|letter| taken(*letter)).collect();
    kept.trim().to_owned()
}

/// Adyen wants at least three characters.
fn shopper(customer_id: &str) -> Json {
    if customer_id.len() < 3 { Json::text(format!("customer-{customer_id}")) } else { Json::text(customer_id) }
}

fn browser(browser: &Browser) -> Json {
    Json::object([
        ("acceptHeader", Json::text(browser.accept_header.as_str())),
        ("colorDepth", Json::Number(browser.color_depth.into())),
        ("javaEnabled", Json::Bool(browser.java_enabled)),
        ("language", Json::text(browser.language.as_str())),
        ("screenHeight", Json::Number(browser.screen_height.into())),
        ("screenWidth", Json::Number(browser.screen_width.into())),
        ("timeZoneOffset", Json::Number(browser.time_zone_offset_min.into())),
        ("userAgent", Json::text(browser.user_agent.as_str())),
    ])
}

/// A whole address, or none: Adyen takes no part of one.
fn address(address: &Address) -> Option<Json> {
    let line = address.line1.as_deref()?.trim();
    let city = address.city.as_deref()?;
    let country = address.country.as_deref().filter(|code| code.len() == 2)?;
    let zip = address.zip.as_deref()?;
    // "A maximum of five digits for an address in the US, or a maximum of ten characters in all other countries."
    let zip = if country == "US" { zip.get(..5)? } else { zip };
    let state = address.state.as_deref().filter(|state| state.len() <= 3);
    if zip.len() > 10 || matches!(country, "US" | "CA") && state.is_none_or(|state| state.len() != 2) {
        return None;
    }
    let (house, street) = house_and_street(line, address.line2.as_deref())?;
    let json = Json::object([
        ("street", Json::text(street)),
        ("houseNumberOrName", Json::text(house)),
        ("city", Json::text(city)),
        ("postalCode", Json::text(zip)),
        ("country", Json::text(country)),
    ]);
    Some(json.with_some("stateOrProvince", state.map(Json::text)))
}

/// Adyen wants the house number apart: the first or last word of the line if it begins with a digit, else the second line.
fn house_and_street<'a>(line: &'a str, line2: Option<&'a str>) -> Option<(&'a str, &'a str)> {
    let is_house = |word: &str| word.starts_with(|letter: char| letter.is_ascii_digit());
    if let Some((first, rest)) = line.split_once(' ').filter(|(first, _)| is_house(first)) {
        return Some((first, rest.trim_start()));
    }
    if let Some((rest, last)) = line.rsplit_once(' ').filter(|(_, last)| is_house(last)) {
        return Some((last, rest.trim_end_matches([',', ' '])));
    }
    line2.map(|line2| (line2.trim(), line)).filter(|(house, street)| !house.is_empty() && !street.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line1: &str, state: Option<&str>, zip: &str, country: &str) -> Option<Json> {
        address(&Address {
            line1: Some(line1.into()),
            line2: None,
            city: Some("Town".into()),
            state: state.map(str::to_owned),
            zip: Some(zip.into()),
            country: Some(country.into()),
        })
    }

    #[test]
    fn address_that_adyen_would_refuse_is_left_out() {
        assert!(place("1 Main Street", Some("CA"), "94016-1234", "US").is_some());
        assert!(place("1 Main Street", None, "94016", "US").is_none(), "a state is wanted there");
        assert!(place("1 Main Street", Some("California"), "94016", "US").is_none());
        assert!(place("1 Main Street", Some("CA"), "940", "US").is_none());
        assert!(place("Hauptstraße 5a", None, "10117", "DE").is_some());
        assert!(place("Hauptstraße", None, "10117", "DE").is_none(), "a house number is wanted");
        assert!(place("Hauptstraße 5", None, "12345678901", "DE").is_none());
        assert!(place("Hauptstraße 5", None, "10117", "Germany").is_none());
    }

    #[test]
    fn house_number_stands_apart() {
        assert_eq!(house_and_street("1 Main Street", None), Some(("1", "Main Street")));
        assert_eq!(house_and_street("Rue de la Paix, 12bis", None), Some(("12bis", "Rue de la Paix")));
        assert_eq!(house_and_street("Rose Cottage", Some("Back Lane")), Some(("Back Lane", "Rose Cottage")));
        assert_eq!(house_and_street("Rose", None), None);
    }

    #[test]
    fn statement_keeps_to_the_characters_that_adyen_takes() {
        assert_eq!(statement("TICKETS* & MORE #1"), "TICKETS*  MORE 1");
        assert_eq!(statement("チケット"), "");
    }

    #[test]
    fn short_customer_id_reaches_the_length_that_adyen_wants() {
        assert_eq!(shopper("c1"), Json::text("customer-c1"));
        assert_eq!(shopper("cus"), Json::text("cus"));
    }
}
