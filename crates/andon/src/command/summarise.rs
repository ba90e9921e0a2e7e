//! `andon summarise`

use std::process::ExitCode;

use andon_task::engine::Terms;
use andon_task::run::Timestamp;
use andon_task::task::Class;
use anyhow::Context;
use serde_json::Value;

use crate::cli::Summarise;
use crate::node::{self, Needs};
use crate::plant;
use crate::settings::Settings;

/// Summarises the records of the last hours and what became of them. Nothing is recorded:
/// the same records give the same summary.
pub(super) fn run(settings: &Settings, typed: &Summarise) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let needs = match typed.plain {
        true => Needs::Heads,
        false => Needs::Words,
    };
    let node = node::open(settings, plant, needs)?;
    let until = node.now();
    let length = i64::try_from(typed.since.as_millis()).unwrap_or(i64::MAX);
    let since = Timestamp(until.0.saturating_sub(length));
    let period = node
        .period(since, typed.asset.as_deref())
        .context("cannot read the records")?;
    let (answer, _) = node.summary(&period, &Terms::of(Class::Person))?;
    settings.output.print(&answer, human)?;
    Ok(ExitCode::SUCCESS)
}

/// The sentences of a summary under their headings, and the facts as a table.
pub(super) fn human(answer: &Value) -> String {
    let mut text = String::new();
    for (section, heading) in [
        ("what_happened", "What happened"),
        ("what_is_open", "What is open"),
        ("what_to_watch", "What to watch"),
    ] {
        let sentences = answer["sections"][section].as_array();
        let sentences = sentences.map_or(&[][..], Vec::as_slice);
        if sentences.is_empty() {
            continue;
        }
        text.push_str(heading);
        text.push('\n');
        for sentence in sentences {
            let said = sentence["text"].as_str().unwrap_or_default();
            let records = sentence["records"].as_array();
            let records = records.map_or(&[][..], Vec::as_slice);
            text.push_str(&format!("- {said}{}\n", named(records)));
        }
        text.push('\n');
    }
    let counts = answer["facts"]["by_description"].as_array();
    let rows = counts.into_iter().flatten().map(|counted| {
        let cell = |name: &str| counted[name].as_str().unwrap_or_default().to_owned();
        [
            cell("group"),
            cell("description"),
            counted["count"].to_string(),
        ]
    });
    let rows: Vec<[String; 3]> = rows.collect();
    if !rows.is_empty() {
        text.push_str(&crate::output::table(
            ["GROUP", "DESCRIPTION", "TIMES"],
            rows,
        ));
    }
    text
}

/// The records that a sentence rests on, where they are few.
fn named(records: &[Value]) -> String {
    const FEW: usize = 6;
    let ids: Vec<&str> = records.iter().filter_map(Value::as_str).collect();
    match ids.len() {
        0 => String::new(),
        1..=FEW => format!("  [{}]", ids.join(", ")),
        many => format!("  [{}, … {many} records]", ids[..FEW - 1].join(", ")),
    }
}
