//! `andon run TASK [TEXT|-]`

use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

use andon_runtime::Error;
use andon_server::RunView;
use andon_task::engine::Terms;
use andon_task::plant::Plant;
use andon_task::run::{Answerer, Evidence, NewRecord};
use andon_task::summarise::Period;
use andon_task::task::{Kind, Task};
use anyhow::{Context, bail};
use serde_json::Value;

use crate::batch::Batch;
use crate::cli::Run;
use crate::node::{self, Needs};
use crate::output;
use crate::plant;
use crate::progress::line;
use crate::settings::Settings;

mod source;

/// The longest line that is read; a record holds less.
const LONGEST_LINE: u64 = 1 << 20;

/// Runs a task over a text, or over each line of standard input.
pub(super) fn run(settings: &Settings, typed: Run) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    if let (Some(input), Some(out)) = (&typed.input, &typed.out) {
        return over_table(settings, &plant, &typed, (input, out));
    }
    let task = super::task(&plant, &typed.task)?;
    let given = match &typed.input {
        Some(input) => Some(source::records(&plant, task, &typed, input)?),
        None => None,
    };
    let text = typed.text.filter(|text| text != "-");
    if given.is_none() && text.is_none() && std::io::stdin().is_terminal() {
        bail!("there is no text: give it after the task, or a line each on standard input");
    }
    let mut node = node::open(settings, plant.clone(), Needs::Tasks(&[&typed.task]))?;
    if let Some(reason) = node.head_status(&typed.task).and_then(|head| head.refused) {
        line(&format!(
            "the promoted head of '{}' does not answer, but the language model: {reason}",
            typed.task
        ));
    }
    let terms = Terms::of(node.task(&typed.task)?.deadline);
    let of_periods = matches!(node.task(&typed.task)?.kind, Kind::Summarise);
    let mut perform = |record: NewRecord| {
        let taken = node.take_in(record)?;
        let run = match node.run(&typed.task, &taken, &terms) {
            // A note that is too long for the head.
            Err(Error::NothingAnswers(_)) if node.language_model().is_none() => {
                node = node::open(settings, plant.clone(), Needs::Everything(&[]))?;
                node.run(&typed.task, &taken, &terms)
            }
            run => run,
        };
        settings.output.print(&RunView::from(run?), human)
    };
    if let Some(records) = given {
        for (name, record) in records {
            perform(record).with_context(|| format!("in {name}"))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut answer = |text: String| {
        perform(NewRecord {
            text,
            asset: typed.asset.clone(),
            ..NewRecord::default()
        })
    };
    match text {
        Some(text) => answer(text)?,
        None if of_periods => {
            let text = std::io::read_to_string(std::io::stdin().lock())
                .context("cannot read the records")?;
            let lines = || text.lines().filter(|line| !line.trim().is_empty());
            match lines().next().is_some() && lines().all(Period::is_whole) {
                true => {
                    for (number, line) in lines().enumerate() {
                        answer(line.to_owned()).with_context(|| format!("line {}", number + 1))?;
                    }
                }
                false => answer(text)?,
            }
        }
        None => {
            let mut input = std::io::stdin().lock();
            let mut number = 0;
            while let Some(line) = next_line(&mut input, number + 1)? {
                number += 1;
                answer(line).with_context(|| format!("line {number}"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs tasks over each row of a table. Ends with 1 where a row has no answer.
fn over_table(
    settings: &Settings,
    plant: &Plant,
    typed: &Run,
    (input, out): (&Path, &Path),
) -> anyhow::Result<ExitCode> {
    let names: Vec<&str> = typed.task.split(',').map(str::trim).collect();
    let mut tasks: Vec<&Task> = Vec::new();
    for name in &names {
        let task = super::task(plant, name)?;
        if tasks.iter().any(|known| known.name == task.name) {
            bail!("the task '{name}' is named twice");
        }
        tasks.push(task);
    }
    let (table, columns) = source::table(plant, typed, (input, &tasks))?;
    let name = input.file_name().unwrap_or_default().to_string_lossy();
    let batch = Batch::prepare((table, name.into_owned()), columns, tasks, out)?;
    let node = node::open(settings, plant.clone(), Needs::Tasks(&names))?;
    let summary = batch.run(&node)?;
    settings.output.print(&summary, |summary| {
        let mut text = format!(
            "{}: {} rows in {:.1} s",
            summary.out.display(),
            summary.rows - summary.done_before,
            summary.took_s
        );
        for (task, routes) in &summary.routes {
            let counts = routes
                .iter()
                .map(|(route, count)| format!("{count} {route}"));
            let counts: Vec<String> = counts.collect();
            text.push_str(&format!("\n  {task}: {}", counts.join(", ")));
        }
        if summary.failed > 0 {
            text.push_str(&format!(
                "\n  {} rows have no answer: their 'error' says why",
                summary.failed
            ));
        }
        text
    })?;
    Ok(match summary.failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn next_line(input: &mut impl BufRead, number: usize) -> anyhow::Result<Option<String>> {
    let mut line = Vec::new();
    let mut limited = std::io::Read::take(&mut *input, LONGEST_LINE + 1);
    limited
        .read_until(b'\n', &mut line)
        .with_context(|| format!("cannot read line {number}"))?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() as u64 > LONGEST_LINE {
        bail!("line {number} has more than {LONGEST_LINE} bytes: a record is shorter");
    }
    let line = String::from_utf8(line)
        .ok()
        .with_context(|| format!("line {number} is not UTF-8: save the text as UTF-8"))?;
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The values of an object with how sure each is and where the text says it.
fn fields(run: &RunView) -> String {
    let row = |evidence: &Evidence| match evidence {
        Evidence::Field(field) => Some([
            field.path.clone(),
            match &field.value {
                Value::String(text) => text.replace('\n', " "),
                Value::Null => "–".to_owned(),
                value => value.to_string(),
            },
            field
                .confidence
                .map_or_else(|| "–".to_owned(), |sure| format!("{:.0} %", 100.0 * sure)),
            match (field.span, field.verbatim) {
                (None, _) => "–".to_owned(),
                (Some(span), true) => format!("{}–{}", span.start, span.end),
                (Some(span), false) => format!("{}–{}, not to the letter", span.start, span.end),
            },
        ]),
        _ => None,
    };
    let rows: Vec<[String; 4]> = run.evidence.iter().filter_map(row).collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!(
            "{}\n",
            output::table(["FIELD", "VALUE", "SURE", "BYTES"], rows)
        ),
    }
}

fn human(run: &RunView) -> String {
    if matches!(run.answered_by, Answerer::Passages | Answerer::Table) {
        return super::ask::human(run);
    }
    let share = |value: f64| format!("{:.1} %", 100.0 * value);
    let answer = match &run.answer {
        Value::String(answer) => answer.clone(),
        Value::Null => "no answer".to_owned(),
        answer if answer.get("sections").is_some() => super::summarise::human(answer),
        answer => format!("{answer:#}"),
    };
    let of_label = run.probabilities.get(&answer).and_then(Value::as_f64);
    let fields = fields(run);
    let mut text = match (of_label.or(run.probability), run.calibrated) {
        (sure, _) if !fields.is_empty() => format!(
            "{fields}all of it right: {}\n",
            sure.map_or_else(|| "not known".to_owned(), share)
        ),
        (Some(value), true) => format!("{answer}  (probability {})\n", share(value)),
        (Some(value), false) => format!("{answer}  (score {})\n", share(value)),
        (None, _) => format!("{answer}\n"),
    };
    if let Some(also) = &run.also {
        text.push_str(&format!("also: {also}\n"));
    }
    let others = run
        .probabilities
        .iter()
        .filter(|(label, _)| **label != answer && Some(*label) != run.also.as_ref());
    for (label, value) in others.take(2) {
        let value = value.as_f64().map_or_else(String::new, share);
        text.push_str(&format!("  or {label} {value}\n"));
    }
    text.push_str(&format!("route: {}\n", super::word(&run.route)));
    if let Some(procedure) = &run.procedure {
        let revision = procedure.revision.as_deref().unwrap_or("without revision");
        text.push_str(&format!(
            "procedure: {} {} ({revision})\n",
            procedure.id, procedure.title
        ));
    }
    if let Some(repeat) = &run.repeats {
        text.push_str(&format!(
            "repeats: record {} (likeness {:.2})\n",
            repeat.record, repeat.likeness
        ));
    }
    text.push_str(&format!("took: {:.1} ms\n", run.took_ms));
    text
}
