//! Small language models and encoders in Rust: from a file to answers.
//!
//! A [`LanguageModel`] is read from a GGUF file and fulfils
//! [`Generate`](andon_task::engine::Generate) and
//! [`Score`](andon_task::engine::Score); an [`Encoder`] is read from
//! safetensors or GGUF and fulfils [`Embed`](andon_task::engine::Embed). Nothing here
//! knows tasks, plants or HTTP, and nothing is unsafe: arithmetic is in
//! `andon-kernels`.
//!
//! The path of a request: [`language_model`] turns its text into tokens and
//! puts a job before the [`worker`], the one thread that drives the model in
//! steps of three words: schedule, run, settle. [`decoder`] computes a step,
//! [`cache`] keeps keys and values and shares the prefixes that requests have
//! in common; an
//! [`adapter`] changes what the model says to some of them.

pub mod adapter;
pub mod bert;
mod block;
pub mod cache;
pub mod chat;
pub mod decoder;
pub mod drive;
pub mod encoder;
pub mod error;
pub mod gguf;
pub mod grammar;
mod labels;
pub mod language_model;
pub mod lookup;
mod prefix;
mod sample;
mod schedule;
mod source;
mod speed;
pub mod tokenizer;
mod worker;

pub use encoder::{Encoder, EncoderFiles, EncoderPair, EncoderParts, SpannedTokens};
pub use error::LoadError;
pub use language_model::{LanguageModel, Options};
