-- What an upstream fails in again and again, while it answers others, waits by itself:
-- until `not_before` others overtake it.
ALTER TABLE queue ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;

-- What was measured of an upstream for a task, beside what answers here. The newest of
-- both counts.
CREATE TABLE upstream_measure (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    task     TEXT NOT NULL,
    upstream TEXT NOT NULL,
    at       INTEGER NOT NULL,
    measure  TEXT NOT NULL
) STRICT;

CREATE INDEX upstream_measure_newest ON upstream_measure (task, upstream, id);
