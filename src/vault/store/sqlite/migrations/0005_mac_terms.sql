-- Which term of the tenant's fingerprint key a row's fingerprint, name and MACs are under. A row of before says nothing and
-- is on term 1, which takes no byte.

ALTER TABLE cards ADD COLUMN mac_term INTEGER NOT NULL DEFAULT 1;
ALTER TABLE secrets ADD COLUMN mac_term INTEGER NOT NULL DEFAULT 1;
ALTER TABLE answers ADD COLUMN mac_term INTEGER NOT NULL DEFAULT 1;

-- Rotations are of any key from here on: purpose as in keys, tenant 0 for the vault itself.
CREATE TABLE rotations_of_any_key (
  purpose                INTEGER NOT NULL,
  tenant                 INTEGER NOT NULL,
  to_term                INTEGER NOT NULL,
  state                  INTEGER NOT NULL,
  done                   INTEGER NOT NULL,
  total                  INTEGER NOT NULL,
  started_ms             INTEGER NOT NULL,
  records_per_second_max INTEGER,
  emergency              INTEGER NOT NULL,
  fault                  TEXT,
  proof                  TEXT,
  PRIMARY KEY (purpose, tenant, to_term)
) STRICT, WITHOUT ROWID;

INSERT INTO rotations_of_any_key
  SELECT 1, tenant, to_term, state, done, total, started_ms, records_per_second_max, 0, fault, proof FROM rotations;
DROP TABLE rotations;
ALTER TABLE rotations_of_any_key RENAME TO rotations;

-- Terms of the Sign key: the public half, which stays when the other is destroyed, the first entry that it counts for, and
-- the note in which the key before it names it (none for the first).
CREATE TABLE sign_terms (
  term       INTEGER PRIMARY KEY,
  public_key TEXT    NOT NULL,
  from_entry INTEGER NOT NULL,
  handover   TEXT
) STRICT;
