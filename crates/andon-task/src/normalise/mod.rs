//! Work orders into plain words, token by token: abbreviations written out, spelling and
//! case corrected, identifiers, personal words, numbers and dates masked.
//!
//! What a token may become is remembered from examples, copied, cut into pieces or found
//! among the known words that it resembles; a log-linear model over characters, shapes,
//! neighbours and counts chooses, from left to right. Nothing here reads masks in a
//! special way but that they stand in angle brackets: the examples say which there are.
//!
//! Start at [`Normaliser::normalise`]; learning is in `andon-learn`.

mod align;
mod candidate;
mod feature;
mod format;
mod hash;
mod lexicon;
mod memory;
mod normaliser;
mod ranker;
mod scene;
mod token;

pub use align::align;
pub use feature::Features;
pub use format::NormaliserError;
pub use memory::Memory;
pub use normaliser::{Calibration, Decoded, Normalised, Normaliser, Settled, decode, log_odds};
pub use ranker::Ranker;
pub use scene::{Reader, Scene};
pub use token::{Token, tokens};

#[cfg(test)]
mod tests;
