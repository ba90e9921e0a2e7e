//! Contenders on the same examples: who is shown to be better, and who is not.
//!
//! Right and wrong are compared by the exact test of McNemar, all other figures
//! by bootstrap over pairs; every figure's p-values are corrected by Holm over all
//! pairs of contenders. Without such a proof nobody is called better.

use serde::Serialize;

use crate::bootstrap;
use crate::evaluate::{Answer, Ranked, ece, macro_f1};
use crate::interval::{Estimate, wilson};
use crate::paired::{difference, examples_needed, holm, mcnemar};

/// A difference is shown where equals would differ so much less often than this.
pub const SIGNIFICANCE: f64 = 0.05;

/// The share of wrong ones at which coverages are compared.
const ERROR: f64 = 0.05;

/// What a contender said to the examples.
#[derive(Clone, Debug)]
pub enum Given {
    /// Its answers, one for each example.
    Answers(Vec<Answer>),
    /// Whether it was right, where that is known.
    Outcomes(Vec<Option<bool>>),
}

/// One that is compared.
#[derive(Clone, Debug)]
pub struct Contender {
    /// The name under which it is compared.
    pub name: String,
    /// What it said.
    pub given: Given,
}

/// How contenders answered the examples that all of them answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// How many examples these are.
    pub n: usize,
    /// Everyone, in the order given.
    pub contenders: Vec<Standing>,
    /// Every two of them.
    pub pairs: Vec<Pair>,
}

/// One contender on the examples in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// The share of right answers.
    pub accuracy: Estimate,
    /// The share of right fields, of a task that extracts; `accuracy` is then that of whole
    /// records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_accuracy: Option<Estimate>,
    /// The median time of an answer, in milliseconds; `None` where only outcomes
    /// are known.
    pub p50_ms: Option<f64>,
    /// Whether no other is shown to be better.
    pub leads: bool,
}

/// Two contenders.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The first, whose figures the second's are taken from.
    pub first: String,
    /// The second.
    pub second: String,
    /// Examples that the first alone answered rightly.
    pub first_alone: usize,
    /// Examples that the second alone answered rightly.
    pub second_alone: usize,
    /// The difference of their accuracies.
    pub accuracy: Difference,
    /// The differences of other figures, where both gave answers.
    pub figures: Vec<Difference>,
    /// What is shown of their accuracies.
    pub verdict: Verdict,
    /// Roughly how many examples more would show a difference like this one, if
    /// none is shown and there is one.
    pub more_examples: Option<usize>,
}

/// What is shown of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The first is shown to be better.
    First,
    /// The second is shown to be better.
    Second,
    /// They are not shown to differ.
    NotShown,
}

/// A figure of the first less that of the second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Which figure.
    pub figure: &'static str,
    /// The difference.
    pub value: f64,
    /// The lower end of its 95 % interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How often equals would differ so much.
    pub p_value: f64,
    /// The same, corrected for the number of pairs.
    pub p_adjusted: f64,
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum ComparisonError {
    /// One contender alone.
    #[error("one contender is no comparison: name at least one more")]
    Alone,
    /// No example that all answered.
    #[error("the contenders have no example in common: measure them on the same ones")]
    NothingInCommon,
}

/// Compares contenders on the examples that all of them answered; `labels` is
/// how many labels the task has.
///
/// # Errors
/// If there are fewer than two, or they have no example in common.
pub fn compare(contenders: &[Contender], labels: usize) -> Result<Comparison, ComparisonError> {
    if contenders.len() < 2 {
        return Err(ComparisonError::Alone);
    }
    let common = in_common(contenders);
    if common.is_empty() {
        return Err(ComparisonError::NothingInCommon);
    }
    let seen: Vec<Seen<'_>> = contenders
        .iter()
        .map(|contender| Seen::of(contender, &common))
        .collect();
    let mut pairs: Vec<Pair> = Vec::new();
    for (index, first) in seen.iter().enumerate() {
        pairs.extend(
            seen[index + 1..]
                .iter()
                .map(|second| first.beside(second, labels)),
        );
    }
    settle(&mut pairs);
    let beaten = |name: &str| {
        pairs.iter().any(|pair| match pair.verdict {
            Verdict::First => pair.second == name,
            Verdict::Second => pair.first == name,
            Verdict::NotShown => false,
        })
    };
    let standings = seen.iter().filter_map(|seen| {
        let rights = seen.rights.iter().filter(|&&right| right).count();
        Some(Standing {
            name: seen.name.to_owned(),
            accuracy: wilson(rights, seen.rights.len())?,
            field_accuracy: None,
            p50_ms: seen.answers.as_deref().map(median_ms),
            leads: !beaten(seen.name),
        })
    });
    Ok(Comparison {
        n: common.len(),
        contenders: standings.collect(),
        pairs,
    })
}

fn in_common(contenders: &[Contender]) -> Vec<usize> {
    let knows = |given: &Given, index: usize| match given {
        Given::Answers(answers) => index < answers.len(),
        Given::Outcomes(outcomes) => outcomes.get(index).is_some_and(Option::is_some),
    };
    let length = |given: &Given| match given {
        Given::Answers(answers) => answers.len(),
        Given::Outcomes(outcomes) => outcomes.len(),
    };
    let most = contenders.iter().map(|contender| length(&contender.given));
    (0..most.min().unwrap_or(0))
        .filter(|&index| {
            let mut all = contenders.iter();
            all.all(|contender| knows(&contender.given, index))
        })
        .collect()
}

