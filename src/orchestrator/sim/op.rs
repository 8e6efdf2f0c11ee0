//! What can happen to a payment, as plain values: a life is a list of steps, printed so that a failed one can be pasted
//! into `regressions.rs` as it stands.

use fastrand::Rng;

use crate::store::StoreTrouble;

/// One step of a life: calls that run at the same time, what goes wrong meanwhile, and how long nothing happens afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) ops: Vec<Op>,
    pub(crate) faults: Vec<Planned>,
    pub(crate) vault_down: bool,
    /// What befalls the store, after how many writes of the step.
    pub(crate) store: (StoreTrouble, usize),
    pub(crate) wait_ms: i64,
}

/// A fault that meets the request to the provider with this number, counted from 0 within the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) nth: u32,
    pub(crate) fault: Fault,
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No connection: nothing was sent.
    Unreachable,
    /// It never arrives, and the caller sees a time-out.
    LostRequest,
    /// The provider does it, and the answer is lost.
    LostAnswer,
    /// It arrives twice, as a network may do; the second answer counts.
    Twice,
    /// 500, and nothing was done.
    ErrorBefore,
    /// 500, and all was done.
    ErrorAfter,
    /// Our process ends before it is sent.
    CrashBefore,
    /// Our process ends before the answer is read.
    CrashAfter,
}

/// Something that somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Create {
        pay: u8,
        amount: u64,
        plan: Plan,
        card: Option<Number>,
        saves: bool,
        increments: bool,
    },
    Confirm {
        pay: u8,
        card: Number,
    },
    Amount {
        pay: u8,
        amount: u64,
    },
    Capture {
        pay: u8,
        amount: Option<u64>,
    },
    Cancel {
        pay: u8,
    },
    Refund {
        pay: u8,
        refund: u8,
        amount: Option<u64>,
    },
    /// The payer presses a button on the authentication page.
    Authenticate {
        pay: u8,
        approves: bool,
        returns: bool,
    },
    /// The payer disputes.
    Dispute {
        pay: u8,
    },
    /// What is reserved is raised.
    Increment {
        pay: u8,
        total: u64,
    },
    /// The payer's browser comes back.
    ComeBack {
        pay: u8,
    },
    /// The merchant fetches with `force_sync`.
    Sync {
        pay: u8,
    },
    /// The background loop.
    Round,
    /// The process ends and another one starts.
    Crash,
    /// The provider's webhooks that wait are delivered: in order, or the newest first, or each twice.
    Told(Order),
    /// The provider's webhooks that wait are lost.
    TellingLost,
}

/// How webhooks arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Straight,
    Backwards,
    Twice,
}

/// When money is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    Automatic,
    Manual,
    ManualMultiple,
    /// This many hours after the start of the life.
    Scheduled(i64),
}

/// Published test cards, by what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    Good,
    DeclinedSoft,
    DeclinedHard,
    Authenticate,
    RefundPending,
    RefundFails,
}

impl Number {
    /// The digits.
    pub(crate) fn digits(self) -> &'static str {
        match self {
            Number::Good => "4242424242424242",
            Number::DeclinedSoft => "4000000000009995",
            Number::DeclinedHard => "4000000000009987",
            Number::Authenticate => "4000002760003184",
            Number::RefundPending => "4000000000007726",
            Number::RefundFails => "4000000000005126",
        }
    }
}

/// A life that this seed, and only it, stands for.
pub(crate) fn life(seed: u64) -> Vec<Step> {
    let mut rng = Rng::with_seed(seed);
    let count = rng.u8(1..=PAYS);
    let mut steps: Vec<Step> = (0..count).map(|pay| begin(&mut rng, pay)).collect();
    for _ in 0..rng.usize(4..16) {
        let together = if rng.u8(0..4) == 0 { 2 } else { 1 };
        let mut ops: Vec<Op> = (0..together).map(|_| op(&mut rng, count)).collect();
        if rng.u8(0..6) == 0 {
            // The same request at the same time: a double click, a retry of the caller's.
            ops.push(ops[0]);
        }
        steps.push(around(&mut rng, ops));
    }
    steps
}

fn begin(rng: &mut Rng, pay: u8) -> Step {
    let card = (rng.u8(0..4) > 0).then(|| number(rng));
    let plan = match rng.u8(0..8) {
        0..=2 => Plan::Automatic,
        3 | 4 => Plan::Manual,
        5 | 6 => Plan::ManualMultiple,
        _ => Plan::Scheduled(rng.i64(1..96)),
    };
    let op = Op::Create {
        pay,
        amount: rng.u64(1..5) * 1000,
        plan,
        card,
        saves: rng.u8(0..3) == 0,
        increments: rng.u8(0..3) == 0,
    };
    let ops = if rng.u8(0..8) == 0 { vec![op, op] } else { vec![op] };
    around(rng, ops)
}

fn around(rng: &mut Rng, ops: Vec<Op>) -> Step {
    let faults = (0..[0, 0, 1, 1, 2][rng.usize(0..5)])
        .map(|_| Planned { nth: rng.u32(0..4), fault: FAULTS[rng.usize(0..FAULTS.len())] })
        .collect();
    let wait_ms = match rng.u8(0..10) {
        0..=3 => 0,
        4..=6 => rng.i64(0..10_000),
        7 | 8 => rng.i64(0..3_600_000),
        _ => rng.i64(0..3 * 86_400_000),
    };
    let store = match rng.u8(0..24) {
        0 => StoreTrouble::Full,
        1 => StoreTrouble::Silent,
        _ => StoreTrouble::None,
    };
    let store = (store, rng.usize(0..6));
    Step { ops, faults, vault_down: rng.u8(0..25) == 0, store, wait_ms }
}

fn op(rng: &mut Rng, pays: u8) -> Op {
    let pay = rng.u8(0..pays.max(1));
    let part = |rng: &mut Rng| (rng.u8(0..3) > 0).then(|| rng.u64(1..30) * 100);
    match rng.u8(0..34) {
        0..=3 => Op::Confirm { pay, card: number(rng) },
        4 => Op::Amount { pay, amount: rng.u64(1..5) * 1000 },
        5..=9 => Op::Capture { pay, amount: part(rng) },
        10 | 11 => Op::Cancel { pay },
        12..=15 => Op::Refund { pay, refund: rng.u8(0..3), amount: part(rng) },
        16 | 17 => Op::Authenticate { pay, approves: rng.u8(0..4) > 0, returns: rng.bool() },
        18 | 19 => Op::ComeBack { pay },
        20 | 21 => Op::Sync { pay },
        22..=24 => Op::Round,
        25 => Op::Crash,
        26 | 27 => Op::Told([Order::Straight, Order::Backwards, Order::Twice][rng.usize(0..3)]),
        28 => Op::TellingLost,
        29 => Op::Dispute { pay },
        30 | 31 => Op::Increment { pay, total: rng.u64(10..60) * 100 },
        _ => Op::Round,
    }
}

fn number(rng: &mut Rng) -> Number {
    match rng.u8(0..12) {
        0..=5 => Number::Good,
        6 => Number::DeclinedSoft,
        7 => Number::DeclinedHard,
        8 | 9 => Number::Authenticate,
        10 => Number::RefundPending,
        _ => Number::RefundFails,
    }
}

const FAULTS: [Fault; 8] = [
    Fault::Unreachable,
    Fault::LostRequest,
    Fault::LostAnswer,
    Fault::Twice,
    Fault::ErrorBefore,
    Fault::ErrorAfter,
    Fault::CrashBefore,
    Fault::CrashAfter,
];
/// Most payments of one life.
const PAYS: u8 = 3;
