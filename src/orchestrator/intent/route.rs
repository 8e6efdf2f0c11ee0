//! Which connector account a payment goes to first, and which are left should that one not do it.

use strongroom_wire::TenantId;

use super::engine::Engine;
use super::fault::Fault;
use super::{Payment, PaymentKind};
use crate::account::ConnectorAccount;
use crate::routing::{Candidate, CardFacts, Facts, Leave, Rules, Turn, draw, misfit, network_words, plan};

/// The accounts and rules of a payment's merchant.
pub(crate) struct Ways {
    accounts: Vec<ConnectorAccount>,
    rules: Option<Rules>,
}

impl Ways {
    /// The ids of the accounts that could take the payment as far as it is known; rules about cards say nothing yet.
    fn able(&self, engine: &Engine, payment: &Payment) -> Vec<String> {
        if !payment.terms.accounts.is_empty() {
            return self.plan(engine, payment);
        }
        let facts = facts(payment);
        let now = engine.now_ms();
        candidates(engine, &self.accounts, payment, &facts, now).map(|one| one.account.account_id.clone()).collect()
    }

    /// Whether the time of a capture lies within what the longest authorization of any account allows.
    fn holds(&self, engine: &Engine, payment: &Payment) -> Result<(), Fault> {
        let connectors = self.accounts.iter().filter_map(|account| engine.connector(&account.connector));
        let days = connectors.map(|connector| connector.capabilities().authorization_days).max();
        days.map_or(Ok(()), |days| payment.terms.check_hold(engine.now_ms(), days))
    }

    /// The ids of the accounts that can take the payment, in the order in which they are to be tried.
    fn plan(&self, engine: &Engine, payment: &Payment) -> Vec<String> {
        // A replay of the same attempt decides alike.
        let attempt = payment.attempts.len() + 1;
        self.plan_of(engine, payment, self.rules.as_ref(), attempt, engine.now_ms())
    }

    /// The same for an attempt of this number, from 1, at that time and under these rules.
    fn plan_of(
        &self,
        engine: &Engine,
        payment: &Payment,
        rules: Option<&Rules>,
        attempt: usize,
        now_ms: i64,
    ) -> Vec<String> {
        let facts = facts(payment);
        let candidates: Vec<_> = candidates(engine, &self.accounts, payment, &facts, now_ms).collect();
        let draw = draw(payment.merchant_id.as_str(), &payment.payment_id, attempt);
        plan(rules, &payment.terms.accounts, &facts, &candidates, draw)
    }
}

/// Where a payment that was made would begin, if it were made again now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The account's id under the rules that are stored; `None`: no account takes it.
    pub now: Option<String>,
    /// The same under the rules that are tried.
    pub then: Option<String>,
}

impl Engine {
    /// What is needed to decide the way of a payment. Refuses here, before a card goes anywhere, a payment that no account
    /// could take whatever its card is.
    ///
    /// # Errors
    /// [`Fault::NoConnector`], [`Fault::Resting`], [`Fault::Invalid`] for a name that is no account's, [`Fault::Store`].
    pub(crate) async fn ways(&self, payment: &Payment) -> Result<Ways, Fault> {
        let merchant = &payment.merchant_id;
        let accounts = self.store.connector_accounts(merchant).await?;
        let accounts: Vec<_> = accounts.into_iter().filter(|account| account.deleted_ms.is_none()).collect();
        let is_known = |name: &String| {
            accounts.iter().any(|one| one.account_id == *name || one.label == *name || one.connector == *name)
        };
        if !payment.terms.accounts.iter().all(is_known) {
            return Err(Fault::Invalid { field: "routing", reason: "it names no connector account of this merchant" });
        }
        let ways = Ways { rules: self.rules(merchant).await?, accounts };
        let ids = ways.able(self, payment);
        if ids.is_empty() {
            ways.holds(self, payment)?;
            return Err(Fault::NoConnector);
        }
        let now = self.now_ms();
        if ids.iter().all(|id| self.breakers.rests(id, now)) {
            return Err(Fault::Resting);
        }
        Ok(ways)
    }