/// Corrects the p-values of each figure over all pairs, and says what they show.
fn settle(pairs: &mut [Pair]) {
    let adjusted = holm(
        &pairs
            .iter()
            .map(|pair| pair.accuracy.p_value)
            .collect::<Vec<_>>(),
    );
    for (pair, adjusted) in pairs.iter_mut().zip(adjusted) {
        pair.accuracy.p_adjusted = adjusted;
        pair.verdict = match pair.accuracy.value {
            _ if adjusted >= SIGNIFICANCE => Verdict::NotShown,
            value if value > 0.0 => Verdict::First,
            _ => Verdict::Second,
        };
        if pair.verdict != Verdict::NotShown {
            pair.more_examples = None;
        }
    }
    let mut names: Vec<&'static str> = Vec::new();
    for figure in pairs.iter().flat_map(|pair| &pair.figures) {
        if !names.contains(&figure.figure) {
            names.push(figure.figure);
        }
    }
    for name in names {
        let mut of_figure: Vec<&mut Difference> = pairs
            .iter_mut()
            .flat_map(|pair| &mut pair.figures)
            .filter(|difference| difference.figure == name)
            .collect();
        let raw: Vec<f64> = of_figure
            .iter()
            .map(|difference| difference.p_value)
            .collect();
        for (difference, adjusted) in of_figure.iter_mut().zip(holm(&raw)) {
            difference.p_adjusted = adjusted;
        }
    }
}

/// A contender on the examples in common.
struct Seen<'a> {
    name: &'a str,
    rights: Vec<bool>,
    answers: Option<Vec<Answer>>,
}

impl<'a> Seen<'a> {
    fn of(contender: &'a Contender, common: &[usize]) -> Self {
        let name = contender.name.as_str();
        match &contender.given {
            Given::Answers(answers) => {
                let answers: Vec<Answer> =
                    common.iter().map(|&index| answers[index].clone()).collect();
                Self {
                    name,
                    rights: answers.iter().map(Answer::is_right).collect(),
                    answers: Some(answers),
                }
            }
            Given::Outcomes(outcomes) => Self {
                name,
                rights: common
                    .iter()
                    .map(|&index| outcomes[index] == Some(true))
                    .collect(),
                answers: None,
            },
        }
    }

    fn beside(&self, other: &Self, labels: usize) -> Pair {
        let n = self.rights.len();
        let alone = |one: &[bool], two: &[bool]| {
            let both = one.iter().zip(two);
            both.filter(|&(&one, &two)| one && !two).count()
        };
        let first_alone = alone(&self.rights, &other.rights);
        let second_alone = alone(&other.rights, &self.rights);
        let (value, low, high) = difference(n, first_alone, second_alone);
        let p_value = mcnemar(first_alone, second_alone);
        let figures = match (&self.answers, &other.answers) {
            (Some(first), Some(second)) => differences(first, second, labels),
            _ => Vec::new(),
        };
        Pair {
            first: self.name.to_owned(),
            second: other.name.to_owned(),
            first_alone,
            second_alone,
            accuracy: Difference {
                figure: "accuracy",
                value,
                low,
                high,
                p_value,
                p_adjusted: p_value,
            },
            figures,
            verdict: Verdict::NotShown,
            more_examples: examples_needed(n, first_alone, second_alone)
                .map(|needed| needed.saturating_sub(n).max(1)),
        }
    }
}

fn differences(first: &[Answer], second: &[Answer], labels: usize) -> Vec<Difference> {
    const FIGURES: [&str; 5] = ["top3_accuracy", "macro_f1", "ece", "auroc", "coverage_at_5"];
    let (first_ranked, second_ranked) = (Ranked::of(first), Ranked::of(second));
    let of = |answers: &[Answer], ranked: &Ranked<'_>, weights: &[f64]| {
        let total: f64 = weights.iter().sum();
        let mut among_three = 0.0;
        for (answer, weight) in answers.iter().zip(weights) {
            among_three += if answer.above < 3 { *weight } else { 0.0 };
        }
        [
            Some(among_three / total),
            macro_f1(answers, weights, labels),
            ece(answers, weights),
            ranked.auroc(weights),
            Some(ranked.coverage_at(weights, ERROR)),
        ]
    };
    let found: [_; FIGURES.len()] = bootstrap::differences(first.len(), |weights| {
        let first = of(first, &first_ranked, weights);
        let second = of(second, &second_ranked, weights);
        std::array::from_fn(|figure| Some(first[figure]? - second[figure]?))
    });
    let named = FIGURES.into_iter().zip(found);
    named
        .filter_map(|(figure, found)| {
            let found = found?;
            Some(Difference {
                figure,
                value: found.value,
                low: found.low,
                high: found.high,
                p_value: found.p_value,
                p_adjusted: found.p_value,
            })
        })
        .collect()
}

fn median_ms(answers: &[Answer]) -> f64 {
    let mut took: Vec<_> = answers.iter().map(|answer| answer.took).collect();
    took.sort_unstable();
    let middle = took.get((took.len().max(1) - 1) / 2);
    middle.map_or(0.0, |took| took.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests;
