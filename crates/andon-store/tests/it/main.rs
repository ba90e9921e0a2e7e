//! The store from outside.

mod audit;
mod corpus;
mod durability;
mod keys;
mod promotions;
mod records;
mod refusals;
mod runs;
mod waiting;

use andon_store::Store;
use andon_task::run::{NewRecord, Record, Timestamp};
use tempfile::TempDir;

/// A store in a directory of its own.
struct Fixture {
    store: Store,
    directory: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(directory.path().join("andon.db")).expect("a new database");
        Self { store, directory }
    }

    /// Closes the store and opens it again.
    fn reopen(self) -> Self {
        drop(self.store);
        let store = Store::open(self.directory.path().join("andon.db")).expect("it opens again");
        Self { store, ..self }
    }

    /// Inserts a record about nothing in particular.
    fn note(&self, text: &str) -> Record {
        let new = NewRecord {
            text: text.to_owned(),
            ..NewRecord::default()
        };
        self.store
            .insert_record(new, Timestamp(1), None, None)
            .expect("a record")
    }
}
