-- Custody: changes of the Root, keys under the Root to come, and custodians who acknowledged their duty. The SHA-256 of the
-- root.json in force stands in settings under the name `root`.

CREATE TABLE root_changes (
  id                  INTEGER PRIMARY KEY,
  from_root           BLOB    NOT NULL,
  to_root             BLOB    NOT NULL,
  rewraps             INTEGER NOT NULL,
  state               INTEGER NOT NULL,
  done                INTEGER NOT NULL,
  total               INTEGER NOT NULL,
  started_ms          INTEGER NOT NULL,
  keys_per_second_max INTEGER,
  fault               TEXT,
  proof               TEXT
) STRICT;

-- tenant 0 stands for the vault itself, as in keys. instead_of is the wrapped key that wrapped was made from.
CREATE TABLE staged_keys (
  purpose    INTEGER NOT NULL,
  tenant     INTEGER NOT NULL,
  term       INTEGER NOT NULL,
  instead_of BLOB    NOT NULL,
  wrapped    BLOB    NOT NULL,
  PRIMARY KEY (purpose, tenant, term)
) STRICT, WITHOUT ROWID;

CREATE TABLE acknowledgements (
  id    INTEGER PRIMARY KEY,
  who   TEXT    NOT NULL,
  root  BLOB    NOT NULL,
  duty  INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  UNIQUE (who, root)
) STRICT;
