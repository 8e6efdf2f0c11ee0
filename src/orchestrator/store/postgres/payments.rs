//! Payments and refunds in PostgreSQL, with what their changes bring along.

use async_trait::async_trait;
use strongroom_wire::{TenantId, Token};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, Transaction};

use super::super::filter::{PaymentRow, to_signed};
use super::super::{ChoreKind, Effects, PaymentFilter, Payments, StoreError, Version};
use super::chores::put_chore;
use super::kept::put_claim;
use super::outbox::{put_event, put_seen};
use super::run::{Failure, Param, ask, flag, int, ints, text, texts, transact};
use super::saved::put_use;
use super::{PostgresStore, column, document, many, to_text};
use crate::intent::Payment;

#[async_trait]
impl Payments for PostgresStore {
    async fn add_payment(&self, payment: &Payment, effects: &Effects) -> Result<Version, StoreError> {
        let row = PaymentRow::of(payment)?;
        transact!(self.connections, tx => {
            let sql =
                "INSERT INTO payments (merchant_id, payment_id, version, due_ms, token, live, body, customer_id,
                                                 state, amount_minor, currency, connector, created_ms)
                           VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
            let mut params = columns(&row);
            params.push(int(&row.created_ms));
            tx.execute_typed(sql, &params).await?;
            put_rest(tx, &row, effects).await?;
            Ok(Version(1))
        })
    }

    async fn payment(&self, merchant: &TenantId, id: &str) -> Result<Option<(Payment, Version)>, StoreError> {
        let sql = "SELECT body, version FROM payments WHERE merchant_id = $1 AND payment_id = $2";
        let merchant = merchant.as_str();
        ask!(self.connections, c => { found(c, sql, &[text(&merchant), text(&id)]).await })
    }

    async fn save_payment(&self, payment: &Payment, seen: Version, effects: &Effects) -> Result<Version, StoreError> {
        let row = PaymentRow::of(payment)?;
        transact!(self.connections, tx => {
            let sql = "UPDATE payments SET version = version + 1, due_ms = $3, token = $4, live = $5, body = $6,
                               customer_id = $7, state = $8, amount_minor = $9, currency = $10, connector = $11
                           WHERE merchant_id = $1 AND payment_id = $2 AND version = $12";
            let mut params = columns(&row);
            params.push(int(&seen.0));
            if tx.execute_typed(sql, &params).await? == 0 {
                return Err(StoreError::Conflict.into());
            }
            put_rest(tx, &row, effects).await?;
            Ok(Version(seen.0 + 1))
        })
    }

    async fn payment_of_refund(
        &self,
        merchant: &TenantId,
        refund_id: &str,
    ) -> Result<Option<(Payment, Version)>, StoreError> {
        let sql = "SELECT payments.body, payments.version FROM refunds
                   JOIN payments USING (merchant_id, payment_id) WHERE merchant_id = $1 AND refund_id = $2";
        let merchant = merchant.as_str();
        ask!(self.connections, c => { found(c, sql, &[text(&merchant), text(&refund_id)]).await })
    }

    async fn payment_of_psp(
        &self,
        merchant: &TenantId,
        account_id: &str,
        psp_id: &str,
    ) -> Result<Option<(Payment, Version)>, StoreError> {
        let sql = "SELECT payments.body, payments.version FROM psp_ids JOIN payments USING (merchant_id, payment_id)
                   WHERE merchant_id = $1 AND account_id = $2 AND psp_id = $3";
        let merchant = merchant.as_str();
        ask!(self.connections, c => { found(c, sql, &[text(&merchant), text(&account_id), text(&psp_id)]).await })
    }

    async fn payments(
        &self,
        merchant: &TenantId,
        filter: &PaymentFilter,
        limit: u32,
    ) -> Result<Vec<Payment>, StoreError> {
        let mut search = Search::of(merchant);
        search.payments(filter);
        let sql = search.sql("SELECT body FROM payments", "created_ms DESC, payment_id DESC", limit);
        ask!(self.connections, c => { Ok(many(&c.query_typed(&sql, &search.params()).await?)?) })
    }

    async fn refunds(
        &self,
        merchant: &TenantId,
        payment_id: Option<&str>,
        before: Option<(i64, String)>,
        limit: u32,
    ) -> Result<Vec<(Payment, String)>, StoreError> {
        let mut search = Search::of(merchant);
        if let Some(payment_id) = payment_id {
            search.add(|n| format!("refunds.payment_id = ${n}"), payment_id.to_owned(), Type::TEXT);
        }
        if let Some((created_ms, id)) = before {
            search.before("refunds.created_ms", "refund_id", created_ms, id);
        }
        let sql = search.sql(
            "SELECT payments.body, refund_id FROM refunds JOIN payments USING (merchant_id, payment_id)",
            "refunds.created_ms DESC, refund_id DESC",
            limit,
        );
        ask!(self.connections, c => {
            let rows = c.query_typed(&sql, &search.params()).await?;
            Ok(rows.iter().map(|row| Ok((document(row)?, column(row, 1)?))).collect::<Result<_, StoreError>>()?)
        })
    }

    async fn due_payments(&self, until_ms: i64, limit: u32) -> Result<Vec<(TenantId, String)>, StoreError> {
        ask!(self.connections, c => {
            let sql = "SELECT merchant_id, payment_id FROM payments WHERE due_ms <= $1 ORDER BY due_ms LIMIT $2";
            let rows = c.query_typed(sql, &[int(&until_ms), int(&i64::from(limit))]).await?;
            let name = |row: &Row| {
                let merchant = column::<&str>(row, 0)?.parse().map_err(|_| StoreError::Unreadable)?;
                Ok((merchant, column(row, 1)?))
            };
            Ok(rows.iter().map(name).collect::<Result<_, StoreError>>()?)
        })
    }

    async fn is_card_in_use(&self, merchant: &TenantId, token: Token, except: &str) -> Result<bool, StoreError> {
        let (merchant, token, keeping) = (merchant.as_str(), token.to_string(), to_text(&ChoreKind::Retain)?);
        ask!(self.connections, c => {
            let sql = "SELECT 1 FROM payments WHERE merchant_id = $1 AND token = $2 AND live AND payment_id <> $3
                       UNION ALL SELECT 1 FROM chores WHERE merchant_id = $1 AND token = $2 AND kind = $4 LIMIT 1";
            let key = [text(&merchant), text(&token), text(&except), text(&keeping)];
            Ok(!c.query_typed(sql, &key).await?.is_empty())
        })
    }
}

