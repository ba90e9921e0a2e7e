//! A remote model against servers that behave and servers that do not, each on
//! a socket of its own.

mod connecting;
mod endings;
mod generating;
mod refusals;
mod scoring;
mod server;
mod trust;
