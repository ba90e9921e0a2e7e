//! What those who answer for a node ask of it: its keys, its audit log, its tallies.

use andon_store::{AuditFilter, Page, Spent, StoredKey, Tally};
use andon_task::audit::{Act, Entry};
use andon_task::plant::Plant;
use andon_task::run::Timestamp;
use andon_task::task::{Kind, Task};
use serde_json::{Value, json};

use crate::error::Error;
use crate::node::Node;

/// Bytes of text that make a token, about: where nobody counted, tokens are estimated.
const BYTES_OF_A_TOKEN: f64 = 4.0;

/// A thousand requests, in the plant's currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Thousand {
    /// The currency.
    pub currency: String,
    /// Electricity and the box, for the time that they took here.
    pub edge: f64,
    /// The mean time of one, in milliseconds.
    pub mean_ms: f64,
    /// All of them at the cloud's price; `None` where none is given.
    pub cloud: Option<f64>,
    /// The tokens that one would have there, estimated.
    pub tokens: f64,
}

impl Thousand {
    /// What the runs of these tallies tell.
    pub fn of(plant: &Plant, tallies: &[Tally]) -> Option<Self> {
        let runs: u64 = tallies.iter().map(|tally| tally.runs).sum();
        let prices = plant.settings.cost.as_ref().filter(|_| runs > 0)?;
        let took_ms: f64 = tallies.iter().map(|tally| tally.took_ms).sum();
        let mean_ms = took_ms / runs as f64;
        let of = |tally: &Tally| {
            let task = plant.tasks.get(&tally.task);
            estimated_tokens(task, tally.runs, tally.input_bytes + tally.answer_bytes)
        };
        let tokens = tallies.iter().map(of).sum::<f64>() / runs as f64;
        Some(Self {
            currency: prices.currency.clone(),
            edge: prices.of_edge(mean_ms),
            mean_ms,
            cloud: prices.of_cloud(1000.0 * tokens),
            tokens,
        })
    }
}

/// About how many tokens a cloud would have for so many requests of a task: what the task
/// says before each text, and the bytes of all texts and answers.
pub fn estimated_tokens(task: Option<&Task>, requests: u64, bytes: u64) -> f64 {
    let said = task.map_or(0, said_before);
    (requests as f64 * said as f64 + bytes as f64) / BYTES_OF_A_TOKEN
}

/// Bytes of a task's instructions, and of its labels or its schema.
fn said_before(task: &Task) -> usize {
    let more = match &task.kind {
        Kind::Decide(labels) => labels
            .labels()
            .iter()
            .map(|label| label.label.len() + label.description.as_ref().map_or(0, String::len) + 4)
            .sum(),
        Kind::Extract(schema) => schema.value().to_string().len(),
        Kind::Summarise | Kind::Answer | Kind::Normalise => 0,
    };
    task.instructions.len() + more
}

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

    /// What a thousand requests cost here, and would cost in the cloud, by all runs so far;
    /// `None` where the plant gives no prices, or nothing was run.
    pub fn thousand(&self, tallies: &[Tally]) -> Option<Thousand> {
        Thousand::of(&self.plant, tallies)
    }

    /// Runs by task, route and reason, since the beginning of the day of `since`.
    pub fn tallies(&self, since: Option<Timestamp>) -> Result<Vec<Tally>, Error> {
        Ok(self.store.tallies(since)?)
    }
}