    /// Decides the way of a payment whose card is known: answers the account to begin with and leaves the others in
    /// `payment.plan`.
    ///
    /// # Errors
    /// [`Fault::NoConnector`], [`Fault::Resting`].
    pub(crate) fn first_way(&self, payment: &mut Payment, ways: &Ways) -> Result<ConnectorAccount, Fault> {
        let mut ids = ways.plan(self, payment);
        if ids.is_empty() {
            return Err(Fault::NoConnector);
        }
        let now = self.now_ms();
        let place = ids.iter().position(|id| self.breakers.ask(id, now) != Leave::Rest).ok_or(Fault::Resting)?;
        let first = ids.remove(place);
        payment.plan = ids;
        ways.accounts.iter().find(|account| account.account_id == first).cloned().ok_or(Fault::Internal)
    }

    /// Of the accounts that are left to a payment, the first that can take it now; it and those before it leave the plan.
    ///
    /// # Errors
    /// [`Fault::Store`].
    pub(crate) async fn next_way(&self, payment: &mut Payment) -> Result<Option<ConnectorAccount>, Fault> {
        if payment.plan.is_empty() {
            return Ok(None);
        }
        // Read again: an account may have been switched off, or got new credentials, since the plan was made.
        let accounts = self.store.connector_accounts(&payment.merchant_id).await?;
        let plan = std::mem::take(&mut payment.plan);
        let mut left = plan.iter();
        let next = {
            let facts = facts(payment);
            let able: Vec<_> = candidates(self, &accounts, payment, &facts, self.now_ms()).collect();
            left.by_ref().find_map(|id| {
                let one = able.iter().find(|one| one.account.account_id == *id)?;
                (self.breakers.ask(id, self.now_ms()) != Leave::Rest).then(|| one.account.clone())
            })
        };
        payment.plan = left.cloned().collect();
        Ok(next)
    }

    /// Where each of these payments of a merchant would begin under the rules that are stored and under others, with the
    /// accounts as they are now. What rests for a while counts as working, because rules outlive it. Asks nobody and changes
    /// nothing.
    ///
    /// # Errors
    /// [`Fault::Store`], [`Fault::Internal`] where the stored rules cannot be read.
    pub async fn try_rules(
        &self,
        merchant: &TenantId,
        rules: Option<&Rules>,
        payments: &[Payment],
    ) -> Result<Vec<Trial>, Fault> {
        let ways = Ways { rules: self.rules(merchant).await?, accounts: self.accounts(merchant).await? };
        let trial = |payment: &Payment| {
            // As at its own first attempt: what a split drew then, it draws again.
            let at_ms = payment.attempts.first().map_or(payment.created_ms, |first| first.created_ms);
            let first = |rules| ways.plan_of(self, payment, rules, 1, at_ms).into_iter().next();
            Trial { now: first(ways.rules.as_ref()), then: first(rules) }
        };
        Ok(payments.iter().map(trial).collect())
    }

    /// Which card networks an account of the merchant takes for this payment, and where. `country`: of the billing address,
    /// where the payment does not know it yet. Rules are not asked: they say where a payment goes, not whether it may.
    ///
    /// # Errors
    /// [`Fault::Store`].
    pub async fn payable(&self, payment: &Payment, country: Option<&str>) -> Result<Payable, Fault> {
        let accounts = self.accounts(&payment.merchant_id).await?;
        let choice = &payment.terms.accounts;
        let is_chosen = |one: &ConnectorAccount| {
            choice.is_empty() || choice.iter().any(|name| [&one.account_id, &one.label, &one.connector].contains(&name))
        };
        let accounts: Vec<_> = accounts.into_iter().filter(is_chosen).collect();
        let mut facts = facts(payment);
        let asks_country = accounts.iter().any(|one| !one.disabled && !one.accepts.countries.is_empty());
        facts.country = facts.country.or(country);
        let mut networks = Vec::new();
        for (brand, word) in network_words() {
            let card = Some(CardFacts { brand, bin: "" });
            let facts = Facts { card, ..facts };
            let mut connectors: Vec<String> = Vec::new();
            for one in candidates(self, &accounts, payment, &facts, self.now_ms()) {
                if !connectors.contains(&one.account.connector) {
                    connectors.push(one.account.connector.clone());
                }
            }
            if !connectors.is_empty() {
                networks.push((word, connectors));
            }
        }
        Ok(Payable { networks, asks_country })
    }

