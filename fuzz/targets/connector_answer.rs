//! Whatever a PSP answers, a connector neither panics nor takes a fault of the PSP for a proof about money.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_orchestrator::connector::{self, Cancel, Operation, Progress, PspAnswer, Step, Sync, SyncRefund};

fuzz_target!(|input: &[u8]| {
    let [which, step, high, low, body @ ..] = input else { return };
    let status = u16::from_be_bytes([*high, *low]);
    let (payment_id, psp_id) = ("pay_1".to_owned(), "pi_1".to_owned());
    let operation = match which % 4 {
        0 => Operation::Cancel(Cancel { payment_id, psp_id, idempotency_key: "key".to_owned(), reason: None }),
        1 => Operation::SyncRefund(SyncRefund { refund_id: "ref_1".to_owned(), psp_id, psp_refund_id: None }),
        2 => Operation::Sync(Sync { payment_id, attempt_id: "pay_1_1".to_owned(), psp_id: None, since_unix_s: 0 }),
        _ => Operation::Sync(Sync { payment_id, attempt_id: "pay_1_1".to_owned(), psp_id: Some(psp_id), since_unix_s: 0 }),
    };
    let progress = Progress { step: step % 4, ..Progress::default() };
    for connector in connector::all() {
        let said = connector.outcome(&operation, &progress, &PspAnswer { status, body: body.to_vec() });
        assert!(status < 500 || matches!(said, Step::InDoubt(_)), "a fault of the PSP was taken for a proof");
    }
});
