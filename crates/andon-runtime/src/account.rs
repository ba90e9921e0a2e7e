//! What those who answer for a node ask of it: its keys, its audit log, its tallies.

use andon_store::{AuditFilter, Page, Spent, StoredKey, Tally};
use andon_task::audit::{Act, Entry};
use andon_task::run::Timestamp;
use serde_json::{Value, json};

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

    /// What upstreams have had, since the beginning of the day of `since`.
    pub fn spent(&self, since: Option<Timestamp>) -> Result<Vec<Spent>, Error> {
        Ok(self.store.spent(since)?)
    }

    /// Notes in the audit log that the node serves from now on, with what is to be known
    /// of it, and that its policy is another than it was, if it is.
    pub fn note_start(&self, detail: Value) -> Result<(), Error> {
        let policy = json!(self.policy());
        let before = match self.store.newest_audit(Act::NodeStarted)? {
            Some(row) => match serde_json::from_str::<Value>(&row.detail) {
                Ok(mut detail) => detail["policy"].take(),
                Err(_) => Value::Null,
            },
            None => Value::Null,
        };
        let mut detail = detail;
        detail["policy"].clone_from(&policy);
        let note = |act, detail| self.store.append_audit(act, "node", self.now(), detail);
        if before != policy {
            note(Act::PolicyChanged, json!({ "from": before, "to": policy }))?;
        }
        note(Act::NodeStarted, detail)?;
        Ok(())
    }

    /// Notes in the audit log that the node ends, and signs it.
    pub fn note_stop(&self) -> Result<(), Error> {
        self.store
            .append_audit(Act::NodeStopped, "node", self.now(), json!({}))?;
        self.store.checkpoint_audit()?;
        Ok(())
    }

    /// Runs by task, route and reason, since the beginning of the day of `since`.
    pub fn tallies(&self, since: Option<Timestamp>) -> Result<Vec<Tally>, Error> {
        Ok(self.store.tallies(since)?)
    }
}
