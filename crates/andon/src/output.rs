//! What a command prints on standard output: tables for people, JSON for
//! programs.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde::Serialize;

/// The form of a command's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Tables and sentences.
    Human,
    /// One JSON value a line.
    Json,
}

impl Output {
    /// Prints `value` as JSON, or what `human` makes of it.
    pub(crate) fn print<T: Serialize + ?Sized>(
        self,
        value: &T,
        human: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        let text = match self {
            Self::Human => human(value),
            Self::Json => serde_json::to_string(value)?,
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{}", text.trim_end())?;
        out.flush()?;
        Ok(())
    }
}

/// A table with a heading, columns as wide as their content.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: Vec<[String; N]>) -> String {
    grid(&heading, rows.into_iter().map(Vec::from).collect())
}

/// A table whose number of columns is known when it runs.
pub(crate) fn grid(heading: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(heading);
    for row in rows {
        table.add_row(row);
    }
    // Every cell is padded on both sides; lines begin at the margin and end with
    // their text.
    let lines: Vec<String> = table
        .lines()
        .map(|line| {
            line.strip_prefix(' ')
                .unwrap_or(&line)
                .trim_end()
                .to_owned()
        })
        .collect();
    lines.join("\n")
}

/// A number of bytes for people, in decimal units as disks are sold.
pub(crate) fn bytes(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000_000 => (1e3, "kB"),
        1_000_000..1_000_000_000 => (1e6, "MB"),
        _ => (1e9, "GB"),
    };
    format!("{:.1} {name}", bytes as f64 / unit)
}

#[cfg(test)]
mod tests {
    use super::{bytes, table};

    #[test]
    fn tables_are_aligned() {
        let rows = vec![
            ["minilm:l6".to_owned(), "91.3 MB".to_owned()],
            ["x".to_owned(), "1.0 GB".to_owned()],
        ];
        insta::assert_snapshot!(table(["NAME", "SIZE"], rows), @r"
        NAME       SIZE
        minilm:l6  91.3 MB
        x          1.0 GB
        ");
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(bytes(190), "0.2 kB");
        assert_eq!(bytes(98_362_432), "98.4 MB");
        assert_eq!(bytes(2_000_000_000), "2.0 GB");
    }
}
