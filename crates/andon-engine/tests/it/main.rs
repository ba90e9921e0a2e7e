//! The engine on the real default models, against reference numbers.
//!
//! The models are those that `andon model pull` put under `ANDON_HOME`; small
//! ones of random weights stand for what the default models do not show.

mod faults;
mod grammar;
mod llama;
mod minilm;
mod models;
mod mutate;
mod mutations;
mod same_bits;
mod tensor_kinds;
mod tiny;
mod tiny_encoder;
