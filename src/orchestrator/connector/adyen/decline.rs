//! What may be tried after each of Adyen's refusals (docs.adyen.com/development-resources/refusal-reasons).

use crate::connector::DeclineKind;

/// The kind of a refusal. Mastercard's Merchant Advice Code (docs.adyen.com/development-resources/raw-acquirer-responses)
/// is the scheme's own word and goes first, then Adyen's code, then, in a webhook, which has no code, Adyen's words. A
/// reason that is not in the table counts as hard: another attempt costs scheme fees and may be forbidden.
pub(super) fn kind(code: Option<&str>, reason: Option<&str>, advice: Option<&str>) -> DeclineKind {
    if let Some(kind) = advice.and_then(advised) {
        return kind;
    }
    let coded = code.and_then(|code| REASONS.iter().find(|(known, _, _)| *known == code));
    let said = || REASONS.iter().find(|(_, words, _)| reason.is_some_and(|reason| words.eq_ignore_ascii_case(reason)));
    coded.or_else(said).map_or(DeclineKind::Hard, |(_, _, kind)| *kind)
}

/// The code that stands for Adyen's words, where a webhook has the words alone.
pub(super) fn code_of(reason: &str) -> Option<&'static str> {
    REASONS.iter().find(|(_, words, _)| words.eq_ignore_ascii_case(reason)).map(|(code, _, _)| *code)
}

/// `None`: the advice says nothing about another attempt. It comes as two digits, with or without words behind them.
fn advised(advice: &str) -> Option<DeclineKind> {
    match advice.trim().get(..2)? {
        "02" | "24" | "25" | "26" | "27" | "28" | "29" | "30" => Some(DeclineKind::Soft),
        "01" | "04" => Some(DeclineKind::Hard),
        "03" | "21" => Some(DeclineKind::DoNotRetry),
        _ => None,
    }
}

/// `refusalReasonCode`, `refusalReason`, and what may be tried.
const REASONS: &[(&str, &str, DeclineKind)] = {
    use DeclineKind::{DoNotRetry, Hard, Soft};
    &[
        ("2", "Refused", Soft),
        ("3", "Referral", Soft),
        ("4", "Acquirer Error", Soft),
        // Where issuers' answers for lost, stolen and picked-up cards arrive.
        ("5", "Blocked Card", DoNotRetry),
        ("6", "Expired Card", Hard),
        ("7", "Invalid Amount", Hard),
        ("8", "Invalid Card Number", Hard),
        ("9", "Issuer Unavailable", Soft),
        ("10", "Not supported", Hard),
        ("11", "3D Not Authenticated", Hard),
        ("12", "Not enough balance", Soft),
        ("14", "Acquirer Fraud", DoNotRetry),
        ("15", "Cancelled", Hard),
        ("16", "Shopper Cancelled", Hard),
        ("17", "Invalid Pin", Hard),
        ("18", "Pin tries exceeded", Hard),
        ("19", "Pin validation not possible", Hard),
        ("20", "FRAUD", DoNotRetry),
        ("21", "Not Submitted", Soft),
        ("22", "FRAUD-CANCELLED", DoNotRetry),
        ("23", "Transaction Not Permitted", Hard),
        ("24", "CVC Declined", Hard),
        ("25", "Restricted Card", DoNotRetry),
        ("26", "Revocation Of Auth", DoNotRetry),
        ("27", "Declined Non Generic", Hard),
        ("28", "Withdrawal amount exceeded", Soft),
        ("29", "Withdrawal count exceeded", Soft),
        ("31", "Issuer Suspected Fraud", DoNotRetry),
        ("32", "AVS Declined", Hard),
        ("33", "Card requires online pin", Hard),
        ("34", "No checking account available on Card", Hard),
        ("35", "No savings account available on Card", Hard),
        ("36", "Mobile pin required", Hard),
        ("37", "Contactless fallback", Hard),
        // The payer has to authenticate; the same attempt elsewhere would be asked for the same.
        ("38", "Authentication required", Hard),
        ("39", "RReq not received from DS", Soft),
        ("40", "Current AID is in Penalty Box.", Hard),
        ("41", "CVM Required Restart Payment", Hard),
        ("42", "3DS Authentication Error", Hard),
        ("43", "Online PIN required", Hard),
        ("44", "Try another interface", Hard),
        ("45", "Chip downgrade mode", Hard),
        ("46", "Transaction blocked by Adyen to prevent excessive retry fees", DoNotRetry),
    ]
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_reason_stands_twice() {
        let codes: BTreeSet<_> = REASONS.iter().map(|(code, _, _)| code).collect();
        let words: BTreeSet<_> = REASONS.iter().map(|(_, words, _)| words.to_lowercase()).collect();
        assert_eq!((codes.len(), words.len()), (REASONS.len(), REASONS.len()));
    }

    #[test]
    fn card_that_is_lost_stolen_or_fraudulent_is_never_tried_again() {
        for code in ["5", "14", "20", "22", "25", "26", "31", "46"] {
            assert_eq!(kind(Some(code), None, None), DeclineKind::DoNotRetry, "{code}");
        }
    }

    #[test]
    fn reason_counts_by_its_code_or_its_words_and_an_unknown_one_is_not_tried_again() {
        assert_eq!(kind(Some("12"), Some("Not enough balance"), None), DeclineKind::Soft);
        assert_eq!(kind(None, Some("not enough BALANCE"), None), DeclineKind::Soft);
        assert_eq!(kind(Some("2"), Some("Blocked Card"), None), DeclineKind::Soft, "the code goes first");
        for (code, reason) in [(Some("99"), None), (None, Some("a new reason")), (Some("0"), None), (None, None)] {
            assert_eq!(kind(code, reason, None), DeclineKind::Hard);
        }
        assert_eq!(code_of("Blocked Card"), Some("5"));
        assert_eq!(code_of("Blocked"), None);
    }

    #[test]
    fn advice_of_the_scheme_outweighs_the_reason() {
        let cases = [
            ("03", DeclineKind::DoNotRetry),
            ("03: Do not try again", DeclineKind::DoNotRetry),
            ("21 : Payment Cancellation", DeclineKind::DoNotRetry),
            ("01: New account information available", DeclineKind::Hard),
            ("24: Retry after 1 hour", DeclineKind::Soft),
            ("40: Consumer non-reloadable prepaid card", DeclineKind::Soft),
            ("", DeclineKind::Soft),
            ("ßß", DeclineKind::Soft),
        ];
        for (advice, expected) in cases {
            assert_eq!(kind(Some("2"), None, Some(advice)), expected, "{advice}");
        }
    }
}
