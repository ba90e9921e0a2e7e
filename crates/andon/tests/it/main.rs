//! The binary as a user runs it: real processes, real files, real sockets.

mod command;
mod import;
mod models;
mod node;
mod plant;
mod pull;
mod remote;
mod server;
mod state;
