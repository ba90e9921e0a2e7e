//! Certificates, with the watch of their inputs and whether they are suspended.

use andon_task::audit::Act;
use andon_task::certificate::Certificate;
use andon_task::digest::Digest;
use andon_task::drift::{Evidence, InputWatch};
use andon_task::run::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use crate::audit;
use crate::error::{Error, Fault};
use crate::json;
use crate::run::Observation;
use crate::store::Store;

const SELECT: &str =
    "SELECT id, digest, certificate, issued_by, watch, suspension FROM certificate WHERE task = ?";

/// A certificate as the store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCertificate {
    /// Its number, in order of issue.
    pub id: i64,
    /// Its digest.
    pub digest: Digest,
    /// The certificate.
    pub certificate: Certificate,
    /// Who had it made, as far as they gave a name.
    pub by: Option<String>,
    /// The watch of its inputs.
    pub watch: InputWatch,
    /// When and why it was suspended, if it was.
    pub suspension: Option<Suspension>,
}

/// Why a certificate does not hold any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspension {
    /// When it was suspended.
    pub at: Timestamp,
    /// What was found.
    pub reason: String,
}

impl Store {
    /// Keeps a certificate; it is the one that counts for its task.
    pub fn insert_certificate(
        &self,
        certificate: &Certificate,
        by: Option<&str>,
    ) -> Result<StoredCertificate, Error> {
        let digest = certificate.id();
        let watch = InputWatch::new(digest, &certificate.profile);
        let mut stored = StoredCertificate {
            id: 0,
            digest,
            certificate: certificate.clone(),
            by: by.map(str::to_owned),
            watch,
            suspension: None,
        };
        let row = stored.clone();
        stored.id = self.write_audited(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO certificate (task, digest, certificate, issued_by, watch)
                     VALUES (?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    row.certificate.task,
                    row.digest.to_string(),
                    json::encode("certificate", &row.certificate)?,
                    row.by,
                    json::encode("watch", &row.watch)?,
                ])?;
            let id = connection.last_insert_rowid();
            let certificate = &row.certificate;
            let detail = serde_json::json!({
                "task": certificate.task,
                "certificate": row.digest,
                "alpha": certificate.terms.alpha,
                "delta": certificate.terms.delta,
            });
            let (by, at) = (row.by.as_deref(), certificate.issued_at);
            let added = audit::append(connection, Act::Certificate, by, at, &detail)?;
            Ok((id, added))
        })?;
        Ok(stored)
    }

    /// The newest certificate of a task.
    pub fn certificate(&self, task: &str) -> Result<Option<StoredCertificate>, Error> {
        self.read(|connection| {
            let found = connection
                .prepare_cached(&format!("{SELECT} ORDER BY id DESC LIMIT 1"))?
                .query_row([task], read)
                .optional()?;
            Ok(found)
        })
    }

    /// Suspends a certificate. One that is suspended keeps its first reason.
    pub fn suspend(&self, certificate: i64, suspension: &Suspension) -> Result<(), Error> {
        let Suspension { at, reason } = suspension.clone();
        let suspension = json::encode("suspension", suspension)?;
        self.write_audited(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE certificate SET suspension = ? WHERE id = ? AND suspension IS NULL",
                )?
                .execute(params![suspension, certificate])?;
            let detail = serde_json::json!({ "certificate": certificate, "reason": reason });
            let row = audit::append(connection, Act::Suspension, Some("node"), at, &detail)?;
            Ok(((), row))
        })
    }
}

/// Tells the watch of a certificate of an answer; the evidence after it.
pub(crate) fn observe(
    connection: &Connection,
    observation: Observation,
) -> Result<Option<Evidence>, Fault> {
    let watch = connection
        .prepare_cached("SELECT watch FROM certificate WHERE id = ?")?
        .query_row([observation.certificate], |row| {
            json::decode::<InputWatch>(row, "watch")
        })
        .optional()?;
    let Some(mut watch) = watch else {
        return Ok(None);
    };
    watch.see(observation.confidence);
    connection
        .prepare_cached("UPDATE certificate SET watch = ? WHERE id = ?")?
        .execute(params![
            json::encode("watch", &watch)?,
            observation.certificate
        ])?;
    Ok(Some(watch.evidence()))
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredCertificate> {
    let suspension = match row.get::<_, Option<String>>("suspension")? {
        None => None,
        Some(_) => Some(json::decode(row, "suspension")?),
    };
    Ok(StoredCertificate {
        id: row.get("id")?,
        digest: json::parse(row, "digest")?,
        certificate: json::decode(row, "certificate")?,
        by: row.get("issued_by")?,
        watch: json::decode(row, "watch")?,
        suspension,
    })
}
