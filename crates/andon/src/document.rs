//! Reads files as text: manuals and procedures, and documents that come in as records.

use std::path::Path;
use std::time::Duration;

use andon_runtime::ReadDocument;

use crate::batch::input::separator;

pub(crate) mod pdf;

/// Raised whenever the same file would give another text.
const VERSION: u32 = 2;
/// Wider than any line of a page: lines are cut into sentences later.
const WIDTH: usize = 100_000;

/// What reads Markdown, text, HTML, CSV and PDF files.
pub(crate) struct Reader {
    pdf: pdf::Bounds,
}

/// Reads the plant's own manuals, of thousands of pages.
pub(crate) const MANUALS: Reader = Reader {
    pdf: pdf::Bounds {
        time: Duration::from_secs(180),
        memory: 4 << 30,
    },
};

/// Reads what anybody sends, of a few pages.
pub(crate) const RECORDS: Reader = Reader {
    pdf: pdf::Bounds {
        time: Duration::from_secs(20),
        memory: 1 << 30,
    },
};

/// Whether a file is a document by its ending, rather than a table.
pub(crate) fn is_document(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    let ending = ending.to_ascii_lowercase();
    ["pdf", "md", "markdown", "html", "htm"].contains(&ending.as_str())
}

/// Whether a file is one of those that [`Reader`] reads as a text of its own.
pub(crate) fn is_text(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    is_document(path) || ["txt", "text"].contains(&ending.to_ascii_lowercase().as_str())
}

impl ReadDocument for Reader {
    fn version(&self) -> u32 {
        VERSION
    }

    fn read(&self, path: &str, bytes: &[u8]) -> Result<String, String> {
        let ending = path.rsplit('.').next().unwrap_or("").to_lowercase();
        match ending.as_str() {
            "md" | "markdown" | "txt" | "text" => text(path, bytes),
            "csv" => table(path, bytes),
            "html" | "htm" => html(path, bytes),
            "pdf" => pdf::read(path, bytes, self.pdf),
            _ => Err(format!(
                "'{path}' is none of Markdown, text, HTML, CSV and PDF: save it as one of them"
            )),
        }
    }
}

fn text(path: &str, bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("'{path}' is not UTF-8 at byte {at}: save the file as UTF-8")
    })
}

/// A table as a section whose items are the rows, each cell behind its column's name.
fn table(path: &str, bytes: &[u8]) -> Result<String, String> {
    let source = text(path, bytes)?;
    let failed = |error: csv::Error| format!("'{path}' cannot be read as CSV ({error}): mend it");
    let source = source.trim_start_matches('\u{feff}');
    let mut rows = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .delimiter(separator(source))
        .from_reader(source.as_bytes());
    let columns = rows.headers().map_err(failed)?.clone();
    let name = path
        .rsplit('/')
        .next()
        .unwrap_or(path)
        .trim_end_matches(".csv");
    let mut text = format!("# {}\n\n", name.replace(['_', '-'], " "));
    for row in rows.records() {
        let row = row.map_err(failed)?;
        let cells: Vec<String> = columns
            .iter()
            .zip(row.iter())
            .filter(|(_, cell)| !cell.is_empty())
            .map(|(column, cell)| format!("{column}: {}", cell.replace(['\n', '\r', '|'], " ")))
            .collect();
        if !cells.is_empty() {
            text.push_str(&format!("- {}\n", cells.join(" | ")));
        }
    }
    Ok(text)
}

/// Headings keep their marks, so that sections stay sections.
fn html(path: &str, bytes: &[u8]) -> Result<String, String> {
    let source = text(path, bytes)?;
    html2text::config::plain_no_decorate()
        .link_footnotes(false)
        .no_table_borders()
        .string_from_read(source.as_bytes(), WIDTH)
        .map_err(|error| format!("'{path}' cannot be read as HTML ({error}): save it anew"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_keeps_headings_and_loses_scripts() {
        let page = b"<html><head><title>t</title><script>alert(1)</script></head><body><h2>Torque</h2><p>Take <b>25 N\xc2\xb7m</b>.</p><ul><li>One</li></ul></body></html>";
        let text = MANUALS.read("manuals/a.html", page).expect("a page");
        assert!(text.contains("## Torque"), "{text}");
        assert!(text.contains("Take 25 N·m."), "{text}");
        assert!(text.contains("* One") && !text.contains("alert"), "{text}");
    }

    #[test]
    fn rows_of_a_table_name_their_columns() {
        let table = b"Component,Cause\nFan,\"Worn, bent\"\n,\nPump,\n";
        let text = MANUALS
            .read("manuals/mining_fmea.csv", table)
            .expect("a table");
        let expected = "# mining fmea\n\n- Component: Fan | Cause: Worn, bent\n- Component: Pump\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_a_remedy() {
        let check = |path: &str, bytes: &[u8], part: &str| {
            let problem = MANUALS.read(path, bytes).expect_err("it is refused");
            assert!(
                problem.contains(path) && problem.contains(part),
                "{problem}"
            );
        };
        check("manuals/a.docx", b"PK", "save it as one of them");
        check("manuals/a.txt", b"a\xff", "not UTF-8 at byte 1");
    }
}
