-- What payments and refunds are listed by, filled from the documents that are there.
ALTER TABLE payments ADD COLUMN created_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE payments ADD COLUMN customer_id TEXT;
ALTER TABLE payments ADD COLUMN state TEXT NOT NULL DEFAULT '';
ALTER TABLE payments ADD COLUMN amount_minor INTEGER NOT NULL DEFAULT 0;
ALTER TABLE payments ADD COLUMN currency TEXT NOT NULL DEFAULT '';
ALTER TABLE payments ADD COLUMN connector TEXT;
UPDATE payments SET
    created_ms   = json_extract(body, '$.created_ms'),
    customer_id  = json_extract(body, '$.terms.customer_id'),
    state        = json_extract(body, '$.state'),
    amount_minor = json_extract(body, '$.terms.amount_minor'),
    currency     = json_extract(body, '$.terms.currency'),
    connector    = json_extract(body, '$.attempts[#-1].connector');
CREATE INDEX payments_by_time ON payments (merchant_id, created_ms, payment_id);
CREATE INDEX payments_by_customer ON payments (merchant_id, customer_id, created_ms, payment_id)
    WHERE customer_id IS NOT NULL;

ALTER TABLE refunds ADD COLUMN created_ms INTEGER NOT NULL DEFAULT 0;
UPDATE refunds SET created_ms = coalesce((
    SELECT json_extract(refund.value, '$.created_ms')
    FROM payments, json_each(payments.body, '$.refunds') AS refund
    WHERE payments.merchant_id = refunds.merchant_id AND payments.payment_id = refunds.payment_id
      AND json_extract(refund.value, '$.refund_id') = refunds.refund_id), 0);
CREATE INDEX refunds_by_time ON refunds (merchant_id, created_ms, refund_id);
CREATE INDEX refunds_by_payment ON refunds (merchant_id, payment_id, created_ms, refund_id);

-- Which payment a provider's id belongs to, for the events that providers send.
CREATE TABLE psp_ids (
    merchant_id TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    psp_id      TEXT NOT NULL,
    payment_id  TEXT NOT NULL,
    PRIMARY KEY (merchant_id, account_id, psp_id)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO psp_ids
    SELECT payments.merchant_id, json_extract(attempt.value, '$.account_id'), json_extract(attempt.value, '$.psp_id'),
           payments.payment_id
    FROM payments, json_each(payments.body, '$.attempts') AS attempt
    WHERE json_extract(attempt.value, '$.psp_id') IS NOT NULL;

-- A merchant's rules for the choice of a connector account.
CREATE TABLE routings (
    merchant_id TEXT PRIMARY KEY REFERENCES merchants,
    body        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Events for the merchant's own endpoint. A number is never used again, so that `seq` is an order.
CREATE TABLE outbox (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id     TEXT NOT NULL,
    merchant_id  TEXT NOT NULL,
    event_type   TEXT NOT NULL,
    payment_id   TEXT NOT NULL,
    body         TEXT NOT NULL,
    created_ms   INTEGER NOT NULL,
    state        TEXT NOT NULL,
    tries        INTEGER NOT NULL,
    due_ms       INTEGER NOT NULL,
    last_status  INTEGER,
    delivered_ms INTEGER,
    UNIQUE (merchant_id, event_id)
) STRICT;
CREATE INDEX outbox_by_due ON outbox (due_ms) WHERE state = 'waiting';
CREATE INDEX outbox_waiting ON outbox (merchant_id, payment_id, seq) WHERE state = 'waiting';
CREATE INDEX outbox_by_merchant ON outbox (merchant_id, seq);
CREATE INDEX outbox_by_payment ON outbox (merchant_id, payment_id, seq);
CREATE INDEX outbox_delivered ON outbox (delivered_ms) WHERE state = 'delivered';

-- Events of providers that were answered.
CREATE TABLE seen_events (
    merchant_id TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    event_id    TEXT NOT NULL,
    seen_ms     INTEGER NOT NULL,
    PRIMARY KEY (merchant_id, account_id, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_events_by_time ON seen_events (seen_ms);

-- lease_ms: until when the run that works under the key is left alone. begun: whether it has changed anything.
ALTER TABLE kept_answers ADD COLUMN lease_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE kept_answers ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
