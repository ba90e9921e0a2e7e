//! The engine on the real default models, against reference numbers.
//!
//! The models are those that `andon model pull` put under `ANDON_HOME`; small
//! ones of random weights stand for what the default models do not show.

mod adapter_mutations;
mod adapters;
mod constrained;
mod encoders;
mod families;
mod faults;
mod grammar;
mod llama;
mod minilm;
mod models;
mod mutate;
mod mutations;
mod same_bits;
mod specimens;
mod tensor_kinds;
mod tiny_encoder;
mod tokenizer_laws;
mod tokenizers;
