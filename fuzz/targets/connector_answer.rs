//! Whatever a PSP answers, a connector neither panics nor takes a fault of the PSP for a proof about money.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_orchestrator::connector::{
    self, Cancel, Handles, Operation, Progress, PspAnswer, Step, Sync, SyncRefund,
};
use strongroom_orchestrator::money::Money;

fuzz_target!(|input: &[u8]| {
    let [which, step, high, low, body @ ..] = input else { return };
    let status = u16::from_be_bytes([*high, *low]);
    let (payment_id, psp_id) = ("pay_1".to_owned(), "pi_1".to_owned());
    let (handles, idempotency_key) = (Handles::new(), "key".to_owned());
    let money = |minor| Money { minor, currency: "USD".parse().unwrap() };
    let (amount, authorized, taken) = (money(1000), money(1000), money(0));
    let sync = |psp_id| Sync {
        payment_id: "pay_1".to_owned(),
        attempt_id: "pay_1_1".to_owned(),
        psp_id,
        handles: Handles::new(),
        amount,
        since_unix_s: 0,
        released_after: None,
        raised_to: None,
    };
    let operation = match which % 4 {
        0 => {
            Operation::Cancel(Cancel { payment_id, psp_id, handles, authorized, taken, idempotency_key, reason: None })
        }
        1 => Operation::SyncRefund(SyncRefund {
            refund_id: "ref_1".into(),
            psp_id,
            handles,
            amount,
            psp_refund_id: None,
        }),
        2 => Operation::Sync(sync(None)),
        _ => Operation::Sync(sync(Some(psp_id))),
    };
    let progress = Progress { step: step % 4, ..Progress::default() };
    for connector in connector::all() {
        let said = connector.outcome(&operation, &progress, &PspAnswer { status, body: body.to_vec() });
        assert!(status < 500 || matches!(said, Step::InDoubt(_)), "a fault of the PSP was taken for a proof");
    }
});
