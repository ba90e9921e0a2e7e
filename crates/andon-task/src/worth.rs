//! What an upstream was measured to be worth for a task, beside what answers here.
//!
//! Only cases that were not accepted here are ever sent, so these alone say whether
//! sending is worth it: what answers here knows the easy ones.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::task::{Kind, Task};
use crate::upstream::Settings;

/// Fewer cases than this say nothing.
const FEWEST: usize = 10;

/// How two answered the same examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paired {
    /// How many examples these are.
    pub n: usize,
    /// Of them the edge answered so many rightly.
    pub edge_right: usize,
    /// And the upstream so many.
    pub upstream_right: usize,
    /// So many the edge alone.
    pub edge_alone: usize,
    /// So many the upstream alone.
    pub upstream_alone: usize,
}

impl Paired {
    /// Counts an example, by whether each answered it rightly.
    pub fn note(&mut self, edge: bool, upstream: bool) {
        self.n += 1;
        self.edge_right += usize::from(edge);
        self.upstream_right += usize::from(upstream);
        self.edge_alone += usize::from(edge && !upstream);
        self.upstream_alone += usize::from(upstream && !edge);
    }
}

/// What was measured of an upstream for a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// The task.
    pub task: String,
    /// The upstream, by its name in the plant.
    pub upstream: String,
    /// What was compared: see [`basis`].
    pub basis: Digest,
    /// All examples that it answered, or failed to answer.
    pub all: Paired,
    /// Those that were not accepted here.
    pub uncertain: Paired,
}

/// Whether an upstream is worth asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Worth {
    /// It was not measured, or on too few cases: it is asked.
    #[default]
    Unknown,
    /// It was right more often than what answers here.
    Better,
    /// It was not: it is not asked.
    NotBetter,
}

impl Measure {
    /// What it says of asking the upstream.
    pub fn worth(&self) -> Worth {
        let Paired {
            n,
            edge_alone,
            upstream_alone,
            ..
        } = self.uncertain;
        match n {
            0..FEWEST => Worth::Unknown,
            _ if upstream_alone > edge_alone => Worth::Better,
            _ => Worth::NotBetter,
        }
    }
}

/// What a measure rests on: the question, what is promoted for it, and the upstream's
/// model. Where one of them is another, the measure says nothing any more.
pub fn basis(task: &Task, promoted: Option<Digest>, upstream: &Settings) -> Digest {
    let held_to = match &task.kind {
        Kind::Decide(labels) => Some(labels.digest()),
        Kind::Extract(schema) => Some(schema.digest()),
        Kind::Summarise | Kind::Answer | Kind::Normalise => None,
    };
    let text = |digest: Option<Digest>| digest.map_or_else(String::new, |d| d.to_string());
    let (held_to, promoted) = (text(held_to), text(promoted));
    let parts = [
        "andon worth 1",
        &task.name,
        task.kind.name(),
        &task.instructions,
        &held_to,
        &promoted,
        &upstream.url,
        &upstream.model,
    ];
    Digest::of_parts(parts.into_iter().map(str::as_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_that_is_not_right_more_often_is_not_asked() {
        let check = |edge_alone: usize, upstream_alone: usize, both: usize, expected: Worth| {
            let mut uncertain = Paired::default();
            (0..edge_alone).for_each(|_| uncertain.note(true, false));
            (0..upstream_alone).for_each(|_| uncertain.note(false, true));
            (0..both).for_each(|_| uncertain.note(true, true));
            let measure = Measure {
                task: "kind".to_owned(),
                upstream: "cloud".to_owned(),
                basis: Digest::of(b""),
                all: uncertain,
                uncertain,
            };
            assert_eq!(measure.worth(), expected);
            assert_eq!(uncertain.edge_right, edge_alone + both);
            assert_eq!(uncertain.upstream_right, upstream_alone + both);
        };
        check(0, 9, 0, Worth::Unknown);
        check(0, 1, 9, Worth::Better);
        check(1, 1, 8, Worth::NotBetter);
        check(5, 4, 8, Worth::NotBetter);
        check(0, 0, 20, Worth::NotBetter);
    }
}
