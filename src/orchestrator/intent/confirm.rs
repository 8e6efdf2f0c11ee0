//! Create, update and confirm: the way of a payment up to its authorization.

use strongroom_wire::payment_method::Storage;
use strongroom_wire::{TenantId, Token, limits};

use super::call::{Call, Flight, Pending, Stored};
use super::drive::Making;
use super::engine::{CvcInput, Engine};
use super::fault::Fault;
use super::payment::{Method, Payment};
use super::state::{Event, State};
use super::terms::{FutureUsage, PaymentKind, Terms};
use crate::account::Customer;
use crate::ids;
use crate::store::{Effects, StoreError};
use crate::vault::CardInput;

/// The card that a request names.
pub enum MethodInput {
    /// As typed; goes into the vault first.
    Card(Box<CardInput>),
    /// Stored in the vault.
    Stored(Token, CvcInput),
    /// A name from the list of saved cards.
    PaymentToken(String, CvcInput),
    /// The one that was chosen before, with its CVC.
    Chosen(CvcInput),
    /// Stored, used without the payer.
    Recurring(Token),
    /// As typed, used without the payer: they agreed at another provider.
    Foreign(Box<CardInput>),
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The merchant's server, by API key.
    Merchant,
    /// A browser, by publishable key and client secret.
    Browser,
}

/// A new payment as it was asked for.
pub struct NewPayment {
    /// The merchant's choice.
    pub payment_id: Option<String>,
    /// What was agreed.
    pub terms: Terms,
    /// Life of the client secret, in seconds.
    pub session_expiry_s: u64,
}

impl Engine {
    /// Makes a payment; with `confirm` authorizes it too.
    ///
    /// # Errors
    /// [`Fault`]; then no payment was made, unless the provider was asked: then it can be fetched.
    pub async fn create(
        &self,
        merchant: &TenantId,
        new: NewPayment,
        method: Option<MethodInput>,
        confirm: bool,
    ) -> Result<Payment, Fault> {
        let now = self.now_ms();
        let payment_id = match new.payment_id {
            Some(id) => id,
            None => ids::fresh("pay_", now)?,
        };
        if self.store.payment(merchant, &payment_id).await?.is_some() {
            return Err(Fault::Duplicate("payment"));
        }
        let client_secret = ids::fresh_secret(&format!("{payment_id}_secret_"))?.to_string();
        let ttl_ms = i64::try_from(new.session_expiry_s.min(limits::CLIENT_SECRET_TTL_MAX_S)).unwrap_or(0) * 1000;
        let mut payment = Payment {
            payment_id,
            merchant_id: merchant.clone(),
            state: State::RequiresPaymentMethod,
            terms: new.terms,
            captured_minor: 0,
            method: None,
            attempts: Vec::new(),
            pending: None,
            redirect_url: None,
            watch: None,
            asked_ms: None,
            refunds: Vec::new(),
            captures: Vec::new(),
            increments: Vec::new(),
            disputes: Vec::new(),
            plan: Vec::new(),
            authorized_until_ms: None,
            capture_due_ms: None,
            capture_tries: 0,
            told: None,
            vault_sessions: 0,
            cancellation_reason: None,
            client_secret,
            created_ms: now,
            modified_ms: now,
            expires_ms: now + ttl_ms,
        };
        payment.terms.check(self.now_ms())?;
        let typed = matches!(method, Some(MethodInput::Card(_) | MethodInput::Foreign(_)));
        let _hold = self.hold(&payment, None);
        let prepared = async {
            let cvc = self.prepare(&mut payment, method, confirm, Asker::Merchant).await?;
            self.ensure_customer(&payment).await?;
            let added = self.store_payment(&mut payment, None, &Effects::default()).await;
            let version = added.map_err(|error| match error {
                StoreError::Duplicate => Fault::Duplicate("payment"),
                other => other.into(),
            })?;
            Ok((version, cvc))
        };
        let prepared = prepared.await;
        let (version, cvc) = self.or_stray(prepared, &payment, typed).await?;
        self.metrics.payment("created");
        if confirm { self.drive(payment, version, cvc, Making::First).await } else { Ok(payment) }
    }

