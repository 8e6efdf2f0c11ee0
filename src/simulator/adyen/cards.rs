//! Adyen's published test cards, and what a cardholder's name makes of any of them
//! (docs.adyen.com/development-resources/testing).

use crate::cards::{Behaviour, Reason, TestCard, card};

/// Why a payment is not authorized.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Refused {
    /// `resultCode`.
    pub(super) result: &'static str,
    /// `refusalReasonCode`.
    pub(super) code: &'static str,
    /// `refusalReason`.
    pub(super) reason: &'static str,
}

/// The refusal that this cardholder's name asks for: "To get a specific result code and refusal reason, set `holderName`".
pub(super) fn asked_by_name(holder_name: &str) -> Option<Refused> {
    NAMES.iter().find(|(name, _)| *name == holder_name).map(|(_, refused)| *refused)
}

/// The refusal with this code, as `additionalData.RequestedTestAcquirerResponseCode` asks for it.
pub(super) fn asked_by_code(code: &str) -> Option<Refused> {
    NAMES.iter().find(|(_, refused)| refused.code == code).map(|(_, refused)| *refused)
}

/// The issuer's reason in Adyen's words.
pub(super) fn refused(reason: Reason) -> Refused {
    match reason {
        Reason::Generic => no("2", "Refused"),
        Reason::InsufficientFunds => no("12", "Not enough balance"),
        Reason::Lost | Reason::Stolen => no("5", "Blocked Card"),
        Reason::Fraudulent => no("31", "Issuer Suspected Fraud"),
        Reason::Velocity => no("29", "Withdrawal count exceeded"),
        Reason::Expired => no("6", "Expired Card"),
        Reason::IncorrectCvc => no("24", "CVC Declined"),
        Reason::Processing => Refused { result: "Error", code: "4", reason: "Acquirer Error" },
        Reason::AuthenticationRequired => no("38", "Authentication required"),
    }
}

/// The payer failed to authenticate.
pub(super) const NOT_AUTHENTICATED: Refused = no("11", "3D Not Authenticated");

const fn no(code: &'static str, reason: &'static str) -> Refused {
    Refused { result: "Refused", code, reason }
}

#[rustfmt::skip]
const NAMES: &[(&str, Refused)] = &[
    ("UNKNOWN", Refused { result: "Error", code: "0", reason: "Unknown" }),
    ("DECLINED", no("2", "Refused")),
    ("REFERRAL", no("3", "Referral")),
    ("ERROR", Refused { result: "Error", code: "4", reason: "Acquirer Error" }),
    ("BLOCK_CARD", no("5", "Blocked Card")),
    ("CARD_EXPIRED", no("6", "Expired Card")),
    ("INVALID_AMOUNT", no("7", "Invalid Amount")),
    ("INVALID_CARD_NUMBER", no("8", "Invalid Card Number")),
    ("ISSUER_UNAVAILABLE", no("9", "Issuer Unavailable")),
    ("NOT_SUPPORTED", no("10", "Not supported")),
    ("NOT_3D_AUTHENTICATED", NOT_AUTHENTICATED),
    ("NOT_ENOUGH_BALANCE", no("12", "Not enough balance")),
    ("ACQUIRER_FRAUD", no("14", "Acquirer Fraud")),
    ("CANCELLED", no("15", "Cancelled")),
    ("SHOPPER_CANCELLED", no("16", "Shopper Cancelled")),
    ("FRAUD", no("20", "FRAUD")),
    ("NOT_SUBMITTED", no("21", "Not Submitted")),
    ("FRAUD_CANCELLED", Refused { result: "Cancelled", code: "22", reason: "FRAUD-CANCELLED" }),
    ("TRANSACTION_NOT_PERMITTED", no("23", "Transaction Not Permitted")),
    ("CVC_DECLINED", no("24", "CVC Declined")),
    ("RESTRICTED_CARD", no("25", "Restricted Card")),
    ("REVOCATION_OF_AUTH", no("26", "Revocation Of Auth")),
    ("DECLINED_NON_GENERIC", no("27", "Declined Non Generic")),
    ("WITHDRAWAL_AMOUNT_EXCEEDED", no("28", "Withdrawal amount exceeded")),
    ("WITHDRAWAL_COUNT_EXCEEDED", no("29", "Withdrawal count exceeded")),
    ("ISSUER_SUSPECTED_FRAUD", no("31", "Issuer Suspected Fraud")),
    ("AVS_DECLINED", no("32", "AVS Declined")),
    ("AUTHENTICATION_REQUIRED", no("38", "Authentication required")),
    ("RREQ_NOT_RECEIVED", no("39", "RReq not received from DS")),
    ("THREED_SECURE_ERROR", no("42", "3DS Authentication Error")),
    ("ERPS_BLOCK", no("46", "Transaction blocked by Adyen to prevent excessive retry fees")),
];

/// The numbers that Adyen publishes. Those that it lists as enrolled in 3-D Secure authenticate when they are asked to.
pub(super) static CARDS: &[TestCard] = &[
    card("4111111111111111", "visa", "credit", Behaviour::Approve),
    card("4988438843884305", "visa", "credit", Behaviour::Approve),
    card("4166676667666746", "visa", "credit", Behaviour::Approve),
    card("4646464646464644", "visa", "credit", Behaviour::Approve),
    card("4444333322221111", "visa", "credit", Behaviour::Approve),
    card("4000020000000000", "visa", "credit", Behaviour::Approve),
    card("4917610000000000", "visa", "credit", Behaviour::AuthenticateWhenAsked),
    card("5454545454545454", "mastercard", "credit", Behaviour::AuthenticateWhenAsked),
    card("5577000055770004", "mastercard", "credit", Behaviour::Approve),
    card("2222400070000005", "mastercard", "credit", Behaviour::Approve),
    card("5500000000000004", "mastercard", "credit", Behaviour::Approve),
    card("5136333333333335", "mastercard", "credit", Behaviour::Approve),
    card("6011601160116611", "discover", "credit", Behaviour::Approve),
    card("3569990010095841", "jcb", "credit", Behaviour::Approve),
    card("370000000000002", "amex", "credit", Behaviour::Approve),
    card("36006666333344", "diners", "credit", Behaviour::Approve),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cards::find;

    #[test]
    fn every_number_of_the_table_can_be_one() {
        for number in ["4111111111111111", "4917610000000000", "5454545454545454", "370000000000002", "36006666333344"]
        {
            assert!(find(number, CARDS).is_ok());
            assert!(find(number, &[]).is_err(), "it is not in the shared table");
        }
        assert!(find("4242424242424242", CARDS).is_ok());
    }

    #[test]
    fn name_and_code_ask_for_the_same_refusal() {
        assert_eq!(asked_by_name("NOT_ENOUGH_BALANCE"), asked_by_code("12"));
        assert_eq!(asked_by_name("FRAUD_CANCELLED").map(|refused| refused.result), Some("Cancelled"));
        assert_eq!((asked_by_name("J. Smith"), asked_by_name(""), asked_by_code("1")), (None, None, None));
    }
}
