-- Aggregates are kept as JSON documents beside the columns that are searched. No table has a card, a CVC or a credential.
CREATE TABLE merchants (
    merchant_id     TEXT PRIMARY KEY,
    publishable_key TEXT NOT NULL UNIQUE,
    body            TEXT NOT NULL
) STRICT;

CREATE TABLE api_keys (
    key_id      TEXT PRIMARY KEY,
    merchant_id TEXT NOT NULL REFERENCES merchants,
    hash        TEXT NOT NULL UNIQUE,
    body        TEXT NOT NULL
) STRICT;
CREATE INDEX api_keys_by_merchant ON api_keys (merchant_id);

CREATE TABLE connector_accounts (
    account_id  TEXT PRIMARY KEY,
    merchant_id TEXT NOT NULL REFERENCES merchants,
    body        TEXT NOT NULL
) STRICT;
CREATE INDEX connector_accounts_by_merchant ON connector_accounts (merchant_id);

CREATE TABLE customers (
    merchant_id TEXT NOT NULL REFERENCES merchants,
    customer_id TEXT NOT NULL,
    body        TEXT NOT NULL,
    UNIQUE (merchant_id, customer_id)
) STRICT;

-- due_ms: when the background loop looks at it. live: not terminal.
CREATE TABLE payments (
    merchant_id TEXT NOT NULL REFERENCES merchants,
    payment_id  TEXT NOT NULL,
    version     INTEGER NOT NULL,
    due_ms      INTEGER,
    token       TEXT,
    live        INTEGER NOT NULL,
    body        TEXT NOT NULL,
    UNIQUE (merchant_id, payment_id)
) STRICT;
CREATE INDEX payments_by_due ON payments (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX payments_by_token ON payments (merchant_id, token) WHERE live;

CREATE TABLE refunds (
    merchant_id TEXT NOT NULL,
    refund_id   TEXT NOT NULL,
    payment_id  TEXT NOT NULL,
    PRIMARY KEY (merchant_id, refund_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE chores (
    id          INTEGER PRIMARY KEY,
    merchant_id TEXT NOT NULL,
    kind        TEXT NOT NULL,
    token       TEXT NOT NULL,
    payment_id  TEXT NOT NULL,
    due_ms      INTEGER NOT NULL,
    tries       INTEGER NOT NULL
) STRICT;
CREATE INDEX chores_by_due ON chores (due_ms);

CREATE TABLE saved_uses (
    merchant_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    token       TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (merchant_id, customer_id, token)
) STRICT, WITHOUT ROWID;

CREATE TABLE payment_tokens (
    payment_token TEXT PRIMARY KEY,
    merchant_id   TEXT NOT NULL,
    expires_ms    INTEGER NOT NULL,
    body          TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX payment_tokens_by_expiry ON payment_tokens (expires_ms);

CREATE TABLE kept_answers (
    merchant_id TEXT NOT NULL,
    key         TEXT NOT NULL,
    digest      TEXT NOT NULL,
    run         TEXT NOT NULL,
    subject     TEXT NOT NULL,
    expires_ms  INTEGER NOT NULL,
    status      INTEGER,
    body        BLOB,
    PRIMARY KEY (merchant_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX kept_answers_by_expiry ON kept_answers (expires_ms);
