//! The inbox: what waits for a person.

use andon_store::{InboxFilter, Waiting};
use andon_task::run::Run;

use crate::error::Error;
use crate::node::Node;

/// How many of those that wait are looked at for the most urgent.
const POOL: usize = 1_000;

/// In which order runs are given that wait for a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Those first that are likeliest critical, and of these the newest. Looks at the
    /// newest thousand that wait.
    #[default]
    Urgent,
    /// The newest first.
    Newest,
}

/// A run that waits for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// The run, with its record's text.
    pub waiting: Waiting,
    /// What the run's ranking gives the critical labels of its task together.
    pub critical: f64,
}

/// A page of the inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbox {
    /// How many runs wait in all.
    pub size: u64,
    /// Those of this page.
    pub open: Vec<Open>,
}

impl Node {
    /// The runs that are left to a person and that nobody has answered.
    pub fn inbox(&self, filter: &InboxFilter, order: Order, limit: usize) -> Result<Inbox, Error> {
        let pool = match order {
            Order::Urgent => POOL.max(limit),
            Order::Newest => limit,
        };
        let mut open: Vec<Open> = self
            .store
            .inbox(filter, pool)?
            .into_iter()
            .map(|waiting| Open {
                critical: self.critical(&waiting.run.run),
                waiting,
            })
            .collect();
        if order == Order::Urgent {
            // Stable: of equals the newest stays first.
            open.sort_by(|a, b| b.critical.total_cmp(&a.critical));
            open.truncate(limit);
        }
        Ok(Inbox {
            size: self.store.inbox_size(filter)?,
            open,
        })
    }

    fn critical(&self, run: &Run) -> f64 {
        let Some(task) = self.plant.tasks.get(&run.task) else {
            return 0.0;
        };
        let labels = task.labels().labels();
        let is_critical = |name: &str| {
            labels
                .iter()
                .any(|label| label.critical && label.label == name)
        };
        run.probabilities
            .iter()
            .filter(|ranked| is_critical(&ranked.label))
            .map(|ranked| ranked.probability)
            .sum()
    }
}
