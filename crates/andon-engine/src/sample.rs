//! Drawing the next token.

use std::cmp::Ordering;

use andon_task::engine::Sampling;
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::grammar::Mask;

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

    /// The next token among those allowed, if they are given: the most probable one
    /// at temperature 0 (of equals the first), else one drawn from the nucleus
    /// (Holtzman et al. 2020). `None` if no logit of these is a number.
    pub(crate) fn draw(&mut self, logits: &[f32], allowed: Option<&Mask>) -> Option<u32> {
        match allowed {
            None => self.draw_among(logits, || (0u32..).zip(logits.iter().copied())),
            Some(mask) => {
                let logit = |token| Some((token, *logits.get(token as usize)?));
                self.draw_among(logits, || mask.iter().map_while(logit))
            }
        }
    }

    fn draw_among<I: Iterator<Item = (u32, f32)>>(
        &mut self,
        logits: &[f32],
        among: impl Fn() -> I,
    ) -> Option<u32> {
        let best = best(among())?;
        if self.sampling.temperature <= 0.0 {
            return Some(best);
        }
        let largest = logits[best as usize];
        let weight = |logit: f32| f64::from((logit - largest) / self.sampling.temperature).exp();
        let mut tokens: Vec<(u32, f64)> = among()
            .map(|(token, logit)| (token, weight(logit)))
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

fn best(among: impl Iterator<Item = (u32, f32)>) -> Option<u32> {
    let mut best = None;
    let mut largest = f32::NEG_INFINITY;
    for (token, logit) in among {
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
        (0..200).map(|_| sampler.draw(logits, None)).collect()
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

    #[test]
    fn only_allowed_tokens_are_drawn() {
        let logits = [9.0, 1.0, f32::NAN, 2.0, 2.0, 8.0];
        let check = |temperature, allowed: &[u32], expected: &[u32]| {
            let mut sampler = Sampler::new(Sampling {
                temperature,
                ..Sampling::default()
            });
            let mask = Mask::of(allowed);
            let mut drawn: Vec<u32> = (0..200)
                .filter_map(|_| sampler.draw(&logits, Some(&mask)))
                .collect();
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn, expected, "{allowed:?} at {temperature}");
        };
        check(0.0, &[1, 2, 3, 4], &[3]);
        check(1.0, &[1, 3, 4], &[1, 3, 4]);
        check(1.0, &[2], &[]);
        check(1.0, &[], &[]);
        // More tokens than the model has logits for.
        check(0.0, &[1, 40], &[1]);
        check(0.0, &[40], &[]);
    }

    #[test]
    fn a_mask_of_all_tokens_changes_nothing() {
        let logits: Vec<f32> = (0..100u16)
            .map(|x| f32::from(x * 37 % 101) / 20.0)
            .collect();
        let all = Mask::of(&(0..100).collect::<Vec<u32>>());
        let sampling = Sampling {
            temperature: 0.8,
            top_p: 0.9,
            seed: 3,
        };
        let (mut free, mut held) = (Sampler::new(sampling), Sampler::new(sampling));
        for _ in 0..100 {
            assert_eq!(free.draw(&logits, None), held.draw(&logits, Some(&all)));
        }
    }
}
