//! Payments and refunds in SQLite, with what their changes bring along.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};
use strongroom_wire::{TenantId, Token};

use super::super::filter::{PaymentRow, to_signed};
use super::super::{ChoreKind, Effects, PaymentFilter, Payments, SavedUse, StoreError, Version};
use super::chores::put_chore;
use super::kept::put_claim;
use super::outbox::{put_event, put_seen};
use super::{SqliteStore, execute, from_text, many, one, to_text};
use crate::intent::Payment;

#[async_trait]
impl Payments for SqliteStore {
    async fn add_payment(&self, payment: &Payment, effects: &Effects) -> Result<Version, StoreError> {
        let (row, effects) = (PaymentRow::of(payment)?, effects.clone());
        self.write(move |tx| {
            execute(
                tx,
                "INSERT INTO payments (merchant_id, payment_id, version, due_ms, token, live, body, created_ms,
                                       customer_id, state, amount_minor, currency, connector)
                 VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                params![
                    row.merchant,
                    row.id,
                    row.due_ms,
                    row.token,
                    row.live,
                    row.body,
                    row.created_ms,
                    row.customer,
                    row.state,
                    row.amount_minor,
                    row.currency,
                    row.connector
                ],
            )?;
            put_refunds(tx, &row)?;
            put_psp_ids(tx, &row)?;
            put_effects(tx, &effects)?;
            Ok(Version(1))
        })
        .await
    }

    async fn payment(&self, merchant: &TenantId, id: &str) -> Result<Option<(Payment, Version)>, StoreError> {
        let (merchant, id) = (merchant.to_string(), id.to_owned());
        self.read(move |c| find_payment(c, &merchant, &id)).await
    }

    async fn save_payment(&self, payment: &Payment, seen: Version, effects: &Effects) -> Result<Version, StoreError> {
        let (row, effects) = (PaymentRow::of(payment)?, effects.clone());
        self.write(move |tx| {
            let changed = execute(
                tx,
                "UPDATE payments SET version = version + 1, due_ms = ?4, token = ?5, live = ?6, body = ?7,
                        customer_id = ?8, state = ?9, amount_minor = ?10, currency = ?11, connector = ?12
                 WHERE merchant_id = ?1 AND payment_id = ?2 AND version = ?3",
                params![
                    row.merchant,
                    row.id,
                    seen.0,
                    row.due_ms,
                    row.token,
                    row.live,
                    row.body,
                    row.customer,
                    row.state,
                    row.amount_minor,
                    row.currency,
                    row.connector
                ],
            )?;
            if changed == 0 {
                return Err(StoreError::Conflict);
            }
            put_refunds(tx, &row)?;
            put_psp_ids(tx, &row)?;
            put_effects(tx, &effects)?;
            Ok(Version(seen.0 + 1))
        })
        .await
    }

    async fn payment_of_refund(
        &self,
        merchant: &TenantId,
        refund_id: &str,
    ) -> Result<Option<(Payment, Version)>, StoreError> {
        let (merchant, refund_id) = (merchant.to_string(), refund_id.to_owned());
        self.read(move |c| {
            let sql = "SELECT payment_id FROM refunds WHERE merchant_id = ?1 AND refund_id = ?2";
            let id: Option<String> =
                c.prepare_cached(sql)?.query_row(params![merchant, refund_id], |row| row.get(0)).optional()?;
            id.map_or(Ok(None), |id| find_payment(c, &merchant, &id))
        })
        .await
    }

    async fn payment_of_psp(
        &self,
        merchant: &TenantId,
        account_id: &str,
        psp_id: &str,
    ) -> Result<Option<(Payment, Version)>, StoreError> {
        let (merchant, account, psp_id) = (merchant.to_string(), account_id.to_owned(), psp_id.to_owned());
        self.read(move |c| {
            let sql = "SELECT payment_id FROM psp_ids WHERE merchant_id = ?1 AND account_id = ?2 AND psp_id = ?3";
            let id: Option<String> =
                c.prepare_cached(sql)?.query_row(params![merchant, account, psp_id], |row| row.get(0)).optional()?;
            id.map_or(Ok(None), |id| find_payment(c, &merchant, &id))
        })
        .await
    }

    async fn payments(
        &self,
        merchant: &TenantId,
        filter: &PaymentFilter,
        limit: u32,
    ) -> Result<Vec<Payment>, StoreError> {
        let mut search = Search::of(merchant.as_str());
        search.payments(filter);
        let values = search.values;
        let sql = format!(
            "SELECT body FROM payments WHERE {} ORDER BY created_ms DESC, payment_id DESC LIMIT {limit}",
            search.wanted.join(" AND ")
        );
        self.read(move |c| many(c, &sql, rusqlite::params_from_iter(values))).await
    }

    async fn refunds(
        &self,
        merchant: &TenantId,
        payment_id: Option<&str>,
        before: Option<(i64, String)>,
        limit: u32,
    ) -> Result<Vec<(Payment, String)>, StoreError> {
        let merchant = merchant.to_string();
        let mut search = Search::of(merchant.as_str());
        if let Some(payment_id) = payment_id {
            search.add("payment_id = ?", [payment_id.to_owned().into()]);
        }
        if let Some((created_ms, id)) = before {
            search.add("(created_ms, refund_id) < (?, ?)", [created_ms.into(), id.into()]);
        }
        let sql = format!(
            "SELECT payment_id, refund_id FROM refunds WHERE {} ORDER BY created_ms DESC, refund_id DESC LIMIT {limit}",
            search.wanted.join(" AND ")
        );
        let values = search.values;
        self.read(move |c| {
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement
                .query_map(rusqlite::params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<Vec<(String, String)>, _>>()?;
            rows.into_iter()
                .map(|(payment_id, refund_id)| {
                    let (payment, _) = find_payment(c, &merchant, &payment_id)?.ok_or(StoreError::Unreadable)?;
                    Ok((payment, refund_id))
                })
                .collect()
        })
        .await
    }

    async fn due_payments(&self, until_ms: i64, limit: u32) -> Result<Vec<(TenantId, String)>, StoreError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(
                "SELECT merchant_id, payment_id FROM payments WHERE due_ms <= ?1 ORDER BY due_ms LIMIT ?2",
            )?;
            let rows = statement.query_map(params![until_ms, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.map(|row| {
                let (merchant, id): (String, String) = row?;
                Ok((merchant.parse().map_err(|_| StoreError::Unreadable)?, id))
            })
            .collect()
        })
        .await
    }

    async fn is_card_in_use(&self, merchant: &TenantId, token: Token, except: &str) -> Result<bool, StoreError> {
        let (merchant, token, except) = (merchant.to_string(), token.to_string(), except.to_owned());
        self.read(move |c| {
            let sql = "SELECT EXISTS (SELECT 1 FROM payments
                                      WHERE merchant_id = ?1 AND token = ?2 AND live AND payment_id <> ?3)
                           OR EXISTS (SELECT 1 FROM chores WHERE merchant_id = ?1 AND token = ?2 AND kind = ?4)";
            let keeping = to_text(&ChoreKind::Retain)?;
            Ok(c.prepare_cached(sql)?.query_row(params![merchant, token, except, keeping], |row| row.get(0))?)
        })
        .await
    }
}

