//! Trainings of tiny models, from examples to files that the engine loads.

mod adapters;
mod encoders;
mod words;
