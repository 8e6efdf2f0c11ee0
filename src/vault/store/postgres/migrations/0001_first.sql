-- The first schema. A migration that was released never changes; a change gets the next number.
--
-- Everything here is plain: tables, keys, partitions by hash. There are no triggers, functions, foreign keys or sequences.
-- Sixteen bytes (tokens, fingerprints, MACs) stand in UUID columns, which have no length in front and need no padding.
-- Envelopes begin with a version byte and the term of their Kek (u32, big-endian): substr(envelope, 2, 4) is the term.

CREATE TABLE settings (
  name  TEXT  PRIMARY KEY, -- vault: whose store this is; root: SHA-256 of the root.json in force; stays-sealed
  value BYTEA NOT NULL
);

-- One row: how many changes of keys, tenants, what is kept, acts, the Root and the seal there were, and how many seals. Whoever
-- makes one adds it in the same transaction, and holds the row from the beginning, so that such changes happen one after the
-- other whichever node makes them.
CREATE TABLE cluster (
  id         SMALLINT PRIMARY KEY,
  generation BIGINT   NOT NULL,
  seals      BIGINT   NOT NULL
);
INSERT INTO cluster (id, generation, seals) VALUES (1, 1, 0);

-- Nodes that use the database. A transaction of a node that writes holds its row, so that a run whose row is gone writes
-- nothing any more.
CREATE TABLE nodes (
  name    TEXT        PRIMARY KEY,
  run     UUID        NOT NULL UNIQUE, -- this run of its process
  holds   BOOLEAN     NOT NULL,
  taken   BIGINT      NOT NULL,
  settled BIGINT      NOT NULL,
  news    BYTEA       NOT NULL,
  seen    TIMESTAMPTZ NOT NULL         -- by the server's clock
);

CREATE TABLE leases (
  name TEXT PRIMARY KEY,
  run  UUID NOT NULL -- of a node; the lease is free when that is gone
);

CREATE TABLE tenants (
  id         INTEGER  PRIMARY KEY, -- from 1, in the order in which they came
  name       TEXT     NOT NULL UNIQUE,
  created_ms BIGINT   NOT NULL,
  shredded   SMALLINT NOT NULL     -- 0: not at all; 1: its keys are destroyed; 2: nothing is left but its name
);

-- Cards stand in sixteen tables by the hash of their token: with a billion cards each has some 60 million in about 20 GB.
-- The key serves single cards and, tenant by tenant, lists, walks and counts in the order of tokens, which is that of time.
CREATE TABLE cards (
  token       UUID    NOT NULL,
  tenant      INTEGER NOT NULL,
  mac_term    INTEGER NOT NULL,
  created_ms  BIGINT,           -- where it is not the time in the token itself
  expires_ms  BIGINT,
  fingerprint UUID    NOT NULL,
  binding     UUID    NOT NULL,
  customer    TEXT,
  envelope    BYTEA   NOT NULL,
  metadata    BYTEA,
  PRIMARY KEY (tenant, token)
) PARTITION BY HASH (token);
-- Ciphertext cannot be packed; nobody shall try.
ALTER TABLE cards ALTER COLUMN envelope SET STORAGE EXTERNAL, ALTER COLUMN metadata SET STORAGE EXTERNAL;

-- A claim says which card a customer has under a fingerprint: its key is what keeps two nodes from storing a card twice.
-- owner is the first half of SHA-256 over the tenant's id (4 bytes, big-endian) and the customer.
CREATE TABLE claims (
  owner       UUID NOT NULL,
  fingerprint UUID NOT NULL,
  token       UUID NOT NULL,
  PRIMARY KEY (owner, fingerprint)
) PARTITION BY HASH (owner);

-- Kept answers by the keyed hash of their idempotency key.
CREATE TABLE answers (
  name       BYTEA   NOT NULL,
  tenant     INTEGER NOT NULL,
  mac_term   INTEGER NOT NULL,
  expires_ms BIGINT  NOT NULL,
  digest     BYTEA   NOT NULL,
  card       UUID,             -- the card that it shows: the answer goes with it
  envelope   BYTEA   NOT NULL,
  PRIMARY KEY (tenant, name)
) PARTITION BY HASH (name);
ALTER TABLE answers ALTER COLUMN envelope SET STORAGE EXTERNAL;

CREATE TABLE cards_00 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 0);
CREATE TABLE cards_01 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 1);
CREATE TABLE cards_02 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 2);
CREATE TABLE cards_03 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 3);
CREATE TABLE cards_04 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 4);
CREATE TABLE cards_05 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 5);
CREATE TABLE cards_06 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 6);
CREATE TABLE cards_07 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 7);
CREATE TABLE cards_08 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 8);
CREATE TABLE cards_09 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 9);
CREATE TABLE cards_10 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 10);
CREATE TABLE cards_11 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 11);
CREATE TABLE cards_12 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 12);
CREATE TABLE cards_13 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 13);
CREATE TABLE cards_14 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 14);
CREATE TABLE cards_15 PARTITION OF cards FOR VALUES WITH (MODULUS 16, REMAINDER 15);

CREATE TABLE claims_00 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 0);
CREATE TABLE claims_01 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 1);
CREATE TABLE claims_02 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 2);
CREATE TABLE claims_03 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 3);
CREATE TABLE claims_04 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 4);
CREATE TABLE claims_05 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 5);
CREATE TABLE claims_06 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 6);
CREATE TABLE claims_07 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 7);
CREATE TABLE claims_08 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 8);
CREATE TABLE claims_09 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 9);
CREATE TABLE claims_10 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 10);
CREATE TABLE claims_11 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 11);
CREATE TABLE claims_12 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 12);
CREATE TABLE claims_13 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 13);
CREATE TABLE claims_14 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 14);
CREATE TABLE claims_15 PARTITION OF claims FOR VALUES WITH (MODULUS 16, REMAINDER 15);

