//! Whether answers are worth more with a second opinion.

use std::fmt;

use serde::Serialize;

use crate::extract::grade::Graded;

/// By how many standard errors fields have to be worth more: chance alone does that once in a
/// hundred times.
const LEAST_ERRORS: f64 = 2.33;

/// What was found of a second opinion.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Verdict {
    /// It helps, and is asked.
    Kept(Box<Measured>),
    /// It does not help; the reader answers alone.
    Left(Box<Measured>),
    /// The reader is sure of nearly everything.
    Sure {
        /// Texts that it was not sure of.
        unsure: usize,
        /// Texts in all.
        of: usize,
    },
    /// It takes longer than the task's deadline allows.
    Slow {
        /// Its mean time, in milliseconds.
        mean_ms: f64,
        /// What the deadline allows.
        within_ms: f64,
    },
    /// It wrote too little in the time that there is for learning.
    Few {
        /// Texts for which it wrote an object.
        written: usize,
    },
    /// It does not write objects.
    Unwritten {
        /// Why.
        reason: String,
    },
}

/// Answers with and without a second opinion, over texts that both readers were held out from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Texts that were asked.
    pub asked: usize,
    /// Of these, texts for which an object was written.
    pub written: usize,
    /// Its mean time, in milliseconds.
    pub mean_ms: f64,
    /// Without it.
    pub without: Side,
    /// With it.
    pub with: Side,
    /// By how much fields are worth more with it, on average over texts.
    pub gain: f64,
    /// The standard error of that.
    pub gain_error: f64,
    /// By how much records are worth more with it.
    pub record_gain: f64,
}

/// How right answers are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// The share of fields that are right.
    pub fields: f64,
    /// The share of records all of whose fields are right.
    pub records: f64,
    /// The share of records that would be accepted.
    pub accepted: f64,
    /// The share of wrong ones among those.
    pub wrong: Option<f64>,
}

/// What an answer with a probability is worth to those who accept it from a threshold on that
/// is not known: right ones gain what wrong ones lose, averaged over all thresholds. It is
/// greatest where the probability holds, and grows with being right (a proper score).
fn worth(confidence: f64, right: bool) -> f64 {
    confidence * f64::from(u8::from(right)) - confidence * confidence / 2.0
}

fn of_fields(graded: &Graded) -> f64 {
    let sum: f64 = (graded.confidence.iter().zip(&graded.right))
        .map(|(&confidence, &right)| worth(confidence, right))
        .sum();
    sum / graded.right.len().max(1) as f64
}

fn of_record(graded: &Graded) -> f64 {
    worth(graded.probability, graded.is_right())
}

/// Measures pairs of answers, without and with a second opinion.
pub(super) fn measure(
    pairs: &[(&Graded, &Graded)],
    accept: f64,
    (asked, mean_ms): (usize, f64),
) -> Measured {
    let n = pairs.len().max(1) as f64;
    let gains = |of: fn(&Graded) -> f64| -> Vec<f64> {
        pairs
            .iter()
            .map(|(without, with)| of(with) - of(without))
            .collect()
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let fields = gains(of_fields);
    let gain = mean(&fields);
    let spread: f64 = fields.iter().map(|one| (one - gain) * (one - gain)).sum();
    Measured {
        asked,
        written: pairs.len(),
        mean_ms,
        without: side(pairs.iter().map(|(without, _)| *without), accept),
        with: side(pairs.iter().map(|(_, with)| *with), accept),
        gain,
        gain_error: (spread / n / (n - 1.0).max(1.0)).sqrt(),
        record_gain: mean(&gains(of_record)),
    }
}

fn side<'g>(graded: impl Iterator<Item = &'g Graded>, accept: f64) -> Side {
    let all: Vec<&Graded> = graded.collect();
    let share = |part: usize, of: usize| part as f64 / of.max(1) as f64;
    let fields: usize = all
        .iter()
        .map(|one| one.right.iter().filter(|&&right| right).count())
        .sum();
    let count: usize = all.iter().map(|one| one.right.len()).sum();
    let accepted: Vec<&&Graded> = all.iter().filter(|one| one.probability >= accept).collect();
    let wrong = accepted.iter().filter(|one| !one.is_right()).count();
    Side {
        fields: share(fields, count),
        records: share(all.iter().filter(|one| one.is_right()).count(), all.len()),
        accepted: share(accepted.len(), all.len()),
        wrong: (!accepted.is_empty()).then(|| share(wrong, accepted.len())),
    }
}

impl Measured {
    /// Whether fields are shown to be worth more, and records not less.
    pub fn helps(&self) -> bool {
        self.gain > LEAST_ERRORS * self.gain_error && self.record_gain >= 0.0
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (without, with) = (&self.without, &self.with);
        let wrong = |side: &Side| {
            side.wrong
                .map_or("none".to_owned(), |wrong| format!("{:.1} %", 100.0 * wrong))
        };
        write!(
            f,
            "of {} texts that the reader was not sure of, fields right {:.1} % without it and {:.1} % with it, records {:.1} % and {:.1} %, accepted {:.1} % and {:.1} % (wrong among them: {} and {}), gain {:+.4} ± {:.4}, {:.0} ms",
            self.written,
            100.0 * without.fields,
            100.0 * with.fields,
            100.0 * without.records,
            100.0 * with.records,
            100.0 * without.accepted,
            100.0 * with.accepted,
            wrong(without),
            wrong(with),
            self.gain,
            self.gain_error,
            self.mean_ms,
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(measured) => write!(f, "the language model is asked as well: {measured}"),
            Self::Left(measured) => {
                write!(
                    f,
                    "the reader answers alone, the language model does not help: {measured}"
                )
            }
            Self::Sure { unsure, of } => write!(
                f,
                "the reader answers alone: it was not sure of {unsure} of {of} texts, too few to learn what the language model would add"
            ),
            Self::Slow { mean_ms, within_ms } => write!(
                f,
                "the reader answers alone: the language model takes {mean_ms:.0} ms, the task's deadline allows {within_ms:.0} ms"
            ),
            Self::Few { written } => write!(
                f,
                "the reader answers alone: the language model wrote {written} objects in the time for learning, too few to learn what it would add"
            ),
            Self::Unwritten { reason } => write!(
                f,
                "the reader answers alone: the language model wrote no objects ({reason})"
            ),
        }
    }
}
