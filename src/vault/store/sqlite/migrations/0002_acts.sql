-- Acts that need two people. The note is signed by the vault and says everything; the columns are there to find it.
CREATE TABLE acts (
  id       BLOB    NOT NULL PRIMARY KEY,
  open     INTEGER NOT NULL, -- 1 while it waits for a second person or for its end
  until_ms INTEGER NOT NULL, -- open: when it runs out; over: until when it is kept
  note     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
