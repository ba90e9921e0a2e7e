//! One answer, graded.

use std::time::Duration;

use andon_task::calibration::Graded;
use andon_task::certificate::{Judged, Severity};
use andon_task::example::LabelledText;
use andon_task::label::Label;

/// An answer to a labelled example, graded.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Position of the right label; of two the more probable one.
    pub label: usize,
    /// Position of the other one.
    pub also: Option<usize>,
    /// Position of the label that was answered.
    pub best: usize,
    /// The probability, or score, of the answer.
    pub confidence: f64,
    /// Whether the label that was named beside the answer, and the answer, are right;
    /// `None` where none was named.
    pub second: Option<bool>,
    /// How many labels were more probable than the right one.
    pub above: usize,
    /// The example's language, where it names one.
    pub language: Option<String>,
    /// How long the answer took.
    pub took: Duration,
}

impl Answer {
    /// Grades the probabilities that were given to an example. Of two labels that are
    /// right for it the more probable one counts. `second_from` is the probability from
    /// which on a second label is named.
    pub(crate) fn grade(
        probabilities: &[f64],
        example: &LabelledText,
        second_from: Option<f64>,
        took: Duration,
    ) -> Self {
        // Of equal probabilities the first label is the answer, here and in a run.
        let beats = |a: usize, b: usize| {
            probabilities[a] > probabilities[b] || (probabilities[a] == probabilities[b] && a < b)
        };
        let best = (0..probabilities.len()).fold(
            0,
            |best, other| {
                if beats(other, best) { other } else { best }
            },
        );
        let (label, also) = match example.also {
            Some(also) if beats(also, example.label) => (also, Some(example.label)),
            also => (example.label, also),
        };
        let others = (0..probabilities.len()).filter(|&other| other != best);
        let runner_up = others.reduce(|best, other| if beats(other, best) { other } else { best });
        let named = runner_up
            .zip(second_from)
            .filter(|&(second, least)| probabilities[second] >= least);
        let above = (0..probabilities.len()).filter(|&other| beats(other, label));
        Self {
            label,
            also,
            best,
            confidence: probabilities[best],
            second: named.map(|(second, _)| example.accepts(best) && example.accepts(second)),
            above: above.count(),
            language: example.language.clone(),
            took,
        }
    }

    /// Whether the right label was answered.
    pub fn is_right(&self) -> bool {
        self.best == self.label
    }

    /// The answer as certificates look at it.
    pub(crate) fn judged(&self, labels: &[Label]) -> Judged {
        let severity = |label: usize| match labels[label].critical {
            true => Severity::Critical,
            false => Severity::Ordinary,
        };
        let meant = severity(self.label);
        Judged {
            confidence: self.confidence,
            right: self.is_right(),
            said: severity(self.best),
            meant: match self.also.map(severity) {
                Some(Severity::Critical) => Severity::Critical,
                _ => meant,
            },
        }
    }

    pub(crate) fn graded(&self) -> Graded {
        Graded {
            confidence: self.confidence,
            right: self.is_right(),
        }
    }
}
