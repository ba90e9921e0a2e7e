//! The engine on the real default models, against reference numbers.
//!
//! The models are those that `andon model pull` put under `ANDON_HOME`.

mod faults;
mod llama;
mod minilm;
mod models;
mod same_bits;
