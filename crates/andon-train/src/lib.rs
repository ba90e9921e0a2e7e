//! Training on the node: encoders tuned for a task, and adapters of language models.
//!
//! Weights come as the engine holds them, through the traits of
//! [`andon_task::weights`], and examples as tokens; what comes out are files that the
//! engine loads. Nothing here reads models or plants, and no files are written but
//! checkpoints where the caller wants them. Arithmetic is candle's, with steps of our own
//! where its graph is wasteful (`op`, `kernel`). The same examples, settings and seed
//! give the same result on the same kind of machine.
//!
//! Start at [`train_adapter`], [`tune_encoder`] and [`tune_words`]; `course` is what all trainings have in common.

mod adam;
mod adapter;
mod batch;
mod checkpoint;
mod course;
mod decoder;
mod encoder;
mod error;
mod gguf;
mod kernel;
mod lesson;
mod low_rank;
mod marking;
mod op;
mod tuning;

pub use course::{Epoch, Progress, Resume, Schedule};
pub use error::TrainError;
pub use lesson::{Lesson, Target};
pub use low_rank::{AdapterSettings, TrainedAdapter, adapter_memory, check_lessons, train_adapter};
pub use marking::{MarkedText, Place, ROLES, TunedWords, tune_words};
pub use tuning::{EncoderSettings, Shown, Text, TunedEncoder, encoder_memory, tune_encoder};
