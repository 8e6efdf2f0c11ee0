//! The engine: everything that a payment needs, and one exchange with a provider.

use std::sync::Arc;

use strongroom_wire::{TenantId, limits};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::at_work::AtWork;
use super::claim;
use super::credentials::CredentialCache;
use super::fault::Fault;
use super::payment::Payment;
use crate::account::ConnectorAccount;
use crate::clock::Clock;
use crate::connector::{Connector, Credentials, Doubt, Operation, Outcome, Progress, Step};
use crate::ids;
use crate::routing::Breakers;
use crate::store::{Effects, Store, StoreError, Version};
use crate::telemetry::Metrics;
use crate::transport::{CardPass, Handover, NotSent, Sent, Transport};
use crate::vault::{SecretText, Vault, VaultError};
use crate::webhook;

/// Runs payments. Cheap to share behind an `Arc`.
pub struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Arc<dyn Vault>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) connectors: &'static [&'static dyn Connector],
    pub(crate) credentials: CredentialCache,
    pub(crate) breakers: Breakers,
    pub(crate) at_work: AtWork,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) run: String,
    pub(crate) lease_ms: i64,
    pub(crate) public_url: String,
    /// Rings when an event for a merchant was stored.
    pub(crate) news: Notify,
}

/// What an engine is made of.
pub struct Parts {
    /// Where payments live.
    pub store: Arc<dyn Store>,
    /// Where cards live.
    pub vault: Arc<dyn Vault>,
    /// The way to providers.
    pub transport: Arc<dyn Transport>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What providers are known.
    pub connectors: &'static [&'static dyn Connector],
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Longest time that one exchange with a provider can take, vault included, in milliseconds.
    pub exchange_ms_max: i64,
    /// Where browsers reach this server, without a trailing slash.
    pub public_url: String,
}

/// The CVC of this payment, in memory only and for one exchange.
#[derive(Default)]
pub enum CvcInput {
    /// None was given.
    #[default]
    None,
    /// Sealed by the vault; goes back to it with the reveal.
    Sealed(SecretText),
    /// As typed, for a kept card.
    Plain(Zeroizing<String>),
}

/// Which card an exchange may use.
pub(crate) struct CardSource<'a> {
    pub(crate) payment: &'a Payment,
    pub(crate) cvc: CvcInput,
}

/// How one request to a provider ended.
pub(crate) enum Exchanged {
    /// Another request is needed.
    Next(Progress),
    /// The operation ended.
    Done(Outcome),
    /// The provider does not know it.
    Absent,
    /// Nothing is known.
    InDoubt(Doubt),
    /// Proven: this request changed nothing at the provider.
    NotDone(NotDone),
}

/// Why a request changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotDone {
    /// For `error_code`.
    pub(crate) code: &'static str,
    /// For `error_message`.
    pub(crate) message: &'static str,
    /// Whether it was this account's trouble, so that another account may do it.
    pub(crate) elsewhere: bool,
}

impl NotDone {
    /// The fault to answer, where the very same call may succeed a moment later.
    pub(crate) fn passing(self) -> Option<Fault> {
        match self {
            UNREACHABLE => Some(Fault::ProviderUnreachable),
            NO_CREDENTIALS => Some(Fault::VaultUnavailable),
            _ => None,
        }
    }
}

impl Engine {
    /// An engine.
    ///
    /// # Errors
    /// The operating system gives no random numbers.
    pub fn new(parts: Parts) -> Result<Self, ids::NoRandomness> {
        let run = ids::fresh("run_", parts.clock.now_ms())?;
        Ok(Self {
            store: parts.store,
            vault: parts.vault,
            transport: parts.transport,
            clock: parts.clock,
            connectors: parts.connectors,
            credentials: CredentialCache::default(),
            breakers: Breakers::default(),
            at_work: AtWork::default(),
            metrics: parts.metrics,
            run,
            lease_ms: parts.exchange_ms_max + LEASE_MARGIN_MS,
            public_url: parts.public_url,
            news: Notify::new(),
        })
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The name of this run of the process.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Where payments live.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Where cards live.
    #[must_use]
    pub fn vault(&self) -> &dyn Vault {
        &*self.vault
    }

    /// Whether requests may bring card numbers and CVCs in clear. Where the vault sends cards to providers itself, they may
    /// not: this process shall never hold one.
    #[must_use]
    pub fn takes_cards(&self) -> bool {
        self.transport.needs_card()
    }

    /// The connector with this name.
    #[must_use]
    pub fn connector(&self, name: &str) -> Option<&'static dyn Connector> {
        self.connectors.iter().copied().find(|connector| connector.name() == name)
    }

