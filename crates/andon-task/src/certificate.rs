//! Certificates: among the answers that are accepted at the edge, at most a share
//! α is wrong, with confidence 1 − δ, for one task under fixed artefacts.
//!
//! The method is Learn-then-Test (Angelopoulos, Bates, Candès, Jordan and Lei,
//! 2021) with thresholds tested in a fixed sequence and exact binomial p-values;
//! [`sequence`] says why that is valid here. The examples must be a
//! random sample of what comes in, and unknown to whatever answers.
//!
//! Where a plant marks labels as critical there are three promises instead of one,
//! which share δ: see [`Part`].

pub mod binomial;
pub mod sequence;

mod issue;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::drift::Profile;
use crate::run::{Digests, Timestamp};

pub use issue::{Finding, Refusal, certify};

/// Whether a wrong answer about a label is worse than elsewhere: what the plant's
/// label file says in `critical`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A label like others.
    Ordinary,
    /// A label marked as critical.
    Critical,
}

/// One answer to a labelled example, as far as certificates look at it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The probability (or score) of the answer: what the threshold is compared with.
    pub confidence: f64,
    /// Whether the answer was right.
    pub right: bool,
    /// What kind of label was answered.
    pub said: Severity,
    /// What kind of label is right.
    pub meant: Severity,
}

/// What is to be promised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// The largest share of wrong answers among the accepted.
    pub alpha: f64,
    /// The same where critical labels are concerned.
    pub critical_alpha: f64,
    /// The chance that any of the promises does not hold.
    pub delta: f64,
}

/// What one promise is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Accepted answers, where no label is critical: so many are wrong.
    Accepted,
    /// Accepted answers that say an ordinary label: so many are wrong.
    AcceptedOrdinary,
    /// Accepted answers that say a critical label: so many are wrong.
    AcceptedCritical,
    /// Notes whose right label is critical: so many are accepted with an ordinary
    /// label. This is what a plant fears, and what a share of accepted answers
    /// does not bound where critical notes are rare.
    CriticalMissed,
}

/// One promise with what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    /// What it is about.
    pub part: Part,
    /// The promised share.
    pub alpha: f64,
    /// The chance that it does not hold.
    pub delta: f64,
    /// The examples that it was tested on at its threshold: the accepted ones, or
    /// the critical notes.
    pub n: usize,
    /// How many of these went wrong.
    pub wrong: usize,
    /// The upper end of the one-sided Clopper–Pearson interval at 1 − `delta`.
    pub bound: f64,
}

/// What the examples were to whatever answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Unknown to it: the promise is exact.
    Fresh,
    /// Those it was trained on, each answered by a twin that was trained without
    /// it: the promise is approximate, since the twins know less.
    CrossFitted,
}

/// From which confidence on an answer is accepted; `None` where none is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// For answers that say an ordinary label.
    pub ordinary: Option<f64>,
    /// For answers that say a critical label.
    pub critical: Option<f64>,
}

impl Thresholds {
    /// The threshold for answers of this kind.
    pub fn of(&self, said: Severity) -> Option<f64> {
        match said {
            Severity::Ordinary => self.ordinary,
            Severity::Critical => self.critical,
        }
    }

    /// Whether an answer is accepted.
    pub fn accept(&self, said: Severity, confidence: f64) -> bool {
        self.of(said)
            .is_some_and(|threshold| confidence >= threshold)
    }
}

/// A certificate: promises for one task under fixed artefacts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// The task.
    pub task: String,
    /// What was asked for.
    pub terms: Terms,
    /// What the examples were to whatever answers.
    pub basis: Basis,
    /// All that shapes an answer. With any other the certificate is void.
    pub artefacts: Digests,
    /// The digest of the answers that it was made from.
    pub examples: Digest,
    /// How many there were.
    pub n: usize,
    /// From which confidence on an answer is accepted.
    pub thresholds: Thresholds,
    /// What holds at these thresholds.
    pub promises: Vec<Promise>,
    /// The share of the examples that was accepted.
    pub coverage: f64,
    /// How confident the answers were: what later ones are compared with.
    pub profile: Profile,
    /// When it was made.
    pub issued_at: Timestamp,
}

impl Certificate {
    /// Its digest: what it is known by.
    pub fn id(&self) -> Digest {
        let text = serde_json::to_string(self)
            .expect("numbers, texts and sequences of them have a JSON form");
        Digest::of(text.as_bytes())
    }

    /// Whether it speaks for answers that were made with `digests`. The policy
    /// shapes what leaves the plant, not the answer.
    pub fn covers(&self, digests: &Digests) -> bool {
        self.artefacts == digests.artefacts()
    }

    /// The promise about accepted answers that say a label of this kind.
    pub fn promise(&self, said: Severity) -> Option<&Promise> {
        self.promises.iter().find(|promise| match promise.part {
            Part::Accepted => true,
            Part::AcceptedOrdinary => said == Severity::Ordinary,
            Part::AcceptedCritical => said == Severity::Critical,
            Part::CriticalMissed => false,
        })
    }
}

/// What a run says of the certificate that accepted it, or would have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// The digest of the certificate.
    pub id: Digest,
    /// The share of wrong answers that is promised among those accepted like this.
    pub alpha: f64,
    /// The chance that any promise of the certificate does not hold.
    pub delta: f64,
    /// The labelled examples behind it.
    pub n: usize,
    /// From which confidence on an answer like this is accepted; absent where
    /// none is.
    pub threshold: Option<f64>,
    /// What the examples were to whatever answers.
    pub basis: Basis,
}

impl Mark {
    /// What `certificate` says of answers of this kind.
    pub fn of(certificate: &Certificate, id: Digest, said: Severity) -> Self {
        let terms = &certificate.terms;
        let promise = certificate.promise(said);
        Self {
            id,
            alpha: promise.map_or(terms.alpha, |promise| promise.alpha),
            delta: terms.delta,
            n: certificate.n,
            threshold: certificate.thresholds.of(said),
            basis: certificate.basis,
        }
    }
}

#[cfg(test)]
mod tests;
