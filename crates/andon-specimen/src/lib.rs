//! Model files of random weights, in the formats of real ones: for tests, and
//! for measurements on shapes whose real weights are not at hand.
//!
//! A [`Specimen`] names a family, a shape, the kinds of its tensors and a seed;
//! the same specimen gives the same bytes everywhere. Small ones are held as a
//! [`File`], which tests may spoil; large ones are written piece by piece. What
//! they say means nothing, but numbers stay in the range that real models
//! keep. Nothing that is shipped uses this crate.

mod adapter;
mod encoder;
mod family;
mod file;
mod kind;
mod shape;
mod specimen;
mod tensor;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use adapter::{Adapter, Peft};
pub use encoder::{Encoder, Spelling};
pub use family::Family;
pub use file::{File, Value};
pub use kind::Kind;
pub use shape::Shape;
pub use specimen::{Mix, Specimen};
pub use tensor::Tensor;
