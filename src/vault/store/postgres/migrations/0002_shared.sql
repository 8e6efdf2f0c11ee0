-- What nodes hand each other, none of it for longer than a day.

-- Keys of CVC epochs, each sealed to a mailbox that lives in a node's memory alone.
CREATE TABLE epochs (
  epoch   BIGINT NOT NULL,
  mailbox BYTEA  NOT NULL, -- its public half
  ends_ms BIGINT NOT NULL,
  note    TEXT   NOT NULL, -- signed
  PRIMARY KEY (mailbox, epoch)
);
CREATE INDEX epochs_ends ON epochs (ends_ms);

-- CVCs that were opened, as long as their epoch lives.
CREATE TABLE opened_cvcs (
  epoch   BIGINT NOT NULL,
  name    BYTEA  NOT NULL,
  attempt UUID   NOT NULL,
  ends_ms BIGINT NOT NULL,
  PRIMARY KEY (epoch, name)
);
CREATE INDEX opened_cvcs_ends ON opened_cvcs (ends_ms);

-- What each node used and claims of the allowances that all share. It outlives the node, because what it used still counts.
CREATE TABLE uses (
  node TEXT        PRIMARY KEY,
  run  UUID        NOT NULL,
  turn BIGINT      NOT NULL, -- of two of the same run the greater one counts, whichever comes last
  said BYTEA       NOT NULL,
  seen TIMESTAMPTZ NOT NULL  -- by the server's clock
);
