//! The binary as a user runs it: real processes, real files, real sockets.

mod access;
mod adapters;
mod answers;
mod bombs;
mod command;
mod cycle;
mod damage;
mod departures;
mod documents;
mod import;
mod instructions;
mod models;
mod node;
mod overload;
mod plant;
mod pull;
mod queue;
mod reading;
mod remote;
mod server;
mod state;
mod tables;
mod up;
mod upstreams;
mod words;
