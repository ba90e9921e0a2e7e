//! Opening the file, and bringing it to the newest version.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::error::{Error, Fault};

#[cfg(test)]
mod tests;

/// The steps from each version to the next: the first makes version 1. A step
/// that was released is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_certificates.sql"),
    include_str!("../migrations/0003_kinds.sql"),
    include_str!("../migrations/0004_audit.sql"),
    include_str!("../migrations/0005_egress.sql"),
    include_str!("../migrations/0006_corpus.sql"),
    include_str!("../migrations/0007_queue.sql"),
    include_str!("../migrations/0008_attempts.sql"),
];

/// What marks a file as Andon's in its header: 'Ando'.
const APPLICATION_ID: i64 = 0x416e_646f;

/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often to try to change the journal of a new file.
const JOURNAL_ATTEMPTS: u32 = 100;

/// Opens the database for writing; makes or migrates it as needed.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, Fault> {
    open_with(path, MIGRATIONS)
}

/// Opens the database for reading. A writer must be open.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn open_with(path: &Path, migrations: &[&str]) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // A file that is not ours is refused before anything is changed in it.
    inspect(&mut connection, path, migrations.len())?;
    write_ahead(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    migrate(&mut connection, migrations)?;
    Ok(connection)
}

fn inspect(connection: &mut Connection, path: &Path, known: usize) -> Result<(), Fault> {
    // One snapshot: another process may be making the same file.
    let snapshot = connection.transaction()?;
    let found = version(&snapshot)?;
    let owner: i64 = snapshot.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let path = path.to_owned();
    let known = i64::try_from(known).expect("the migrations are a short list");
    if found > known {
        return Err(Error::Newer { path, found, known }.into());
    }
    let is_new = found == 0 && owner == 0 && tables == 0;
    if !is_new && (owner != APPLICATION_ID || found < 1) {
        return Err(Error::NotADatabase { path }.into());
    }
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Makes the journal a write-ahead log. SQLite does not wait here, as it does
/// elsewhere, while another process makes the same new file.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let mut attempt = 1;
    loop {
        let changed = connection.pragma_update(None, "journal_mode", "WAL");
        match changed {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && attempt < JOURNAL_ATTEMPTS =>
            {
                attempt += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

/// Takes every step that is missing, each in its own transaction.
fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    for (step, to_version) in migrations.iter().zip(1..) {
        if version(connection)? >= to_version {
            continue;
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have taken the step while this one waited.
        if version(&transaction)? < to_version {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", to_version)?;
        }
        transaction.commit()?;
    }
    Ok(())
}
