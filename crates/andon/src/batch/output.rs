//! The table of a batch's results: the columns of the input, then what each task made.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use andon_task::task::{Kind, Task};
use anyhow::{Context, bail};
use rust_xlsxwriter::Workbook;
use serde_json::{Map, Value};

use super::input::Table;
use super::journal::Made;

/// The most rows that a sheet has.
const MAX_ROWS: usize = 1_048_576;

/// The form of the results, by the ending of their file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Csv,
    Xlsx,
    Jsonl,
}

impl Form {
    /// The form that a file's ending names, if it can hold so many rows.
    pub(crate) fn of(path: &Path, rows: usize) -> anyhow::Result<Self> {
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        match ending.to_ascii_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "xlsx" if rows >= MAX_ROWS => bail!(
                "a sheet has {MAX_ROWS} rows, which {rows} and a heading do not fit: write to a .csv"
            ),
            "xlsx" => Ok(Self::Xlsx),
            "jsonl" => Ok(Self::Jsonl),
            _ => bail!(
                "'{}' is none of the files that are written: csv, xlsx, jsonl",
                path.display()
            ),
        }
    }
}

/// The columns that a task fills. With several tasks their names begin with the task's.
struct Filled {
    names: Vec<String>,
    /// The fields of its object, each a column.
    fields: Vec<String>,
}

impl Filled {
    fn by(task: &Task, several: bool) -> Self {
        let fields = match &task.kind {
            Kind::Extract(schema) => {
                let properties = schema.value()["properties"].as_object();
                let names = properties.map(|properties| properties.keys().cloned().collect());
                names.unwrap_or_default()
            }
            _ => Vec::new(),
        };
        let own = match &task.kind {
            Kind::Decide(_) => vec!["answer", "also"],
            Kind::Extract(_) => Vec::new(),
            _ => vec!["answer"],
        };
        let own = own.into_iter().map(str::to_owned);
        let all = ["probability", "route", "reason", "run", "error"];
        let names = own
            .chain(fields.iter().map(|field| format!("answer.{field}")))
            .chain(all.into_iter().map(str::to_owned))
            .map(|name| match several {
                true => format!("{}.{name}", task.name),
                false => name,
            });
        Self {
            names: names.collect(),
            fields,
        }
    }

    /// The cells of a row, under the names.
    fn cells(&self, task: &Task, made: Option<&Made>) -> Vec<Value> {
        let (answer, also, rest) = match made {
            None => (None, None, vec![Value::Null; 5]),
            Some(Made::Error(error)) => {
                let rest = [Value::Null, Value::Null, Value::Null, Value::Null];
                (None, None, [&rest[..], &[error.clone().into()]].concat())
            }
            Some(Made::Run {
                run,
                answer,
                also,
                probability,
                route,
                reason,
            }) => {
                let word = |value: Result<Value, _>| value.unwrap_or(Value::Null);
                let rest = vec![
                    (*probability).into(),
                    word(serde_json::to_value(route)),
                    word(serde_json::to_value(reason)),
                    (*run).into(),
                    Value::Null,
                ];
                (Some(answer), also.clone(), rest)
            }
        };
        let whole = answer.cloned().unwrap_or(Value::Null);
        let own = match &task.kind {
            Kind::Decide(_) => vec![whole, also.into()],
            Kind::Extract(_) => Vec::new(),
            _ => vec![whole],
        };
        let field = |name: &String| answer.and_then(|answer| answer.get(name)).cloned();
        let fields = self.fields.iter().map(field);
        own.into_iter()
            .chain(fields.map(|value| value.unwrap_or(Value::Null)))
            .chain(rest)
            .collect()
    }
}

/// Writes the results, whole or not at all.
pub(crate) fn write(
    path: &Path,
    form: Form,
    table: &Table,
    tasks: &[&Task],
    done: &BTreeMap<usize, Vec<Made>>,
) -> anyhow::Result<()> {
    let cannot_write = || format!("cannot write '{}'", path.display());
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let filled: Vec<Filled> = tasks
        .iter()
        .map(|task| Filled::by(task, tasks.len() > 1))
        .collect();
    let names = filled
        .iter()
        .flat_map(|filled| filled.names.iter().cloned());
    let heading: Vec<String> = unlike(table.columns.iter().cloned().chain(names));
    let rows = table.rows.iter().enumerate().map(|(row, cells)| {
        let made = done.get(&row);
        let own = cells.iter().map(|cell| Value::from(cell.as_str()));
        let of = |at: usize| filled[at].cells(tasks[at], made.and_then(|made| made.get(at)));
        own.chain((0..tasks.len()).flat_map(of))
            .collect::<Vec<Value>>()
    });
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(cannot_write)?;
    match form {
        Form::Csv => csv_rows(&mut file, &heading, rows),
        Form::Jsonl => object_rows(&mut file, &heading, rows),
        Form::Xlsx => sheet_rows(&mut file, &heading, rows),
    }
    .with_context(cannot_write)?;
    file.as_file().sync_all().with_context(cannot_write)?;
    file.persist_noclobber(path).with_context(cannot_write)?;
    Ok(())
}

/// Names that differ: one that was there before gets a number.
fn unlike(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        let mut unlike = name.clone();
        let mut number = 2;
        while all.contains(&unlike) {
            unlike = format!("{name} {number}");
            number += 1;
        }
        all.push(unlike);
    }
    all
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn csv_rows(
    file: &mut impl Write,
    heading: &[String],
    rows: impl Iterator<Item = Vec<Value>>,
) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(heading)?;
    for row in rows {
        writer.write_record(row.iter().map(shown))?;
    }
    Ok(writer.flush()?)
}

fn object_rows(
    file: &mut impl Write,
    heading: &[String],
    rows: impl Iterator<Item = Vec<Value>>,
) -> anyhow::Result<()> {
    let mut writer = std::io::BufWriter::new(file);
    for row in rows {
        let object: Map<String, Value> = heading.iter().cloned().zip(row).collect();
        serde_json::to_writer(&mut writer, &object)?;
        writer.write_all(b"\n")?;
    }
    Ok(writer.flush()?)
}

/// Texts are written as texts: nothing of the input becomes a formula.
fn sheet_rows(
    file: &mut impl Write,
    heading: &[String],
    rows: impl Iterator<Item = Vec<Value>>,
) -> anyhow::Result<()> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.set_freeze_panes(1, 0)?;
    for (column, name) in heading.iter().enumerate() {
        sheet.write_string(0, u16::try_from(column)?, name)?;
    }
    for (row, cells) in rows.enumerate() {
        let row = u32::try_from(row + 1)?;
        for (column, value) in cells.iter().enumerate() {
            let column = u16::try_from(column)?;
            match value.as_f64() {
                Some(number) => sheet.write_number(row, column, number)?,
                None => sheet.write_string(row, column, shown(value))?,
            };
        }
    }
    Ok(file.write_all(&book.save_to_buffer()?)?)
}
