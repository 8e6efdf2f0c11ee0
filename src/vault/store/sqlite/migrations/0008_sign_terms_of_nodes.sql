-- Each of several nodes signs its own log with a key of its own, so each hands over by itself. '' stands for a vault that is one
-- process.
CREATE TABLE sign_terms_of_nodes (
  node       TEXT    NOT NULL,
  term       INTEGER NOT NULL,
  public_key TEXT    NOT NULL,
  from_entry INTEGER NOT NULL,
  handover   TEXT,
  PRIMARY KEY (node, term)
) STRICT, WITHOUT ROWID;

INSERT INTO sign_terms_of_nodes SELECT '', term, public_key, from_entry, handover FROM sign_terms;
DROP TABLE sign_terms;
ALTER TABLE sign_terms_of_nodes RENAME TO sign_terms;
