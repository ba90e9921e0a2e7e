//! The way out of a plant, with all that is real: policies in Cedar, the store, and
//! upstreams that are HTTP servers on loopback.

mod bench;
mod chat;
mod decide;
mod kinds;
mod leaks;
mod masks;
mod queue;
mod server;
mod worth;
