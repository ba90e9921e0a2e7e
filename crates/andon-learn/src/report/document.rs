//! A document: sections of tables and plots, without a form.

use serde::Serialize;

use crate::interval::{Estimate, Interval};

/// What is shown of a measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Document {
    /// Its title.
    pub title: String,
    /// What it says, in sentences.
    pub lead: Vec<String>,
    /// What the reader has to know first.
    pub warnings: Vec<String>,
    /// Its sections.
    pub sections: Vec<Section>,
    /// What was measured, with digests.
    pub facts: Vec<(String, String)>,
}

/// One section.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Section {
    /// Its heading.
    pub heading: String,
    /// How to read it.
    pub text: Vec<String>,
    /// What it shows.
    pub content: Vec<Content>,
    /// Where it is shown.
    pub shown: Shown,
}

/// Where a section is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// On a terminal and on the page.
    Everywhere,
    /// On the page.
    OnPage,
}

/// A part of a section.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Content {
    /// A table.
    Table(Table),
    /// A drawing.
    Plot {
        /// The drawing, as an element of SVG.
        svg: String,
        /// What it shows, for who does not see it.
        caption: String,
    },
    /// Counts by row and column.
    Matrix(Matrix),
}

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, a cell for each column.
    pub rows: Vec<Vec<Cell>>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// Whether its cells are numbers, which are aligned at their ends.
    pub is_number: bool,
}

/// A cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cell {
    /// Its text.
    pub text: String,
    /// What it shows as a bar, in percent of the cell's width.
    pub range: Option<Range>,
}

/// A figure with its interval on a scale from 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    /// The lower end.
    pub low: f64,
    /// The figure.
    pub value: f64,
    /// The upper end.
    pub high: f64,
}

/// How often labels were answered for labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Matrix {
    /// The answers.
    pub columns: Vec<String>,
    /// The right labels, with their cells.
    pub rows: Vec<MatrixRow>,
}

/// A row of a [`Matrix`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MatrixRow {
    /// The right label.
    pub name: String,
    /// A cell for each column.
    pub cells: Vec<Count>,
}

/// A cell of a [`Matrix`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Count {
    /// How often.
    pub n: usize,
    /// The share of its row, from 0 to 1.
    pub share: f64,
    /// Whether it counts right answers.
    pub is_right: bool,
}

impl Table {
    /// A table with columns of text and, where the name ends in '#', of numbers.
    pub(super) fn of(columns: &[&'static str]) -> Self {
        let column = |name: &&'static str| Column {
            name: name.trim_end_matches('#'),
            is_number: name.ends_with('#'),
        };
        Self {
            columns: columns.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, range: None }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A share with its bar.
pub(super) fn share(estimate: &Estimate) -> Cell {
    let within = |value: f64| (1000.0 * value.clamp(0.0, 1.0)).round() / 10.0;
    Cell {
        text: percent(estimate.value),
        range: Some(Range {
            low: within(estimate.low),
            value: within(estimate.value),
            high: within(estimate.high),
        }),
    }
}

/// The ends of an interval.
pub(super) fn interval(interval: impl Into<Interval>) -> Cell {
    let Interval { low, high } = interval.into();
    format!("{:.1} to {:.1} %", 100.0 * low, 100.0 * high).into()
}