    /// A payment and its version.
    ///
    /// # Errors
    /// [`Fault::NotFound`], [`Fault::Store`].
    pub async fn payment(&self, merchant: &TenantId, id: &str) -> Result<(Payment, Version), Fault> {
        self.store.payment(merchant, id).await?.ok_or(Fault::NotFound("Payment"))
    }

    /// Stores a changed payment and does at once what its change leaves to do at the vault. What the merchant is told by it
    /// is noted in the payment, so save no older copy afterwards.
    pub(crate) async fn save(
        &self,
        payment: &mut Payment,
        seen: Version,
        effects: &Effects,
    ) -> Result<Version, StoreError> {
        let saved = self.store_payment(payment, Some(seen), effects).await?;
        if !effects.chores.is_empty() {
            self.do_chores_of(&payment.payment_id).await;
        }
        Ok(saved)
    }

    /// Stores a payment, changed or (`seen` is none) new, together with the events that tell the merchant of it. Every way
    /// of a payment into the store leads through here, so that what a merchant was told last is always what is stored.
    pub(crate) async fn store_payment(
        &self,
        payment: &mut Payment,
        seen: Option<Version>,
        effects: &Effects,
    ) -> Result<Version, StoreError> {
        let mut told = payment.clone();
        let mut effects = claim::with_claim(effects);
        // Without random numbers an event has no id; the caller learns that nothing was stored.
        effects.events = webhook::tell(&mut told, self.now_ms()).map_err(|_| {
            claim::put_back(&effects);
            StoreError::Unavailable
        })?;
        let stored = match seen {
            Some(seen) => self.store.save_payment(&told, seen, &effects).await,
            None => self.store.add_payment(&told, &effects).await,
        };
        match stored {
            Ok(_) => *payment = told,
            Err(error) => {
                claim::put_back(&effects);
                if error == StoreError::Unavailable {
                    // It may be stored all the same, with a call that nobody makes now.
                    self.at_work.let_go(&payment.merchant_id, &payment.payment_id);
                }
            }
        }
        if stored.is_ok() && !effects.events.is_empty() {
            self.news.notify_one();
        }
        stored
    }

    /// The account that an attempt or refund of the payment runs on.
    pub(crate) async fn account_of(&self, payment: &Payment) -> Result<ConnectorAccount, Fault> {
        let id = payment.last_attempt().map(|a| a.account_id.clone()).ok_or(Fault::Internal)?;
        let accounts = self.store.connector_accounts(&payment.merchant_id).await?;
        accounts.into_iter().find(|account| account.account_id == id).ok_or(Fault::Internal)
    }

