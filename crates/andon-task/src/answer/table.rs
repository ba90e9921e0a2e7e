//! Questions that a table answers by counting, ranking and filtering: a closed set of
//! queries, each word of the question accounted for, and computed from the rows.
//!
//! A question becomes a [`Query`] (`question`), or nothing where a word of it is not
//! understood or has two meanings; the query is computed, and told with what was
//! understood (`query`).

use std::collections::BTreeSet;
use std::ops::Range;

use super::document::Document;
use super::term::terms;

mod query;
mod question;
mod token;
mod vocabulary;

/// From this share of numbers on a column is one of numbers.
const MOSTLY: f64 = 0.8;

/// A document of rows, as the reader of CSV files writes it: an item for each row, with
/// `column: value` between bars.
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Row>,
    /// Terms of the document's own name, which say nothing of the rows.
    name: BTreeSet<String>,
}

struct Column {
    name: String,
    /// The terms of its name.
    terms: BTreeSet<String>,
    /// Whether most of its cells are numbers.
    is_number: bool,
    /// Its different values that are no numbers, with their terms, in lower case.
    values: Vec<(Vec<String>, String)>,
}

struct Row {
    section: usize,
    sentences: Range<usize>,
    /// For each column its value; empty where the row has none.
    cells: Vec<String>,
}

/// What a table answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reckoned {
    /// The answer as a sentence.
    pub text: String,
    /// Some rows that it was computed from: the section and the sentences.
    pub rows: Vec<(usize, Range<usize>)>,
}

/// A row as it is read: its section, its sentences, and the column of each cell.
type ReadRow = (usize, Range<usize>, Vec<(usize, String)>);

impl Table {
    /// The table of a document; `None` where it is none.
    pub fn of(document: &Document) -> Option<Self> {
        if !document.path.to_lowercase().ends_with(".csv") {
            return None;
        }
        let (names, read) = read(document);
        let width = names.len();
        let rows = read.into_iter().map(|(section, sentences, cells)| {
            let mut row = Row {
                section,
                sentences,
                cells: vec![String::new(); width],
            };
            for (column, value) in cells {
                row.cells[column] = value;
            }
            row
        });
        let rows: Vec<Row> = rows.collect();
        let columns = names
            .into_iter()
            .enumerate()
            .map(|(at, name)| Column::of(name, rows.iter().map(|row| row.cells[at].as_str())));
        let stem = document.path.rsplit('/').next().unwrap_or_default();
        let stem = stem[..stem.len() - ".csv".len()].replace(['_', '-'], " ");
        Some(Self {
            columns: columns.collect(),
            rows,
            name: keys(&stem).into_iter().collect(),
        })
    }

    /// Answers a question that counts, ranks or filters; `None` where a word of it is not
    /// accounted for, or more than one reading is possible.
    pub fn ask(&self, question: &str) -> Option<Reckoned> {
        self.reckon(&self.understand(question)?)
    }

    /// Whether a question asks for a number or a rank, so that no row by itself answers it.
    pub fn is_reckoning(question: &str) -> bool {
        question::reckons(question)
    }

    /// Whether a question names this table.
    pub fn is_named(&self, question: &str) -> bool {
        let asked = keys(question);
        !self.name.is_empty() && self.name.iter().all(|term| asked.contains(term))
    }
}

impl Column {
    fn of<'a>(name: String, cells: impl Iterator<Item = &'a str>) -> Self {
        let (mut filled, mut numbers) = (0usize, 0usize);
        let mut values: BTreeSet<String> = BTreeSet::new();
        for cell in cells.filter(|cell| !cell.is_empty()) {
            filled += 1;
            match number(cell) {
                Some(_) => numbers += 1,
                None => {
                    values.insert(cell.to_lowercase());
                }
            }
        }
        let values = values.into_iter().map(|value| (keys(&value), value));
        Self {
            terms: token::of_name(&name),
            is_number: filled > 0 && numbers as f64 >= MOSTLY * filled as f64,
            values: values.filter(|(keys, _)| !keys.is_empty()).collect(),
            name,
        }
    }
}

fn read(document: &Document) -> (Vec<String>, Vec<ReadRow>) {
    let mut columns: Vec<String> = Vec::new();
    let mut rows: Vec<ReadRow> = Vec::new();
    for (section, part) in document.sections.iter().enumerate() {
        // A long cell may have several sentences: a row is what begins an item.
        let opens = |at: &usize| part.sentences[*at].opens;
        let starts: Vec<usize> = (0..part.sentences.len()).filter(opens).collect();
        for (at, &start) in starts.iter().enumerate() {
            let end = starts.get(at + 1).copied().unwrap_or(part.sentences.len());
            let text = document.quote(&part.sentences[start..end]);
            let cells = text.split(" | ").filter_map(|cell| cell.split_once(": "));
            let cells = cells.map(|(column, value)| {
                let place = columns.iter().position(|known| known == column);
                let place = place.unwrap_or_else(|| {
                    columns.push(column.to_owned());
                    columns.len() - 1
                });
                (place, value.trim().to_owned())
            });
            rows.push((section, start..end, cells.collect()));
        }
    }
    (columns, rows)
}

/// A cell as a number, with the separators that tables have.
fn number(cell: &str) -> Option<f64> {
    let plain = cell.trim().trim_end_matches('%').trim_end();
    plain
        .parse()
        .ok()
        .or_else(|| plain.replace(',', ".").parse().ok())
        .filter(|number: &f64| number.is_finite())
}

fn keys(text: &str) -> Vec<String> {
    terms(text).into_iter().map(|term| term.key).collect()
}

#[cfg(test)]
mod tests;
