//! What to label next, and the labelling of it key by key.

use std::io;

use andon_learn::choose::{Unlabelled, choose, uncertainty};
use andon_runtime::Node;
use andon_task::engine::Embed;
use andon_task::example::LabelledText;
use andon_task::task::Task;
use anyhow::Context;
use serde::Serialize;

use crate::node;
use crate::settings::Settings;

/// The newest records that are chosen from.
const POOL: usize = 2_000;

/// The examples that a choice keeps its distance from.
const REMEMBERED: usize = 2_000;

/// How many labels are offered at once.
const OFFERED: usize = 3;

/// A note to label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Proposal {
    /// The record.
    pub(crate) record: i64,
    /// Its text.
    pub(crate) text: String,
    /// How unsure the head is of it, from 0 to 1.
    pub(crate) uncertainty: f64,
    /// The likeliest labels; none where the task has no head.
    pub(crate) candidates: Vec<Likely>,
}

/// A label with its probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Likely {
    pub(crate) label: String,
    pub(crate) probability: f64,
}

/// The `count` records of the state that teach the most once they are labelled.
pub(crate) fn propose(
    settings: &Settings,
    node: &Node,
    task: &Task,
    known: &[LabelledText],
    count: usize,
) -> anyhow::Result<Vec<Proposal>> {
    let encoder = node.encoder().context("no encoder is loaded")?;
    let store = node::store(&settings.state)?;
    let records = store
        .unanswered(&task.name, encoder.identity().digest, POOL)
        .context("cannot read the records")?;
    let probabilities = records
        .iter()
        .map(|record| node.probabilities(task, &record.text, &record.vector))
        .collect::<Result<Vec<_>, _>>()?;
    let pool: Vec<Unlabelled<'_>> = records
        .iter()
        .zip(&probabilities)
        .map(|(record, probabilities)| Unlabelled {
            vector: &record.vector,
            uncertainty: match probabilities {
                Some(probabilities) => uncertainty(probabilities.iter().copied()),
                None => 1.0,
            },
        })
        .collect();
    let labelled = vectors(node, encoder.as_ref(), known)?;
    let labelled: Vec<&[f32]> = labelled.iter().map(Vec::as_slice).collect();
    let names = task.labels().names();
    let proposal = |place: usize| Proposal {
        record: records[place].id,
        text: records[place].text.clone(),
        uncertainty: pool[place].uncertainty,
        candidates: likely(&names, probabilities[place].as_deref().unwrap_or(&[])),
    };
    let chosen = choose(&pool, &labelled, count);
    Ok(chosen.into_iter().map(proposal).collect())
}

fn likely(names: &[String], probabilities: &[f64]) -> Vec<Likely> {
    let mut likely: Vec<Likely> = names
        .iter()
        .zip(probabilities)
        .map(|(label, &probability)| Likely {
            label: label.clone(),
            probability,
        })
        .collect();
    likely.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    likely.truncate(OFFERED);
    likely
}

/// The vectors of the examples, or of so many of them evenly.
fn vectors(
    node: &Node,
    encoder: &dyn Embed,
    known: &[LabelledText],
) -> anyhow::Result<Vec<Vec<f32>>> {
    let step = known.len().div_ceil(REMEMBERED).max(1);
    let mut vectors = Vec::new();
    for example in known.iter().step_by(step) {
        let reading = node.plant().glossary.read(&example.text);
        // What does not fit the encoder is no neighbour of what does.
        vectors.extend(encoder.embed(&[reading.text()]).unwrap_or_default());
    }
    Ok(vectors)
}

/// What a person did about a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// This label is right.
    Label(String),
    /// None of the labels is.
    None,
}

/// Goes through proposals: shows each and takes one key. `keep` has each answer on
/// disk before the next is asked. How many were answered.
pub(crate) fn ask(
    proposals: &[Proposal],
    labels: &[String],
    mut show: impl FnMut(&str) -> io::Result<()>,
    mut key: impl FnMut() -> io::Result<Option<char>>,
    mut keep: impl FnMut(&Proposal, &Said) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let mut answered = 0;
    'notes: for (place, proposal) in proposals.iter().enumerate() {
        // Where no head says what is likely, the first labels are offered.
        let offered: Vec<&str> = match proposal.candidates.is_empty() {
            true => labels.iter().take(9).map(String::as_str).collect(),
            false => proposal
                .candidates
                .iter()
                .map(|c| c.label.as_str())
                .collect(),
        };
        show(&screen(proposal, &offered, place + 1, proposals.len()))?;
        let said = loop {
            match key()? {
                Some('q') | None => break 'notes,
                Some('s') => continue 'notes,
                Some('n') => break Said::None,
                Some(key) => {
                    let choice = key.to_digit(10).and_then(|digit| digit.checked_sub(1));
                    if let Some(label) = choice.and_then(|choice| offered.get(choice as usize)) {
                        break Said::Label((*label).to_owned());
                    }
                }
            }
        };
        keep(proposal, &said)?;
        answered += 1;
        let said = match &said {
            Said::Label(label) => label,
            Said::None => "none of these",
        };
        show(&format!("  = {said}\n"))?;
    }
    Ok(answered)
}

fn screen(proposal: &Proposal, offered: &[&str], place: usize, of: usize) -> String {
    // Control characters of a note must not drive the terminal.
    let text: String = proposal
        .text
        .chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect();
    let mut shown = format!(
        "\n{place} of {of}, record {}\n\n  {text}\n\n",
        proposal.record
    );
    for (index, label) in offered.iter().enumerate() {
        let share = proposal.candidates.get(index);
        let share = share.map_or_else(String::new, |likely| {
            format!("  {:.0} %", 100.0 * likely.probability)
        });
        shown.push_str(&format!("  {}  {label}{share}\n", index + 1));
    }
    shown.push_str("  n  none of these   s  skip   q  quit\n");
    shown
}

#[cfg(test)]
mod tests;