    /// A merchant's rules.
    ///
    /// # Errors
    /// [`Fault::Internal`] for a stored document that this version cannot read: guessing a way could break what the rules
    /// are there for. [`Fault::Store`].
    pub(crate) async fn rules(&self, merchant: &TenantId) -> Result<Option<Rules>, Fault> {
        let Some(text) = self.store.routing(merchant).await? else {
            return Ok(None);
        };
        serde_json::from_str(&text).map(Some).map_err(|_| {
            tracing::error!(merchant_id = merchant.as_str(), "the stored routing rules cannot be read");
            Fault::Internal
        })
    }

    /// Notes how a request to an account's provider went, for its breaker.
    pub(crate) fn weigh(&self, account: &ConnectorAccount, went_well: bool) {
        let word = match self.breakers.record(&account.account_id, went_well, self.now_ms()) {
            None => return,
            Some(Turn::Opened) => "opened",
            Some(Turn::Closed) => "closed",
        };
        tracing::warn!(
            account_id = account.account_id.as_str(),
            connector = account.connector.as_str(),
            turn = word,
            "the breaker of an account turned"
        );
        self.metrics.breaker(word);
    }
}

/// What a payment can be paid with.
pub struct Payable {
    /// Words of card networks, each with the names of the connectors that take it, oldest account first.
    pub networks: Vec<(&'static str, Vec<String>)>,
    /// Whether an account takes only some countries, so that the payer is to be asked for theirs.
    pub asks_country: bool,
}

/// Where the card's bills go, ISO 3166-1 alpha-2, where the payment knows it.
pub(crate) fn billing_country(payment: &Payment) -> Option<&str> {
    payment.terms.extra.get("billing")?.get("address")?.get("country")?.as_str()
}

/// What routing may know about a payment.
pub(crate) fn facts(payment: &Payment) -> Facts<'_> {
    let terms = &payment.terms;
    Facts {
        amount_minor: terms.amount_minor,
        currency: terms.currency,
        card: payment.method.as_ref().map(|method| CardFacts { brand: method.card.brand, bin: &method.card.bin }),
        country: billing_country(payment),
        metadata: &terms.metadata,
        capture: terms.capture,
        off_session: terms.off_session,
        zero_amount: terms.kind == PaymentKind::SetupMandate || terms.amount_minor == 0,
        incremental: terms.incremental,
        three_ds: terms.three_ds,
        foreign_network_id: terms.network_transaction_id.is_some(),
    }
}

/// The accounts that can take the payment, oldest first.
fn candidates<'a>(
    engine: &'a Engine,
    accounts: &'a [ConnectorAccount],
    payment: &'a Payment,
    facts: &'a Facts<'a>,
    now_ms: i64,
) -> impl Iterator<Item = Candidate<'a>> {
    let allowed = &payment.terms.connectors;
    accounts.iter().filter(|account| allowed.is_empty() || allowed.contains(&account.connector)).filter_map(
        move |account| {
            let can = engine.connector(&account.connector)?.capabilities();
            let holds = payment.terms.check_hold(now_ms, can.authorization_days).is_ok();
            (misfit(account, can, facts).is_none() && holds).then_some(Candidate { account, three_ds: can.three_ds })
        },
    )
}
