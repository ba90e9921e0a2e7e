-- How many bytes wait: adding them up for each that comes would take the longer, the
-- more wait. A place that was left has an empty request.
CREATE TABLE queue_size (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    bytes INTEGER NOT NULL
) STRICT;

INSERT INTO queue_size (id, bytes)
SELECT 1, coalesce(sum(octet_length(request)), 0) FROM queue;

CREATE TRIGGER queue_grows AFTER INSERT ON queue BEGIN
    UPDATE queue_size SET bytes = bytes + octet_length(NEW.request) WHERE id = 1;
END;

CREATE TRIGGER queue_shrinks AFTER UPDATE OF request ON queue BEGIN
    UPDATE queue_size
    SET bytes = bytes + octet_length(NEW.request) - octet_length(OLD.request) WHERE id = 1;
END;

-- What waits, by urgency, without those that are being sent.
DROP INDEX queue_in_order;
CREATE INDEX queue_in_order ON queue (class, id) WHERE state = 'queued';
CREATE INDEX queue_by_end ON queue (expires_at) WHERE state = 'queued';

-- What was paid is added up from the index alone.
DROP INDEX spending_by_upstream;
CREATE INDEX spending_by_upstream ON spending (upstream, at, cost);
