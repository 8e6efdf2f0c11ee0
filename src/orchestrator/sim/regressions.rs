//! Lives that broke a law once, as they were printed, cut down to what matters. They stay.

use super::lived;
use super::op::{Fault, Number, Op, Plan, Planned, Step};
use crate::store::StoreTrouble;

fn step(op: Op) -> Step {
    Step { ops: vec![op], faults: Vec::new(), vault_down: false, store: (StoreTrouble::None, 0), wait_ms: 10_000 }
}

fn faulty(op: Op, fault: Fault) -> Step {
    Step { faults: vec![Planned { nth: 0, fault }], ..step(op) }
}

/// A sum of what is reserved was not asked for, so that a raise that was done behind a fault counted as not done.
#[test]
fn raise_that_was_done_behind_a_fault_is_found() {
    for fault in [Fault::ErrorAfter, Fault::LostAnswer, Fault::LostRequest, Fault::CrashAfter] {
        let steps = [
            step(Op::Create {
                pay: 0,
                amount: 2000,
                plan: Plan::Manual,
                card: Some(Number::Good),
                saves: false,
                increments: true,
            }),
            faulty(Op::Increment { pay: 0, total: 3600 }, fault),
            step(Op::Round),
            Step { wait_ms: 86_400_000, ..step(Op::Sync { pay: 0 }) },
        ];
        assert_eq!(lived("stripe", &steps), Ok(()), "{fault:?}");
    }
}

/// A charge whose result the store did not take stayed busy in the store although nobody worked on it, until its lease
/// ended: the merchant saw `processing` for as long.
#[test]
fn result_that_the_store_did_not_take_is_looked_at_with_the_next_round() {
    for provider in ["stripe", "adyen", "worldpay"] {
        for trouble in [StoreTrouble::Full, StoreTrouble::Silent] {
            for writes in 0..4 {
                let create = step(Op::Create {
                    pay: 0,
                    amount: 2000,
                    plan: Plan::Automatic,
                    card: Some(Number::Good),
                    saves: false,
                    increments: false,
                });
                let steps = [Step { store: (trouble, writes), wait_ms: 0, ..create }];
                assert_eq!(lived(provider, &steps), Ok(()), "{provider} {trouble:?} after {writes}");
            }
        }
    }
}
