//! Testing what can be promised.

use serde::{Deserialize, Serialize};

use super::binomial::{at_most, fewest, needed, upper_bound};
use super::sequence::{Sequence, planned};
use super::{Judged, Part, Promise, Severity, Terms, Thresholds};

/// What can be promised on some answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// From which confidence on an answer is accepted.
    pub thresholds: Thresholds,
    /// What holds at these thresholds.
    pub promises: Vec<Promise>,
    /// What could not be promised.
    pub refusals: Vec<Refusal>,
    /// The share of the answers that is accepted.
    pub coverage: f64,
    /// The share of wrong ones among them; `None` where none is accepted.
    pub selective_error: Option<f64>,
}

/// A promise that cannot be made, with what could be and what it would take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// What it is about.
    pub part: Part,
    /// The share that was asked for.
    pub alpha: f64,
    /// The chance that it would not hold.
    pub delta: f64,
    /// The examples that counted at the most promising threshold.
    pub n: usize,
    /// How many of these went wrong.
    pub wrong: usize,
    /// The upper end of the one-sided Clopper–Pearson interval there: the smallest
    /// share that might be shown.
    pub bound: f64,
    /// Roughly how many more labelled examples it takes if they go as these did;
    /// `None` where no number helps, but only better answers.
    pub more_examples: Option<usize>,
}

impl Finding {
    /// Whether anything is accepted at all.
    pub fn accepts(&self) -> bool {
        self.thresholds.ordinary.is_some() || self.thresholds.critical.is_some()
    }
}

/// Tests what can be promised on `answers`. The thresholds that are tried are
/// planned on `earlier` answers, to other examples; without enough of them, see
/// [`counted`](super::sequence::counted).
pub fn certify(answers: &[Judged], earlier: &[Judged], terms: Terms) -> Finding {
    let critical =
        |judged: &Judged| judged.meant == Severity::Critical || judged.said == Severity::Critical;
    let mut finding = if answers.iter().any(critical) || earlier.iter().any(critical) {
        three_promises(answers, earlier, terms)
    } else {
        one_promise(answers, earlier, terms)
    };
    let accepted: Vec<&Judged> = answers
        .iter()
        .filter(|a| finding.thresholds.accept(a.said, a.confidence))
        .collect();
    let wrong = accepted.iter().filter(|a| !a.right).count();
    finding.coverage = accepted.len() as f64 / answers.len().max(1) as f64;
    finding.selective_error = (!accepted.is_empty()).then(|| wrong as f64 / accepted.len() as f64);
    finding
}

fn one_promise(answers: &[Judged], earlier: &[Judged], terms: Terms) -> Finding {
    let (alpha, delta) = (terms.alpha, terms.delta);
    let test = Test {
        part: Part::Accepted,
        alpha,
        delta,
        counted: answers.to_vec(),
        goes_wrong: |judged| !judged.right,
        all: answers.len(),
    };
    let sequence = planned(earlier, answers.len(), alpha, delta);
    let (thresholds, promises, refusals) = match test.run(&sequence, 0.0) {
        Ok((threshold, promise)) => (Some(threshold), vec![promise], Vec::new()),
        Err(refusal) => (None, Vec::new(), vec![refusal]),
    };
    Finding {
        thresholds: Thresholds {
            ordinary: thresholds,
            critical: thresholds,
        },
        promises,
        refusals,
        coverage: 0.0,
        selective_error: None,
    }
}

/// Answers with critical labels and those with ordinary ones have thresholds of
/// their own, and ordinary ones are bound by what they miss as well.
fn three_promises(answers: &[Judged], earlier: &[Judged], terms: Terms) -> Finding {
    let delta = terms.delta / 3.0;
    let saying = |among: &[Judged], said: Severity| -> Vec<Judged> {
        among.iter().filter(|a| a.said == said).copied().collect()
    };
    let accepted = |part, alpha, said| {
        let test = Test {
            part,
            alpha,
            delta,
            counted: saying(answers, said),
            goes_wrong: |judged: &Judged| !judged.right,
            all: answers.len(),
        };
        let sequence = planned(&saying(earlier, said), test.counted.len(), alpha, delta);
        (test, sequence)
    };
    let mut finding = Finding {
        thresholds: Thresholds {
            ordinary: None,
            critical: None,
        },
        promises: Vec::new(),
        refusals: Vec::new(),
        coverage: 0.0,
        selective_error: None,
    };
    let (test, sequence) = accepted(
        Part::AcceptedCritical,
        terms.critical_alpha,
        Severity::Critical,
    );
    match test.run(&sequence, 0.0) {
        Ok((threshold, promise)) => {
            finding.thresholds.critical = Some(threshold);
            finding.promises.push(promise);
        }
        Err(refusal) => finding.refusals.push(refusal),
    }
    let (test, sequence) = accepted(Part::AcceptedOrdinary, terms.alpha, Severity::Ordinary);
    let misses = Misses {
        notes: answers
            .iter()
            .filter(|a| a.meant == Severity::Critical)
            .copied()
            .collect(),
        alpha: terms.critical_alpha,
        delta,
        all: answers.len(),
    };
    match misses.lowest_threshold() {
        Err(refusal) => finding.refusals.push(refusal),
        // Every threshold that the sequence passed holds, so the lowest of those
        // that miss little enough does.
        Ok(lowest) => match test.run(&sequence, lowest) {
            Ok((threshold, promise)) => {
                finding.thresholds.ordinary = Some(threshold);
                finding.promises.push(promise);
                finding.promises.push(misses.promise(threshold));
            }
            Err(refusal) => finding.refusals.push(refusal),
        },
    }
    finding
}

