//! A query, what it comes to, and the sentence that says so.

use std::collections::BTreeMap;

use super::token::alike;
use super::{Reckoned, Row, Table, keys, number};

/// Rows named as evidence at most.
const NAMED: usize = 10;
/// Values that a list names at most.
const LISTED: usize = 20;

/// What is asked of the rows that remain.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ask {
    /// How many rows, or different values of a column, there are.
    Count { subject: Option<usize> },
    /// Which values a column has.
    List { subject: usize },
    /// Which values come most often.
    Commonest {
        subject: usize,
        count: Option<usize>,
    },
    /// The highest or lowest number of a column.
    Extreme { metric: usize, order: Order },
    /// The values, or rows, with the highest or lowest numbers.
    Ranked {
        subject: Option<usize>,
        metric: usize,
        order: Order,
        count: Option<usize>,
    },
    /// The mean of a column.
    Average { metric: usize },
    /// The sum of a column.
    Sum { metric: usize },
    /// Which value has most rows, or most different values of another column.
    Most { group: usize, of: Option<usize> },
}

/// Which end of a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Highest,
    Lowest,
}

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Compared {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
    /// From the number to this one.
    Within(f64),
}

#[derive(Clone, Debug, PartialEq)]
enum Holds {
    Value(String),
    Words(String, Vec<String>),
    Number(Compared, f64),
}

/// What a row must have.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filter {
    pub(super) column: usize,
    holds: Holds,
}

/// A question, understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    pub(super) ask: Ask,
    pub(super) filters: Vec<Filter>,
}

impl Ask {
    /// The columns that the answer is of.
    pub(super) fn columns(&self) -> Vec<usize> {
        match *self {
            Self::Count { subject } => subject.into_iter().collect(),
            Self::List { subject } | Self::Commonest { subject, .. } => vec![subject],
            Self::Extreme { metric, .. } | Self::Average { metric } | Self::Sum { metric } => {
                vec![metric]
            }
            Self::Ranked {
                subject, metric, ..
            } => subject.into_iter().chain([metric]).collect(),
            Self::Most { group, of } => [group].into_iter().chain(of).collect(),
        }
    }
}

impl Filter {
    pub(super) fn value(column: usize, value: String) -> Self {
        let holds = Holds::Value(value);
        Self { column, holds }
    }

    pub(super) fn containing(column: usize, words: String, keys: Vec<String>) -> Self {
        let holds = Holds::Words(words, keys);
        Self { column, holds }
    }

    pub(super) fn number(column: usize, compared: Compared, number: f64) -> Self {
        let holds = Holds::Number(compared, number);
        Self { column, holds }
    }

    /// Whether it is a value of the column, and no comparison.
    pub(super) fn is_value(&self) -> bool {
        matches!(self.holds, Holds::Value(_))
    }

    fn fits(&self, row: &Row) -> bool {
        let cell = &row.cells[self.column];
        match &self.holds {
            Holds::Value(value) => cell.to_lowercase() == *value,
            Holds::Words(_, wanted) => {
                let own: Vec<String> = keys(cell).into_iter().map(alike).collect();
                own.windows(wanted.len()).any(|run| run == wanted)
            }
            Holds::Number(compared, bound) => number(cell).is_some_and(|own| match compared {
                Compared::Above => own > *bound,
                Compared::AtLeast => own >= *bound,
                Compared::Below => own < *bound,
                Compared::AtMost => own <= *bound,
                Compared::Equal => own == *bound,
                Compared::Within(high) => own >= *bound && own <= *high,
            }),
        }
    }

    fn said(&self, table: &Table) -> String {
        let name = &table.columns[self.column].name;
        match &self.holds {
            Holds::Value(value) => {
                let cells = table.rows.iter().map(|row| &row.cells[self.column]);
                let written = cells.into_iter().find(|cell| cell.to_lowercase() == *value);
                format!("{name} is '{}'", written.unwrap_or(value))
            }
            Holds::Words(words, _) => format!("{name} has the words '{words}'"),
            Holds::Number(compared, bound) => match compared {
                Compared::Above => format!("{name} is above {bound}"),
                Compared::AtLeast => format!("{name} is at least {bound}"),
                Compared::Below => format!("{name} is below {bound}"),
                Compared::AtMost => format!("{name} is at most {bound}"),
                Compared::Equal => format!("{name} is {bound}"),
                Compared::Within(high) => format!("{name} is from {bound} to {high}"),
            },
        }
    }
}

/// The rows that an answer is about.
struct Within {
    rows: usize,
    conditions: String,
}

impl std::fmt::Display for Within {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "in {}{}", plural(self.rows), self.conditions)
    }
}

fn plural(rows: usize) -> String {
    match rows {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    }
}

/// A value with how often it comes, or its number.
type Rank<'a> = (&'a str, f64);

