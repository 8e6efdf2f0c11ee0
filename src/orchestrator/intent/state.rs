//! The payment state machine: one table, every other place asks it.

use serde::{Deserialize, Serialize};

/// Where a payment is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Made; no card yet.
    RequiresPaymentMethod,
    /// A card is chosen; waits for confirm.
    RequiresConfirmation,
    /// A call to the provider runs or is in doubt.
    Processing,
    /// The payer must authenticate.
    RequiresCustomerAction,
    /// Money is reserved.
    RequiresCapture,
    /// All money is taken.
    Succeeded,
    /// Part of the money is taken, the rest released.
    PartiallyCaptured,
    /// Part of the money is taken, the rest still reserved.
    PartiallyCapturedAndCapturable,
    /// Declined or refused.
    Failed,
    /// Given up; nothing is reserved.
    Cancelled,
    /// What was reserved was not taken in time.
    Expired,
}

/// What may happen to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A card was chosen without confirming.
    MethodChosen,
    /// Terms (amount, customer, ...) change.
    Update,
    /// An authorization begins.
    Confirm,
    /// The provider wants the payer.
    ActionNeeded,
    /// The payer may be back; the provider is asked.
    ActionDone,
    /// Money is reserved.
    Authorized,
    /// All is taken, or a card was proven good without money.
    Captured,
    /// Part is taken and the rest released.
    CapturedInPart,
    /// Part is taken and the rest still reserved.
    CapturedSome,
    /// The authorization ended in a no.
    Failed,
    /// A capture begins.
    Capture,
    /// Raising what is reserved begins.
    Increment,
    /// The capture, cancellation or increment did not happen; all of the money is still reserved.
    StillReserved,
    /// The capture or cancellation did not happen; the rest of the money is still reserved.
    RestStillReserved,
    /// Given up before anything was asked of a provider.
    Abandon,
    /// A cancellation at the provider begins.
    Cancel,
    /// The provider released the money.
    Cancelled,
    /// The authorization is over its time; releasing it begins.
    Expire,
    /// The authorization ended before anything was taken.
    Expired,
}

impl State {
    /// Every state.
    pub const ALL: [State; 11] = [
        State::RequiresPaymentMethod,
        State::RequiresConfirmation,
        State::Processing,
        State::RequiresCustomerAction,
        State::RequiresCapture,
        State::Succeeded,
        State::PartiallyCaptured,
        State::PartiallyCapturedAndCapturable,
        State::Failed,
        State::Cancelled,
        State::Expired,
    ];

    /// Where `event` leads from here; `None` if it may not happen here.
    #[must_use]
    pub fn after(self, event: Event) -> Option<State> {
        TABLE.iter().find(|(from, what, _)| *from == self && *what == event).map(|(_, _, to)| *to)
    }

    /// Whether nobody can ask for anything any more, refunds aside. Only a provider that takes a capture back which it
    /// had reported done leads out of here.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        let taken_back = [Event::Failed, Event::StillReserved, Event::RestStillReserved];
        !TABLE.iter().any(|(from, what, _)| *from == self && !taken_back.contains(what))
    }

    /// The states in which `event` may happen, in the words of the API, for messages.
    #[must_use]
    pub fn that_allow(event: Event) -> String {
        let words: Vec<_> =
            TABLE.iter().filter(|(_, what, _)| *what == event).map(|(from, _, _)| from.word()).collect();
        words.join(", ")
    }

    /// The word in the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::RequiresPaymentMethod => "requires_payment_method",
            State::RequiresConfirmation => "requires_confirmation",
            State::Processing => "processing",
            State::RequiresCustomerAction => "requires_customer_action",
            State::RequiresCapture => "requires_capture",
            State::Succeeded => "succeeded",
            State::PartiallyCaptured => "partially_captured",
            State::PartiallyCapturedAndCapturable => "partially_captured_and_capturable",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
            State::Expired => "expired",
        }
    }
}

impl Event {
    /// Every event.
    pub const ALL: [Event; 19] = [
        Event::MethodChosen,
        Event::Update,
        Event::Confirm,
        Event::ActionNeeded,
        Event::ActionDone,
        Event::Authorized,
        Event::Captured,
        Event::CapturedInPart,
        Event::CapturedSome,
        Event::Failed,
        Event::Capture,
        Event::Increment,
        Event::StillReserved,
        Event::RestStillReserved,
        Event::Abandon,
        Event::Cancel,
        Event::Cancelled,
        Event::Expire,
        Event::Expired,
    ];
}

