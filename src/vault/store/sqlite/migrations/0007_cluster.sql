-- How many changes of keys, tenants, what is kept, acts, the Root and the seal there were, and how many seals.
CREATE TABLE cluster (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  generation INTEGER NOT NULL,
  seals      INTEGER NOT NULL
) STRICT;

INSERT INTO cluster (id, generation, seals) VALUES (1, 1, 0);