impl Table {
    /// What a query comes to; `None` where no row fits one that is about rows.
    pub(super) fn reckon(&self, query: &Query) -> Option<Reckoned> {
        let fits = |row: &&Row| query.filters.iter().all(|filter| filter.fits(row));
        let has = |row: &&Row| {
            let columns = query.ask.columns();
            columns.iter().all(|&column| !row.cells[column].is_empty())
        };
        let rows: Vec<&Row> = self.rows.iter().filter(fits).filter(has).collect();
        let within = Within {
            rows: rows.len(),
            conditions: self.conditions(&query.filters),
        };
        if rows.is_empty() {
            // None is an answer where rows are chosen by numbers, not where words name nothing.
            let counts = matches!(query.ask, Ask::Count { .. } | Ask::List { .. });
            let by_number = query.filters.iter().any(|filter| !filter.is_value());
            return (counts && by_number).then(|| Reckoned {
                text: format!("None: 0 rows{}.", within.conditions),
                rows: Vec::new(),
            });
        }
        let (text, named) = self.told(&query.ask, &within, rows)?;
        let named = named.iter().take(NAMED);
        Some(Reckoned {
            text,
            rows: named
                .map(|row| (row.section, row.sentences.clone()))
                .collect(),
        })
    }

    fn conditions(&self, filters: &[Filter]) -> String {
        let said: Vec<String> = filters.iter().map(|filter| filter.said(self)).collect();
        match said.is_empty() {
            true => String::new(),
            false => format!(" where {}", said.join(" and ")),
        }
    }

    fn told<'a>(
        &self,
        ask: &Ask,
        within: &Within,
        rows: Vec<&'a Row>,
    ) -> Option<(String, Vec<&'a Row>)> {
        let name = |column: usize| self.columns[column].name.as_str();
        match *ask {
            Ask::Count { subject: None } => {
                let text = format!("{}{}.", plural(rows.len()), within.conditions);
                Some((text, rows))
            }
            Ask::Count {
                subject: Some(subject),
            } => {
                let different = counted(&rows, subject).len();
                let values = if different == 1 { "value" } else { "values" };
                let text = format!(
                    "{different} different {values} of '{}' {within}.",
                    name(subject)
                );
                Some((text, rows))
            }
            Ask::List { subject } => {
                let ranked = counted(&rows, subject);
                let values: Vec<&str> = ranked.iter().take(LISTED).map(|(v, _)| *v).collect();
                let more = match ranked.len() - values.len() {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let text = format!("{} {within}: {}{more}.", name(subject), values.join("; "));
                Some((text, rows))
            }
            Ask::Commonest { subject, count } => {
                let ranked = counted(&rows, subject);
                let best = first(&ranked, count.unwrap_or(1));
                let text = match count {
                    None => format!(
                        "{} {within}, most frequent ({} rows): {}.",
                        name(subject),
                        best[0].1,
                        values_of(&best).join("; ")
                    ),
                    Some(_) => {
                        let told: Vec<String> = best
                            .iter()
                            .map(|(v, n)| format!("{v} ({n} rows)"))
                            .collect();
                        format!(
                            "{} {within}, most frequent: {}.",
                            name(subject),
                            told.join("; ")
                        )
                    }
                };
                let best = values_of(&best);
                let holds = |row: &&Row| best.contains(&row.cells[subject].as_str());
                Some((text, rows.into_iter().filter(holds).collect()))
            }
            Ask::Extreme { metric, order } => {
                let (best, best_rows) = self.best(&rows, metric, order)?;
                let text = format!(
                    "{} {within}, {}: {best} ({}).",
                    name(metric),
                    order.word(),
                    plural(best_rows.len()),
                );
                Some((text, best_rows))
            }
            Ask::Ranked {
                subject,
                metric,
                order,
                count,
            } => self.ranked((subject, metric), (order, count), within, rows),
            Ask::Average { metric } | Ask::Sum { metric } => {
                let numbers: Option<Vec<f64>> =
                    rows.iter().map(|row| number(&row.cells[metric])).collect();
                let numbers = numbers?;
                let sum: f64 = numbers.iter().sum();
                let (word, value) = match ask {
                    Ask::Sum { .. } => ("sum", sum),
                    _ => ("mean", sum / numbers.len() as f64),
                };
                let value = (value * 100.0).round() / 100.0;
                Some((format!("{} {within}, {word}: {value}.", name(metric)), rows))
            }
            Ask::Most { group, of } => {
                let by_rows = counted(&rows, group);
                let best = first(&by_rows, 1);
                let Some(of) = of else {
                    let (value, count) = best[0];
                    let text = format!(
                        "{} {within} with most rows ({count}): {}.",
                        name(group),
                        values_of(&best).join("; ")
                    );
                    return Some((text, holding(rows, group, value)));
                };
                let mut different: BTreeMap<(&str, &str), ()> = BTreeMap::new();
                for row in &rows {
                    different.insert((&row.cells[group], &row.cells[of]), ());
                }
                let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
                for (value, _) in different.keys() {
                    *counts.entry(value).or_default() += 1.0;
                }
                let mut by_values: Vec<Rank<'_>> = counts.into_iter().collect();
                by_values.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
                let best_by_values = first(&by_values, 1);
                // Rows and different values may disagree: who asks is told both.
                let text = format!(
                    "{} {within} with most different values of '{}' ({}): {}; with most rows ({}): {}.",
                    name(group),
                    name(of),
                    best_by_values[0].1,
                    values_of(&best_by_values).join("; "),
                    best[0].1,
                    values_of(&best).join("; ")
                );
                Some((text, holding(rows, group, best[0].0)))
            }
        }
    }

    /// The highest or lowest number of a column, and the rows that have it.
    fn best<'a>(
        &self,
        rows: &[&'a Row],
        metric: usize,
        order: Order,
    ) -> Option<(f64, Vec<&'a Row>)> {
        let numbers: Vec<(f64, &Row)> = rows
            .iter()
            .filter_map(|row| Some((number(&row.cells[metric])?, *row)))
            .collect();
        let best = numbers
            .iter()
            .map(|(number, _)| *number)
            .reduce(order.pick())?;
        let rows = numbers.into_iter().filter(|(number, _)| *number == best);
        Some((best, rows.map(|(_, row)| row).collect()))
    }

    fn ranked<'a>(
        &self,
        (subject, metric): (Option<usize>, usize),
        (order, count): (Order, Option<usize>),
        within: &Within,
        rows: Vec<&'a Row>,
    ) -> Option<(String, Vec<&'a Row>)> {
        let mut numbered: Vec<(f64, &Row)> = rows
            .iter()
            .filter_map(|row| Some((number(&row.cells[metric])?, *row)))
            .collect();
        numbered.sort_by(|a, b| match order {
            Order::Highest => b.0.total_cmp(&a.0),
            Order::Lowest => a.0.total_cmp(&b.0),
        });
        // Of each value the row that ranks best; without a subject each row for itself.
        let shown = |row: &'a Row| match subject {
            Some(subject) => row.cells[subject].as_str(),
            None => row
                .cells
                .iter()
                .find(|cell| !cell.is_empty() && number(cell).is_none())
                .map_or("", String::as_str),
        };
        let mut best: Vec<(f64, &Row)> = Vec::new();
        for (value, row) in numbered {
            let is_known = |(_, known): &&(f64, &'a Row)| shown(known) == shown(row);
            if subject.is_none() || !best.iter().any(|one| is_known(&one)) {
                best.push((value, row));
            }
        }
        let wanted = count.unwrap_or(1).min(best.len()).max(1);
        let last = best.get(wanted - 1)?.0;
        // Who is level with the last is as good.
        let told = best.iter().take_while(|(value, _)| match order {
            Order::Highest => *value >= last,
            Order::Lowest => *value <= last,
        });
        let told: Vec<&(f64, &Row)> = told.collect();
        let (metric, listed) = (&self.columns[metric].name, told.len().min(LISTED));
        let lines: Vec<String> = told[..listed]
            .iter()
            .map(|(value, row)| format!("{} ({metric} {value})", shown(row)))
            .collect();
        let more = match told.len() - listed {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let level = match told.len() > wanted && count.is_some() {
            true => format!(" (more than {wanted}, as some are level at {last})"),
            false => String::new(),
        };
        let subject = subject.map_or("Rows", |subject| &self.columns[subject].name);
        let text = format!(
            "{subject} {within} with the {} {metric}: {}{more}{level}.",
            order.word(),
            lines.join("; ")
        );
        Some((text, told.iter().map(|(_, row)| *row).collect()))
    }
}

