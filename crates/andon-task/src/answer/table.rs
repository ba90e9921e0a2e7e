//! Questions that a table answers by counting and ranking: a closed set of queries, each word
//! of the question accounted for, and computed from the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::document::Document;
use super::term::{terms, words};

/// Rows named as evidence at most.
const NAMED: usize = 10;
/// Values that a list names at most.
const LISTED: usize = 20;

/// A document of rows, as the reader of CSV files writes it: an item for each row, with
/// `column: value` between bars.
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Row>,
    /// The different values of each column that are no numbers, with their terms.
    values: Vec<(Vec<String>, usize, String)>,
}

struct Row {
    section: usize,
    sentence: usize,
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

/// What is asked of the rows that remain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Count,
    Commonest,
    Highest,
    Lowest,
    List,
}

/// Words that ask for each, folded.
const ASKS: &[(&[&str], Wanted)] = &[
    (&["how", "many"], Wanted::Count),
    (&["number", "of"], Wanted::Count),
    (&["cuantos"], Wanted::Count),
    (&["cuantas"], Wanted::Count),
    (&["most", "frequent"], Wanted::Commonest),
    (&["most", "common"], Wanted::Commonest),
    (&["most", "often"], Wanted::Commonest),
    (&["mas", "frecuente"], Wanted::Commonest),
    (&["mas", "comun"], Wanted::Commonest),
    (&["highest"], Wanted::Highest),
    (&["greatest"], Wanted::Highest),
    (&["largest"], Wanted::Highest),
    (&["maximum"], Wanted::Highest),
    (&["mayor"], Wanted::Highest),
    (&["lowest"], Wanted::Lowest),
    (&["smallest"], Wanted::Lowest),
    (&["minimum"], Wanted::Lowest),
    (&["menor"], Wanted::Lowest),
    (&["list"], Wanted::List),
    (&["which"], Wanted::List),
    (&["what"], Wanted::List),
    (&["cuales"], Wanted::List),
];

/// Words of such questions that say nothing of the rows, as terms.
const FILLING: &[&str] = &[
    "differ", "distinct", "row", "entri", "list", "table", "tabl", "fila", "distint", "valu",
    "record",
];

/// A row as it is read: its section, its first sentence, and the column of each cell.
type ReadRow = (usize, usize, Vec<(usize, String)>);