    /// Changes the terms of a payment that is not confirmed; with `confirm` authorizes it too.
    ///
    /// # Errors
    /// [`Fault`]; then nothing changed, unless the provider was asked.
    pub async fn update(
        &self,
        merchant: &TenantId,
        payment_id: &str,
        asker: Asker,
        change: impl FnOnce(&mut Terms) -> Result<(), Fault> + Send,
        method: Option<MethodInput>,
        confirm: bool,
    ) -> Result<Payment, Fault> {
        let (mut payment, version) = self.payment(merchant, payment_id).await?;
        let (event, flow) = if confirm { (Event::Confirm, "confirmed") } else { (Event::Update, "updated") };
        if payment.state.after(event).is_none() {
            return Err(Fault::BadState { flow, state: payment.state, expected: State::that_allow(event) });
        }
        let customer = payment.terms.customer_id.clone();
        change(&mut payment.terms)?;
        payment.terms.check(self.now_ms())?;
        if payment.terms.customer_id != customer && payment.method.is_some() && method.is_none() {
            return Err(Fault::Precondition(
                "The chosen card is the former customer's: name a card together with the new customer_id",
            ));
        }
        payment.modified_ms = self.now_ms();
        let typed = matches!(method, Some(MethodInput::Card(_) | MethodInput::Foreign(_)));
        let before = payment.method.as_ref().filter(|method| method.fresh).map(|method| method.token);
        let _hold = self.hold(&payment, None);
        let prepared = async {
            let cvc = self.prepare(&mut payment, method, confirm, asker).await?;
            self.ensure_customer(&payment).await?;
            // A card that came for this payment and that another one has replaced.
            let replaced = before.filter(|before| payment.method.as_ref().is_none_or(|now| now.token != *before));
            let chores = replaced.map(|token| self.stray(&payment, token)).into_iter().collect();
            let effects = Effects { chores, ..Effects::default() };
            let version = self.store_payment(&mut payment, Some(version), &effects).await?;
            Ok((version, cvc))
        };
        let prepared = prepared.await;
        let (version, cvc) = self.or_stray(prepared, &payment, typed).await?;
        if confirm { self.drive(payment, version, cvc, Making::First).await } else { Ok(payment) }
    }

    /// What `prepared`; if it came to nothing, a card that was typed into this request and reached the vault is shredded.
    async fn or_stray<T>(&self, prepared: Result<T, Fault>, payment: &Payment, typed: bool) -> Result<T, Fault> {
        if prepared.is_err()
            && typed
            && let Some(method) = payment.method.as_ref().filter(|method| method.fresh)
        {
            self.leave_stray(payment, method.token).await;
        }
        prepared
    }

    /// Finds the card and, to confirm, the account; leaves the payment as it must be stored before the provider is asked.
    async fn prepare(
        &self,
        payment: &mut Payment,
        method: Option<MethodInput>,
        confirm: bool,
        asker: Asker,
    ) -> Result<CvcInput, Fault> {
        if !confirm {
            let brings_cvc = |cvc: &CvcInput| !matches!(cvc, CvcInput::None);
            if let Some(method) = method {
                // A card would lie about, and a CVC may be kept nowhere until somebody confirms.
                let field = match &method {
                    MethodInput::Card(_) => Some("payment_method_data.card"),
                    MethodInput::Foreign(_) => Some("recurring_details"),
                    MethodInput::Stored(_, cvc) | MethodInput::PaymentToken(_, cvc) | MethodInput::Chosen(cvc) => {
                        brings_cvc(cvc).then_some("payment_method_data.card_token")
                    }
                    MethodInput::Recurring(_) => None,
                };
                if let Some(field) = field {
                    return Err(Fault::Invalid {
                        field,
                        reason: "card details are taken only by a call that confirms; send confirm: true",
                    });
                }
                self.choose(payment, method, asker).await?;
                payment.step(Event::MethodChosen)?;
            }
            return Ok(CvcInput::None);
        }
        // Before a card goes anywhere: whether there is a way to charge it.
        payment.terms.check_confirm()?;
        let recurring = matches!(method, Some(MethodInput::Recurring(_) | MethodInput::Foreign(_)));
        let foreign = matches!(method, Some(MethodInput::Foreign(_)));
        let typed = foreign || matches!(method, Some(MethodInput::Card(_)));
        payment.terms.network_transaction_id.take_if(|_| !foreign);
        let ways = self.ways(payment).await?;
        let cvc = match method {
            Some(method) => self.choose(payment, method, asker).await?,
            None => CvcInput::None,
        };
        let Some(method) = &payment.method else {
            return Err(Fault::NoMethod);
        };
        if payment.terms.off_session != recurring {
            return Err(Fault::Precondition(
                "A payment without the payer needs both off_session: true and recurring_details",
            ));
        }
        if !recurring && !typed && matches!(cvc, CvcInput::None) && self.asks_cvc(payment).await? {
            return Err(Fault::Missing("payment_method_data.card_token.card_cvc"));
        }
        let stored = match (recurring, method.kept, payment.terms.setup_future_usage) {
            (true, ..) => Stored::ByMerchant,
            (_, true, _) => Stored::ByPayer,
            (_, _, Some(FutureUsage::OffSession)) if payment.terms.customer_id.is_some() => Stored::FirstOffSession,
            (_, _, Some(FutureUsage::OnSession)) if payment.terms.customer_id.is_some() => Stored::FirstOnSession,
            _ => Stored::OneTime,
        };
        let now = self.now_ms();
        let key = ids::fresh("key_", now)?;
        let account = self.first_way(payment, &ways)?;
        let attempt = self.attempt_at(payment, &account, key.clone(), now);
        payment.attempts.push(attempt);
        let back_to = payment.state;
        payment.step(Event::Confirm)?;
        payment.pending = Some(Pending {
            call: match payment.terms.kind {
                PaymentKind::SetupMandate => Call::Verify { credential: stored },
                PaymentKind::Normal => Call::Authorize { credential: stored },
            },
            flight: Flight::begin(key, &self.run, now, self.lease_ms),
            back_to,
        });
        Ok(cvc)
    }

