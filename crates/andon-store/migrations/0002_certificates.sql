-- A promotion is of an artefact of some kind, by somebody.
ALTER TABLE promotion RENAME COLUMN head TO digest;
ALTER TABLE promotion ADD COLUMN kind TEXT NOT NULL DEFAULT 'head';
ALTER TABLE promotion ADD COLUMN promoted_by TEXT;

-- What was trained for each task, promoted or not, with what was measured.
CREATE TABLE candidate (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    task    TEXT NOT NULL,
    kind    TEXT NOT NULL,
    digest  TEXT NOT NULL,
    at      INTEGER NOT NULL,
    figures TEXT NOT NULL,
    UNIQUE (task, digest)
) STRICT;

-- What was certified for each task; the newest row of a task counts. `watch` is
-- the test of its inputs, changed with every run that it looks at.
CREATE TABLE certificate (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    task        TEXT NOT NULL,
    digest      TEXT NOT NULL,
    certificate TEXT NOT NULL,
    issued_by   TEXT,
    watch       TEXT NOT NULL,
    suspension  TEXT
) STRICT;

CREATE INDEX certificate_by_task ON certificate (task, id);

-- What people said is right: about a record, and about the run of it if there was
-- one. The newest row of a record and task counts. No label: none is right.
CREATE TABLE answer (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    task        TEXT NOT NULL,
    record      INTEGER NOT NULL REFERENCES record (id),
    run         INTEGER REFERENCES run (id),
    label       TEXT,
    answered_by TEXT,
    at          INTEGER NOT NULL
) STRICT;

CREATE INDEX answer_by_record ON answer (record, task, id);
CREATE INDEX answer_by_task ON answer (task, id);
CREATE INDEX run_spot_checked ON run (task, id) WHERE reason = 'spot_check';
