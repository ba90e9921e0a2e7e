//! Everything of the engine that reads what others wrote, each as a function that
//! any bytes may be given to: a [`Target`]. It may refuse them; it may not panic,
//! hang, or take memory that the bytes do not account for.
//!
//! There are two drivers. The tests of this crate give every target some thousands
//! of spoilt [seeds](Target::seeds), the same in every run, and need nothing but
//! Rust. libFuzzer, which watches what code its bytes reach, is in `fuzz/`
//! (`make fuzz`) and needs a C++ compiler. Nothing that is shipped uses this crate.

mod adapter;
mod grammar;
mod seed;
mod spoil;
mod target;

pub use spoil::spoil;
pub use target::Target;
