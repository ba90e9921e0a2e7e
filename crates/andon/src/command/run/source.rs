//! What `andon run --in` reads: a document, a folder of documents, or a table.

use std::path::Path;

use andon_task::mapping::{Columns, Mapping};
use andon_task::plant::Plant;
use andon_task::run::NewRecord;
use andon_task::task::{Kind, Task};
use anyhow::{Context, bail};
use serde_json::json;

use crate::batch::input::Table;
use crate::batch::{documents, record};
use crate::cli::Run;
use crate::document;

/// A file as a table with the columns that make a record of a row.
pub(super) fn table(
    plant: &Plant,
    typed: &Run,
    (input, tasks): (&Path, &[&Task]),
) -> anyhow::Result<(Table, Columns)> {
    if typed.asset.is_some() {
        bail!(
            "`--asset` is for a single document: name the column of a table with `--asset-column`"
        );
    }
    if input.is_dir() {
        return Ok((documents::table(input)?, documents::columns()));
    }
    if is_whole(input, tasks) {
        return Ok((documents::single(input)?, documents::columns()));
    }
    let mapping = mapping(plant, typed)?;
    let table = Table::read(input, typed.columns.sheet.as_deref())?;
    let columns = mapping.place(&table.columns);
    let columns = columns.with_context(|| format!("in '{}'", input.display()))?;
    Ok((table, columns))
}

/// The records of a file whose answers are printed, each with its name.
pub(super) fn records(
    plant: &Plant,
    task: &Task,
    typed: &Run,
    input: &Path,
) -> anyhow::Result<Vec<(String, NewRecord)>> {
    if input.is_dir() {
        bail!(
            "'{}' is a folder: name a table for its answers with `--out`",
            input.display()
        );
    }
    let name = input.file_name().unwrap_or_default().to_string_lossy();
    let text = match task.kind {
        _ if is_whole(input, &[task]) => Some(documents::text(input)?),
        // The records of a period are the rows.
        Kind::Summarise => Some(period(input, typed.columns.sheet.as_deref())?),
        _ => None,
    };
    if let Some(text) = text {
        let record = NewRecord {
            text,
            asset: typed.asset.clone(),
            meta: json!({ "file": name }),
        };
        return Ok(vec![(format!("'{}'", input.display()), record)]);
    }
    let (table, columns) = table(plant, typed, (input, &[task]))?;
    (0..table.rows.len())
        .map(|row| {
            let record = record(&table, &columns, (row, &name))?;
            Ok((format!("row {}", row + 1), record))
        })
        .collect()
}

/// Whether a file is one text for these tasks.
fn is_whole(input: &Path, tasks: &[&Task]) -> bool {
    let reads_documents = |task: &&Task| matches!(task.kind, Kind::Extract(_) | Kind::Summarise);
    document::is_document(input) || (document::is_text(input) && tasks.iter().all(reads_documents))
}

/// The records of a period: a spreadsheet as CSV, other files as they are.
fn period(input: &Path, sheet: Option<&str>) -> anyhow::Result<String> {
    let ending = input.extension().unwrap_or_default().to_string_lossy();
    let is_sheet = ["xlsx", "xls", "xlsb", "ods"].contains(&&*ending.to_ascii_lowercase());
    let cannot_read = || format!("cannot read '{}'", input.display());
    if !is_sheet {
        return std::fs::read_to_string(input).with_context(cannot_read);
    }
    let table = Table::read(input, sheet)?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&table.columns)?;
    for row in &table.rows {
        writer.write_record(row)?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    String::from_utf8(bytes).with_context(cannot_read)
}

/// Which columns hold what: as a file of the plant says, or as typed.
fn mapping(plant: &Plant, typed: &Run) -> anyhow::Result<Mapping> {
    let Some(name) = &typed.columns.mapping else {
        return Ok(Mapping {
            text: typed.columns.text.clone(),
            asset: typed.columns.asset.clone(),
            meta: typed.columns.meta.clone(),
        });
    };
    plant.mappings.get(name).cloned().with_context(|| {
        let known: Vec<&str> = plant.mappings.keys().map(String::as_str).collect();
        match known[..] {
            [] => format!("the plant has no mappings: add mappings/{name}.toml"),
            _ => format!(
                "the plant has no mapping '{name}': it has {}",
                known.join(", ")
            ),
        }
    })
}
