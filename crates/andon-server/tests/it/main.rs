//! The API against a scripted engine: what goes out for what comes in.

mod api;
mod errors;
mod life;
mod node;
mod openai;
mod robust;
