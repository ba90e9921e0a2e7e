//! The figures and sections of a `normalise` task.

use std::collections::BTreeMap;

use serde::Serialize;

use super::document::{Content, Section, Shown, Table, interval, share};
use super::times::Summary;
use crate::interval::{Estimate, wilson};
use crate::normalise::{Figures, Outcome};

/// Wrong tokens that are told, the most frequent first.
const MOST: usize = 30;

/// What was measured of a `normalise` task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NormaliseFigures {
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// The probability from which on a text is accepted.
    pub accept: f64,
    /// The share of texts that are accepted.
    pub coverage: Option<Estimate>,
    /// The share of these that are not right to the last token.
    pub selective_error: Option<Estimate>,
    /// How long a text took.
    #[serde(flatten)]
    pub times: Summary,
    /// Tokens that were wrong, the most frequent first.
    pub wrong_tokens: Vec<WrongToken>,
}

/// A token that did not become what it should have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WrongToken {
    /// As it was written.
    pub token: String,
    /// What it should have become.
    pub expected: String,
    /// What it became.
    pub answered: String,
    /// How often.
    pub count: usize,
}

impl NormaliseFigures {
    /// The figures with what follows from the outcomes at a threshold.
    pub fn of(figures: Figures, times: Summary, outcomes: &[Outcome], accept: f64) -> Self {
        let accepted = outcomes
            .iter()
            .filter(|outcome| outcome.probability >= accept);
        let (mut taken, mut wrong) = (0, 0);
        for outcome in accepted {
            taken += 1;
            wrong += usize::from(!outcome.is_exact());
        }
        let mut counts: BTreeMap<&[String; 3], usize> = BTreeMap::new();
        for token in outcomes.iter().flat_map(|outcome| &outcome.tokens) {
            if token[1] != token[2] {
                *counts.entry(token).or_default() += 1;
            }
        }
        let mut wrong_tokens: Vec<WrongToken> = counts
            .into_iter()
            .map(|([token, expected, answered], count)| WrongToken {
                token: token.clone(),
                expected: expected.clone(),
                answered: answered.clone(),
                count,
            })
            .collect();
        wrong_tokens.sort_by_key(|wrong| std::cmp::Reverse(wrong.count));
        wrong_tokens.truncate(MOST);
        Self {
            figures,
            accept,
            coverage: wilson(taken, outcomes.len()),
            selective_error: wilson(wrong, taken),
            times,
            wrong_tokens,
        }
    }
}

pub(super) fn sections(found: &NormaliseFigures) -> Vec<Section> {
    let mut table = Table::of(&["FIGURE", "VALUE#", "95 % INTERVAL"]);
    let mut row = |name: &str, estimate: &Estimate| {
        let cells = vec![name.into(), share(estimate), interval(*estimate)];
        table.rows.push(cells);
    };
    if let Some(reduction) = &found.figures.error_reduction {
        row("error reduction", reduction);
    }
    row("right tokens", &found.figures.token_accuracy);
    row("right texts", &found.figures.exact);
    if let Some(coverage) = &found.coverage {
        row(&format!("coverage at {:.2}", found.accept), coverage);
    }
    if let Some(error) = &found.selective_error {
        row("error when accepted", error);
    }
    let Summary { p50_ms, p99_ms } = found.times;
    let n = found.figures.n;
    let mut wrong = Table::of(&["TOKEN", "EXPECTED", "ANSWERED", "TIMES#"]);
    for token in &found.wrong_tokens {
        wrong.rows.push(vec![
            token.token.clone().into(),
            token.expected.clone().into(),
            token.answered.clone().into(),
            token.count.to_string().into(),
        ]);
    }
    vec![
        Section {
            heading: "Figures".into(),
            text: vec![
                format!("{n} examples; one text takes {p50_ms:.2} ms (p50), {p99_ms:.2} ms (p99)."),
                "Error reduction counts the tokens that were rightly changed, less those that were wrongly changed, among all that were to be changed.".to_owned(),
            ],
            content: vec![Content::Table(table)],
            shown: Shown::Everywhere,
        },
        Section {
            heading: "Wrong tokens".into(),
            text: Vec::new(),
            content: vec![Content::Table(wrong)],
            shown: Shown::Everywhere,
        },
    ]
}
