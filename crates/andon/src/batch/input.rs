//! Tables that people have: CSV with any of the usual separators, spreadsheets, JSON lines,
//! lines of text.

use std::path::{Path, PathBuf};

use andon_task::digest::Digest;
use anyhow::{Context, bail};
use calamine::{Data, Reader};
use serde_json::{Map, Value};

/// The largest file that is read.
const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// A table in memory.
pub(crate) struct Table {
    /// The names of its columns.
    pub(crate) columns: Vec<String>,
    /// Its rows, each with a cell for each column.
    pub(crate) rows: Vec<Vec<String>>,
    /// The digest of the file.
    pub(crate) digest: Digest,
    /// Where the rows are files: the folder that they are in.
    pub(crate) folder: Option<PathBuf>,
}

impl Table {
    /// Reads a file by its ending; of a spreadsheet the sheet of this name, or the first.
    pub(crate) fn read(path: &Path, sheet: Option<&str>) -> anyhow::Result<Self> {
        let cannot_read = || format!("cannot read '{}'", path.display());
        let bytes = bytes(path, MAX_BYTES)?;
        let digest = Digest::of(&bytes);
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        let (columns, rows) = match ending.to_ascii_lowercase().as_str() {
            "csv" | "tsv" => separated(text(&bytes)?),
            "jsonl" => objects(text(&bytes)?),
            "txt" => Ok(lines(text(&bytes)?)),
            "xlsx" | "xls" | "xlsb" | "ods" => spreadsheet(bytes, sheet),
            _ => bail!(
                "'{}' is none of the files that are read: csv, tsv, xlsx, xls, xlsb, ods, jsonl, txt",
                path.display()
            ),
        }
        .with_context(cannot_read)?;
        if sheet.is_some() && !matches!(&*ending, "xlsx" | "xls" | "xlsb" | "ods") {
            bail!("'{}' has no sheets: leave out `--sheet`", path.display());
        }
        if columns.is_empty() {
            bail!(
                "'{}' is empty: the first row names the columns",
                path.display()
            );
        }
        Ok(Self {
            columns,
            rows,
            digest,
            folder: None,
        })
    }
}

type Cells = (Vec<String>, Vec<Vec<String>>);

fn text(bytes: &[u8]) -> anyhow::Result<&str> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|error| {
        anyhow::anyhow!(
            "not UTF-8 at byte {}: save the file as UTF-8",
            error.valid_up_to()
        )
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// What separates the cells of a CSV file: what its first line has most of.
pub(crate) fn separator(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let count = |separator: &u8| first.bytes().filter(|byte| byte == separator).count();
    let most = [b';', b'\t', b'|', b','].into_iter().max_by_key(count);
    most.unwrap_or(b',')
}

fn separated(text: &str) -> anyhow::Result<Cells> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator(text))
        .from_reader(text.as_bytes());
    let own = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    let columns = own(reader.headers().context("the first line")?);
    let rows = reader.records().map(|row| Ok(own(&row?)));
    Ok((columns, rows.collect::<anyhow::Result<_>>()?))
}

fn lines(text: &str) -> Cells {
    let rows = text.lines().filter(|line| !line.trim().is_empty());
    let rows = rows.map(|line| vec![line.to_owned()]).collect();
    (vec!["text".to_owned()], rows)
}

/// An object a line; its keys are the columns, in the order in which they come.
fn objects(text: &str) -> anyhow::Result<Cells> {
    let mut columns: Vec<String> = Vec::new();
    let mut objects: Vec<Map<String, Value>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let object: Map<String, Value> = serde_json::from_str(line)
            .with_context(|| format!("line {}: give an object a line", index + 1))?;
        for key in object.keys() {
            if !columns.contains(key) {
                columns.push(key.clone());
            }
        }
        objects.push(object);
    }
    let cell = |value: Option<&Value>| match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let rows = objects.iter().map(|object| {
        let cells = columns.iter().map(|column| cell(object.get(column)));
        cells.collect()
    });
    let rows = rows.collect();
    Ok((columns, rows))
}

fn spreadsheet(bytes: Vec<u8>, sheet: Option<&str>) -> anyhow::Result<Cells> {
    let mut book = calamine::open_workbook_auto_from_rs(std::io::Cursor::new(bytes))
        .context("it is no spreadsheet, or it is locked with a password")?;
    let names = book.sheet_names();
    let name = match sheet {
        Some(sheet) => names.iter().find(|name| *name == sheet).with_context(|| {
            format!(
                "there is no sheet '{sheet}': the sheets are {}",
                names.join(", ")
            )
        })?,
        None => names.first().context("it has no sheet")?,
    };
    let range = book
        .worksheet_range(name)
        .with_context(|| format!("the sheet '{name}'"))?;
    let cell = |data: &Data| match data {
        Data::DateTime(date) => {
            let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
            match (hour, minute, second) {
                (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
                _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
            }
        }
        other => other.to_string(),
    };
    let mut rows = range.rows().map(|row| row.iter().map(cell).collect());
    let columns = rows.next().unwrap_or_default();
    let filled = |row: &Vec<String>| row.iter().any(|cell| !cell.is_empty());
    Ok((columns, rows.filter(filled).collect()))
}

/// What a file holds, if that is at most so many bytes.
pub(super) fn bytes(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let cannot_read = || format!("cannot read '{}'", path.display());
    let size = std::fs::metadata(path).with_context(cannot_read)?.len();
    if size > most {
        bail!(
            "'{}' has {size} bytes, of {most} that are read: split it",
            path.display()
        );
    }
    std::fs::read(path).with_context(cannot_read)
}

#[cfg(test)]
mod tests;
