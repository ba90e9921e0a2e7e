//! `andon label TASK`

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use andon_runtime::Node;
use andon_server::RunView;
use andon_task::task::{Kind, Task};
use anyhow::{Context, bail};
use console::{Key, Term};
use serde::Serialize;
use serde_json::Value;

use crate::cli::Label;
use crate::labelling::{Proposal, Said, ask, propose};
use crate::learning::{all_examples, examples_of_people};
use crate::node;
use crate::output::{self, Output};
use crate::settings::Settings;
use crate::{learning, plant};

/// What is proposed for labelling.
#[derive(Debug, Serialize)]
struct Proposals {
    task: String,
    proposals: Vec<Proposal>,
}

/// Proposes what to label, asks for it on a terminal, or keeps one answer.
pub(super) fn run(settings: &Settings, typed: &Label) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let task = super::task(&plant, &typed.task)?;
    if typed.export {
        let store = node::store(&settings.state)?;
        for example in examples_of_people(&store, &plant, task)? {
            Output::Json.print(&example, |_| String::new())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let by = typed.who.name();
    let said = match (&typed.answer, typed.none) {
        (Some(answer), _) => Some(Some(right(task, answer)?)),
        (None, true) => Some(None),
        (None, false) => None,
    };
    if said.is_none() && (typed.record.is_some() || typed.run.is_some()) {
        bail!("say what is right: `--answer LABEL`, or `--none` where no label is");
    }
    // What serves decides whether a certificate still holds, so it is loaded even
    // where an answer is only kept.
    let node = learning::node_with_encoder(settings, &plant)?;
    if let Some(said) = said {
        return keep_one(settings, &node, task, typed, (said.as_ref(), by));
    }
    super::decides(task, "label` without `--answer")?;
    let known = all_examples(&node::store(&settings.state)?, &plant, task)?;
    let proposals = propose(settings, &node, task, &known, typed.n)?;
    let interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
    if settings.output == Output::Human && interactive && !proposals.is_empty() {
        return interview(&node, task, &proposals, by);
    }
    let proposals = Proposals {
        task: task.name.clone(),
        proposals,
    };
    settings.output.print(&proposals, table)?;
    Ok(ExitCode::SUCCESS)
}

/// The right answer as it was typed: a label as it is, anything else as JSON.
fn right(task: &Task, typed: &str) -> anyhow::Result<Value> {
    match &task.kind {
        Kind::Decide(_) => Ok(typed.into()),
        Kind::Normalise => Ok(typed.into()),
        kind => serde_json::from_str(typed).with_context(|| {
            format!(
                "'{}' is of kind '{}': give the answer as JSON",
                task.name,
                kind.name()
            )
        }),
    }
}

/// Keeps the answer about one record or run.
fn keep_one(
    settings: &Settings,
    node: &Node,
    task: &Task,
    typed: &Label,
    (right, by): (Option<&Value>, Option<&str>),
) -> anyhow::Result<ExitCode> {
    let said = match right {
        Some(Value::String(label)) => label.clone(),
        Some(right) => right.to_string(),
        None => "nothing is right".to_owned(),
    };
    match (typed.run, typed.record) {
        (Some(run), _) => {
            let of = node.run_of(run)?.run.task;
            if of != task.name {
                bail!("run {run} is of the task '{of}': label it there");
            }
            let stored = node.settle(run, right, by)?;
            settings.output.print(&RunView::from(stored), |_| {
                format!("run {run} is settled: {said}")
            })?;
        }
        (None, Some(record)) => {
            node.label_record(&task.name, record, right, by)?;
            let kept = serde_json::json!({ "task": task.name, "record": record, "answer": right });
            settings
                .output
                .print(&kept, |_| format!("record {record} is labelled: {said}"))?;
        }
        (None, None) => bail!("say what the answer is about: `--run ID` or `--record ID`"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks for the proposals one by one, each answered by a key.
fn interview(
    node: &Node,
    task: &Task,
    proposals: &[Proposal],
    by: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let term = Term::stdout();
    let show = |text: &str| {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    };
    let key = || match term.read_key() {
        Ok(Key::Char(key)) => Ok(Some(key)),
        Ok(Key::Escape) => Ok(None),
        // A key that is no choice.
        Ok(_) => Ok(Some('\0')),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    };
    let keep = |proposal: &Proposal, said: &Said| {
        let label = match said {
            Said::Label(label) => Some(label.as_str()),
            Said::None => None,
        };
        let label = label.map(Value::from);
        node.label_record(&task.name, proposal.record, label.as_ref(), by)
            .with_context(|| format!("the answer about record {} is not kept", proposal.record))
    };
    let answered = ask(proposals, &task.labels().names(), show, key, keep)?;
    let name = &task.name;
    show(&format!(
        "{answered} notes labelled; `andon learn {name}` learns from them\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn table(proposals: &Proposals) -> String {
    if proposals.proposals.is_empty() {
        return "there is nothing to label: every record is answered, or none has come in yet"
            .to_owned();
    }
    let row = |proposal: &Proposal| {
        let text: String = proposal.text.chars().take(60).collect();
        let likely: Vec<String> = proposal
            .candidates
            .iter()
            .map(|c| format!("{} {:.0} %", c.label, 100.0 * c.probability))
            .collect();
        [
            proposal.record.to_string(),
            text.replace(char::is_control, " "),
            likely.join(", "),
        ]
    };
    output::table(
        ["RECORD", "TEXT", "LIKELIEST"],
        proposals.proposals.iter().map(row).collect(),
    )
}
