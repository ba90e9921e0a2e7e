-- The documents that questions are answered from: what was read of each file, and the
-- vectors of its passages, so that neither is made again while the file stays as it is.
CREATE TABLE document (
    path TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    reader INTEGER NOT NULL,
    text TEXT NOT NULL,
    problem TEXT
) STRICT;

CREATE TABLE document_vectors (
    path TEXT PRIMARY KEY REFERENCES document (path) ON DELETE CASCADE,
    key TEXT NOT NULL,
    vectors BLOB NOT NULL
) STRICT;
