//! `andon ask [QUESTION]`

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use andon_server::RunView;
use andon_task::engine::Terms;
use andon_task::plant::Plant;
use andon_task::run::{Evidence, NewRecord, Passage};
use andon_task::task::{Kind, Task};
use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::cli::Ask;
use crate::node::{self, Needs};
use crate::plant;
use crate::settings::Settings;

/// So many earlier questions go with the next.
const BEFORE: usize = 3;

/// Answers a question, or one after the other as they are typed.
pub(super) fn run(settings: &Settings, typed: &Ask) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let task = answering(&plant, typed.task.as_deref())?.name.clone();
    if let Some(question) = &typed.question
        && question.trim().is_empty()
    {
        bail!("the question is empty: ask something");
    }
    let node = node::open(settings, plant, Needs::Tasks(&[&task]))?;
    let terms = Terms::of(node.task(&task)?.deadline);
    let from = typed.before.len().saturating_sub(BEFORE);
    let mut before: Vec<String> = typed.before[from..].to_vec();
    let mut answer = |question: &str| -> anyhow::Result<()> {
        let record = NewRecord {
            text: question.to_owned(),
            asset: None,
            meta: match before.is_empty() {
                true => Value::Null,
                false => json!({ "before": before }),
            },
        };
        let taken = node.take_in(record)?;
        let run = RunView::from(node.run(&task, &taken, &terms)?);
        settings.output.print(&run, human)?;
        before.push(question.to_owned());
        if before.len() > BEFORE {
            before.remove(0);
        }
        Ok(())
    };
    if let Some(question) = &typed.question {
        answer(question)?;
        return Ok(ExitCode::SUCCESS);
    }
    let input = std::io::stdin();
    let is_typed = input.is_terminal();
    loop {
        if is_typed {
            let mut out = std::io::stdout().lock();
            out.write_all(b"? ")
                .and_then(|()| out.flush())
                .context("cannot write")?;
        }
        let mut line = String::new();
        let read = input
            .lock()
            .read_line(&mut line)
            .context("cannot read the question")?;
        if read == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        match line.trim() {
            "" => {}
            question => match answer(question) {
                // In a conversation the next question may be a better one.
                Err(error) if is_typed => crate::progress::line(&format!("{error:#}")),
                answered => answered?,
            },
        }
    }
}

/// The task that answers questions.
fn answering<'a>(plant: &'a Plant, name: Option<&str>) -> anyhow::Result<&'a Task> {
    if let Some(name) = name {
        let task = super::task(plant, name)?;
        if task.kind != Kind::Answer {
            bail!("'{name}' does not answer questions: name a task of kind 'answer'");
        }
        return Ok(task);
    }
    let mut tasks = plant
        .tasks
        .values()
        .filter(|task| task.kind == Kind::Answer);
    match (tasks.next(), tasks.next()) {
        (Some(task), None) => Ok(task),
        (None, _) => bail!("the plant has no task of kind 'answer': add tasks/ask.toml"),
        (Some(one), Some(other)) => bail!(
            "several tasks answer questions, such as '{}' and '{}': choose one with `--task`",
            one.name,
            other.name
        ),
    }
}

/// An answer with its source, or where to look instead.
pub(super) fn human(run: &RunView) -> String {
    let passages: Vec<&Passage> = (run.evidence.iter())
        .filter_map(|evidence| match evidence {
            Evidence::Passage(passage) => Some(passage),
            _ => None,
        })
        .collect();
    let mut text = match &run.answer {
        Value::String(answer) => format!("{answer}\n"),
        _ => format!("{}\n", declined(run)),
    };
    let is_answered = run.answer.is_string();
    if let (true, Some(quoted)) = (is_answered, passages.first()) {
        text.push_str(&format!("  {}\n", source(quoted)));
    }
    let near: Vec<String> = passages
        .iter()
        .skip(usize::from(is_answered))
        .take(3)
        .map(|passage| format!("  {}\n", source(passage)))
        .collect();
    if !near.is_empty() {
        text.push_str(if is_answered {
            "See also:\n"
        } else {
            "The nearest sections:\n"
        });
        text.push_str(&near.concat());
    }
    let name = if run.calibrated {
        "probability"
    } else {
        "score"
    };
    if let Some(Value::Number(_)) = run.probability.map(Value::from) {
        let percent = 100.0 * run.probability.unwrap_or_default();
        text.push_str(&format!("{name} {percent:.0} %, "));
    }
    text.push_str(&format!(
        "route {}, {:.0} ms\n",
        super::word(&run.route),
        run.took_ms
    ));
    text
}

/// Why there is no answer, as a sentence.
fn declined(run: &RunView) -> String {
    let note = run.evidence.iter().find_map(|evidence| match evidence {
        Evidence::Unsaid { note } => Some(note.as_str()),
        _ => None,
    });
    let note = note.unwrap_or("the manuals do not say");
    let mut characters = note.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).chain(['.']).collect()
}

fn source(passage: &Passage) -> String {
    let citation = &passage.citation;
    let mut source = citation.headings.join(" > ");
    if let Some(revision) = &citation.revision {
        source.push_str(&format!(", revision {revision}"));
    }
    if let Some(page) = citation.page {
        source.push_str(&format!(", page {page}"));
    }
    format!("{source} ({})", citation.section)
}
