//! What those who answer for a node ask of it: its keys, its audit log, its tallies.

use andon_store::{AuditFilter, Page, StoredKey, Tally};
use andon_task::audit::Entry;
use andon_task::run::Timestamp;

use crate::error::Error;
use crate::node::Node;

impl Node {
    /// All API keys that were ever made.
    pub fn keys(&self) -> Result<Vec<StoredKey>, Error> {
        Ok(self.store.keys()?)
    }

    /// A page of the audit log, newest first.
    pub fn audit(&self, filter: &AuditFilter, page: Page) -> Result<Vec<Entry>, Error> {
        Ok(self.store.audit(filter, page)?)
    }

    /// Runs by task, route and reason, since the beginning of the day of `since`.
    pub fn tallies(&self, since: Option<Timestamp>) -> Result<Vec<Tally>, Error> {
        Ok(self.store.tallies(since)?)
    }
}
