//! From examples of normalised texts to a [`Normaliser`](andon_task::normalise::Normaliser):
//! alignment, counting, training, calibration, figures.

mod evaluate;
mod learn;
mod pair;
mod train;

pub use evaluate::{Figures, Outcome, evaluate};
pub use learn::{Learned, learn, outcome};
pub use pair::{Pair, pairs};
