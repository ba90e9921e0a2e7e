//! Whether a certificate still holds: two tests that may be looked at after every
//! observation, and raise a false alarm ever with a chance of at most δ together.
//!
//! * [`evidence_of_errors`] looks at spot checks: accepted answers that a person
//!   answered as well. It bets that more of them are wrong than was promised.
//! * [`InputWatch`] looks at the confidence of every answer. It bets that later
//!   ones are not spread like those that the certificate was made from.
//!
//! Both are wealth of a bet that cannot be won in the long run while all is well
//! (a test martingale). By Ville's inequality it ever reaches 1/δ with a chance of
//! at most δ.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// How many kinds of confidence are told apart.
const BINS: usize = 64;

/// The log odds between which they are told apart.
const ODDS: (f64, f64) = (-4.0, 12.0);

/// By how many times the promised share the bets say that answers are wrong.
const FACTORS: [f64; 5] = [1.5, 2.0, 3.0, 5.0, 10.0];

/// Which stakes the watch of inputs jumps between, and how often.
const STAKES: [f64; 3] = [-1.0, 0.0, 1.0];
const JUMPS: f64 = 0.01;

/// Each of the two tests has half of δ.
const TESTS: f64 = 2.0;

/// Evidence against a certificate, from 0 on; it is suspended at the limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// How many observations it is made of.
    pub n: usize,
    /// The evidence now: how many times the first stake the bet has become.
    pub now: f64,
    /// The most that it ever was.
    pub peak: f64,
}

/// The evidence at which a certificate of this δ is suspended.
pub fn limit(delta: f64) -> f64 {
    TESTS / delta
}

/// Whether an accepted answer goes to a person as well. It depends on the task and
/// the text alone, so asking again changes nothing.
pub fn is_spot_check(task: &str, text: &str, share: f64) -> bool {
    uniform([b"spot check".as_slice(), task.as_bytes(), text.as_bytes()]) < share
}

/// A number from 0 to 1 that is a function of `parts` and looks random.
fn uniform<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> f64 {
    let digest = Digest::of_parts(parts);
    let (first, _) = digest
        .as_bytes()
        .split_first_chunk::<8>()
        .expect("a digest has 32 bytes");
    // 53 bits, as many as the number holds: never 1.
    (u64::from_le_bytes(*first) >> 11) as f64 / (1u64 << 53) as f64
}

/// The evidence of spot checks, in order: the share of wrong answers that was
/// promised, and whether the answer was wrong.
///
/// Bets as in Waudby-Smith and Ramdas, 'Estimating means of bounded random
/// variables by betting' (2021): the mean of several, each the likelihood ratio of
/// a share some times larger to the promised one.
pub fn evidence_of_errors(checks: impl IntoIterator<Item = (f64, bool)>) -> Evidence {
    let mut wealth = [1.0; FACTORS.len()];
    let mut evidence = Evidence {
        n: 0,
        now: 1.0,
        peak: 1.0,
    };
    for (alpha, wrong) in checks {
        for (wealth, factor) in wealth.iter_mut().zip(FACTORS) {
            let share = (factor * alpha).min(f64::midpoint(alpha, 1.0));
            *wealth *= if wrong {
                share / alpha
            } else {
                (1.0 - share) / (1.0 - alpha)
            };
        }
        evidence.n += 1;
        evidence.now = wealth.iter().sum::<f64>() / wealth.len() as f64;
        evidence.peak = evidence.peak.max(evidence.now);
    }
    evidence
}

/// How many answers had which confidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile(Vec<u64>);

impl Profile {
    /// The profile of these confidences.
    pub fn of(confidences: impl IntoIterator<Item = f64>) -> Self {
        let mut counts = vec![0; BINS];
        for confidence in confidences {
            counts[bin(confidence)] += 1;
        }
        Self(counts)
    }
}

fn bin(confidence: f64) -> usize {
    let odds = (confidence / (1.0 - confidence)).ln();
    let place = (odds - ODDS.0) / (ODDS.1 - ODDS.0) * BINS as f64;
    // Not a number only for what is no confidence; the cast makes it 0.
    (place as usize).min(BINS - 1)
}

/// Watches whether confidences are spread as they were when the certificate was
/// made: a conformal test martingale, the Simple Jumper of Vovk et al.,
/// 'Retrain or not retrain: conformal test martingales for change-point detection'
/// (2021). Each confidence is ranked among all before it, those of the certificate
/// included; while nothing changes, the ranks are independent and uniform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputWatch {
    certificate: Digest,
    seen: Vec<u64>,
    capital: [f64; STAKES.len()],
    evidence: Evidence,
}

impl InputWatch {
    /// The watch of a certificate, before the first answer.
    pub fn new(certificate: Digest, profile: &Profile) -> Self {
        let mut seen = profile.0.clone();
        seen.resize(BINS, 0);
        Self {
            certificate,
            seen,
            capital: [1.0 / STAKES.len() as f64; STAKES.len()],
            evidence: Evidence {
                n: 0,
                now: 1.0,
                peak: 1.0,
            },
        }
    }

    /// The evidence so far.
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }

    /// Takes one more answer's confidence in.
    pub fn see(&mut self, confidence: f64) {
        let place = bin(confidence);
        self.seen[place] += 1;
        let total: u64 = self.seen.iter().sum();
        let below: u64 = self.seen[..place].iter().sum();
        // Equals are ranked by lot. The lot is drawn anew at each step: nobody
        // gains from knowing it.
        let step = (self.evidence.n as u64).to_le_bytes();
        let lot = uniform([self.certificate.as_bytes().as_slice(), &step]);
        let rank = (below as f64 + lot * self.seen[place] as f64) / total as f64;

        let all: f64 = self.capital.iter().sum();
        for (capital, stake) in self.capital.iter_mut().zip(STAKES) {
            let shared = (1.0 - JUMPS) * *capital + JUMPS * all / STAKES.len() as f64;
            *capital = shared * (1.0 + stake * (rank - 0.5));
        }
        self.evidence.n += 1;
        self.evidence.now = self.capital.iter().sum();
        self.evidence.peak = self.evidence.peak.max(self.evidence.now);
    }
}

#[cfg(test)]
mod tests;