impl Order {
    fn word(self) -> &'static str {
        match self {
            Self::Highest => "highest",
            Self::Lowest => "lowest",
        }
    }

    fn pick(self) -> fn(f64, f64) -> f64 {
        match self {
            Self::Highest => f64::max,
            Self::Lowest => f64::min,
        }
    }
}

/// The values of a column with how many rows have them, the most frequent first.
fn counted<'a>(rows: &[&'a Row], column: usize) -> Vec<Rank<'a>> {
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    for row in rows {
        *counts.entry(&row.cells[column]).or_default() += 1.0;
    }
    let mut ranked: Vec<Rank<'_>> = counts.into_iter().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    ranked
}

/// The first so many of a ranking, and who is level with the last of them.
fn first<'a>(ranked: &[Rank<'a>], count: usize) -> Vec<Rank<'a>> {
    let last = ranked.get(count.min(ranked.len()).max(1) - 1);
    let last = last.map_or(f64::INFINITY, |(_, number)| *number);
    let best = ranked.iter().take_while(|(_, number)| *number >= last);
    best.copied().collect()
}

fn values_of<'a>(ranked: &[Rank<'a>]) -> Vec<&'a str> {
    ranked.iter().map(|(value, _)| *value).collect()
}

fn holding<'a>(rows: Vec<&'a Row>, column: usize, value: &str) -> Vec<&'a Row> {
    rows.into_iter()
        .filter(|row| row.cells[column] == value)
        .collect()
}