fn find_payment(c: &Connection, merchant: &str, id: &str) -> Result<Option<(Payment, Version)>, StoreError> {
    let sql = "SELECT body, version FROM payments WHERE merchant_id = ?1 AND payment_id = ?2";
    let row: Option<(String, i64)> =
        c.prepare_cached(sql)?.query_row(params![merchant, id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    row.map(|(body, version)| Ok((from_text(&body)?, Version(version)))).transpose()
}

fn put_refunds(tx: &Connection, row: &PaymentRow) -> Result<(), StoreError> {
    for (refund, created_ms) in &row.refunds {
        let sql = "SELECT payment_id FROM refunds WHERE merchant_id = ?1 AND refund_id = ?2";
        let owner: Option<String> =
            tx.prepare_cached(sql)?.query_row(params![row.merchant, refund], |r| r.get(0)).optional()?;
        match owner {
            Some(owner) if owner == row.id => {}
            Some(_) => return Err(StoreError::Duplicate),
            None => {
                let sql =
                    "INSERT INTO refunds (merchant_id, refund_id, payment_id, created_ms) VALUES (?1, ?2, ?3, ?4)";
                execute(tx, sql, params![row.merchant, refund, row.id, created_ms])?;
            }
        }
    }
    Ok(())
}

/// Providers give an id once; should one come twice, the payment that had it first keeps it.
fn put_psp_ids(tx: &Connection, row: &PaymentRow) -> Result<(), StoreError> {
    for (account, psp_id) in &row.psp_ids {
        let sql = "INSERT OR IGNORE INTO psp_ids (merchant_id, account_id, psp_id, payment_id) VALUES (?1, ?2, ?3, ?4)";
        execute(tx, sql, params![row.merchant, account, psp_id, row.id])?;
    }
    Ok(())
}

fn put_effects(tx: &Connection, effects: &Effects) -> Result<(), StoreError> {
    if let Some(claim) = &effects.claim {
        put_claim(tx, claim)?;
    }
    if let Some(seen) = &effects.seen
        && !put_seen(tx, seen)?
    {
        return Err(StoreError::Duplicate);
    }
    for chore in &effects.chores {
        put_chore(tx, chore)?;
    }
    for event in &effects.events {
        put_event(tx, event)?;
    }
    if let Some(used) = &effects.used {
        let key = params![used.merchant_id.as_str(), used.customer_id.as_str(), used.token.to_string()];
        let sql = "SELECT body FROM saved_uses WHERE merchant_id = ?1 AND customer_id = ?2 AND token = ?3";
        let mut now = used.clone();
        if let Some(before) = one::<SavedUse>(tx, sql, key)? {
            now.network_transaction_id = before.network_transaction_id.or(now.network_transaction_id);
            now.off_session |= before.off_session;
        }
        execute(
            tx,
            "INSERT OR REPLACE INTO saved_uses VALUES (?1, ?2, ?3, ?4)",
            params![now.merchant_id.as_str(), now.customer_id.as_str(), now.token.to_string(), to_text(&now)?],
        )?;
    }
    Ok(())
}

/// The conditions of a list and their values, in the order of their question marks.
struct Search {
    wanted: Vec<String>,
    values: Vec<Value>,
}

impl Search {
    fn of(merchant: &str) -> Self {
        Self { wanted: vec!["merchant_id = ?".to_owned()], values: vec![merchant.to_owned().into()] }
    }

    fn add<const N: usize>(&mut self, condition: &str, values: [Value; N]) {
        self.wanted.push(condition.to_owned());
        self.values.extend(values);
    }

    /// Nothing, if there is nothing to choose from.
    fn one_of<'a>(&mut self, column: &str, choices: impl Iterator<Item = &'a str>) {
        let before = self.values.len();
        self.values.extend(choices.map(|choice| Value::from(choice.to_owned())));
        let marks = vec!["?"; self.values.len() - before];
        if !marks.is_empty() {
            self.wanted.push(format!("{column} IN ({})", marks.join(", ")));
        }
    }

    fn payments(&mut self, filter: &PaymentFilter) {
        if let Some(customer) = &filter.customer_id {
            self.add("customer_id = ?", [customer.to_string().into()]);
        }
        self.one_of("state", filter.status.iter().map(|state| state.word()));
        self.one_of("connector", filter.connector.iter().map(String::as_str));
        self.one_of("currency", filter.currency.iter().map(|currency| currency.as_str()));
        let bounds = [
            ("created_ms >= ?", filter.created_from_ms),
            ("created_ms <= ?", filter.created_until_ms),
            ("amount_minor >= ?", filter.amount_from_minor.map(to_signed)),
            ("amount_minor <= ?", filter.amount_until_minor.map(to_signed)),
        ];
        for (condition, bound) in bounds {
            if let Some(bound) = bound {
                self.add(condition, [bound.into()]);
            }
        }
        if let Some((created_ms, id)) = &filter.before {
            self.add("(created_ms, payment_id) < (?, ?)", [(*created_ms).into(), id.clone().into()]);
        }
    }
}
