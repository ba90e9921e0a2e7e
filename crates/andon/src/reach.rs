//! The head that recognises what small models are bad at, which is part of the binary.
//! `make reach` makes it anew from `plants/reach`.

use andon_task::engine::Identity;
use andon_task::reach::Reach;
use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};

static ASSETS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets");
const LABELS: &str = include_str!("../../../plants/reach/codes/reach.csv");
pub(crate) const HEAD: &str = "reach.head";
pub(crate) const FIGURES: &str = "reach.json";

/// What is kept with the head.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// A request is within reach from this probability on.
    pub(crate) threshold: f64,
    /// On the examples, each while it was held out.
    pub(crate) cross_validated: Rates,
    /// With 95 % confidence at most this share of requests within reach is declined, of
    /// those like the examples.
    pub(crate) false_alarms_at_most: f64,
    /// On requests written in another style, which nothing was fitted to.
    pub(crate) held_out: Rates,
}

/// How requests were judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rates {
    /// Requests within reach, and how many of them were declined.
    pub(crate) local: usize,
    pub(crate) declined: usize,
    /// Requests beyond reach, and how many of them were recognised.
    pub(crate) beyond: usize,
    pub(crate) recognised: usize,
}

impl Rates {
    /// Counts probabilities of being within reach, with whether the request is.
    pub(crate) fn at(threshold: f64, judged: &[(f64, bool)]) -> Self {
        let mut rates = Self::default();
        for &(probability, is_local) in judged {
            let declined = usize::from(probability < threshold);
            match is_local {
                true => {
                    rates.local += 1;
                    rates.declined += declined;
                }
                false => {
                    rates.beyond += 1;
                    rates.recognised += declined;
                }
            }
        }
        rates
    }
}

/// The judge for an encoder; `None` where the head was made for another.
pub(crate) fn of(encoder: &Identity) -> Option<Reach> {
    let head = ASSETS.get_file(HEAD)?.contents();
    let figures = ASSETS.get_file(FIGURES)?.contents();
    let figures: Figures = serde_json::from_slice(figures).ok()?;
    match Reach::new(head, LABELS, figures.threshold, encoder) {
        Ok(reach) => Some(reach),
        Err(error) => {
            tracing::info!(%error, "requests beyond a small model's reach are not recognised");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ASSETS, FIGURES, Figures, HEAD};

    #[test]
    fn the_head_keeps_its_promise_on_requests_in_another_style() {
        let figures = ASSETS.get_file(FIGURES).expect("figures").contents();
        let figures: Figures = serde_json::from_slice(figures).expect("figures");
        let held_out = figures.held_out;
        assert!(held_out.local + held_out.beyond >= 300);
        assert!(figures.false_alarms_at_most <= 0.05);
        let head = ASSETS.get_file(HEAD).expect("a head").contents();
        assert!(andon_task::head::Head::parse(head).is_ok());
    }
}