    /// One request of an operation, from the mapping to the meaning of the answer. The caller has stored `progress`.
    pub(crate) async fn exchange(
        &self,
        account: &ConnectorAccount,
        operation: &Operation,
        progress: &Progress,
        source: Option<&mut CardSource<'_>>,
    ) -> Exchanged {
        let Some(connector) = self.connector(&account.connector) else {
            return Exchanged::NotDone(NO_CONNECTOR);
        };
        let request = match connector.request(operation, progress) {
            Ok(request) => request,
            Err(unsupported) => {
                return Exchanged::NotDone(NotDone { code: "not_supported", message: unsupported.0, elsewhere: true });
            }
        };
        let credentials = match self.credentials.of(self, &account.merchant_id, account.secret_id).await {
            Ok(credentials) => credentials,
            // The vault answers, and these credentials alone are gone or refused.
            Err(VaultError::NotFound) => return Exchanged::NotDone(CREDENTIALS_GONE),
            Err(_) => return Exchanged::NotDone(NO_CREDENTIALS),
        };
        let (mut card, mut handover) = (None, None);
        if request.wants_card() && self.transport.needs_card() {
            match self.reveal(source).await {
                Ok(released) => card = Some(released),
                Err(not_done) => return Exchanged::NotDone(not_done),
            }
        } else if request.wants_card() {
            match hand_over(source) {
                Ok(handed) => handover = Some(handed),
                Err(not_done) => return Exchanged::NotDone(not_done),
            }
        }
        let pass = match (&card, &handover) {
            (Some(card), _) => CardPass::Released(card),
            (None, Some(handover)) => CardPass::ByVault(handover),
            (None, None) => CardPass::None,
        };
        let began = self.now_ms();
        let sent = self.transport.send(account.destination(), &request, &credentials, pass).await;
        drop((card, handover));
        // What the vault did not send, or we could not build, says nothing about the provider.
        let is_told = !matches!(&sent, Sent::NotSent(NotSent::Unbuildable | NotSent::Vault(_)));
        let is_fault = match &sent {
            Sent::Answer(answer) => answer.status >= 500,
            Sent::InDoubt(_) | Sent::NotSent(_) => true,
        };
        let ended = match sent {
            Sent::Answer(answer) => match connector.outcome(operation, progress, &answer) {
                Step::Next(next) if next.step <= progress.step || next.step >= requests_max(operation) => {
                    Exchanged::InDoubt(Doubt::Unreadable)
                }
                Step::Next(next) => Exchanged::Next(next),
                Step::Done(outcome) => Exchanged::Done(outcome),
                Step::Absent => Exchanged::Absent,
                Step::InDoubt(doubt) => Exchanged::InDoubt(doubt),
            },
            Sent::NotSent(why) => {
                tracing::warn!(connector = account.connector.as_str(), reason = %why, "a request was not sent");
                Exchanged::NotDone(match why {
                    NotSent::Vault(why) => not_released(&why),
                    NotSent::Unreachable | NotSent::NoDestination | NotSent::Unbuildable => UNREACHABLE,
                })
            }
            Sent::InDoubt(doubt) => Exchanged::InDoubt(doubt),
        };
        if is_told {
            // Its no is an answer like another; an answer that nobody can read is none.
            let is_unreadable = matches!(ended, Exchanged::InDoubt(Doubt::Unreadable | Doubt::ServerFault));
            self.weigh(account, !is_fault && !is_unreadable);
        }
        // A request that cannot move money leaves no doubt about money.
        let ended = match ended {
            Exchanged::InDoubt(_) if !request.moves_money => Exchanged::NotDone(NO_ANSWER),
            other => other,
        };
        self.metrics.psp_call(operation_word(operation), ended.word(), self.now_ms() - began);
        ended
    }

    async fn reveal(&self, source: Option<&mut CardSource<'_>>) -> Result<crate::vault::Card, NotDone> {
        let source = source.ok_or(NO_CARD)?;
        let method = source.payment.method.as_ref().ok_or(NO_CARD)?;
        let cvc = std::mem::take(&mut source.cvc);
        let sealed = match &cvc {
            CvcInput::Sealed(text) => Some(text.expose()),
            CvcInput::None | CvcInput::Plain(_) => None,
        };
        let payment = source.payment;
        let revealed = self.vault.reveal(&payment.merchant_id, method.token, &payment.payment_id, sealed).await;
        let mut card = revealed.map_err(|error| not_released(&error))?;
        if let CvcInput::Plain(text) = cvc {
            card.cvc = Some(text);
        }
        // A sealed CVC opens once, and the next account may want it too. It is wiped with the source of this drive.
        source.cvc = card.cvc.clone().map_or(CvcInput::None, CvcInput::Plain);
        Ok(card)
    }

    /// Runs an operation that only asks, through all its steps.
    pub(crate) async fn ask(&self, account: &ConnectorAccount, operation: &Operation) -> Exchanged {
        let mut progress = Progress::default();
        for _ in 0..requests_max(operation) {
            match self.exchange(account, operation, &progress, None).await {
                Exchanged::Next(next) => progress = next,
                other => return other,
            }
        }
        Exchanged::InDoubt(Doubt::Unreadable)
    }
}

