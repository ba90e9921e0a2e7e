//! A few read-only connections, lent one at a time.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::error::Fault;
use crate::schema;

/// Reads that run at once; more wait.
const READERS: usize = 4;

/// The pool.
pub(crate) struct Readers {
    path: PathBuf,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    lent: usize,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            pool: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// Runs `work` on a connection.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut loan = self.lend();
        let connection = match loan.connection.take() {
            Some(connection) => connection,
            None => schema::open_reader(&self.path)?,
        };
        work(loan.connection.insert(connection))
    }

    /// A place among the readers, with a connection if one is idle.
    fn lend(&self) -> Loan<'_> {
        let mut pool = self
            .returned
            .wait_while(self.lock(), |pool| pool.lent == READERS)
            .unwrap_or_else(PoisonError::into_inner);
        pool.lent += 1;
        Loan {
            readers: self,
            connection: pool.idle.pop(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        // The lock is held for a push or a pop: a panic leaves nothing half-done.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the readers; given back even when the reader panics.
struct Loan<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.lock();
        pool.lent -= 1;
        pool.idle.extend(self.connection.take());
        self.readers.returned.notify_one();
    }
}
