//! The API against a scripted engine: what goes out for what comes in.

mod api;
mod errors;
mod generation;
mod life;
mod node;
mod openai;
mod rerank;
mod responses;
mod robust;
mod scripted;
mod terms;
mod tools;
