//! A note of some ten tokens, and 22 failure modes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{bound, chat, choice_of, csv_field, letter, letter_of, list};

const INSTRUCTIONS: &str = "Which failure mode does the maintenance note describe?";

/// Labels with an example each, and notes to decide on.
#[derive(Debug)]
pub(crate) struct Decide {
    labels: Vec<(String, String)>,
    notes: Vec<String>,
}

impl Decide {
    /// From a folder with `train.txt`, whose notes become the examples, and
    /// `dev.txt`, whose notes are decided on; each line is a note and its label.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let lines = |name: &str| -> anyhow::Result<Vec<(String, String)>> {
            let path = folder.join(name);
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read '{}'", path.display()))?;
            Ok(text.lines().filter_map(parse).collect())
        };
        Self::new(lines("train.txt")?, lines("dev.txt")?)
    }

    /// The first example of each label, and the notes of middling length.
    pub(super) fn new(
        examples: Vec<(String, String)>,
        notes: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let mut labels = BTreeMap::new();
        for (note, label) in examples {
            labels.entry(label).or_insert(note);
        }
        let mut notes: Vec<String> = notes.into_iter().map(|(note, _)| note).collect();
        // A note of some ten tokens has four words or more.
        notes.retain(|note| note.split_whitespace().count() >= 4);
        ensure!(
            labels.len() > 1,
            "there are no two labels to decide between"
        );
        ensure!(!notes.is_empty(), "there are no notes to decide on");
        Ok(Self {
            labels: labels.into_iter().collect(),
            notes,
        })
    }

    /// What the task asks.
    pub(crate) fn instructions(&self) -> &'static str {
        INSTRUCTIONS
    }

    /// How many labels there are.
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The labels as a plant keeps them.
    pub(crate) fn labels_csv(&self) -> String {
        let mut text = "label,description\n".to_owned();
        for (label, example) in &self.labels {
            text.push_str(&format!("{},{}\n", csv_field(label), csv_field(example)));
        }
        text
    }

    fn note(&self, number: usize) -> &str {
        &self.notes[number % self.notes.len()]
    }

    /// For Andon's `/api/tasks/{task}/runs`.
    pub(crate) fn run(&self, number: usize) -> Value {
        json!({ "input": self.note(number) })
    }

    /// For the peer: chat bound to an enum. The prompt is that of Andon's task.
    pub(crate) fn chosen(&self, number: usize) -> Value {
        let entries = self
            .labels
            .iter()
            .map(|(label, note)| (label.as_str(), note.as_str()));
        let system = format!(
            "{INSTRUCTIONS}\n\nAnswer with one of these labels and nothing else:{}",
            list(entries)
        );
        let labels: Vec<&str> = self
            .labels
            .iter()
            .map(|(label, _)| label.as_str())
            .collect();
        let chat = chat(&system, self.note(number), 64);
        bound(chat, "label", choice_of(&labels))
    }

    /// For the peer: one letter's log-probabilities.
    pub(crate) fn letter(&self, number: usize) -> Value {
        let mut system = format!("{INSTRUCTIONS}\n\nAnswer with one letter and nothing else:");
        for (index, (label, note)) in self.labels.iter().enumerate() {
            system.push_str(&format!("\n{}: {label}: {note}", letter_of(index)));
        }
        letter(&system, self.note(number), self.labels.len())
    }
}

/// A line of the data: a note, a comma and a label; the note may have commas.
fn parse(line: &str) -> Option<(String, String)> {
    let (note, label) = line.rsplit_once(',')?;
    Some((note.trim().to_owned(), label.trim().to_owned()))
}