/// The columns that an insert and an update have in common, as `$1` to `$11`.
fn columns(row: &PaymentRow) -> Vec<Param<'_>> {
    vec![
        text(&row.merchant),
        text(&row.id),
        int(&row.due_ms),
        text(&row.token),
        flag(&row.live),
        text(&row.body),
        text(&row.customer),
        text(&row.state),
        int(&row.amount_minor),
        text(&row.currency),
        text(&row.connector),
    ]
}

async fn found(c: &Client, sql: &str, key: &[Param<'_>]) -> Result<Option<(Payment, Version)>, Failure> {
    let rows = c.query_typed(sql, key).await?;
    let found = rows.first().map(|row| Ok::<_, StoreError>((document(row)?, Version(column(row, 1)?))));
    Ok(found.transpose()?)
}

/// What a payment's change stores beside the payment itself.
async fn put_rest(tx: &Transaction<'_>, row: &PaymentRow, effects: &Effects) -> Result<(), Failure> {
    put_refunds(tx, row).await?;
    put_psp_ids(tx, row).await?;
    if let Some(claim) = &effects.claim {
        put_claim(tx, claim).await?;
    }
    if let Some(seen) = &effects.seen
        && !put_seen(tx, seen).await?
    {
        return Err(StoreError::Duplicate.into());
    }
    for chore in &effects.chores {
        put_chore(tx, chore).await?;
    }
    for event in &effects.events {
        put_event(tx, event).await?;
    }
    if let Some(used) = &effects.used {
        put_use(tx, used).await?;
    }
    Ok(())
}

async fn put_refunds(tx: &Transaction<'_>, row: &PaymentRow) -> Result<(), Failure> {
    if row.refunds.is_empty() {
        return Ok(());
    }
    let (ids, times): (Vec<String>, Vec<i64>) = row.refunds.iter().cloned().unzip();
    let sql = "INSERT INTO refunds (merchant_id, refund_id, payment_id, created_ms)
               SELECT $1, refund.id, $2, refund.time FROM unnest($3, $4) AS refund (id, time)
               ON CONFLICT (merchant_id, refund_id) DO NOTHING";
    tx.execute_typed(sql, &[text(&row.merchant), text(&row.id), texts(&ids), ints(&times)]).await?;
    let sql = "SELECT 1 FROM refunds WHERE merchant_id = $1 AND refund_id = ANY($3) AND payment_id <> $2 LIMIT 1";
    let strangers = tx.query_typed(sql, &[text(&row.merchant), text(&row.id), texts(&ids)]).await?;
    if strangers.is_empty() { Ok(()) } else { Err(StoreError::Duplicate.into()) }
}

/// Providers give an id once; should one come twice, the payment that had it first keeps it.
async fn put_psp_ids(tx: &Transaction<'_>, row: &PaymentRow) -> Result<(), Failure> {
    if row.psp_ids.is_empty() {
        return Ok(());
    }
    let (accounts, ids): (Vec<String>, Vec<String>) = row.psp_ids.iter().cloned().unzip();
    let sql = "INSERT INTO psp_ids (merchant_id, account_id, psp_id, payment_id)
               SELECT $1, attempt.account, attempt.id, $2 FROM unnest($3, $4) AS attempt (account, id)
               ON CONFLICT (merchant_id, account_id, psp_id) DO NOTHING";
    tx.execute_typed(sql, &[text(&row.merchant), text(&row.id), texts(&accounts), texts(&ids)]).await?;
    Ok(())
}

/// The conditions of a list and their values.
struct Search {
    wanted: Vec<String>,
    values: Vec<(Box<dyn ToSql + Send + Sync>, Type)>,
}

impl Search {
    fn of(merchant: &TenantId) -> Self {
        let mut search = Self { wanted: Vec::new(), values: Vec::new() };
        search.add(|n| format!("merchant_id = ${n}"), merchant.to_string(), Type::TEXT);
        search
    }

    fn add(&mut self, condition: impl Fn(usize) -> String, value: impl ToSql + Send + Sync + 'static, kind: Type) {
        self.values.push((Box::new(value), kind));
        self.wanted.push(condition(self.values.len()));
    }

    fn before(&mut self, time: &str, id: &str, created_ms: i64, last: String) {
        self.values.push((Box::new(created_ms), Type::INT8));
        self.add(|n| format!("({time}, {id}) < (${}, ${n})", n - 1), last, Type::TEXT);
    }

    /// Any of the choices; without a choice everything.
    fn one_of(&mut self, column: &str, choices: Vec<String>) {
        if !choices.is_empty() {
            self.add(|n| format!("{column} = ANY(${n})"), choices, Type::TEXT_ARRAY);
        }
    }

    fn payments(&mut self, filter: &PaymentFilter) {
        if let Some(customer) = &filter.customer_id {
            self.add(|n| format!("customer_id = ${n}"), customer.to_string(), Type::TEXT);
        }
        self.one_of("state", filter.status.iter().map(|state| state.word().to_owned()).collect());
        self.one_of("connector", filter.connector.clone());
        self.one_of("currency", filter.currency.iter().map(ToString::to_string).collect());
        let bounds = [
            ("created_ms >=", filter.created_from_ms),
            ("created_ms <=", filter.created_until_ms),
            ("amount_minor >=", filter.amount_from_minor.map(to_signed)),
            ("amount_minor <=", filter.amount_until_minor.map(to_signed)),
        ];
        for (condition, bound) in bounds {
            if let Some(bound) = bound {
                self.add(|n| format!("{condition} ${n}"), bound, Type::INT8);
            }
        }
        if let Some((created_ms, id)) = &filter.before {
            self.before("created_ms", "payment_id", *created_ms, id.clone());
        }
    }

    fn sql(&self, question: &str, order: &str, limit: u32) -> String {
        format!("{question} WHERE {} ORDER BY {order} LIMIT {limit}", self.wanted.join(" AND "))
    }

    fn params(&self) -> Vec<Param<'_>> {
        self.values.iter().map(|(value, kind)| (&**value as &(dyn ToSql + Sync), kind.clone())).collect()
    }
}
