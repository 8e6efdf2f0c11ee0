-- The first schema. A migration that was released never changes; a change gets the next number.
--
-- Envelopes begin with a version byte and the term of their Kek (u32, big-endian): substr(envelope, 2, 4) is the term.

CREATE TABLE settings (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenants (
  id         INTEGER PRIMARY KEY,
  name       TEXT    NOT NULL UNIQUE,
  created_ms INTEGER NOT NULL
) STRICT;

-- id is the first 64 bits of the token, so that cards stand in the order of time and need no index to be found. Where
-- another card has that number already, id is the next free one and head keeps the first 64 bits; otherwise head is null.
CREATE TABLE cards (
  id               INTEGER PRIMARY KEY,
  head             INTEGER,
  rest             INTEGER NOT NULL, -- the last 64 bits of the token
  tenant           INTEGER NOT NULL,
  customer         TEXT,
  created_after_ms INTEGER NOT NULL, -- created_ms less the token's own time: nearly always 0, which takes no byte
  expires_ms       INTEGER,
  fingerprint      BLOB    NOT NULL,
  binding          BLOB    NOT NULL,
  envelope         BLOB    NOT NULL,
  metadata         BLOB
) STRICT;

CREATE UNIQUE INDEX cards_displaced ON cards (head, rest) WHERE head IS NOT NULL;
CREATE INDEX cards_customer ON cards (tenant, customer, substr(fingerprint, 1, 4)) WHERE customer IS NOT NULL;
CREATE INDEX cards_expires ON cards (expires_ms) WHERE expires_ms IS NOT NULL;

-- A segment says what is to be found among the cards after the segment before it and up to last: which tenants (u16 each,
-- big-endian), which fingerprints (their first four bytes each). Cards after the newest segment are read one by one.
CREATE TABLE segments (
  last    INTEGER PRIMARY KEY,
  tenants BLOB NOT NULL,
  prints  BLOB NOT NULL
) STRICT;

CREATE TABLE secrets (
  id         INTEGER PRIMARY KEY,
  tenant     INTEGER NOT NULL,
  secret     BLOB    NOT NULL,
  name       TEXT    NOT NULL,
  created_ms INTEGER NOT NULL,
  binding    BLOB    NOT NULL,
  envelope   BLOB    NOT NULL,
  UNIQUE (secret)
) STRICT;

-- Names are hashes: eight bytes of one tell nearly all of them apart, and the rest is compared in the row.
CREATE TABLE answers (
  id         INTEGER PRIMARY KEY,
  tenant     INTEGER NOT NULL,
  name       BLOB    NOT NULL,
  digest     BLOB    NOT NULL,
  expires_ms INTEGER NOT NULL,
  envelope   BLOB    NOT NULL
) STRICT;

CREATE INDEX answers_name ON answers (substr(name, 1, 8));
CREATE INDEX answers_expires ON answers (expires_ms);

-- tenant 0 stands for the vault itself.
CREATE TABLE keys (
  purpose    INTEGER NOT NULL,
  tenant     INTEGER NOT NULL,
  term       INTEGER NOT NULL,
  state      INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  wraps      INTEGER NOT NULL,
  wrapped    BLOB    NOT NULL,
  PRIMARY KEY (purpose, tenant, term)
) STRICT, WITHOUT ROWID;

CREATE TABLE rotations (
  tenant                 INTEGER NOT NULL,
  to_term                INTEGER NOT NULL,
  state                  INTEGER NOT NULL,
  done                   INTEGER NOT NULL,
  total                  INTEGER NOT NULL,
  started_ms             INTEGER NOT NULL,
  records_per_second_max INTEGER,
  fault                  TEXT,
  proof                  TEXT,
  PRIMARY KEY (tenant, to_term)
) STRICT, WITHOUT ROWID;
