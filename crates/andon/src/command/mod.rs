//! The verbs: each turns what was typed into one call and prints its answer.

mod ask;
mod audit;
mod bench;
mod certify;
mod cost;
mod demo;
mod doctor;
mod eval;
mod inbox;
mod key;
mod label;
mod learn;
mod model;
mod policy;
mod promote;
mod queue;
mod reach;
mod run;
mod summarise;
mod up;

pub(crate) use eval::{Contender, Whom, few};

use std::path::Path;
use std::process::ExitCode;

use andon_task::example::{self, LabelledText};
use andon_task::plant::Plant;
use andon_task::task::{Kind, Task};
use anyhow::{Context, bail};

use crate::cli::{Cli, Command, Policy, Queue};
use crate::settings::Settings;

/// Does what was asked for.
pub(crate) fn run(typed: Cli) -> anyhow::Result<ExitCode> {
    let settings = Settings::resolve(typed.common)?;
    match typed.command {
        Command::Up(typed) => up::run(&settings, &typed),
        Command::Run(typed) => run::run(&settings, typed),
        Command::Summarise(typed) => summarise::run(&settings, &typed),
        Command::Ask(typed) => ask::run(&settings, &typed),
        Command::Learn(typed) => learn::run(&settings, &typed),
        Command::Eval(typed) => eval::run(&settings, &typed),
        Command::Certify(typed) => certify::run(&settings, &typed),
        Command::Promote(typed) => promote::run(&settings, &typed),
        Command::Rollback(typed) => promote::roll_back(&settings, &typed),
        Command::History(typed) => promote::history(&settings, &typed),
        Command::Label(typed) => label::run(&settings, &typed),
        Command::Inbox(typed) => inbox::run(&settings, &typed),
        Command::Cost(typed) => cost::run(&settings, &typed),
        Command::Key { command } => key::run(&settings, command),
        Command::Audit { command } => audit::run(&settings, command),
        Command::Demo => demo::run(&settings),
        Command::Bench => bench::run(&settings),
        Command::Model { command } => model::run(&settings, command),
        Command::Policy { command } => match command {
            Policy::Check(typed) => policy::check_all(&settings, &typed),
            Policy::Test => policy::test(&settings),
        },
        Command::Queue { command } => match command {
            Queue::List(typed) => queue::list(&settings, &typed),
            Queue::Retry(typed) => queue::retry(&settings, &typed),
        },
        Command::Reach(typed) => reach::run(&settings, &typed),
        Command::Doctor => doctor::run(&settings),
    }
}

/// The labelled examples of a file.
fn read_examples(path: &Path, task: &Task) -> anyhow::Result<Vec<LabelledText>> {
    let cannot_read = || format!("cannot read the examples '{}'", path.display());
    let text = std::fs::read_to_string(path).with_context(cannot_read)?;
    example::parse_labelled(&text, task.labels()).with_context(cannot_read)
}

/// Refuses a task of another kind than `decide` for a command that has no use for it.
fn decides(task: &Task, command: &str) -> anyhow::Result<()> {
    match &task.kind {
        Kind::Decide(_) => Ok(()),
        kind => bail!(
            "'{}' is of kind '{}': `andon {command}` is for tasks that decide",
            task.name,
            kind.name()
        ),
    }
}

/// The word for a value that is a plain word in JSON.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The task of this name, or an error that names those that there are.
fn task<'a>(plant: &'a Plant, name: &str) -> anyhow::Result<&'a Task> {
    plant.tasks.get(name).with_context(|| {
        let known: Vec<&str> = plant.tasks.keys().map(String::as_str).collect();
        format!(
            "the plant has no task '{name}': it has {}",
            known.join(", ")
        )
    })
}
