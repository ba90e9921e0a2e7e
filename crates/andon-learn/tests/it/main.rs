//! Learning from examples to a head, with a small encoder in place of a model.

mod certificates;
mod chance;
mod choice;
mod data;
mod encoder;
mod fmc;
mod learning;
mod notes;
mod second;
mod stranger;
