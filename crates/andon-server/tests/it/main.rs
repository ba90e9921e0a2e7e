//! The API against a scripted engine: what goes out for what comes in.

mod access;
mod api;
mod connections;
mod errors;
mod generation;
mod hygiene;
mod life;
mod node;
mod openai;
mod rerank;
mod responses;
mod robust;
mod scripted;
mod terms;
mod tools;
