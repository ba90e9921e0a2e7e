//! The model that serves.

use std::ops::Range;

use crate::calibration::{Scored, probabilities};
use crate::digest::Digest;
use crate::glossary::Glossary;

use super::feature::Features;
use super::format::{self, NormaliserError};
use super::memory::Memory;
use super::ranker::Ranker;
use super::scene::{Reader, Scene};

/// Normalises texts as its examples do.
#[derive(Clone, Debug)]
pub struct Normaliser {
    reader: Reader,
    ranker: Ranker,
    calibration: Calibration,
    bytes: Vec<u8>,
    digest: Digest,
}

/// From scores to probabilities, fitted on answers to texts that were held out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Divides the scores of a token's candidates.
    pub temperature: f64,
    /// Times the log-odds that every token is right, for the whole text.
    pub slope: f64,
    /// Plus this.
    pub intercept: f64,
}

/// A normalised text.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalised {
    /// The text.
    pub text: String,
    /// The calibrated probability that all of it is right.
    pub probability: f64,
    /// Its tokens, in order.
    pub tokens: Vec<Settled>,
}

/// What became of one token.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// Where it stands in the text, in bytes.
    pub place: Range<usize>,
    /// What became of it; empty where it was merged into another.
    pub target: String,
    /// The calibrated probability of that.
    pub confidence: f64,
    /// Whether the plant's glossary says so, of a word that no example has.
    pub by_glossary: bool,
}

impl Calibration {
    /// No change: for a model whose answers have not been compared with anything yet.
    pub const NONE: Self = Self {
        temperature: 1.0,
        slope: 1.0,
        intercept: 0.0,
    };

    /// The probability that a whole text is right, of the confidences of its tokens.
    pub fn whole(&self, confidences: impl IntoIterator<Item = f64>) -> f64 {
        let odds = self.slope * log_odds(confidences) + self.intercept;
        1.0 / (1.0 + (-odds).exp())
    }
}

/// The log-odds that all tokens are right, were they independent.
pub fn log_odds(confidences: impl IntoIterator<Item = f64>) -> f64 {
    let sum: f64 = confidences.into_iter().map(|c| c.max(1e-9).ln()).sum();
    let all = sum.exp().clamp(1e-9, 1.0 - 1e-9);
    (all / (1.0 - all)).ln()
}

impl Normaliser {
    /// The model of these parts.
    pub fn new(memory: &Memory, ranker: &Ranker, calibration: Calibration) -> Self {
        let bytes = format::write(memory, ranker, calibration);
        // What serves is what was written, to the last bit.
        Self::parse(&bytes).expect("what was written is read")
    }

    /// Reads the bytes of a model.
    pub fn parse(bytes: &[u8]) -> Result<Self, NormaliserError> {
        let (memory, ranker, calibration) = format::parse(bytes)?;
        Ok(Self {
            reader: Reader::new(memory),
            ranker,
            calibration,
            bytes: bytes.to_vec(),
            digest: Digest::of(bytes),
        })
    }

    /// Its bytes, to be kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What its examples made of tokens.
    pub fn memory(&self) -> &Memory {
        &self.reader.memory
    }

    /// Its calibration.
    pub fn calibration(&self) -> Calibration {
        self.calibration
    }

    /// Normalises a text. Words that no example has are written as the glossary says,
    /// where it knows them in the plant's working language.
    pub fn normalise(&self, text: &str, glossary: &Glossary) -> Normalised {
        let scene = self.reader.read(text);
        let decoded = decode(&scene, &self.ranker);
        let mut tokens: Vec<Settled> = decoded
            .into_iter()
            .zip(&scene.tokens)
            .map(|(decoded, token)| Settled {
                place: token.place.clone(),
                confidence: decoded.confidence(self.calibration.temperature),
                target: decoded.target,
                by_glossary: false,
            })
            .collect();
        explain(&scene, glossary, &mut tokens);
        let words: Vec<&str> = tokens
            .iter()
            .map(|token| token.target.as_str())
            .filter(|target| !target.is_empty())
            .collect();
        Normalised {
            text: words.join(" "),
            probability: self
                .calibration
                .whole(tokens.iter().map(|token| token.confidence)),
            tokens,
        }
    }
}

/// Writes words out that only the glossary knows.
fn explain(scene: &Scene<'_>, glossary: &Glossary, tokens: &mut [Settled]) {
    let mut at = 0;
    while at < tokens.len() {
        let rest = scene.tokens[at..].iter().map(|token| token.text);
        let known = glossary.meaning(&rest.collect::<Vec<_>>());
        let known = known.filter(|(words, _)| (at..at + words).all(|at| !scene.is_known(at)));
        let Some((words, meaning)) = known else {
            at += 1;
            continue;
        };
        for (place, token) in tokens[at..at + words].iter_mut().enumerate() {
            token.target = if place == 0 {
                meaning.to_owned()
            } else {
                String::new()
            };
            // A person wrote it down: as sure as the model may ever be, and no surer.
            token.confidence = token.confidence.max(0.95);
            token.by_glossary = true;
        }
        at += words;
    }
}

/// What was chosen for a token, with the scores of all that could have been.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The chosen target.
    pub target: String,
    /// All candidates.
    pub candidates: Vec<String>,
    /// Their scores.
    pub scores: Vec<f32>,
    /// Which was chosen.
    pub chosen: usize,
}

impl Decoded {
    /// The scores with the position of the right target, for calibration. A target that
    /// is no candidate is given one that scores as badly as the worst.
    pub fn scored(&self, target: &str) -> Scored {
        let position = self.candidates.iter().position(|other| other == target);
        let mut logits = self.scores.clone();
        let label = position.unwrap_or_else(|| {
            let worst = logits.iter().copied().fold(0.0, f32::min);
            logits.push(worst);
            logits.len() - 1
        });
        Scored { logits, label }
    }

    /// The probability of what was chosen.
    pub fn confidence(&self, temperature: f64) -> f64 {
        probabilities(&self.scores, temperature)[self.chosen]
    }
}

/// Chooses from left to right, each token in the light of what became of the one before.
pub fn decode(scene: &Scene<'_>, ranker: &Ranker) -> Vec<Decoded> {
    let mut features = Features::default();
    let mut previous = String::new();
    (0..scene.tokens.len())
        .map(|at| {
            let candidates: Vec<&str> = scene.candidates(at).collect();
            let scores: Vec<f32> = (0..candidates.len())
                .map(|candidate| {
                    scene.features((at, candidate), &previous, &mut features);
                    ranker.score(&features)
                })
                .collect();
            // Of equals the first.
            let chosen = (0..scores.len())
                .rev()
                .max_by(|&a, &b| scores[a].total_cmp(&scores[b]))
                .unwrap_or(0);
            previous = candidates[chosen].to_owned();
            Decoded {
                target: previous.clone(),
                candidates: candidates.into_iter().map(str::to_owned).collect(),
                scores,
                chosen,
            }
        })
        .collect()
}
