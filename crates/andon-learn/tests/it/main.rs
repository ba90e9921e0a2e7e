//! Learning from examples to a head, with a small encoder in place of a model.

mod assetops;
mod certificates;
mod choice;
mod data;
mod encoder;
mod extract;
mod fmc;
mod learning;
mod maintnorm;
mod notes;
#[path = "../../src/random.rs"]
#[allow(dead_code, reason = "the library uses more of it than its tests")]
mod random;
mod second;
mod stranger;
