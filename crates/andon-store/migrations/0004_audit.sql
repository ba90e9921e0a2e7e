-- The audit chain: a row for each egress and each administrative act. `hash` rests on
-- the row itself and on the hash of the row before. Rows are only added.
CREATE TABLE audit (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    who    TEXT NOT NULL,
    act    TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash   TEXT NOT NULL
) STRICT;

-- API keys. `secret` is a salted Argon2 hash; the key itself is nowhere. A row stays
-- when its key is revoked.
CREATE TABLE api_key (
    id                  TEXT PRIMARY KEY,
    name                TEXT NOT NULL,
    role                TEXT NOT NULL,
    scopes              TEXT NOT NULL,
    requests_per_minute INTEGER,
    secret              TEXT NOT NULL,
    added_at            INTEGER NOT NULL,
    expires_at          INTEGER,
    revoked_at          INTEGER
) STRICT;

CREATE UNIQUE INDEX api_key_in_use ON api_key (name) WHERE revoked_at IS NULL;

-- Runs counted as they come, by day (UTC, since 1970), task, route and reason.
CREATE TABLE tally (
    day          INTEGER NOT NULL,
    task         TEXT NOT NULL,
    route        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    runs         INTEGER NOT NULL,
    took_ms      REAL NOT NULL,
    input_bytes  INTEGER NOT NULL,
    answer_bytes INTEGER NOT NULL,
    PRIMARY KEY (day, task, route, reason)
) STRICT, WITHOUT ROWID;

INSERT INTO tally
SELECT run.created_at / 86400000, run.task, run.route, run.reason, count(*), sum(run.took_ms),
       sum(octet_length(record.text)), sum(coalesce(octet_length(run.run ->> '$.answer'), 0))
FROM run JOIN record ON record.id = run.record
GROUP BY 1, 2, 3, 4;

CREATE TRIGGER run_tallied AFTER INSERT ON run
BEGIN
    INSERT INTO tally VALUES (
        NEW.created_at / 86400000, NEW.task, NEW.route, NEW.reason, 1, NEW.took_ms,
        (SELECT octet_length(text) FROM record WHERE id = NEW.record),
        coalesce(octet_length(NEW.run ->> '$.answer'), 0)
    )
    ON CONFLICT (day, task, route, reason) DO UPDATE SET
        runs = runs + 1,
        took_ms = took_ms + excluded.took_ms,
        input_bytes = input_bytes + excluded.input_bytes,
        answer_bytes = answer_bytes + excluded.answer_bytes;
END;

-- What upstreams have had, counted as its outcomes are written to the audit log.
CREATE TABLE spent (
    day      INTEGER NOT NULL,
    upstream TEXT NOT NULL,
    calls    INTEGER NOT NULL,
    tokens   INTEGER NOT NULL,
    cost     REAL NOT NULL,
    PRIMARY KEY (day, upstream)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER outcome_counted AFTER INSERT ON audit WHEN NEW.act = 'egress_settled'
BEGIN
    INSERT INTO spent VALUES (
        NEW.at / 86400000,
        coalesce(CAST(NEW.detail ->> '$.upstream' AS TEXT), ''),
        1,
        coalesce(CAST(NEW.detail ->> '$.tokens' AS INTEGER), 0),
        coalesce(CAST(NEW.detail ->> '$.cost' AS REAL), 0.0)
    )
    ON CONFLICT (day, upstream) DO UPDATE SET
        calls = calls + 1,
        tokens = tokens + excluded.tokens,
        cost = cost + excluded.cost;
END;
