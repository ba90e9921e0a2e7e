//! Heads and adapters that were kept, with what was measured of them.

use std::collections::BTreeMap;

use andon_learn::promotion::Outcome;
use andon_store::{Candidate, Kind, Promotion};
use andon_task::digest::Digest;
use serde::Deserialize;
use serde_json::Value;

/// What is kept with an artefact, as far as it is needed here.
#[derive(Deserialize)]
pub(super) struct Kept {
    outcomes: Vec<Outcome>,
    #[serde(default)]
    pub(super) trained_on: Vec<Digest>,
}

/// A head or an adapter that was kept.
pub(super) struct Artefact {
    pub(super) kind: Kind,
    pub(super) digest: Digest,
    figures: Value,
}

impl Artefact {
    /// As reports name it.
    pub(super) fn name(&self) -> String {
        let kind = match self.kind {
            Kind::Adapter => "adapter",
            Kind::Ranker => "ranker",
            Kind::Head | Kind::TunedEncoder => "head",
            Kind::Normaliser => "normaliser",
            Kind::Reader => "reader",
        };
        format!("{kind}:{}", self.digest.short())
    }

    pub(super) fn kept(&self) -> Option<Kept> {
        Kept::deserialize(&self.figures).ok()
    }

    /// Whether it was right about each example while that was held out.
    pub(super) fn outcomes(&self) -> BTreeMap<Digest, bool> {
        let outcomes = self.kept().map_or_else(Vec::new, |kept| kept.outcomes);
        let pairs = outcomes
            .iter()
            .map(|outcome| (outcome.example, outcome.right));
        pairs.collect()
    }
}

impl From<Promotion> for Artefact {
    fn from(promotion: Promotion) -> Self {
        Self {
            kind: promotion.kind,
            digest: promotion.digest,
            figures: promotion.figures,
        }
    }
}

impl From<Candidate> for Artefact {
    fn from(candidate: Candidate) -> Self {
        Self {
            kind: candidate.kind,
            digest: candidate.digest,
            figures: candidate.figures,
        }
    }
}
