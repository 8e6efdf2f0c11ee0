//! Amounts, times and states as people read them, and what others wrote as it may be shown.

use maud::{Markup, html};
use strongroom_wire::payment_method::CardSummary;

use crate::api::holds_card_number;
use crate::intent::{AttemptStatus, CaptureStatus, RefundStatus, State};
use crate::money::{Currency, Money};
use crate::{clock, view};

/// What a merchant, payer or provider wrote. It was refused where it came in if it held a card number; should one have come
/// in another way, it ends here.
pub(super) fn free(text: &str) -> Markup {
    html! {
        @if holds_card_number(text) {
            em.withheld title="This text looks like it holds a card number" { "withheld" }
        } @else {
            (text)
        }
    }
}

/// `1,234.50 EUR`, with as many decimals as ISO 4217 gives the currency.
pub(super) fn amount(minor: u64, currency: Currency) -> String {
    let Money { minor, currency } = Money { minor, currency };
    let decimals = usize::from(currency.exponent());
    let digits = format!("{minor:0width$}", width = decimals + 1);
    let (whole, part) = digits.split_at(digits.len() - decimals);
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let point = if decimals > 0 { "." } else { "" };
    format!("{grouped}{point}{part} {currency}")
}

/// A time in UTC, to the second.
pub(super) fn when(ms: i64) -> Markup {
    let full = clock::rfc3339(ms);
    let (day, time) = (full.get(..10).unwrap_or_default(), full.get(11..19).unwrap_or_default());
    html! { time datetime=(full) title={ (full) } { (day) " " (time) } }
}

/// A time of day in UTC, to the millisecond.
pub(super) fn moment(ms: i64) -> Markup {
    let full = clock::rfc3339(ms);
    html! { time datetime=(full) title={ (full) } { (full.get(11..23).unwrap_or_default()) } }
}

/// `420 ms`, `1.3 s`, `2 min 5 s`, `3 h 2 min`, `4 d 1 h`.
pub(super) fn span(ms: i64) -> String {
    let ms = ms.max(0);
    match ms {
        0..=999 => format!("{ms} ms"),
        1_000..=59_999 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        60_000..=3_599_999 => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
        3_600_000..=86_399_999 => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
        _ => format!("{} d {} h", ms / 86_400_000, ms % 86_400_000 / 3_600_000),
    }
}

/// How a thing stands, in words and in a colour.
pub(super) fn badge(tone: Tone, word: &str) -> Markup {
    html! { span class={ "badge " (tone.class()) } { (word) } }
}

pub(super) fn state(state: State) -> Markup {
    let tone = match state {
        State::Succeeded | State::PartiallyCaptured => Tone::Good,
        State::RequiresCapture | State::PartiallyCapturedAndCapturable => Tone::Held,
        State::Processing | State::RequiresCustomerAction => Tone::Open,
        State::Failed => Tone::Bad,
        State::RequiresPaymentMethod | State::RequiresConfirmation | State::Cancelled | State::Expired => Tone::Quiet,
    };
    badge(tone, &plain(state.word()))
}

pub(super) fn attempt(status: AttemptStatus) -> Markup {
    match status {
        AttemptStatus::Pending => badge(Tone::Open, "pending"),
        AttemptStatus::AuthenticationPending => badge(Tone::Open, "authentication pending"),
        AttemptStatus::Authorized => badge(Tone::Held, "authorized"),
        AttemptStatus::Charged => badge(Tone::Good, "charged"),
        AttemptStatus::Voided => badge(Tone::Quiet, "voided"),
        AttemptStatus::Failure => badge(Tone::Bad, "failed"),
    }
}

pub(super) fn capture(status: CaptureStatus) -> Markup {
    match status {
        CaptureStatus::Pending => badge(Tone::Open, "pending"),
        CaptureStatus::Charged => badge(Tone::Good, "done"),
        CaptureStatus::Failed => badge(Tone::Bad, "failed"),
    }
}

pub(super) fn refund(status: RefundStatus) -> Markup {
    match status {
        RefundStatus::Pending => badge(Tone::Open, "pending"),
        RefundStatus::Succeeded => badge(Tone::Good, "succeeded"),
        RefundStatus::Failed => badge(Tone::Bad, "failed"),
    }
}

/// `Visa ···· 4242`.
pub(super) fn card(card: &CardSummary) -> String {
    format!("{} ···· {}", view::brand(card.brand).unwrap_or("Card"), card.last4)
}

/// `requires_capture` as people say it.
pub(super) fn plain(word: &str) -> String {
    word.replace('_', " ")
}

/// A colour, which never says more than the word in it.
#[derive(Clone, Copy)]
pub(super) enum Tone {
    Good,
    Held,
    Open,
    Bad,
    Quiet,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Held => "held",
            Tone::Open => "open",
            Tone::Bad => "bad",
            Tone::Quiet => "quiet",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        for (minor, currency, text) in [
            (0, "EUR", "0.00 EUR"),
            (5, "EUR", "0.05 EUR"),
            (123_450, "USD", "1,234.50 USD"),
            (999_999_999_999, "USD", "9,999,999,999.99 USD"),
            (0, "JPY", "0 JPY"),
            (1_234, "JPY", "1,234 JPY"),
            (1_234_567, "KWD", "1,234.567 KWD"),
            (7, "KWD", "0.007 KWD"),
        ] {
            assert_eq!(amount(minor, currency.parse().unwrap()), text);
        }
    }

    #[test]
    fn spans_are_short_and_true() {
        for (ms, text) in [
            (-5, "0 ms"),
            (999, "999 ms"),
            (1_349, "1.3 s"),
            (59_999, "59.9 s"),
            (125_000, "2 min 5 s"),
            (3_600_000, "1 h 0 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn text_is_escaped_and_a_card_number_in_it_is_withheld() {
        assert_eq!(free("<script>\"a\" & 'b'").into_string(), "&lt;script&gt;&quot;a&quot; &amp; 'b'");
        assert!(!free("pay with 4242 4242 4242 4242").into_string().contains("4242"));
    }

    #[test]
    fn times_are_utc() {
        let shown = when(1_700_000_000_123).into_string();
        assert!(shown.contains("2023-11-14 22:13:20<") && shown.contains("2023-11-14T22:13:20.123Z"), "{shown}");
        assert!(moment(1_700_000_000_123).into_string().contains(">22:13:20.123<"));
    }
}
