-- What waits for an upstream's link. `key` is the hash of what is asked: the same
-- question waits once, and an upstream that is asked twice can tell. `request` is the
-- redacted form, emptied when the place is left.
CREATE TABLE queue (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL,
    task        TEXT NOT NULL,
    record      INTEGER NOT NULL REFERENCES record (id),
    class       INTEGER NOT NULL,
    request     TEXT NOT NULL,
    queued_at   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('queued', 'in_flight', 'settled', 'expired')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    reason      TEXT,
    run         INTEGER REFERENCES run (id)
) STRICT;

CREATE UNIQUE INDEX queue_waiting ON queue (key) WHERE state IN ('queued', 'in_flight');
CREATE INDEX queue_in_order ON queue (class, id) WHERE state IN ('queued', 'in_flight');
CREATE INDEX queue_by_state ON queue (state, id);

-- What was paid to upstreams.
CREATE TABLE spending (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    at                INTEGER NOT NULL,
    upstream          TEXT NOT NULL,
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cost              REAL NOT NULL
) STRICT;

CREATE INDEX spending_by_upstream ON spending (upstream, at);
