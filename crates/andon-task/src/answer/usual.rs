//! The ranker that answers where nothing was learned.

use super::ranker::{FEATURES, Learned, Linear, SPAN_FEATURES, SUPPORT_FEATURES};
use super::relevance::SENTENCE_FEATURES;

fn plain(weights: &[(usize, f64)], features: usize, bias: f64) -> Linear {
    let mut all = vec![0.0; features];
    for &(at, weight) in weights {
        all[at] = weight;
    }
    Linear {
        means: vec![0.0; features],
        spreads: vec![1.0; features],
        weights: all,
        bias,
    }
}

/// What ranks, picks and judges without examples.
pub(crate) fn learned() -> Learned {
    Learned {
        encoder: None,
        sections: plain(
            &[
                (0, 1.0),
                (1, 1.0),
                (2, 2.0),
                (3, 4.0),
                (4, -4.0),
                (5, 2.0),
                (7, 2.0),
                (9, 1.0),
                (10, 1.0),
            ],
            FEATURES,
            0.0,
        ),
        sentences: plain(&[(2, 2.0), (6, 2.0)], SENTENCE_FEATURES, -2.0),
        spans: plain(
            &[(0, 0.3), (1, 0.3), (3, 0.3), (7, -0.02)],
            SPAN_FEATURES,
            0.0,
        ),
        support: plain(&[(4, 4.0), (7, 2.0), (9, -2.0)], SUPPORT_FEATURES, -3.0),
        threshold: 0.5,
        memory: Vec::new(),
    }
}