    /// Puts the named card on the payment, after making sure that it is this customer's.
    async fn choose(&self, payment: &mut Payment, method: MethodInput, asker: Asker) -> Result<CvcInput, Fault> {
        let merchant = payment.merchant_id.clone();
        let customer = payment.terms.customer_id.clone();
        let (token, cvc, recurring) = match method {
            MethodInput::Card(card) | MethodInput::Foreign(card) => {
                let stored = self.vault.tokenize(&merchant, &card, customer.as_ref()).await?;
                let cvc =
                    stored.cvc_token.map_or(CvcInput::None, |t| CvcInput::Sealed(crate::vault::SecretText::new(t)));
                let kept = stored.storage == Storage::LongTerm;
                payment.method = Some(Method {
                    token: stored.payment_method_id,
                    fresh: !kept,
                    kept,
                    card: stored.card,
                    network_transaction_id: payment.terms.network_transaction_id.clone(),
                });
                return Ok(cvc);
            }
            MethodInput::Chosen(cvc) => return Ok(cvc),
            MethodInput::PaymentToken(name, cvc) => {
                let found = self.store.payment_token(&merchant, &name, self.now_ms()).await?;
                let found = found.filter(|t| Some(&t.customer_id) == customer.as_ref());
                (found.ok_or(Fault::NotFound("Payment token"))?.token, cvc, false)
            }
            MethodInput::Stored(token, cvc) => (token, cvc, false),
            MethodInput::Recurring(token) => (token, CvcInput::None, true),
        };
        let stored = self.vault.get(&merchant, token).await?;
        let kept = stored.storage == Storage::LongTerm;
        // A stranger's card and a card that does not exist look the same.
        let is_theirs = match (&stored.customer_id, &customer) {
            (Some(of), Some(customer)) => of == customer,
            (None, _) => asker == Asker::Merchant || !kept,
            (Some(_), None) => false,
        };
        if !is_theirs {
            return Err(Fault::NotFound("Payment method"));
        }
        let uses = match &customer {
            Some(customer) if kept => self.store.saved_uses(&merchant, customer).await?,
            _ => Vec::new(),
        };
        let used = uses.into_iter().find(|used| used.token == token);
        if recurring && !used.as_ref().is_some_and(|used| used.off_session) {
            return Err(Fault::Precondition(
                "This card was not set up for payments without the payer: pay with setup_future_usage off_session first",
            ));
        }
        payment.method = Some(Method {
            token,
            fresh: !kept,
            kept,
            card: stored.card,
            network_transaction_id: used.and_then(|used| used.network_transaction_id),
        });
        Ok(cvc)
    }

    /// A customer that a payment names for the first time is made.
    async fn ensure_customer(&self, payment: &Payment) -> Result<(), Fault> {
        let Some(customer_id) = &payment.terms.customer_id else {
            return Ok(());
        };
        if self.store.customer(&payment.merchant_id, customer_id).await?.is_some() {
            return Ok(());
        }
        let text = |name: &str| payment.terms.extra.get(name).and_then(|v| v.as_str()).map(str::to_owned);
        let customer = Customer {
            customer_id: customer_id.clone(),
            merchant_id: payment.merchant_id.clone(),
            name: text("name"),
            email: text("email"),
            phone: text("phone"),
            phone_country_code: text("phone_country_code"),
            description: None,
            metadata: serde_json::Map::new(),
            default_method: None,
            created_ms: self.now_ms(),
        };
        match self.store.add_customer(&customer).await {
            Ok(()) | Err(StoreError::Duplicate) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }
}
