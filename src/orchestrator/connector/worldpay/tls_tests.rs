//! The connector and the simulator's Worldpay over the transport that production has: every kind of request goes over TLS,
//! and faults of the network mean what they are.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use strongroom_simulator::{Config, start};
use zeroize::Zeroizing;

use super::Worldpay;
use crate::connector::{
    Authorize, Cancel, Capture, CaptureMethod, Connector, Credential, Credentials, Doubt, Handles, Increment,
    Operation, Outcome, Payer, Progress, Refund, Step, Sync, SyncRefund,
};
use crate::money::Money;
use crate::transport::{CardPass, Destination, HttpTransport, Sent, Transport};
use crate::vault::Card;

struct Trip {
    transport: HttpTransport,
    credentials: Credentials,
    card: Card,
    stop: ServerHandle,
    _folder: tempfile::TempDir,
}

impl Drop for Trip {
    fn drop(&mut self) {
        drop(self.stop.stop(false));
    }
}

impl Trip {
    fn start() -> Self {
        // Another test may have been first; either way there is a provider.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let pair = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        fs::write(folder.path().join("cert.pem"), pair.cert.pem()).unwrap();
        fs::write(folder.path().join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            cert: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
            api_keys: vec![USER.to_owned()],
            webhooks: Vec::new(),
            webhook_ca: None,
            ready_file: None,
        };
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let running = start(&config).unwrap();
                tell.send((running.address, running.handle)).unwrap();
                running.ended.await
            })
        });
        let (address, stop): (SocketAddr, _) = told.recv().unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pair.cert.pem().as_bytes()).unwrap()).unwrap();
        let destination = Destination {
            base_url: format!("https://{address}"),
            tls: Some(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()),
            connect_timeout: PATIENCE,
            total_timeout: PATIENCE,
        };
        let text = |text: &str| Zeroizing::new(text.to_owned());
        Self {
            transport: HttpTransport::new(BTreeMap::from([("worldpay".to_owned(), destination)])).unwrap(),
            credentials: Credentials {
                api_key: text(USER),
                key1: Some(text("pass:word")),
                api_secret: Some(text("PO4080334630 GB")),
                webhook_secret: None,
            },
            card: Card {
                number: text("4444333322221111"),
                exp_month: 3,
                exp_year: 2034,
                cvc: Some(text("123")),
                holder_name: Some(text("Sherlock Holmes")),
            },
            stop,
            _folder: folder,
        }
    }

    async fn run(&self, operation: &Operation) -> Step {
        let mut progress = Progress::default();
        for _ in 0..8 {
            let request = Worldpay.request(operation, &progress).unwrap();
            let card = if request.wants_card() { CardPass::Released(&self.card) } else { CardPass::None };
            let step = match self.transport.send("worldpay", &request, &self.credentials, card).await {
                Sent::Answer(answer) => Worldpay.outcome(operation, &progress, &answer),
                Sent::InDoubt(doubt) => Step::InDoubt(doubt),
                Sent::NotSent(why) => panic!("{why}"),
            };
            match step {
                Step::Next(next) => progress = next,
                step => return step,
            }
        }
        panic!("no end");
    }

    async fn done(&self, operation: &Operation) -> Outcome {
        match self.run(operation).await {
            Step::Done(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }
}

fn gbp(minor: u64) -> Money {
    Money { minor, currency: "GBP".parse().unwrap() }
}

fn authorize(minor: u64, capture: CaptureMethod) -> Authorize {
    Authorize {
        payment_id: "pay_1".into(),
        attempt_id: ATTEMPT.into(),
        idempotency_key: "key_1".into(),
        amount: gbp(minor),
        capture,
        incremental: false,
        three_ds: false,
        return_url: None,
        credential: Credential::OneTime,
        description: None,
        statement_descriptor: None,
        payer: Payer::default(),
    }
}

fn sync(minor: u64, handles: Handles) -> Operation {
    Operation::Sync(Sync {
        payment_id: "pay_1".into(),
        attempt_id: ATTEMPT.into(),
        psp_id: None,
        handles,
        amount: gbp(minor),
        since_unix_s: 0,
        released_after: None,
        raised_to: None,
    })
}

const USER: &str = "worldpay-user";
const ATTEMPT: &str = "pay_1_1";
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn every_kind_of_request_is_understood_over_tls() {
    let trip = Trip::start();
    let first = Operation::Authorize(Authorize { incremental: true, ..authorize(1000, CaptureMethod::Manual) });
    let Outcome::Authorized { mut handles, .. } = trip.done(&first).await else { panic!("not reserved") };
    let (payment_id, psp_id, idempotency_key) = ("pay_1".to_owned(), ATTEMPT.to_owned(), "key_2".to_owned());
    let increment = Operation::Increment(Increment {
        payment_id: payment_id.clone(),
        psp_id: psp_id.clone(),
        handles: handles.clone(),
        idempotency_key: idempotency_key.clone(),
        before: gbp(1000),
        total: gbp(1200),
        reason: None,
    });
    let Outcome::Authorized { handles: raised, .. } = trip.done(&increment).await else { panic!("not raised") };
    handles.extend(raised);
    let capture = Operation::Capture(Capture {
        payment_id: payment_id.clone(),
        psp_id: psp_id.clone(),
        idempotency_key: idempotency_key.clone(),
        handles: handles.clone(),
        capture_id: "cap_1".into(),
        amount: gbp(700),
        authorized: gbp(1200),
        taken: gbp(0),
        is_final: false,
    });
    let Outcome::Pending { handles: settled, .. } = trip.done(&capture).await else { panic!("no receipt") };
    handles.extend(settled);
    let cancel = Operation::Cancel(Cancel {
        payment_id: payment_id.clone(),
        psp_id: psp_id.clone(),
        handles: handles.clone(),
        authorized: gbp(1200),
        taken: gbp(700),
        idempotency_key: idempotency_key.clone(),
        reason: None,
    });
    let Outcome::Pending { handles: cancelled, .. } = trip.done(&cancel).await else { panic!("no receipt") };
    handles.extend(cancelled);
    let refund = Operation::Refund(Refund {
        payment_id,
        refund_id: "ref_1".into(),
        psp_id: psp_id.clone(),
        handles: handles.clone(),
        idempotency_key,
        amount: gbp(200),
        captured: gbp(700),
        reason: None,
    });
    assert!(matches!(trip.done(&refund).await, Outcome::Pending { .. }));
    let told = trip.done(&sync(1200, handles.clone())).await;
    assert!(matches!(told, Outcome::Captured { amount_minor: 700, .. }), "{told:?}");
    let question = Operation::SyncRefund(SyncRefund {
        refund_id: "ref_1".into(),
        psp_id,
        handles,
        amount: gbp(200),
        psp_refund_id: None,
    });
    let back = Outcome::Refunded { psp_id: "ref-u1".into(), amount_minor: 200 };
    assert_eq!(trip.done(&question).await, back);
}

#[tokio::test]
async fn lost_connection_leaves_doubt_and_the_question_ends_it() {
    // Reserved amounts of the simulator: the connection is cut before, or after, the work.
    for (minor, work_is_done) in [(990_002, true), (990_005, false)] {
        let trip = Trip::start();
        let operation = Operation::Authorize(authorize(minor, CaptureMethod::Automatic));
        assert_eq!(trip.run(&operation).await, Step::InDoubt(Doubt::ConnectionLost));
        let told = trip.run(&sync(minor, Handles::new())).await;
        if work_is_done {
            assert!(matches!(told, Step::Done(Outcome::Captured { amount_minor, .. }) if amount_minor == minor));
        } else {
            // Neither the search nor the recovery query, which names the entity, knows it.
            assert_eq!(told, Step::Absent);
        }
    }
}

#[tokio::test]
async fn capture_after_a_raise_whose_answer_was_lost_takes_what_was_asked_and_no_more() {
    let trip = Trip::start();
    let first = Operation::Authorize(Authorize { incremental: true, ..authorize(1000, CaptureMethod::Manual) });
    let Outcome::Authorized { handles: known, .. } = trip.done(&first).await else { panic!("not reserved") };
    let increment = Operation::Increment(Increment {
        payment_id: "pay_1".into(),
        psp_id: ATTEMPT.into(),
        handles: known.clone(),
        idempotency_key: "key_2".into(),
        before: gbp(1000),
        total: gbp(1500),
        reason: None,
    });
    let Outcome::Authorized { handles: unknown, .. } = trip.done(&increment).await else { panic!("not raised") };
    // Whichever links are known: a history may have told the new ones while the raise itself was not believed.
    let mut handles = known;
    handles.extend(unknown);
    let capture = Operation::Capture(Capture {
        payment_id: "pay_1".into(),
        psp_id: ATTEMPT.into(),
        idempotency_key: "key_3".into(),
        handles: handles.clone(),
        capture_id: "cap_1".into(),
        amount: gbp(1000),
        authorized: gbp(1000),
        taken: gbp(0),
        is_final: true,
    });
    assert!(matches!(trip.done(&capture).await, Outcome::Pending { .. }));
    let told = trip.done(&sync(1000, handles)).await;
    assert!(matches!(told, Outcome::Captured { amount_minor: 1000, .. }), "{told:?}");
}
