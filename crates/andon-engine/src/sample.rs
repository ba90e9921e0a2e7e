//! Drawing the next token.

use std::cmp::Ordering;

use andon_task::engine::Sampling;
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Draws tokens for one sequence. The same seed and logits give the same tokens.
pub(crate) struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
}

impl Sampler {
    pub(crate) fn new(sampling: Sampling) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(sampling.seed),
            sampling,
        }
    }

    /// The next token: the most probable one at temperature 0 (of equals the
    /// first), else one drawn from the nucleus (Holtzman et al. 2020). `None`
    /// if no logit is a number.
    pub(crate) fn draw(&mut self, logits: &[f32]) -> Option<u32> {
        let best = best(logits)?;
        if self.sampling.temperature <= 0.0 {
            return Some(best);
        }
        let largest = logits[best as usize];
        let weight = |logit: f32| f64::from((logit - largest) / self.sampling.temperature).exp();
        let mut tokens: Vec<(u32, f64)> = (0u32..)
            .zip(logits.iter().map(|&logit| weight(logit)))
            .filter(|(_, weight)| *weight > 0.0)
            .collect();
        let mut total: f64 = tokens.iter().map(|(_, weight)| weight).sum();
        if self.sampling.top_p < 1.0 {
            tokens.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal));
            let enough = total * f64::from(self.sampling.top_p);
            let mut sum = 0.0;
            let nucleus = tokens.iter().position(|(_, weight)| {
                sum += weight;
                sum >= enough
            });
            tokens.truncate(nucleus.map_or(tokens.len(), |last| last + 1));
            total = tokens.iter().map(|(_, weight)| weight).sum();
        }
        let mut left = self.random.random::<f64>() * total;
        for &(token, weight) in &tokens {
            left -= weight;
            if left < 0.0 {
                return Some(token);
            }
        }
        tokens.last().map(|&(token, _)| token)
    }
}

fn best(logits: &[f32]) -> Option<u32> {
    let mut best = None;
    let mut largest = f32::NEG_INFINITY;
    for (token, &logit) in (0u32..).zip(logits) {
        if logit > largest {
            (best, largest) = (Some(token), logit);
        }
    }
    best.filter(|_| largest.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(sampling: Sampling, logits: &[f32]) -> Vec<Option<u32>> {
        let mut sampler = Sampler::new(sampling);
        (0..200).map(|_| sampler.draw(logits)).collect()
    }

    #[test]
    fn temperature_zero_takes_the_first_of_the_best() {
        let tokens = draw(Sampling::default(), &[0.0, 2.0, f32::NAN, 2.0]);
        assert!(tokens.iter().all(|&token| token == Some(1)));
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let sampling = |seed| Sampling {
            temperature: 1.0,
            seed,
            ..Sampling::default()
        };
        let logits = [0.1, 0.3, 0.2, 0.0];
        assert_eq!(draw(sampling(7), &logits), draw(sampling(7), &logits));
        assert_ne!(draw(sampling(7), &logits), draw(sampling(8), &logits));
    }

    #[test]
    fn the_nucleus_leaves_out_what_is_improbable() {
        let sampling = Sampling {
            temperature: 1.0,
            top_p: 0.9,
            seed: 1,
        };
        let tokens = draw(sampling, &[3.0, 3.0, -1.0, -2.0]);
        assert!(tokens.iter().all(|token| matches!(token, Some(0 | 1))));
        assert!(tokens.contains(&Some(0)) && tokens.contains(&Some(1)));
    }

    #[test]
    fn logits_that_are_no_numbers_give_no_token() {
        assert_eq!(
            draw(Sampling::default(), &[f32::NAN, f32::NEG_INFINITY])[0],
            None
        );
    }
}
