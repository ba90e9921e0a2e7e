//! Which recipe a head is trained by: tried on examples that are held out within
//! what the head may be trained on.

use andon_task::calibration::{Scored, log_loss, temperature};
use andon_task::head::Recipe;

/// Up to so many examples the recipes are tried; more need less care.
pub(crate) const MOST_EXAMPLES: usize = 3_000;

/// The strengths of the penalty that are tried, the loosest last.
const LOOSENESSES: [f64; 3] = [3.0, 10.0, 30.0];

/// The strength where nothing was tried, and where what was tried leaves it open.
const USUAL: f64 = 10.0;

/// Up to so many words a text, words say nothing that their spelling does not.
const FEWEST_WORDS: f32 = 3.0;

/// From so many words on they count as much as their spelling.
const MOST_WORDS: f32 = 13.0;

/// How large the sentence vector is beside the n-grams, both of unit length.
const VECTOR: f32 = 0.85;

/// The usual recipe for texts of so many words on average. Notes of three words
/// want their spelling alone, reports of twenty want their words as well.
pub(crate) fn usual(words: f32) -> Recipe {
    let share = (words - FEWEST_WORDS) / (MOST_WORDS - FEWEST_WORDS);
    Recipe {
        words: share.clamp(0.0, 1.0),
        vector: VECTOR,
        looseness: USUAL,
    }
}

/// What is tried beside the usual recipe and with it.
pub(crate) fn candidates(usual: Recipe) -> impl Iterator<Item = Recipe> {
    LOOSENESSES
        .into_iter()
        .map(move |looseness| Recipe { looseness, ..usual })
}

/// How the head of a recipe answered one fold.
pub(crate) struct Trial {
    pub(crate) recipe: Recipe,
    /// The other fold that the head was not trained on.
    pub(crate) without: usize,
    pub(crate) answers: Vec<Scored>,
}

/// The recipe with the least log loss, each at its best temperature, if it beats the
/// usual one by more than the standard error of the difference. For a head that must
/// not know the fold `held_out`, among trials that did not know it either.
pub(crate) fn choose(usual: Recipe, trials: &[Trial], held_out: Option<usize>) -> Recipe {
    let losses = |recipe: Recipe| {
        let answers: Vec<Scored> = trials
            .iter()
            .filter(|trial| trial.recipe == recipe)
            .filter(|trial| held_out.is_none_or(|fold| trial.without == fold))
            .flat_map(|trial| trial.answers.iter().cloned())
            .collect();
        let temperature = temperature(&answers);
        let loss = |answer: &Scored| log_loss(std::slice::from_ref(answer), temperature);
        answers.iter().map(loss).collect::<Vec<f64>>()
    };
    let of_usual = losses(usual);
    let count = of_usual.len() as f64;
    let gain = |recipe: Recipe| {
        let gains: Vec<f64> = of_usual
            .iter()
            .zip(losses(recipe))
            .map(|(usual, loss)| usual - loss)
            .collect();
        let sum: f64 = gains.iter().sum();
        let squares: f64 = gains.iter().map(|gain| (gain - sum / count).powi(2)).sum();
        (sum, squares.sqrt())
    };
    candidates(usual)
        .filter(|&recipe| recipe != usual && !trials.is_empty())
        .map(|recipe| (recipe, gain(recipe)))
        .filter(|(_, (gain, error))| gain > error)
        .max_by(|a, b| a.1.0.total_cmp(&b.1.0))
        .map_or(usual, |(recipe, _)| recipe)
}

#[cfg(test)]
mod tests;
