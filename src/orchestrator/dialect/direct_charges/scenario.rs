//! `X-Scenario-Key`: which way of authorization a charge at the simulator takes.

use actix_web::HttpRequest;
use serde::{Deserialize, Serialize};

use crate::api::answer::Refusal;

/// What the payer is asked for before a charge is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ask {
    /// The card's PIN.
    Pin,
    /// A code that the bank has sent.
    Otp,
    /// The address of the card's bills.
    Avs,
}

impl Ask {
    /// The word in `authorization.type`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Ask::Pin => "pin",
            Ask::Otp => "otp",
            Ask::Avs => "avs",
        }
    }
}

/// The way of one charge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Scenario {
    /// None was named.
    #[default]
    None,
    /// Charged at once.
    NoAuth,
    /// 3-D Secure is asked for.
    ThreeDs,
    /// The payer is asked for something first.
    Asks(Ask),
}

impl Scenario {
    /// The scenario that a request names.
    ///
    /// # Errors
    /// Scenarios are switched off, or there is no such one.
    pub(super) fn of(request: &HttpRequest, are_on: bool) -> Result<Self, Refusal> {
        let Some(header) = request.headers().get(HEADER) else { return Ok(Self::None) };
        if !are_on {
            return Err(wrong(
                "scenarios are for the simulator and are switched off here; leave it out, or set scenarios = true in \
                 [dialects.direct_charges]",
            ));
        }
        Self::read(header.to_str().unwrap_or_default())
    }

    fn read(text: &str) -> Result<Self, Refusal> {
        let (mut scenario, mut issuer) = (None, None);
        for part in text.split('&') {
            let (place, word) = match part.trim().split_once(':') {
                Some(("scenario", word)) => (&mut scenario, word),
                Some(("issuer", word)) => (&mut issuer, word),
                _ => return Err(wrong(FORM)),
            };
            if place.replace(word).is_some() {
                return Err(wrong(FORM));
            }
        }
        // Nothing here plays the bank: what the simulator's issuer says follows from the card alone.
        if !matches!(issuer, None | Some("approved")) {
            return Err(wrong(
                "the simulator's bank decides by the card number; take issuer:approved and, for a decline, one of the \
                 simulator's cards that are declined for that reason",
            ));
        }
        match scenario {
            None => Ok(Self::None),
            Some("noauth") => Ok(Self::NoAuth),
            Some("auth_3ds") => Ok(Self::ThreeDs),
            Some("auth_pin") => Ok(Self::Asks(Ask::Pin)),
            Some("auth_otp") => Ok(Self::Asks(Ask::Otp)),
            Some("auth_avs") => Ok(Self::Asks(Ask::Avs)),
            Some(_) => Err(wrong(FORM)),
        }
    }

    /// What the payer is asked for.
    pub(super) fn ask(self) -> Option<Ask> {
        match self {
            Scenario::Asks(ask) => Some(ask),
            Scenario::None | Scenario::NoAuth | Scenario::ThreeDs => None,
        }
    }
}

fn wrong(reason: &str) -> Refusal {
    Refusal::new(400, "IR_06", format!("Invalid value for {HEADER}: {reason}"))
}

/// The header.
pub(super) const HEADER: &str = "X-Scenario-Key";
const FORM: &str = "scenario:noauth, auth_3ds, auth_pin, auth_otp or auth_avs, and perhaps &issuer:approved";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_dialect_are_read() {
        for (text, expected) in [
            ("scenario:auth_pin&issuer:approved", Scenario::Asks(Ask::Pin)),
            ("scenario:auth_otp", Scenario::Asks(Ask::Otp)),
            ("issuer:approved&scenario:auth_avs", Scenario::Asks(Ask::Avs)),
            ("scenario:auth_3ds&issuer:approved", Scenario::ThreeDs),
            ("scenario:noauth", Scenario::NoAuth),
            ("issuer:approved", Scenario::None),
        ] {
            assert_eq!(Scenario::read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_scenario_that_nothing_here_plays_is_refused() {
        for bad in [
            "",
            "auth_pin",
            "scenario:auth_redirect",
            "scenario:auth_pin&scenario:noauth",
            "scenario:auth_pin&issuer:incorrect_pin",
            "scenario:noauth&issuer:insufficient_funds",
            "scenario:noauth&bank:x",
            "scenario:noauth&",
        ] {
            assert_eq!(Scenario::read(bad).unwrap_err().status, 400, "{bad}");
        }
    }
}
