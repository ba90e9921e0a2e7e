//! The figures and sections of a `summarise` task.

use serde::Serialize;

use super::document::{Content, Section, Shown, Table, interval, share};
use super::times::Summary;
use crate::bootstrap;
use crate::interval::Estimate;

/// What was measured of a `summarise` task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SummariseFigures {
    /// Periods.
    pub n: usize,
    /// The share of expected facts that were found.
    pub fact_recall: Estimate,
    /// Numbers, identifiers and times in sentences that neither their records nor the
    /// facts hold.
    pub unsupported: usize,
    /// Sentences in all.
    pub sentences: usize,
    /// Of these, in the language model's words.
    pub worded: usize,
    /// Records of high priority that no sentence names.
    pub missed_high_priority: usize,
    /// How long a period took.
    #[serde(flatten)]
    pub times: Summary,
}

/// What was found of one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Expected facts that were found, and how many were expected.
    pub facts: (usize, usize),
    /// Values that nothing supports.
    pub unsupported: usize,
    /// Sentences, and of these in the model's words.
    pub sentences: (usize, usize),
    /// Records of high priority that are not named.
    pub missed: usize,
}

impl SummariseFigures {
    /// The figures of these periods; `None` where no fact was expected.
    pub fn of(told: &[Told], times: Summary) -> Option<Self> {
        let fact_recall = bootstrap::estimate(told.len(), |weights| {
            let sum = |of: fn(&Told) -> usize| -> f64 {
                let weighted = told.iter().zip(weights);
                weighted
                    .map(|(told, weight)| weight * of(told) as f64)
                    .sum()
            };
            let all = sum(|told| told.facts.1);
            (all > 0.0).then(|| sum(|told| told.facts.0) / all)
        })?;
        let sum = |of: fn(&Told) -> usize| told.iter().map(of).sum();
        Some(Self {
            n: told.len(),
            fact_recall,
            unsupported: sum(|told| told.unsupported),
            sentences: sum(|told| told.sentences.0),
            worded: sum(|told| told.sentences.1),
            missed_high_priority: sum(|told| told.missed),
            times,
        })
    }
}

pub(super) fn sections(found: &SummariseFigures) -> Vec<Section> {
    let mut table = Table::of(&["FIGURE", "VALUE#", "95 % INTERVAL"]);
    table.rows.push(vec![
        "facts found".into(),
        share(&found.fact_recall),
        interval(found.fact_recall),
    ]);
    for (name, count) in [
        ("unsupported values", found.unsupported),
        ("high priority not told", found.missed_high_priority),
        ("sentences", found.sentences),
        ("of these the model's", found.worded),
    ] {
        table
            .rows
            .push(vec![name.into(), count.to_string().into(), "".into()]);
    }
    let Summary { p50_ms, p99_ms } = found.times;
    let n = found.n;
    vec![Section {
        heading: "Figures".into(),
        text: vec![format!(
            "{n} periods; one takes {p50_ms:.0} ms (p50), {p99_ms:.0} ms (p99)."
        )],
        content: vec![Content::Table(table)],
        shown: Shown::Everywhere,
    }]
}
