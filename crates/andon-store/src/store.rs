//! The handle that everything else holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use crate::audit::{self, Seal};
use crate::error::{Error, Fault};
use crate::readers::Readers;
use crate::schema;
use crate::writer::Writer;

/// The store. Clones share one database; when the last is dropped, what was
/// queued is written first. Every method blocks until it is done, and a method
/// that writes returns when what it wrote is on disk.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

/// Fields are dropped in this order: the writer closes last and folds the
/// journal into the database.
struct Shared {
    readers: Readers,
    writer: Writer,
    seal: Seal,
    path: PathBuf,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Whatever this process added to the audit log is signed when it ends.
        if self.seal.has_unsigned() {
            let head = self.readers.read(|connection| Ok(audit::head(connection)?));
            if let Ok(Some(head)) = head {
                // Nobody is left to be told: the next inspection says what is unsigned.
                let _ = self.seal.sign(&head);
            }
        }
    }
}

/// How much the store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All records.
    pub records: u64,
    /// Records that are not closed.
    pub open_records: u64,
    /// All runs, by their route.
    pub runs: RunsByRoute,
}

/// Numbers of runs by route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunsByRoute {
    /// Answered at the edge.
    pub edge: u64,
    /// Sent to a larger model.
    pub cloud: u64,
    /// Left to a person.
    pub human: u64,
}

impl Store {
    /// Opens the database at `path`: makes it if there is none, brings an older
    /// one to the newest version, and refuses a newer one and any other file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let connection = schema::open_writer(path).map_err(|fault| fault.at(path))?;
        let writer = Writer::start(connection)
            .map_err(|error| Error::Failed(format!("no thread for its writer: {error}")))?;
        Ok(Self(Arc::new(Shared {
            readers: Readers::new(path.to_owned()),
            writer,
            seal: Seal::beside(path),
            path: path.to_owned(),
        })))
    }

    /// How much the store holds, at one moment.
    pub fn counts(&self) -> Result<Counts, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT (SELECT count(*) FROM record),
                        (SELECT count(*) FROM record WHERE closed_at IS NULL),
                        (SELECT count(*) FROM run WHERE route = 'edge'),
                        (SELECT count(*) FROM run WHERE route = 'cloud'),
                        (SELECT count(*) FROM run WHERE route = 'human')",
            )?;
            let counts = statement.query_row([], |row| {
                let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
                Ok(Counts {
                    records: count(0)?,
                    open_records: count(1)?,
                    runs: RunsByRoute {
                        edge: count(2)?,
                        cloud: count(3)?,
                        human: count(4)?,
                    },
                })
            })?;
            Ok(counts)
        })
    }

    /// Whether the store really works: writes to disk, reads what it wrote, and can sign
    /// its audit log.
    pub fn ready(&self) -> Result<(), Error> {
        let written: i64 = self.write(|connection| {
            let mut statement = connection.prepare_cached(
                "UPDATE heartbeat SET beats = beats + 1 WHERE id = 1 RETURNING beats",
            )?;
            Ok(statement.query_row([], |row| row.get(0))?)
        })?;
        let read: i64 = self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT beats FROM heartbeat WHERE id = 1")?;
            Ok(statement.query_row([], |row| row.get(0))?)
        })?;
        // Others may have written since.
        if read < written {
            let reason = format!("it wrote heartbeat {written} and read {read}");
            return Err(Error::Failed(reason));
        }
        self.seal().state()
    }

    /// What signs the audit log.
    pub(crate) fn seal(&self) -> &Seal {
        &self.0.seal
    }

    /// Runs `work` in the writer's transaction; see [`Writer::write`].
    pub(crate) fn write<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let written = self.0.writer.write(work);
        written.map_err(|fault| fault.at(&self.0.path))
    }

    /// Runs `work` on a read-only connection.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        let read = self.0.readers.read(work);
        read.map_err(|fault| fault.at(&self.0.path))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.0.path).finish()
    }
}