/// Every legal move; all others are illegal.
#[rustfmt::skip]
const TABLE: &[(State, Event, State)] = {
    use Event as E;
    use State as S;
    &[
        (S::RequiresPaymentMethod,  E::MethodChosen,   S::RequiresConfirmation),
        (S::RequiresPaymentMethod,  E::Update,         S::RequiresPaymentMethod),
        (S::RequiresPaymentMethod,  E::Confirm,        S::Processing),
        (S::RequiresPaymentMethod,  E::Abandon,        S::Cancelled),

        (S::RequiresConfirmation,   E::MethodChosen,   S::RequiresConfirmation),
        (S::RequiresConfirmation,   E::Update,         S::RequiresConfirmation),
        (S::RequiresConfirmation,   E::Confirm,        S::Processing),
        (S::RequiresConfirmation,   E::Abandon,        S::Cancelled),

        (S::Processing,             E::ActionNeeded,      S::RequiresCustomerAction),
        (S::Processing,             E::Authorized,        S::RequiresCapture),
        (S::Processing,             E::Captured,          S::Succeeded),
        (S::Processing,             E::CapturedInPart,    S::PartiallyCaptured),
        (S::Processing,             E::CapturedSome,      S::PartiallyCapturedAndCapturable),
        (S::Processing,             E::Failed,            S::Failed),
        (S::Processing,             E::StillReserved,     S::RequiresCapture),
        (S::Processing,             E::RestStillReserved, S::PartiallyCapturedAndCapturable),
        (S::Processing,             E::Cancelled,         S::Cancelled),
        (S::Processing,             E::Expired,           S::Expired),

        (S::RequiresCustomerAction, E::ActionDone,        S::Processing),
        (S::RequiresCustomerAction, E::Cancel,            S::Processing),

        (S::RequiresCapture,        E::Capture,           S::Processing),
        (S::RequiresCapture,        E::Increment,         S::Processing),
        (S::RequiresCapture,        E::Cancel,            S::Processing),
        (S::RequiresCapture,        E::Expire,            S::Processing),

        (S::PartiallyCapturedAndCapturable, E::Capture,   S::Processing),
        (S::PartiallyCapturedAndCapturable, E::Cancel,    S::Processing),
        (S::PartiallyCapturedAndCapturable, E::Expire,    S::Processing),

        // A capture that was reported done failed at the provider afterwards.
        (S::Succeeded,                      E::Failed,            S::Failed),
        (S::Succeeded,                      E::StillReserved,     S::RequiresCapture),
        (S::Succeeded,                      E::RestStillReserved, S::PartiallyCapturedAndCapturable),
        (S::PartiallyCaptured,              E::Failed,            S::Failed),
        (S::PartiallyCaptured,              E::StillReserved,     S::RequiresCapture),
        (S::PartiallyCaptured,              E::RestStillReserved, S::PartiallyCapturedAndCapturable),
        (S::PartiallyCapturedAndCapturable, E::StillReserved,     S::RequiresCapture),
        (S::PartiallyCapturedAndCapturable, E::RestStillReserved, S::PartiallyCapturedAndCapturable),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The table again, written as text by hand, so that a slip in one of the two shows.
    const LEGAL: &str = "
        requires_payment_method MethodChosen requires_confirmation
        requires_payment_method Update requires_payment_method
        requires_payment_method Confirm processing
        requires_payment_method Abandon cancelled
        requires_confirmation MethodChosen requires_confirmation
        requires_confirmation Update requires_confirmation
        requires_confirmation Confirm processing
        requires_confirmation Abandon cancelled
        processing ActionNeeded requires_customer_action
        processing Authorized requires_capture
        processing Captured succeeded
        processing CapturedInPart partially_captured
        processing CapturedSome partially_captured_and_capturable
        processing Failed failed
        processing StillReserved requires_capture
        processing RestStillReserved partially_captured_and_capturable
        processing Cancelled cancelled
        processing Expired expired
        requires_customer_action ActionDone processing
        requires_customer_action Cancel processing
        requires_capture Capture processing
        requires_capture Increment processing
        requires_capture Cancel processing
        requires_capture Expire processing
        partially_captured_and_capturable Capture processing
        partially_captured_and_capturable Cancel processing
        partially_captured_and_capturable Expire processing
        succeeded Failed failed
        succeeded StillReserved requires_capture
        succeeded RestStillReserved partially_captured_and_capturable
        partially_captured Failed failed
        partially_captured StillReserved requires_capture
        partially_captured RestStillReserved partially_captured_and_capturable
        partially_captured_and_capturable StillReserved requires_capture
        partially_captured_and_capturable RestStillReserved partially_captured_and_capturable";

    #[test]
    fn each_legal_move_leads_where_it_should_and_each_other_move_is_illegal() {
        let mut legal = 0;
        for state in State::ALL {
            for event in Event::ALL {
                let expected = LEGAL.lines().find_map(|line| {
                    let words: Vec<_> = line.split_whitespace().collect();
                    let fits = words.len() == 3 && words[0] == state.word() && words[1] == format!("{event:?}");
                    fits.then(|| words[2].to_owned())
                });
                let found = state.after(event).map(|to| to.word().to_owned());
                assert_eq!(found, expected, "{state:?} on {event:?}");
                legal += usize::from(found.is_some());
            }
        }
        assert_eq!(legal, TABLE.len(), "a row stands twice in the table");
        assert_eq!(legal, 35);
    }

    #[test]
    fn terminal_states_are_the_four_of_the_published_flow_and_the_one_for_time() {
        let terminal: Vec<_> = State::ALL.into_iter().filter(|s| s.is_terminal()).map(State::word).collect();
        assert_eq!(terminal, ["succeeded", "partially_captured", "failed", "cancelled", "expired"]);
    }

    #[test]
    fn words_are_those_of_the_api() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
        }
    }
}