CREATE TABLE answers_00 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 0);
CREATE TABLE answers_01 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 1);
CREATE TABLE answers_02 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 2);
CREATE TABLE answers_03 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 3);
CREATE TABLE answers_04 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 4);
CREATE TABLE answers_05 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 5);
CREATE TABLE answers_06 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 6);
CREATE TABLE answers_07 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 7);
CREATE TABLE answers_08 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 8);
CREATE TABLE answers_09 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 9);
CREATE TABLE answers_10 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 10);
CREATE TABLE answers_11 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 11);
CREATE TABLE answers_12 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 12);
CREATE TABLE answers_13 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 13);
CREATE TABLE answers_14 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 14);
CREATE TABLE answers_15 PARTITION OF answers FOR VALUES WITH (MODULUS 16, REMAINDER 15);

CREATE INDEX cards_fingerprint ON cards (fingerprint);
CREATE INDEX cards_expires ON cards (expires_ms) WHERE expires_ms IS NOT NULL;
CREATE INDEX answers_expires ON answers (expires_ms);
CREATE INDEX answers_card ON answers (card) WHERE card IS NOT NULL;

CREATE TABLE secrets (
  id         UUID    PRIMARY KEY,
  tenant     INTEGER NOT NULL,
  mac_term   INTEGER NOT NULL,
  created_ms BIGINT  NOT NULL,
  binding    UUID    NOT NULL,
  name       TEXT    NOT NULL,
  envelope   BYTEA   NOT NULL
);

-- Cards that clients sealed and that were opened, by the term of their intake key; forgotten with the key.
CREATE TABLE spent (
  term    INTEGER NOT NULL,
  enc     BYTEA   NOT NULL, -- the encapsulated key
  request BYTEA   NOT NULL,
  at_ms   BIGINT  NOT NULL,
  PRIMARY KEY (term, enc)
);

-- tenant 0 stands for the vault itself, here and below.
CREATE TABLE keys (
  purpose    SMALLINT NOT NULL,
  tenant     INTEGER  NOT NULL,
  term       INTEGER  NOT NULL,
  state      SMALLINT NOT NULL, -- 4: destroyed, and wrapped is empty
  created_ms BIGINT   NOT NULL,
  wraps      BIGINT   NOT NULL,
  wrapped    BYTEA    NOT NULL,
  PRIMARY KEY (purpose, tenant, term)
);

-- Terms of the Sign key, for each node that signs its own log: the public half, which stays when the other is destroyed, the first entry that it counts for, and
-- the note in which the key before it names it (none for the first).
CREATE TABLE sign_terms (
  node       TEXT    NOT NULL,
  term       INTEGER NOT NULL,
  public_key TEXT    NOT NULL,
  from_entry BIGINT  NOT NULL,
  handover   TEXT,
  PRIMARY KEY (node, term)
);

CREATE TABLE rotations (
  purpose                SMALLINT NOT NULL,
  tenant                 INTEGER  NOT NULL,
  to_term                INTEGER  NOT NULL,
  state                  SMALLINT NOT NULL, -- 1: running; 2: done; 3: stopped
  done                   BIGINT   NOT NULL,
  total                  BIGINT   NOT NULL,
  started_ms             BIGINT   NOT NULL,
  records_per_second_max BIGINT,
  emergency              BOOLEAN  NOT NULL,
  fault                  TEXT,
  proof                  TEXT,
  PRIMARY KEY (purpose, tenant, to_term)
);

-- What the vault keeps under its own signature, such as rules; the note says the digest of the value.
CREATE TABLE kept (
  name  TEXT  PRIMARY KEY,
  value BYTEA NOT NULL,
  note  TEXT  NOT NULL
);

-- Acts that need two people. The note is signed by the vault and says everything; the columns are there to find it.
CREATE TABLE acts (
  id       UUID    PRIMARY KEY,
  open     BOOLEAN NOT NULL, -- whether it waits for a second person or for its end
  until_ms BIGINT  NOT NULL, -- open: when it runs out; over: until when it is kept
  note     TEXT    NOT NULL
);

CREATE TABLE root_changes (
  id                  BIGINT   PRIMARY KEY, -- from 1
  from_root           BYTEA    NOT NULL,
  to_root             BYTEA    NOT NULL,
  rewraps             BOOLEAN  NOT NULL,
  state               SMALLINT NOT NULL,
  done                BIGINT   NOT NULL,
  total               BIGINT   NOT NULL,
  started_ms          BIGINT   NOT NULL,
  keys_per_second_max BIGINT,
  fault               TEXT,
  proof               TEXT
);

-- Keys under the Root to come; instead_of is the wrapped key that wrapped was made from.
CREATE TABLE staged_keys (
  purpose    SMALLINT NOT NULL,
  tenant     INTEGER  NOT NULL,
  term       INTEGER  NOT NULL,
  instead_of BYTEA    NOT NULL,
  wrapped    BYTEA    NOT NULL,
  PRIMARY KEY (purpose, tenant, term)
);

CREATE TABLE acknowledgements (
  id    BIGINT  NOT NULL, -- in the order in which they came
  who   TEXT    NOT NULL,
  root  BYTEA   NOT NULL,
  duty  BIGINT  NOT NULL,
  at_ms BIGINT  NOT NULL,
  PRIMARY KEY (who, root)
);
