-- Migration 2 of audit.db. Never changed once released; a change is a new file.

-- What 65,536 entries in a row say of releases, so that a start need not read a whole day's entries to know what is used of
-- quotas. Row n covers the entries from n * 65536 up to, not including, (n + 1) * 65536. Rows only save work: they must equal
-- what the entries give.
CREATE TABLE tallies (
    number    INTEGER PRIMARY KEY,
    newest_ms INTEGER NOT NULL,    -- latest time of an entry of the stretch, milliseconds since 1970-01-01 UTC
    body      BLOB NOT NULL        -- `tally.rs`
) STRICT;
