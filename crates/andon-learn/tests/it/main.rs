//! Learning from examples to a head, with a small encoder in place of a model.

mod encoder;
mod fmc;
mod learning;
mod notes;
