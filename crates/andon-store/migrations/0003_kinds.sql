-- The answer of a run is whatever its kind of task answers with: a label, an object,
-- or null where there is none.
ALTER TABLE run DROP COLUMN answer;

-- What people say is right is JSON as well.
ALTER TABLE answer RENAME COLUMN label TO answer;
UPDATE answer SET answer = json_quote(answer) WHERE answer IS NOT NULL;
