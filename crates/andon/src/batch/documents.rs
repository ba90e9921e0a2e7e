//! A folder of documents as a table: a row for each file. A file is read when its row's turn
//! comes, so that one that cannot be read is told in its row.

use std::path::{Path, PathBuf};

use andon_runtime::ReadDocument as _;
use andon_task::digest::Digest;
use andon_task::mapping::Columns;
use anyhow::{Context, bail};

use super::input::{Table, bytes};
use crate::document::{RECORDS, is_text};
use crate::progress::line;

/// The name of the column with the files.
pub(super) const FILE: &str = "file";
/// The most files that are read.
const MOST: usize = 100_000;
/// The largest file.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Folders within folders are looked at so deep.
const DEPTH: usize = 16;

/// The documents of a folder, with those of the folders in it, by name. Another file is left
/// out, and so is one whose name begins with a dot.
pub(crate) fn table(folder: &Path) -> anyhow::Result<Table> {
    let (mut files, mut others) = (Vec::new(), 0);
    collect(folder, DEPTH, &mut files, &mut others)?;
    if others > 0 {
        line(&format!(
            "{others} files of '{}' are no documents (pdf, html, md, txt) and are left out",
            folder.display()
        ));
    }
    if files.is_empty() {
        bail!(
            "'{}' has no documents: put pdf, html, md or txt files into it",
            folder.display()
        );
    }
    files.sort();
    let mut digests = Vec::with_capacity(files.len());
    for file in &files {
        digests.push(Digest::of(&bytes(file, MAX_BYTES)?));
    }
    let rows = files.iter().map(|file| {
        let shown = file.strip_prefix(folder).unwrap_or(file);
        vec![shown.to_string_lossy().into_owned()]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let parts = rows.iter().zip(&digests);
    let parts = parts.flat_map(|(row, digest)| [row[0].as_bytes(), digest.as_bytes().as_slice()]);
    Ok(Table {
        columns: vec![FILE.to_owned()],
        digest: Digest::of_parts(parts),
        rows,
        folder: Some(folder.to_owned()),
    })
}

/// A single document as a table of one row.
pub(crate) fn single(path: &Path) -> anyhow::Result<Table> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(Table {
        columns: vec![FILE.to_owned()],
        rows: vec![vec![name.into_owned()]],
        digest: Digest::of(&bytes(path, MAX_BYTES)?),
        folder: Some(path.parent().unwrap_or(Path::new("")).to_owned()),
    })
}

/// The columns of such a table.
pub(crate) fn columns() -> Columns {
    Columns {
        text: vec![0],
        asset: None,
        meta: Vec::new(),
    }
}

/// The text of a document.
pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    let bytes = bytes(path, MAX_BYTES)?;
    let name = path.display().to_string();
    RECORDS.read(&name, &bytes).map_err(anyhow::Error::msg)
}

fn collect(
    folder: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
    others: &mut usize,
) -> anyhow::Result<()> {
    let cannot_read = || format!("cannot read the folder '{}'", folder.display());
    for entry in std::fs::read_dir(folder).with_context(cannot_read)? {
        let entry = entry.with_context(cannot_read)?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        // A link may lead in a circle.
        let kind = entry.file_type().with_context(cannot_read)?;
        if kind.is_dir() {
            match depth {
                0 => bail!("'{}' lies too deep: move it up", path.display()),
                _ => collect(&path, depth - 1, files, others)?,
            }
        } else if is_text(&path) {
            files.push(path);
        } else {
            *others += 1;
        }
        if files.len() > MOST {
            bail!(
                "'{}' has more than {MOST} documents: divide it",
                folder.display()
            );
        }
    }
    Ok(())
}
