//! The way to the provider in a simulation: the real connector's bytes go to the real simulator without a network, and
//! what a network and a dying process can do happens where the step says so.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::connector::{Credentials, Doubt, Method, PspAnswer, PspRequest};
use crate::transport::{CardPass, NotSent, Rendered, Sent, Transport};
use async_trait::async_trait;
use strongroom_simulator::Inside;
use tokio::sync::Notify;

use super::op::{Fault, Planned};

/// The provider and the road there.
pub(crate) struct Road {
    pub(crate) provider: Inside,
    faults: Mutex<Vec<Planned>>,
    sent: AtomicU32,
    /// Told when our process is to die now.
    pub(crate) death: Notify,
}

impl Road {
    pub(crate) fn to(provider: Inside) -> Self {
        Self { provider, faults: Mutex::default(), sent: AtomicU32::new(0), death: Notify::new() }
    }

    /// What goes wrong from here on; requests are counted anew.
    pub(crate) fn plan(&self, faults: &[Planned]) {
        *self.faults.lock().unwrap() = faults.to_vec();
        self.sent.store(0, Ordering::SeqCst);
    }

    fn fault(&self) -> Option<Fault> {
        let nth = self.sent.fetch_add(1, Ordering::SeqCst);
        self.faults.lock().unwrap().iter().find(|planned| planned.nth == nth).map(|planned| planned.fault)
    }

    async fn arrive(&self, request: &PspRequest, rendered: &Rendered) -> PspAnswer {
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        };
        let headers: Vec<(&str, &str)> =
            rendered.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = rendered.body.as_ref().map_or(&[][..], |body| &body[..]);
        let (status, body) = self.provider.handle(method, &rendered.target, &headers, body).await;
        PspAnswer { status, body }
    }

    /// The process is killed: this future never goes on, and whoever runs the step drops it.
    async fn die(&self) -> ! {
        self.death.notify_one();
        std::future::pending().await
    }
}

#[async_trait]
impl Transport for Road {
    async fn send(&self, _: &str, request: &PspRequest, credentials: &Credentials, card: CardPass<'_>) -> Sent {
        // Others get their turn here, as they would while bytes travel.
        tokio::task::yield_now().await;
        let card = match card {
            CardPass::Released(card) => Some(card),
            CardPass::None | CardPass::ByVault(_) => None,
        };
        let Some(rendered) = Rendered::of(request, credentials, card) else {
            return Sent::NotSent(NotSent::Unbuildable);
        };
        let answer = match self.fault() {
            Some(Fault::Unreachable) => return Sent::NotSent(NotSent::Unreachable),
            Some(Fault::LostRequest) => return Sent::InDoubt(Doubt::TimedOut),
            Some(Fault::CrashBefore) => self.die().await,
            Some(Fault::CrashAfter) => {
                self.arrive(request, &rendered).await;
                self.die().await
            }
            Some(Fault::LostAnswer) => {
                self.arrive(request, &rendered).await;
                return Sent::InDoubt(Doubt::ConnectionLost);
            }
            // Only where the provider promises to know the key again; elsewhere TLS alone keeps bytes from arriving twice.
            Some(Fault::Twice) if request.idempotency_key.is_some() => {
                self.arrive(request, &rendered).await;
                self.arrive(request, &rendered).await
            }
            Some(Fault::ErrorBefore) => {
                self.provider.arm_error(false);
                self.arrive(request, &rendered).await
            }
            Some(Fault::ErrorAfter) => {
                self.provider.arm_error(true);
                self.arrive(request, &rendered).await
            }
            Some(Fault::Twice) | None => self.arrive(request, &rendered).await,
        };
        tokio::task::yield_now().await;
        Sent::Answer(answer)
    }
}
