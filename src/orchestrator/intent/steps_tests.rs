//! How many requests one operation may make, tried with a connector that never comes to an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use strongroom_wire::limits;

use super::rig::{GOOD, Rig, card, new_payment};
use super::{Engine, Parts, State};
use crate::connector::{
    Auth, BadCredentials, Body, Capabilities, Connector, Credentials, Method, Operation, Progress, PspAnswer, PspEvent,
    PspRequest, Step, Unsupported, WebhookCall, WebhookRefusal,
};
use crate::transport::{CardPass, Sent, Transport};

/// Always wants one request more.
struct Endless;

impl Connector for Endless {
    fn name(&self) -> &'static str {
        "rig"
    }

    fn capabilities(&self) -> &'static Capabilities {
        const CAPABILITIES: Capabilities = Capabilities {
            partial_capture: false,
            multiple_captures: false,
            incremental: false,
            zero_amount: false,
            foreign_network_id: false,
            can_sync: true,
            authorization_days: 7,
            currencies: &[],
            networks: &[],
            three_ds: false,
            idempotent_replay_s: None,
        };
        &CAPABILITIES
    }

    fn check_credentials(&self, _: &Credentials) -> Result<(), BadCredentials> {
        Ok(())
    }

    fn request(&self, operation: &Operation, _: &Progress) -> Result<PspRequest, Unsupported> {
        let asks = matches!(operation, Operation::Sync(_));
        Ok(PspRequest {
            method: if asks { Method::Get } else { Method::Post },
            path: "/more".into(),
            query: Vec::new(),
            auth: Auth::Bearer,
            headers: Vec::new(),
            idempotency_key: None,
            body: Body::Empty,
            moves_money: !asks,
        })
    }

    fn outcome(&self, _: &Operation, progress: &Progress, _: &PspAnswer) -> Step {
        Step::Next(Progress { step: progress.step + 1, ..Progress::default() })
    }

    fn webhook(&self, _: &WebhookCall<'_>, _: &Credentials) -> Result<Vec<PspEvent>, WebhookRefusal> {
        Err(WebhookRefusal::NoSecret)
    }
}

#[derive(Default)]
struct Counted(AtomicU32);

#[async_trait]
impl Transport for Counted {
    async fn send(&self, _: &str, _: &PspRequest, _: &Credentials, _: CardPass<'_>) -> Sent {
        self.0.fetch_add(1, Ordering::SeqCst);
        Sent::Answer(PspAnswer { status: 200, body: Vec::new() })
    }
}

#[tokio::test]
async fn operation_without_an_end_is_in_doubt_after_its_most_requests() {
    let rig = Rig::new().await;
    let sent = Arc::<Counted>::default();
    let endless = Parts { connectors: &[&Endless], transport: sent.clone(), ..rig.parts() };
    let engine = Engine::new(endless).unwrap();
    let payment = engine.create(&rig.merchant, new_payment(|_| {}), card(GOOD), true).await.unwrap();
    assert_eq!(payment.state, State::Processing, "the last request may have moved money");
    assert_eq!(sent.0.swap(0, Ordering::SeqCst), u32::from(limits::PSP_STEPS_MAX));

    rig.clock.advance(10_000);
    let payment = engine.resolve(&rig.merchant, "pay_1", true).await.unwrap();
    assert_eq!(payment.state, State::Processing, "a search without an end proves nothing");
    assert_eq!(sent.0.load(Ordering::SeqCst), u32::from(limits::PSP_QUESTIONS_MAX));
}
