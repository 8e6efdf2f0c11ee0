-- The card that a kept answer shows, so that the answer goes with the card.
ALTER TABLE answers ADD COLUMN card BLOB;
CREATE INDEX answers_card ON answers (card) WHERE card IS NOT NULL;

-- 1: the keys are destroyed and rows are being shredded; 2: nothing of the tenant is left but its name and its keys' states.
ALTER TABLE tenants ADD COLUMN shredded INTEGER NOT NULL DEFAULT 0;

-- What the vault keeps under its own signature, such as rules; the note says the digest of the value.
CREATE TABLE kept (
  name  TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL,
  note  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
