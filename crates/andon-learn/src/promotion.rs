//! Whether a candidate may take the place of the head that serves.
//!
//! A head that serves would shine on the examples that it was trained on, so
//! the two are compared by their cross-validated outcomes, which are kept with
//! each head: on every example that both were measured on, was the answer to it
//! right while it was held out? They are compared on all of these, on those of each
//! language, and on those whose right label is critical: who is better on the
//! whole must not be worse where it matters.

use std::collections::BTreeMap;

use andon_task::certificate::{Judged, Severity, binomial};
use andon_task::digest::Digest;
use andon_task::example::LabelledText;
use andon_task::task::Task;
use serde::{Deserialize, Serialize};

use crate::evaluate::Answer;

/// Whether one held-out example was answered rightly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The digest of the example's text and right label.
    pub example: Digest,
    /// Whether the answer was right.
    pub right: bool,
    /// The example's language, where it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The answer as certificates look at it; heads of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
}

impl Outcome {
    /// The outcome of an example of `task` that was answered while it was held out.
    pub(crate) fn of(task: &Task, example: &LabelledText, answer: &Answer) -> Self {
        let labels = task.labels().labels();
        Self {
            example: identify(task, example),
            right: answer.is_right(),
            language: example.language.clone(),
            judged: Some(answer.judged(labels)),
        }
    }
}

impl Outcome {
    /// The outcome of an example of another kind than `decide`, that was answered while it
    /// was held out.
    pub fn of_expected(text: &str, expected: &serde_json::Value, right: bool) -> Self {
        let expected = expected.to_string();
        Self {
            example: Digest::of_parts([text.as_bytes(), expected.as_bytes()]),
            right,
            language: None,
            judged: None,
        }
    }
}

/// The digest of an example's text and right label, by which outcomes know it.
pub fn identify(task: &Task, example: &LabelledText) -> Digest {
    let label = task.labels().labels()[example.label].label.as_bytes();
    Digest::of_parts([example.text.as_bytes(), label])
}

/// What the comparison says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing serves yet: the candidate is promoted.
    First,
    /// The candidate is promoted.
    NotWorse(Comparison),
    /// The candidate loses more examples than chance explains, of all or of a
    /// group: it is not promoted.
    Worse(Comparison),
    /// The two were measured on different examples: not promoted by itself.
    NothingInCommon,
}

/// A paired comparison on the examples that both were measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Examples that both were measured on.
    pub common: usize,
    /// Right by the candidate alone.
    pub wins: usize,
    /// Right by the current head alone.
    pub losses: usize,
    /// The chance of at least so many losses between equals (sign test).
    pub p_value: f64,
    /// The same for each language, and for critical labels.
    #[serde(default)]
    pub groups: Vec<OfGroup>,
}

/// A paired comparison on some of the examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfGroup {
    /// Which: `language es`, `critical`.
    pub group: String,
    /// Examples of it that both were measured on.
    pub common: usize,
    /// Right by the candidate alone.
    pub wins: usize,
    /// Right by the current head alone.
    pub losses: usize,
    /// The chance of at least so many losses between equals (sign test).
    pub p_value: f64,
}

impl OfGroup {
    /// Whether the candidate is worse here.
    pub fn is_worse(&self) -> bool {
        self.p_value < SIGNIFICANCE
    }
}

/// A candidate is worse where equals would lose so many examples less often
/// than this. Each group is tested at it: with many groups a candidate that is no
/// worse is refused somewhat more often, which `--anyway` mends, while one that is
/// worse would serve.
const SIGNIFICANCE: f64 = 0.05;

impl Verdict {
    /// Whether the candidate may serve.
    pub fn promotes(&self) -> bool {
        matches!(self, Self::First | Self::NotWorse(_))
    }
}

/// Wins and losses, as they are counted.
#[derive(Clone, Copy, Default)]
struct Tally {
    common: usize,
    wins: usize,
    losses: usize,
}

impl Tally {
    fn count(&mut self, right: bool, was_right: bool) {
        self.common += 1;
        self.wins += usize::from(right && !was_right);
        self.losses += usize::from(was_right && !right);
    }

    fn p_value(&self) -> f64 {
        // So many losses or more, if each were the toss of a fair coin.
        binomial::at_most(self.wins, self.wins + self.losses, 0.5)
    }
}

/// Compares the outcomes of a candidate with those of the head that serves.
pub fn not_worse(candidate: &[Outcome], current: Option<&[Outcome]>) -> Verdict {
    let Some(current) = current else {
        return Verdict::First;
    };
    let current = by_example(current);
    let mut all = Tally::default();
    let mut groups: BTreeMap<String, Tally> = BTreeMap::new();
    for (example, outcome) in by_example(candidate) {
        let Some(was) = current.get(&example) else {
            continue;
        };
        all.count(outcome.right, was.right);
        for group in groups_of(outcome) {
            let tally = groups.entry(group).or_default();
            tally.count(outcome.right, was.right);
        }
    }
    if all.common == 0 {
        return Verdict::NothingInCommon;
    }
    let of_group = |(group, tally): (String, Tally)| OfGroup {
        group,
        common: tally.common,
        wins: tally.wins,
        losses: tally.losses,
        p_value: tally.p_value(),
    };
    let comparison = Comparison {
        common: all.common,
        wins: all.wins,
        losses: all.losses,
        p_value: all.p_value(),
        groups: groups.into_iter().map(of_group).collect(),
    };
    let worse = comparison.p_value < SIGNIFICANCE;
    if worse || comparison.groups.iter().any(OfGroup::is_worse) {
        Verdict::Worse(comparison)
    } else {
        Verdict::NotWorse(comparison)
    }
}

fn groups_of(outcome: &Outcome) -> impl Iterator<Item = String> {
    let language = outcome.language.as_ref();
    let critical = outcome.judged.map(|judged| judged.meant) == Some(Severity::Critical);
    language
        .map(|language| format!("language {language}"))
        .into_iter()
        .chain(critical.then(|| "critical".to_owned()))
}

/// An example that stands twice in the file counts once.
fn by_example(outcomes: &[Outcome]) -> BTreeMap<Digest, &Outcome> {
    let pairs = outcomes.iter().map(|outcome| (outcome.example, outcome));
    pairs.collect()
}

#[cfg(test)]
mod tests;