/// Why a card was not released or filled in.
fn not_released(error: &VaultError) -> NotDone {
    match error {
        VaultError::NotFound => {
            NotDone { code: "payment_method_gone", message: "The card is no longer stored", elsewhere: false }
        }
        VaultError::CvcGone => NotDone { code: "cvc_gone", message: "The CVC was used or expired", elsewhere: false },
        VaultError::Refused => {
            NotDone { code: "vault_refused", message: "The vault's policy refuses the release", elsewhere: false }
        }
        _ => NotDone { code: "vault_unavailable", message: "The vault did not release the card", elsewhere: false },
    }
}

/// What the vault needs to fill in the card itself. A CVC in clear never gets this far where that is so: see
/// [`Engine::takes_cards`].
fn hand_over(source: Option<&mut CardSource<'_>>) -> Result<Handover, NotDone> {
    let source = source.ok_or(NO_CARD)?;
    let method = source.payment.method.as_ref().ok_or(NO_CARD)?;
    let cvc_token = match std::mem::take(&mut source.cvc) {
        CvcInput::Sealed(token) => Some(token),
        CvcInput::None | CvcInput::Plain(_) => None,
    };
    Ok(Handover {
        tenant: source.payment.merchant_id.clone(),
        token: method.token,
        cvc_token,
        reference: source.payment.payment_id.clone(),
    })
}

impl Exchanged {
    fn word(&self) -> &'static str {
        match self {
            Exchanged::Next(_) => "next",
            Exchanged::Done(Outcome::Declined(_)) => "declined",
            Exchanged::Done(Outcome::Refused(_)) => "refused",
            Exchanged::Done(_) => "done",
            Exchanged::Absent => "absent",
            Exchanged::InDoubt(_) => "in_doubt",
            Exchanged::NotDone(_) => "not_done",
        }
    }
}

/// The operation's word in logs and metrics.
pub(crate) fn operation_word(operation: &Operation) -> &'static str {
    match operation {
        Operation::Authorize(_) => "authorize",
        Operation::Verify(_) => "verify",
        Operation::Increment(_) => "increment",
        Operation::Complete(_) => "complete",
        Operation::Sync(_) => "sync",
        Operation::Capture(_) => "capture",
        Operation::Cancel(_) => "cancel",
        Operation::Refund(_) => "refund",
        Operation::SyncRefund(_) => "sync_refund",
    }
}

/// A search through a provider's pages may take more requests than an operation that does something.
fn requests_max(operation: &Operation) -> u8 {
    match operation {
        Operation::Sync(_) | Operation::SyncRefund(_) => limits::PSP_QUESTIONS_MAX,
        _ => limits::PSP_STEPS_MAX,
    }
}

/// Credentials of a connector account, wiped with the last user.
pub(crate) type SharedCredentials = Arc<Credentials>;

const NO_CONNECTOR: NotDone =
    NotDone { code: "no_connector", message: "The connector of this account is unknown", elsewhere: true };
const CREDENTIALS_GONE: NotDone = NotDone {
    code: "credentials_gone",
    message: "The credentials of this connector account are no longer stored",
    elsewhere: true,
};
const NO_CREDENTIALS: NotDone = NotDone {
    code: "vault_unavailable",
    message: "The vault did not release the connector's credentials",
    elsewhere: false,
};
const NO_CARD: NotDone =
    NotDone { code: "no_card", message: "The request needs a card and there is none", elsewhere: false };
const UNREACHABLE: NotDone = NotDone {
    code: "connector_unreachable",
    message: "The payment provider could not be reached; nothing was charged",
    elsewhere: true,
};
const NO_ANSWER: NotDone = NotDone {
    code: "connector_no_answer",
    message: "The payment provider gave no usable answer before any money moved; nothing was charged",
    elsewhere: true,
};
/// Room for the store's own commits within a lease, in milliseconds.
const LEASE_MARGIN_MS: i64 = 10_000;
