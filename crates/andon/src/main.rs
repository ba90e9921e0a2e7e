//! `andon`: the node of a plant, as one binary.
//!
//! This crate reads the command line, the environment and the plant's files
//! once, puts the other crates together and prints what they answer. It decides
//! nothing itself. Start at [`cli`] for what can be asked and at [`command`] for
//! what is done; [`model`] keeps the models.

mod artefacts;
mod asking;
mod batch;
mod certifying;
mod cli;
mod clock;
mod command;
mod document;
mod egress;
mod engine;
mod failure;
mod labelling;
mod learning;
mod model;
mod node;
mod normalising;
mod output;
mod plant;
mod progress;
mod pruning;
mod reach;
mod reading;
mod remote;
mod ruling;
mod service;
mod settings;
mod shift;
mod since;
mod training;
mod writing;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Before all else: a process that reads a PDF knows nothing but that.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|verb| verb == document::pdf::VERB)
    {
        return document::pdf::serve();
    }
    let typed = cli::Cli::parse();
    match command::run(typed) {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
