//! `andon demo`: one shift of the plant through a node, over HTTP.

use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use crate::learning::learn_missing;
use crate::node::{self, Needs};
use crate::settings::Settings;
use crate::shift::{self, Played, Player};
use crate::{plant, service};

/// Teaches the node what it has not learned yet, then plays the shift.
pub(super) fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let notes = shift::parse(&shift_text(settings)?)?;
    learn_missing(settings, &plant)?;
    let node = node::open(settings, plant, Needs::Everything(&[]))?;
    let played = service::during(node, |url| {
        play(settings, &mut Player::new(url.to_owned()), &notes)
    })?;
    let summary = Summary::new(&played);
    settings
        .output
        .print(&summary, |summary| summary.human(&played))?;
    Ok(ExitCode::SUCCESS)
}

fn shift_text(settings: &Settings) -> anyhow::Result<String> {
    match &settings.plant {
        None => Ok(plant::demo_file("shift.jsonl")
            .context("the demo plant has a shift")?
            .to_owned()),
        Some(folder) => std::fs::read_to_string(folder.join("shift.jsonl")).with_context(|| {
            format!(
                "the plant '{}' has no shift.jsonl to play",
                folder.display()
            )
        }),
    }
}

fn play(
    settings: &Settings,
    player: &mut Player,
    notes: &[shift::Note],
) -> anyhow::Result<Vec<Played>> {
    player.close_earlier()?;
    notes
        .iter()
        .map(|note| {
            let played = player.play(note)?;
            settings.output.print(&played, one_note)?;
            Ok(played)
        })
        .collect()
}

fn one_note(played: &Played) -> String {
    let time = played.time.get(11..16).unwrap_or(&played.time);
    let input: String = played.input.chars().take(72).collect();
    let answers: Vec<String> = ["failure-code", "critical", "team"]
        .iter()
        .filter_map(|task| Some((*task, played.answers.get(*task)?)))
        .map(|(task, answer)| match (task, answer.probability) {
            ("failure-code", Some(p)) => format!("{} {:.0} %", answer.label, 100.0 * p),
            _ => answer.label.clone(),
        })
        .collect();
    let repeats = match &played.repeats {
        Some(note) => format!(" · repeats {note}"),
        None => String::new(),
    };
    let procedure = match &played.procedure {
        Some(procedure) => format!("\n      → {procedure}"),
        None => String::new(),
    };
    format!(
        "{time} {} {} {input}\n      {}{repeats} · {} · {:.1} ms{procedure}",
        played.note,
        played.asset,
        answers.join(" · "),
        played.route,
        played.took_ms
    )
}

/// What the shift came to.
#[derive(Debug, Serialize)]
struct Summary {
    notes: usize,
    /// Notes of which every task was answered at the edge.
    at_the_edge: usize,
    /// Single answers at the edge, and how many of them a person agrees with.
    answers_at_the_edge: usize,
    of_these_right: usize,
    answers: usize,
    /// Notes that repeat an open one: as found, and as a person says.
    repeats_found: usize,
    repeats_found_rightly: usize,
    repeats: usize,
    p50_ms: f64,
    p99_ms: f64,
    /// The notes that a person has to look at.
    for_a_person: Vec<String>,
}

impl Summary {
    fn new(played: &[Played]) -> Self {
        let answers = || played.iter().flat_map(|played| played.answers.values());
        let at_the_edge = || answers().filter(|answer| answer.route == "edge");
        let mut times: Vec<f64> = played.iter().map(|played| played.took_ms).collect();
        times.sort_by(f64::total_cmp);
        let count = |holds: fn(&Played) -> bool| played.iter().filter(|p| holds(p)).count();
        Self {
            notes: played.len(),
            at_the_edge: count(|p| p.route == "edge"),
            answers_at_the_edge: at_the_edge().count(),
            of_these_right: at_the_edge().filter(|a| a.right == Some(true)).count(),
            answers: answers().count(),
            repeats_found: count(|p| p.repeats.is_some()),
            repeats_found_rightly: count(|p| p.repeats.is_some() && p.repeats == p.truly_repeats),
            repeats: count(|p| p.truly_repeats.is_some()),
            p50_ms: percentile(&times, 0.50),
            p99_ms: percentile(&times, 0.99),
            for_a_person: played
                .iter()
                .filter(|played| played.route != "edge")
                .map(|played| played.note.clone())
                .collect(),
        }
    }

    fn human(&self, played: &[Played]) -> String {
        let mut text = format!(
            "\nThe shift: {} notes, {} of them answered at the edge as a whole ({} of {} answers, {} of these as a person would).\n\
             {} notes repeat an open one, {} of them rightly; a person names {}.\n\
             One note, all tasks, on disk and over HTTP: p50 {:.1} ms, p99 {:.1} ms.\n",
            self.notes,
            self.at_the_edge,
            self.answers_at_the_edge,
            self.answers,
            self.of_these_right,
            self.repeats_found,
            self.repeats_found_rightly,
            self.repeats,
            self.p50_ms,
            self.p99_ms
        );
        if !self.for_a_person.is_empty() {
            text.push_str("\nFor a person to look at:\n");
        }
        for played in played.iter().filter(|played| played.route != "edge") {
            let open: Vec<String> = played
                .answers
                .iter()
                .filter(|(_, answer)| answer.route != "edge")
                .map(|(task, answer)| format!("{task}: {}?", answer.candidates.join(" or ")))
                .collect();
            text.push_str(&format!(
                "  {} {}  {}\n",
                played.note,
                played.asset,
                open.join("; ")
            ));
        }
        text.push_str(
            "\nKeep the node up with `make up` (or `andon up`), then open http://127.0.0.1:8321/ or try\n  \
             curl http://127.0.0.1:8321/api/tasks/failure-code/runs -H 'content-type: application/json' -d '{\"input\": \"pump 3 leaking at the seal\"}'",
        );
        text
    }
}

/// The smallest time that at least `share` of the notes did not exceed.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}
