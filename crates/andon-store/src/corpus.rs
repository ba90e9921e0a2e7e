//! The corpus: what was read of the plant's documents, and the vectors of their passages.

use andon_task::digest::Digest;
use rusqlite::{OptionalExtension, Row, params};

use crate::error::Error;
use crate::json;
use crate::store::Store;

/// What was read of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDocument {
    /// Its path in the plant.
    pub path: String,
    /// The digest of the file.
    pub digest: Digest,
    /// The version of what read it.
    pub reader: u32,
    /// Its text; empty where it could not be read.
    pub text: String,
    /// Why it could not be read.
    pub problem: Option<String>,
}

/// The vectors of a document's passages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVectors {
    /// The digest of all that shaped them: the encoder and the passages.
    pub key: Digest,
    /// The vectors, as whoever made them writes them.
    pub bytes: Vec<u8>,
}

impl Store {
    /// Keeps what was read of a file, in place of what was read before. Vectors of the
    /// earlier text go.
    pub fn keep_document(&self, document: &StoredDocument) -> Result<(), Error> {
        let document = document.clone();
        self.write(move |connection| {
            connection
                .prepare_cached("DELETE FROM document WHERE path = ?")?
                .execute([&document.path])?;
            connection
                .prepare_cached(
                    "INSERT INTO document (path, digest, reader, text, problem)
                     VALUES (?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    document.path,
                    document.digest.to_string(),
                    document.reader,
                    document.text,
                    document.problem,
                ])?;
            Ok(())
        })
    }

    /// What was read of the file at `path`.
    pub fn document(&self, path: &str) -> Result<Option<StoredDocument>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT path, digest, reader, text, problem FROM document WHERE path = ?",
            )?;
            Ok(statement.query_row([path], read).optional()?)
        })
    }

    /// The paths of all documents, in order.
    pub fn document_paths(&self) -> Result<Vec<String>, Error> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT path FROM document ORDER BY path")?;
            let paths = statement.query_map([], |row| row.get(0))?;
            Ok(paths.collect::<Result<_, _>>()?)
        })
    }

    /// Forgets documents, with their vectors.
    pub fn forget_documents(&self, paths: Vec<String>) -> Result<(), Error> {
        self.write(move |connection| {
            let mut statement = connection.prepare_cached("DELETE FROM document WHERE path = ?")?;
            for path in &paths {
                statement.execute([path])?;
            }
            Ok(())
        })
    }

    /// Keeps the vectors of a document that is kept.
    pub fn keep_vectors(&self, path: &str, vectors: StoredVectors) -> Result<(), Error> {
        let path = path.to_owned();
        self.write(move |connection| {
            // The document may have been forgotten meanwhile.
            connection
                .prepare_cached(
                    "INSERT INTO document_vectors (path, key, vectors)
                     SELECT path, ?2, ?3 FROM document WHERE path = ?1
                     ON CONFLICT (path)
                     DO UPDATE SET key = excluded.key, vectors = excluded.vectors",
                )?
                .execute(params![path, vectors.key.to_string(), vectors.bytes])?;
            Ok(())
        })
    }

    /// The vectors of the document at `path`.
    pub fn vectors(&self, path: &str) -> Result<Option<StoredVectors>, Error> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT key, vectors FROM document_vectors WHERE path = ?")?;
            let vectors = statement.query_row([path], |row| {
                Ok(StoredVectors {
                    key: json::parse(row, "key")?,
                    bytes: row.get("vectors")?,
                })
            });
            Ok(vectors.optional()?)
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredDocument> {
    Ok(StoredDocument {
        path: row.get("path")?,
        digest: json::parse(row, "digest")?,
        reader: row.get("reader")?,
        text: row.get("text")?,
        problem: row.get("problem")?,
    })
}