impl Table {
    /// The table of a document; `None` where it is none.
    pub fn of(document: &Document) -> Option<Self> {
        if !document.path.to_lowercase().ends_with(".csv") {
            return None;
        }
        let mut columns: Vec<String> = Vec::new();
        let mut read: Vec<ReadRow> = Vec::new();
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
                read.push((section, start, cells.collect()));
            }
        }
        let rows: Vec<Row> = read
            .into_iter()
            .map(|(section, sentence, cells)| {
                let mut row = Row {
                    section,
                    sentence,
                    cells: vec![String::new(); columns.len()],
                };
                for (column, value) in cells {
                    row.cells[column] = value;
                }
                row
            })
            .collect();
        let mut known: BTreeSet<(usize, String)> = BTreeSet::new();
        for row in &rows {
            let cells = row.cells.iter().enumerate();
            known.extend(cells.map(|(column, value)| (column, value.to_lowercase())));
        }
        let values = known
            .into_iter()
            .filter(|(_, value)| value.parse::<f64>().is_err())
            .map(|(column, value)| {
                let keys = terms(&value).into_iter().map(|term| term.key).collect();
                (keys, column, value)
            })
            .collect();
        Some(Self {
            columns,
            rows,
            values,
        })
    }

    /// Answers a question that counts, ranks or lists; `None` where a word of it is not
    /// accounted for, or more than one reading is possible.
    pub fn ask(&self, question: &str) -> Option<Reckoned> {
        let (wanted, said) = wanted(question)?;
        let asked: Vec<String> = terms(question).into_iter().map(|term| term.key).collect();
        let filters = self.filters(&asked);
        let mut left: BTreeSet<&str> = asked.iter().map(String::as_str).collect();
        left.retain(|term| !said.contains(*term) && !FILLING.contains(term));
        for (_, value) in &filters {
            for term in terms(value) {
                left.remove(term.key.as_str());
            }
        }
        let column = self.column(&mut left)?;
        if !left.is_empty() || filters.iter().any(|&(of, _)| of == column) {
            return None;
        }
        if filters.is_empty() && wanted == Wanted::List {
            return None;
        }
        let fits = |row: &&Row| {
            filters
                .iter()
                .all(|(of, value)| same(&row.cells[*of], value))
                && !row.cells[column].is_empty()
        };
        let rows: Vec<&Row> = self.rows.iter().filter(fits).collect();
        if rows.is_empty() {
            return None;
        }
        self.reckon(wanted, column, &filters, rows)
    }

    fn reckon(
        &self,
        wanted: Wanted,
        column: usize,
        filters: &[(usize, String)],
        rows: Vec<&Row>,
    ) -> Option<Reckoned> {
        let name = &self.columns[column];
        let within: Vec<String> = filters
            .iter()
            .map(|(of, value)| format!("{} is '{value}'", self.columns[*of]))
            .collect();
        let within = match within.is_empty() {
            true => format!("in {} rows", rows.len()),
            false => format!("in {} rows where {}", rows.len(), within.join(" and ")),
        };
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for row in &rows {
            *counts.entry(&row.cells[column]).or_default() += 1;
        }
        let mut ranked: Vec<(&str, usize)> = counts.into_iter().collect();
        ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let (text, named): (String, Vec<&Row>) = match wanted {
            Wanted::Count => (
                format!("{} different values of '{name}' {within}.", ranked.len()),
                rows,
            ),
            Wanted::List => {
                let values: Vec<&str> = ranked.iter().take(LISTED).map(|(v, _)| *v).collect();
                let more = ranked.len() - values.len();
                let more = if more > 0 {
                    format!(" and {more} more")
                } else {
                    String::new()
                };
                (
                    format!("{name} {within}: {}{more}.", values.join("; ")),
                    rows,
                )
            }
            Wanted::Commonest => {
                let most = ranked[0].1;
                let tied = ranked.iter().take_while(|(_, count)| *count == most);
                let best: Vec<&str> = tied.map(|(value, _)| *value).collect();
                let text = format!(
                    "{name} {within}, most frequent ({most} rows): {}.",
                    best.join("; ")
                );
                let holds = |row: &&Row| best.contains(&row.cells[column].as_str());
                (text, rows.iter().copied().filter(holds).collect())
            }
            Wanted::Highest | Wanted::Lowest => {
                let numbers: Option<Vec<f64>> = rows
                    .iter()
                    .map(|row| row.cells[column].parse().ok())
                    .collect();
                let numbers = numbers?;
                let pick: fn(f64, f64) -> f64 = match wanted {
                    Wanted::Highest => f64::max,
                    _ => f64::min,
                };
                let best = numbers.iter().copied().reduce(pick)?;
                let all = rows
                    .iter()
                    .zip(&numbers)
                    .filter(|(_, number)| **number == best);
                let best_rows: Vec<&Row> = all.map(|(row, _)| *row).collect();
                let word = if wanted == Wanted::Highest {
                    "highest"
                } else {
                    "lowest"
                };
                let text = format!(
                    "{name} {within}, {word}: {best} ({} rows).",
                    best_rows.len()
                );
                (text, best_rows)
            }
        };
        let named = named
            .iter()
            .take(NAMED)
            .map(|row| (row.section, row.sentence..row.sentence + 1));
        Some(Reckoned {
            text,
            rows: named.collect(),
        })
    }

    /// A value as the table writes it.
    fn written(&self, column: usize, value: &str) -> String {
        let cells = self.rows.iter().map(|row| &row.cells[column]);
        let written = cells.into_iter().find(|cell| cell.to_lowercase() == value);
        written.cloned().unwrap_or_else(|| value.to_owned())
    }

    /// The column that the remaining words name; the words that name it are taken off.
    fn column(&self, left: &mut BTreeSet<&str>) -> Option<usize> {
        let keys: Vec<BTreeSet<String>> = self
            .columns
            .iter()
            .map(|name| terms(name).into_iter().map(|term| term.key).collect())
            .collect();
        let telling = |of: usize, term: &&&str| {
            let holds = |keys: &BTreeSet<String>| keys.contains(**term);
            holds(&keys[of]) && keys.iter().filter(|keys| holds(keys)).count() == 1
        };
        let named: Vec<usize> = (0..keys.len())
            .filter(|&of| left.iter().any(|term| telling(of, &term)))
            .collect();
        let [column] = named[..] else { return None };
        left.retain(|term| !keys[column].contains(*term));
        Some(column)
    }

    /// Values of the table that the question names, the longest first, each of one column.
    fn filters(&self, asked: &[String]) -> Vec<(usize, String)> {
        let stands =
            |keys: &[String]| !keys.is_empty() && asked.windows(keys.len()).any(|run| run == keys);
        let mut found: Vec<&(Vec<String>, usize, String)> = self
            .values
            .iter()
            .filter(|(keys, _, _)| stands(keys))
            .collect();
        found.sort_by_key(|(keys, column, _)| (std::cmp::Reverse(keys.len()), *column));
        let mut taken: BTreeSet<String> = BTreeSet::new();
        let mut filters = Vec::new();
        for (keys, column, value) in found {
            // A shorter value within a longer one, or the same in a finer column, says no more.
            if keys.iter().all(|key| !taken.contains(key)) {
                taken.extend(keys.iter().cloned());
                filters.push((*column, self.written(*column, value)));
            }
        }
        filters
    }
}

/// What is asked for, and the terms that say so.
fn wanted(question: &str) -> Option<(Wanted, BTreeSet<String>)> {
    let run: Vec<String> = words(question).into_iter().map(|word| word.key).collect();
    let asks = |asked: &[&str]| run.windows(asked.len()).any(|window| window == asked);
    let (said, wanted) = ASKS.iter().find(|(asked, _)| asks(asked))?;
    let said = terms(&said.join(" ")).into_iter().map(|term| term.key);
    Some((*wanted, said.collect()))
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

#[cfg(test)]
mod tests;
