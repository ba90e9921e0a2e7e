//! The labels of a `decide` task, from a CSV file.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::certificate::Severity;
use crate::digest::Digest;

/// One label and what the plant says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The value that a run answers with.
    pub label: String,
    /// What it means, in the plant's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The procedure to follow, a file name under `procedures/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub procedure: Option<String>,
    /// Whether a wrong answer here is worse than elsewhere.
    #[serde(default)]
    pub critical: bool,
    /// Whether this is the answer where no other label fits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub none: bool,
}

/// What a label is a kind of: the part of its name before the last `/`, and the label
/// itself where there is none.
pub fn parent(label: &str) -> &str {
    label.rsplit_once('/').map_or(label, |(parent, _)| parent)
}

/// What a label file may say of a label.
const COLUMNS: [&str; 5] = ["label", "description", "procedure", "critical", "none"];

/// A closed set of distinct labels, in file order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSet {
    labels: Vec<Label>,
    digest: Digest,
}

/// What is wrong with a label file.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// The text is not CSV with the expected columns.
    #[error("line {line}: {reason}")]
    Csv {
        /// Line of the file, from 1.
        line: u64,
        /// What the CSV reader says.
        reason: String,
    },
    /// No column is called `label`.
    #[error("there is no column 'label': the first line must name the columns")]
    NoLabelColumn,
    /// A column that Andon does not know.
    #[error(
        "unknown column '{0}': the columns are label, description, procedure, critical and none"
    )]
    UnknownColumn(String),
    /// A label is empty.
    #[error("line {line}: the label is empty")]
    Empty {
        /// Line of the file, from 1.
        line: u64,
    },
    /// A label stands twice.
    #[error("line {line}: the label '{label}' stands twice: labels must differ")]
    Duplicate {
        /// Line of the file, from 1.
        line: u64,
        /// The label.
        label: String,
    },
    /// The word in a column of claims is neither yes nor no.
    #[error("line {line}: {column} is '{value}': write true or false")]
    NoClaim {
        /// Line of the file, from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// What stands there.
        value: String,
    },
    /// Two labels are answered where no other fits.
    #[error("'{first}' and '{second}' both have none = true: leave it to one of them")]
    TwoNone {
        /// The first of them.
        first: String,
        /// The second.
        second: String,
    },
    /// Fewer than two labels.
    #[error("there are {0} labels: a decision needs at least two")]
    TooFew(usize),
}

impl LabelSet {
    /// The labels of a task that has none.
    pub(crate) fn empty() -> Self {
        Self {
            labels: Vec::new(),
            digest: Digest::of(&[]),
        }
    }

    /// Reads a label file: CSV with a header, columns `label` and optionally
    /// `description`, `procedure`, `critical` and `none`.
    pub fn parse(csv_text: &str) -> Result<Self, LabelError> {
        let csv_text = csv_text.strip_prefix('\u{feff}').unwrap_or(csv_text);
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(csv_text.as_bytes());
        let csv_error = |error: csv::Error| LabelError::Csv {
            line: error.position().map_or(1, csv::Position::line),
            reason: error.to_string(),
        };
        let columns = reader.headers().map_err(csv_error)?.clone();
        if let Some(unknown) = columns.iter().find(|name| !COLUMNS.contains(name)) {
            return Err(LabelError::UnknownColumn(unknown.to_owned()));
        }
        let column = |name| columns.iter().position(|column| column == name);
        let label_column = column("label").ok_or(LabelError::NoLabelColumn)?;
        let (description, procedure) = (column("description"), column("procedure"));
        let (critical, none) = (column("critical"), column("none"));

        let mut labels = Vec::new();
        let mut seen = HashSet::new();
        for row in reader.records() {
            let row = row.map_err(csv_error)?;
            let line = row.position().map_or(0, csv::Position::line);
            let field = |at: Option<usize>| {
                at.and_then(|at| row.get(at))
                    .filter(|value| !value.is_empty())
                    .map(str::to_owned)
            };
            let label = field(Some(label_column)).ok_or(LabelError::Empty { line })?;
            if !seen.insert(label.clone()) {
                return Err(LabelError::Duplicate { line, label });
            }
            let claim = |at, column| match field(at).as_deref() {
                None | Some("false" | "no" | "0") => Ok(false),
                Some("true" | "yes" | "1") => Ok(true),
                Some(value) => Err(LabelError::NoClaim {
                    line,
                    column,
                    value: value.to_owned(),
                }),
            };
            labels.push(Label {
                label,
                description: field(description),
                procedure: field(procedure),
                critical: claim(critical, "critical")?,
                none: claim(none, "none")?,
            });
        }
        Self::new(labels)
    }

    /// A set of labels that come from elsewhere than a file.
    pub fn new(labels: Vec<Label>) -> Result<Self, LabelError> {
        if labels.len() < 2 {
            return Err(LabelError::TooFew(labels.len()));
        }
        let mut none = labels.iter().filter(|label| label.none);
        if let (Some(first), Some(second)) = (none.next(), none.next()) {
            return Err(LabelError::TwoNone {
                first: first.label.clone(),
                second: second.label.clone(),
            });
        }
        let parts: Vec<String> = labels
            .iter()
            .map(|label| serde_json::to_string(label).unwrap_or_default())
            .collect();
        let digest = Digest::of_parts(parts.iter().map(String::as_bytes));
        Ok(Self { labels, digest })
    }

    /// The labels in file order; never fewer than two.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The names alone, in file order.
    pub fn names(&self) -> Vec<String> {
        self.labels
            .iter()
            .map(|label| label.label.clone())
            .collect()
    }

    /// Whether a wrong answer about this label is worse than elsewhere; one that is
    /// not of the set is like others.
    pub fn severity(&self, name: &str) -> Severity {
        match self.position(name) {
            Some(position) if self.labels[position].critical => Severity::Critical,
            _ => Severity::Ordinary,
        }
    }

    /// Where the label stands that is answered where no other fits.
    pub fn none(&self) -> Option<usize> {
        self.labels.iter().position(|label| label.none)
    }

    /// Where a label stands.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.labels.iter().position(|label| label.label == name)
    }

    /// The digest of all labels with what is said of them.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

#[cfg(test)]
mod tests;
