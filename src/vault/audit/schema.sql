-- Migration 1 of audit.db. Never changed once released; a change is a new file.
--
-- How to verify offline: hash every body in the order of idx with the RFC 6962 leaf hash, from idx 0 without a gap, and
-- compare the tree's root at each checkpoint's size with the root in its note. Rows of `nodes` only save work: they must
-- equal what the bodies give.

-- One row for each entry. `body` is the very bytes that the leaf hash covers (`strongroom_wire::Entry`, version 1).
CREATE TABLE entries (
    idx  INTEGER PRIMARY KEY,  -- place in the log, from 0, without gaps
    body BLOB NOT NULL
) STRICT;

-- Roots of complete subtrees of 2^level entries; only levels 8, 16 and 24. Node (level, idx) covers the entries from
-- idx * 2^level up to, not including, (idx + 1) * 2^level.
CREATE TABLE nodes (
    level INTEGER NOT NULL,
    idx   INTEGER NOT NULL,
    hash  BLOB NOT NULL,       -- 32 bytes
    PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID;

-- Roots of the tree at earlier sizes: the newest, and the last of every hour.
CREATE TABLE checkpoints (
    size  INTEGER PRIMARY KEY, -- entries that it covers
    root  BLOB NOT NULL,       -- 32 bytes
    at_ms INTEGER NOT NULL,    -- milliseconds since 1970-01-01 UTC
    note  TEXT                 -- C2SP tlog-checkpoint as a signed note; NULL while there is no Sign key (sealed vault)
) STRICT;

-- What belongs to the log as a whole.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,    -- 'origin': first line of every checkpoint
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