/// A test of the share that goes wrong among accepted answers.
struct Test {
    part: Part,
    alpha: f64,
    delta: f64,
    /// The answers that count once they are accepted.
    counted: Vec<Judged>,
    goes_wrong: fn(&Judged) -> bool,
    /// How many examples there are in all.
    all: usize,
}

impl Test {
    /// How many are accepted from `threshold` on, and how many of these go wrong.
    fn at(&self, threshold: f64) -> (usize, usize) {
        let accepted = self.counted.iter().filter(|a| a.confidence >= threshold);
        accepted.fold((0, 0), |(n, wrong), judged| {
            (n + 1, wrong + usize::from((self.goes_wrong)(judged)))
        })
    }

    /// Goes down the sequence while the test passes. The lowest threshold that
    /// passed and is not below `floor`, with its promise.
    fn run(&self, sequence: &Sequence, floor: f64) -> Result<(f64, Promise), Refusal> {
        let thresholds = sequence.on(&self.counted);
        let passed = thresholds
            .iter()
            .copied()
            .take_while(|&threshold| {
                let (n, wrong) = self.at(threshold);
                n > 0 && at_most(wrong, n, self.alpha) <= self.delta
            })
            .take_while(|&threshold| threshold >= floor)
            .last();
        let Some(threshold) = passed else {
            return Err(self.refusal(&thresholds, floor));
        };
        let (n, wrong) = self.at(threshold);
        let promise = Promise {
            part: self.part,
            alpha: self.alpha,
            delta: self.delta,
            n,
            wrong,
            bound: upper_bound(wrong, n, self.delta),
        };
        Ok((threshold, promise))
    }

    /// What is known at the threshold of those tried, or of all, where the smallest
    /// share could be promised.
    fn refusal(&self, thresholds: &[f64], floor: f64) -> Refusal {
        let tried = thresholds.iter().filter(|&&threshold| threshold >= floor);
        let bound = |&(n, wrong): &(usize, usize)| upper_bound(wrong, n.max(1), self.delta);
        let (n, wrong) = tried
            .map(|&threshold| self.at(threshold))
            .chain([self.at(floor)])
            .min_by(|a, b| bound(a).total_cmp(&bound(b)))
            .unwrap_or((0, 0));
        // One wrong answer of two is added: none of a few is not never.
        let rate = (wrong as f64 + 0.5) / (n as f64 + 1.0);
        let more = needed(rate, self.alpha, self.delta)
            .or_else(|| (wrong == 0).then(|| fewest(self.alpha, self.delta)));
        // Of all examples, only so many are accepted there.
        let share = n.max(1) as f64 / self.all.max(1) as f64;
        Refusal {
            part: self.part,
            alpha: self.alpha,
            delta: self.delta,
            n,
            wrong,
            bound: upper_bound(wrong, n.max(1), self.delta),
            more_examples: more.map(|more| (more.saturating_sub(n).max(1) as f64 / share) as usize),
        }
    }
}

/// A test of the share of critical notes that are accepted with an ordinary label.
/// It falls with the threshold for such answers, so the test may begin at the top
/// whatever the examples.
struct Misses {
    notes: Vec<Judged>,
    alpha: f64,
    delta: f64,
    all: usize,
}

impl Misses {
    fn at(&self, threshold: f64) -> usize {
        let missed = |a: &&Judged| a.said == Severity::Ordinary && a.confidence >= threshold;
        self.notes.iter().filter(missed).count()
    }

    fn holds(&self, threshold: f64) -> bool {
        let n = self.notes.len();
        n > 0 && at_most(self.at(threshold), n, self.alpha) <= self.delta
    }

    /// The lowest threshold at which few enough are missed.
    fn lowest_threshold(&self) -> Result<f64, Refusal> {
        // Any fixed grid does: even steps of the log odds.
        let odds = (0..=320).map(|step| 12.0 - 0.05 * f64::from(step));
        let grid = odds.map(|odds| 1.0 / (1.0 + (-odds).exp())).chain([0.0]);
        let passed = grid.take_while(|&threshold| self.holds(threshold));
        passed.last().ok_or_else(|| {
            let n = self.notes.len();
            let wrong = self.at(1.0);
            let share = n.max(1) as f64 / self.all.max(1) as f64;
            let more = fewest(self.alpha, self.delta).saturating_sub(n).max(1);
            Refusal {
                part: Part::CriticalMissed,
                alpha: self.alpha,
                delta: self.delta,
                n,
                wrong,
                bound: upper_bound(wrong, n.max(1), self.delta),
                more_examples: Some((more as f64 / share) as usize),
            }
        })
    }

    fn promise(&self, threshold: f64) -> Promise {
        let (n, wrong) = (self.notes.len(), self.at(threshold));
        Promise {
            part: Part::CriticalMissed,
            alpha: self.alpha,
            delta: self.delta,
            n,
            wrong,
            bound: upper_bound(wrong, n, self.delta),
        }
    }
}
