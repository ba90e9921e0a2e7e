//! What can go wrong, in terms of what a caller can do about it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

/// Why the store did not do what it was asked. Nothing was half-written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened for reading and writing.
    #[error(
        "cannot open the database '{}' for writing: check that its directory exists and that both may be written",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The file is something else.
    #[error(
        "'{}' is not a database of Andon: move it away or name another state directory",
        path.display()
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file was made by a later version.
    #[error(
        "the database '{}' has version {found}, but this program knows versions up to {known}: install a newer Andon or name another state directory",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of the file.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The file is damaged.
    #[error("the database '{}' is damaged: restore it from a backup", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The disk is full. What was asked was not written; the rest is intact.
    #[error("no space is left for the database '{}': free some on its disk", path.display())]
    NoSpace {
        /// The file.
        path: PathBuf,
    },
    /// Another process keeps the database locked.
    #[error(
        "the database '{}' is locked by another process: stop it, or try again later",
        path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// Too many commands wait to be written.
    #[error("the store's queue is full ({waiting} writes wait): try again later")]
    Overloaded {
        /// Commands that wait now.
        waiting: usize,
    },
    /// There is no record of this number.
    #[error("there is no record {0}: check its number")]
    NoRecord(i64),
    /// There is no run of this number.
    #[error("there is no run {0}: check its number")]
    NoRun(i64),
    /// The task has no earlier promotion.
    #[error("task '{0}' has no earlier promotion to roll back to: promote another candidate")]
    NothingToRollBack(String),
    /// What was given would not read back as it is.
    #[error(
        "the {0} cannot be stored: it has a number that is not finite, or is nested too deeply"
    )]
    Unstorable(&'static str),
    /// The audit log cannot be signed, or what was signed cannot be read.
    #[error("the audit log cannot be signed by '{}': {reason}", path.display())]
    Seal {
        /// The key, or the file of checkpoints.
        path: PathBuf,
        /// What is wrong, and what to do about it.
        reason: String,
    },
    /// A key of this name is in use.
    #[error("there is a key '{0}' in use: revoke it first, or choose another name")]
    KeyExists(String),
    /// No key of this name is in use.
    #[error("there is no key '{0}' in use: `andon key list` shows them")]
    NoKey(String),
    /// The writer failed in this request, by a fault of the program.
    #[error("the store failed in this request: {0}")]
    Failed(String),
    /// Any other failure of the database.
    #[error("the database '{}' failed: see the cause, and check its disk", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: Arc<rusqlite::Error>,
    },
}

/// A failure on its way to the caller: it learns the file's name at the door.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Already in the caller's terms.
    Known(Error),
    /// As SQLite gave it.
    Sqlite(Arc<rusqlite::Error>),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Known(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

impl Fault {
    /// Whether the disk had no room.
    pub(crate) fn is_no_space(&self) -> bool {
        matches!(self, Self::Sqlite(error) if is_no_space(error))
    }

    /// The error for the caller of the store in `path`.
    pub(crate) fn at(self, path: &Path) -> Error {
        let source = match self {
            Self::Known(error) => return error,
            Self::Sqlite(source) => source,
        };
        let path = path.to_owned();
        match source.sqlite_error_code() {
            _ if is_no_space(&source) => Error::NoSpace { path },
            Some(ErrorCode::NotADatabase) => Error::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => Error::Corrupt { path, source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Locked { path },
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Error::Open { path, source }
            }
            Some(_) => Error::Database { path, source },
            None => match *source {
                // A row that this program cannot have written.
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..)
                | rusqlite::Error::QueryReturnedNoRows => Error::Corrupt { path, source },
                _ => Error::Database { path, source },
            },
        }
    }
}

/// SQLite says so itself, or could not make the index of its log longer.
fn is_no_space(error: &rusqlite::Error) -> bool {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}
