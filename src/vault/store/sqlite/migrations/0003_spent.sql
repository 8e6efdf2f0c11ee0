-- Cards that clients sealed and that were opened, by the term of their intake key; forgotten with the key.
CREATE TABLE spent (
  term    INTEGER NOT NULL,
  enc     BLOB    NOT NULL, -- the encapsulated key
  request BLOB    NOT NULL,
  at_ms   INTEGER NOT NULL,
  PRIMARY KEY (term, enc)
) STRICT, WITHOUT ROWID;
