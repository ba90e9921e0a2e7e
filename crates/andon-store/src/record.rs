//! Records: texts that came in, open until somebody closes them.

use andon_task::digest::Digest;
use andon_task::run::{NewRecord, Record, Repeat, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use crate::error::{Error, Fault};
use crate::json;
use crate::listing::{Page, Selection};
use crate::store::Store;

const COLUMNS: &str = "id, received_at, text, asset, meta, repeats, likeness, closed_at";

/// An encoder's vector of a text, kept so that it need not be computed again.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    /// The digest of the encoder that made it; vectors of different encoders
    /// cannot be compared.
    pub encoder: Digest,
    /// Its components.
    pub values: Vec<f32>,
}

/// An open record with its vector, to compare a new one with.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenRecord {
    /// The record.
    pub record: Record,
    /// Its vector, if it was stored with one.
    pub vector: Option<Vector>,
}

/// A record's text with its vector: what is chosen from when something is to be
/// labelled.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedRecord {
    /// The record's number.
    pub id: i64,
    /// The text.
    pub text: String,
    /// Its vector.
    pub vector: Vec<f32>,
}

/// Which records to list. The default lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Leaves closed records out.
    pub open_only: bool,
    /// Only records about this asset.
    pub asset: Option<String>,
}

impl Store {
    /// Keeps a new record, open, with the vector of its text if there is one.
    pub fn insert_record(
        &self,
        new: NewRecord,
        received_at: Timestamp,
        repeats: Option<Repeat>,
        vector: Option<Vector>,
    ) -> Result<Record, Error> {
        if repeats.is_some_and(|repeat| !repeat.likeness.is_finite()) {
            return Err(Error::Unstorable("likeness"));
        }
        let meta = json::encode("metadata", &new.meta)?;
        let mut record = Record {
            id: 0,
            received_at,
            text: new.text,
            asset: new.asset,
            meta: new.meta,
            repeats,
            closed_at: None,
        };
        // The writer keeps its copy: it may have to perform the command again.
        let row = record.clone();
        record.id =
            self.write(move |connection| insert(connection, &row, &meta, vector.as_ref()))?;
        Ok(record)
    }

    /// The record of this number.
    pub fn record(&self, id: i64) -> Result<Option<Record>, Error> {
        self.read(|connection| Ok(find(connection, id)?))
    }

    /// A page of the records that `filter` leaves, newest first.
    pub fn records(&self, filter: &RecordFilter, page: Page) -> Result<Vec<Record>, Error> {
        let mut selection = Selection::default().only_for("asset = ?", filter.asset.clone());
        if filter.open_only {
            selection = selection.only("closed_at IS NULL");
        }
        let (sql, parameters) = selection.page(&format!("SELECT {COLUMNS} FROM record"), page);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let records = statement.query_map(params_from_iter(parameters), read)?;
            Ok(records.collect::<Result<_, _>>()?)
        })
    }

    /// The newest `limit` open records about `asset` (`None`: about none), newest
    /// first, with their vectors.
    pub fn open_with_vectors(
        &self,
        asset: Option<&str>,
        limit: usize,
    ) -> Result<Vec<OpenRecord>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, encoder, vector
                 FROM record LEFT JOIN record_vector ON record_vector.record = record.id
                 WHERE asset IS ? AND closed_at IS NULL
                 ORDER BY id DESC LIMIT ?",
            ))?;
            let records = statement.query_map(params![asset, limit], |row| {
                Ok(OpenRecord {
                    record: read(row)?,
                    vector: read_vector(row)?,
                })
            })?;
            Ok(records.collect::<Result<_, _>>()?)
        })
    }

    /// The newest `limit` records with a vector of `encoder` that nobody has answered
    /// for `task`, newest first.
    pub fn unanswered(
        &self,
        task: &str,
        encoder: Digest,
        limit: usize,
    ) -> Result<Vec<EmbeddedRecord>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, text, encoder, vector
                 FROM record JOIN record_vector ON record_vector.record = record.id
                 WHERE encoder = ?1 AND NOT EXISTS
                     (SELECT 1 FROM answer WHERE answer.record = record.id AND task = ?2)
                 ORDER BY id DESC LIMIT ?3",
            )?;
            let records =
                statement.query_map(params![encoder.to_string(), task, limit], |row| {
                    let vector = read_vector(row)?;
                    Ok(EmbeddedRecord {
                        id: row.get("id")?,
                        text: row.get("text")?,
                        vector: vector.map(|vector| vector.values).unwrap_or_default(),
                    })
                })?;
            Ok(records.collect::<Result<_, _>>()?)
        })
    }

    /// Closes a record. One that is closed keeps the time of its first closing.
    pub fn close_record(&self, id: i64, at: Timestamp) -> Result<Record, Error> {
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE record SET closed_at = ? WHERE id = ? AND closed_at IS NULL",
                )?
                .execute(params![at.0, id])?;
            find(connection, id)?.ok_or_else(|| Error::NoRecord(id).into())
        })
    }
}

/// Fails with [`Error::NoRecord`] unless there is a record of this number.
pub(crate) fn expect(connection: &Connection, id: i64) -> Result<(), Fault> {
    connection
        .prepare_cached("SELECT 1 FROM record WHERE id = ?")?
        .exists([id])?
        .then_some(())
        .ok_or_else(|| Error::NoRecord(id).into())
}

fn insert(
    connection: &Connection,
    record: &Record,
    meta: &str,
    vector: Option<&Vector>,
) -> Result<i64, Fault> {
    if let Some(repeat) = record.repeats {
        expect(connection, repeat.record)?;
    }
    connection
        .prepare_cached(
            "INSERT INTO record (received_at, text, asset, meta, repeats, likeness)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            record.received_at.0,
            record.text,
            record.asset,
            meta,
            record.repeats.map(|repeat| repeat.record),
            record.repeats.map(|repeat| repeat.likeness),
        ])?;
    let id = connection.last_insert_rowid();
    if let Some(vector) = vector {
        let bytes: Vec<u8> = vector
            .values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        connection
            .prepare_cached("INSERT INTO record_vector (record, encoder, vector) VALUES (?, ?, ?)")?
            .execute(params![id, vector.encoder.to_string(), bytes])?;
    }
    Ok(id)
}

fn find(connection: &Connection, id: i64) -> rusqlite::Result<Option<Record>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM record WHERE id = ?"))?
        .query_row([id], read)
        .optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Record> {
    let repeats = match row.get::<_, Option<i64>>("repeats")? {
        None => None,
        Some(record) => Some(Repeat {
            record,
            likeness: row.get("likeness")?,
        }),
    };
    Ok(Record {
        id: row.get("id")?,
        received_at: Timestamp(row.get("received_at")?),
        text: row.get("text")?,
        asset: row.get("asset")?,
        meta: json::decode(row, "meta")?,
        repeats,
        closed_at: row.get::<_, Option<i64>>("closed_at")?.map(Timestamp),
    })
}

fn read_vector(row: &Row<'_>) -> rusqlite::Result<Option<Vector>> {
    let column = row.as_ref().column_index("vector")?;
    let Some(bytes) = row.get_ref(column)?.as_blob_or_null()? else {
        return Ok(None);
    };
    let (components, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        let reason = format!("a vector of {} bytes", bytes.len());
        return Err(rusqlite::Error::FromSqlConversionFailure(
            column,
            Type::Blob,
            reason.into(),
        ));
    }
    Ok(Some(Vector {
        encoder: json::parse(row, "encoder")?,
        values: components
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect(),
    }))
}
