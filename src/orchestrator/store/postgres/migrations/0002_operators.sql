-- Operators of the dashboard who are logged in. hash: SHA-256 of what the browser holds. credential: a digest of the password's hash.
CREATE TABLE operator_sessions (
    hash       TEXT PRIMARY KEY,
    operator   TEXT NOT NULL,
    credential TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    seen_ms    BIGINT NOT NULL
);
CREATE INDEX operator_sessions_by_operator ON operator_sessions (operator, created_ms);
CREATE INDEX operator_sessions_by_time ON operator_sessions (created_ms);

-- Tries to log in that did not go well, in a row. locked_until_ms: set by the last that is allowed.
CREATE TABLE operator_tries (
    name            TEXT PRIMARY KEY,
    tries           BIGINT NOT NULL,
    locked_until_ms BIGINT NOT NULL
);

-- Which payment a provider's event was about.
ALTER TABLE seen_events ADD COLUMN payment_id TEXT;
CREATE INDEX seen_events_by_payment ON seen_events (merchant_id, payment_id, seen_ms) WHERE payment_id IS NOT NULL;
