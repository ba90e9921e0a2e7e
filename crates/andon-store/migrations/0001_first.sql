-- Texts that came in. AUTOINCREMENT: a number is never given twice.
CREATE TABLE record (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at INTEGER NOT NULL,
    text        TEXT NOT NULL,
    asset       TEXT,
    meta        TEXT NOT NULL,
    repeats     INTEGER REFERENCES record (id),
    likeness    REAL,
    closed_at   INTEGER,
    CHECK ((repeats IS NULL) = (likeness IS NULL))
) STRICT;

CREATE INDEX record_by_asset ON record (asset, id);
CREATE INDEX record_open_by_asset ON record (asset, id) WHERE closed_at IS NULL;

-- The encoder's vector of a record: 32-bit floats, little-endian.
CREATE TABLE record_vector (
    record  INTEGER PRIMARY KEY REFERENCES record (id),
    encoder TEXT NOT NULL,
    vector  BLOB NOT NULL
) STRICT;

-- Long texts that many runs quote, each kept once under its digest.
CREATE TABLE content (
    digest TEXT PRIMARY KEY,
    text   TEXT NOT NULL
) STRICT;

-- The JSON of a run is the only truth; what is queried is derived from it.
CREATE TABLE run (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    record      INTEGER NOT NULL REFERENCES record (id),
    created_at  INTEGER NOT NULL,
    run         TEXT NOT NULL,
    task        TEXT NOT NULL GENERATED ALWAYS AS (run ->> '$.task') STORED,
    answer      TEXT NOT NULL GENERATED ALWAYS AS (run ->> '$.answer') STORED,
    probability REAL GENERATED ALWAYS AS (run ->> '$.probability') STORED,
    route       TEXT NOT NULL GENERATED ALWAYS AS (run ->> '$.route') STORED,
    reason      TEXT NOT NULL GENERATED ALWAYS AS (run ->> '$.reason') STORED,
    took_ms     REAL NOT NULL GENERATED ALWAYS AS (run ->> '$.took_ms') STORED
) STRICT;

CREATE INDEX run_by_record ON run (record);
CREATE INDEX run_by_task ON run (task, id);
CREATE INDEX run_by_route ON run (route, id);

-- What was promoted for each task; the newest row of a task is current. A
-- rollback adds a row that restores an earlier one. `previous` is the row that
-- a rollback of this one restores.
CREATE TABLE promotion (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    task     TEXT NOT NULL,
    head     TEXT NOT NULL,
    at       INTEGER NOT NULL,
    figures  TEXT NOT NULL,
    previous INTEGER REFERENCES promotion (id),
    restores INTEGER REFERENCES promotion (id)
) STRICT;

CREATE INDEX promotion_by_task ON promotion (task, id);

-- One row that is written to see that writing works.
CREATE TABLE heartbeat (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    beats INTEGER NOT NULL
) STRICT;

INSERT INTO heartbeat (id, beats) VALUES (1, 0);
