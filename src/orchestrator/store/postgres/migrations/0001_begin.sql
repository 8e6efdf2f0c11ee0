-- Aggregates are kept as JSON documents beside the columns that are searched. No table has a card, a CVC or a credential.
-- place: the order in which rows came.
CREATE TABLE merchants (
    merchant_id     TEXT PRIMARY KEY,
    publishable_key TEXT NOT NULL UNIQUE,
    body            TEXT NOT NULL
);

CREATE TABLE api_keys (
    key_id      TEXT PRIMARY KEY,
    place       BIGINT GENERATED ALWAYS AS IDENTITY,
    merchant_id TEXT NOT NULL REFERENCES merchants,
    hash        TEXT NOT NULL UNIQUE,
    body        TEXT NOT NULL
);
CREATE INDEX api_keys_by_merchant ON api_keys (merchant_id, place);

CREATE TABLE connector_accounts (
    account_id  TEXT PRIMARY KEY,
    place       BIGINT GENERATED ALWAYS AS IDENTITY,
    merchant_id TEXT NOT NULL REFERENCES merchants,
    body        TEXT NOT NULL
);
CREATE INDEX connector_accounts_by_merchant ON connector_accounts (merchant_id, place);

CREATE TABLE customers (
    merchant_id TEXT NOT NULL REFERENCES merchants,
    customer_id TEXT NOT NULL,
    place       BIGINT GENERATED ALWAYS AS IDENTITY,
    body        TEXT NOT NULL,
    PRIMARY KEY (merchant_id, customer_id)
);
CREATE INDEX customers_by_place ON customers (merchant_id, place);

-- A merchant's rules for the choice of a connector account.
CREATE TABLE routings (
    merchant_id TEXT PRIMARY KEY REFERENCES merchants,
    body        TEXT NOT NULL
);

-- due_ms: when the background loop looks at it. live: not terminal.
CREATE TABLE payments (
    merchant_id  TEXT NOT NULL REFERENCES merchants,
    payment_id   TEXT NOT NULL,
    version      BIGINT NOT NULL,
    due_ms       BIGINT,
    token        TEXT,
    live         BOOLEAN NOT NULL,
    created_ms   BIGINT NOT NULL,
    customer_id  TEXT,
    state        TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency     TEXT NOT NULL,
    connector    TEXT,
    body         TEXT NOT NULL,
    PRIMARY KEY (merchant_id, payment_id)
);
CREATE INDEX payments_by_due ON payments (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX payments_by_token ON payments (merchant_id, token) WHERE live;
CREATE INDEX payments_by_time ON payments (merchant_id, created_ms, payment_id);
CREATE INDEX payments_by_customer ON payments (merchant_id, customer_id, created_ms, payment_id)
    WHERE customer_id IS NOT NULL;

CREATE TABLE refunds (
    merchant_id TEXT NOT NULL,
    refund_id   TEXT NOT NULL,
    payment_id  TEXT NOT NULL,
    created_ms  BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, refund_id)
);
CREATE INDEX refunds_by_time ON refunds (merchant_id, created_ms, refund_id);
CREATE INDEX refunds_by_payment ON refunds (merchant_id, payment_id, created_ms, refund_id);

-- Which payment a provider's id belongs to, for the events that providers send.
CREATE TABLE psp_ids (
    merchant_id TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    psp_id      TEXT NOT NULL,
    payment_id  TEXT NOT NULL,
    PRIMARY KEY (merchant_id, account_id, psp_id)
);

CREATE TABLE chores (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    merchant_id TEXT NOT NULL,
    kind        TEXT NOT NULL,
    token       TEXT NOT NULL,
    payment_id  TEXT NOT NULL,
    due_ms      BIGINT NOT NULL,
    tries       BIGINT NOT NULL
);
CREATE INDEX chores_by_due ON chores (due_ms, id);
CREATE INDEX chores_by_token ON chores (merchant_id, token);

CREATE TABLE saved_uses (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    token       TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (merchant_id, customer_id, token)
);

CREATE TABLE payment_tokens (
    payment_token TEXT PRIMARY KEY,
    merchant_id   TEXT NOT NULL,
    expires_ms    BIGINT NOT NULL,
    body          TEXT NOT NULL
);
CREATE INDEX payment_tokens_by_expiry ON payment_tokens (expires_ms);

-- lease_ms: until when the run that works under the key is left alone. begun: whether it has changed anything.
CREATE TABLE kept_answers (
    merchant_id TEXT NOT NULL,
    key         TEXT NOT NULL,
    digest      TEXT NOT NULL,
    run         TEXT NOT NULL,
    subject     TEXT NOT NULL,
    expires_ms  BIGINT NOT NULL,
    lease_ms    BIGINT NOT NULL,
    begun       BOOLEAN NOT NULL,
    status      BIGINT,
    body        BYTEA,
    PRIMARY KEY (merchant_id, key)
);
CREATE INDEX kept_answers_by_expiry ON kept_answers (expires_ms);

-- Events for the merchant's own endpoint. Two about one payment are in the order of `seq`, because their transactions
-- wait for each other at the payment's row.
CREATE TABLE outbox (
    seq          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id     TEXT NOT NULL,
    merchant_id  TEXT NOT NULL,
    event_type   TEXT NOT NULL,
    payment_id   TEXT NOT NULL,
    body         TEXT NOT NULL,
    created_ms   BIGINT NOT NULL,
    state        TEXT NOT NULL,
    tries        BIGINT NOT NULL,
    due_ms       BIGINT NOT NULL,
    last_status  BIGINT,
    delivered_ms BIGINT,
    UNIQUE (merchant_id, event_id)
);
CREATE INDEX outbox_by_due ON outbox (due_ms) WHERE state = 'waiting';
CREATE INDEX outbox_waiting ON outbox (merchant_id, payment_id, seq) WHERE state = 'waiting';
CREATE INDEX outbox_by_merchant ON outbox (merchant_id, seq);
CREATE INDEX outbox_by_payment ON outbox (merchant_id, payment_id, seq);
CREATE INDEX outbox_delivered ON outbox (delivered_ms) WHERE state = 'delivered';
CREATE INDEX outbox_given_up ON outbox (due_ms) WHERE state = 'given_up';

-- Events of providers that were answered.
CREATE TABLE seen_events (
    merchant_id TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    event_id    TEXT NOT NULL,
    seen_ms     BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, account_id, event_id)
);
CREATE INDEX seen_events_by_time ON seen_events (seen_ms);
