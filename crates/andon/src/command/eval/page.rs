//! The file of a report: there is room for it before the work begins, and it is
//! whole or as it was.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tempfile::NamedTempFile;

/// A page that will be written.
pub(super) struct Page {
    path: PathBuf,
    staged: NamedTempFile,
}

impl Page {
    /// Makes sure that the page can be written.
    pub(super) fn reserve(path: &Path) -> anyhow::Result<Self> {
        let cannot_write = || format!("cannot write the report '{}'", path.display());
        if path.is_dir() {
            bail!(
                "the report '{}' is a folder: name a file, as report.html",
                path.display()
            );
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut staged = tempfile::Builder::new();
        staged.prefix(".andon-report-");
        #[cfg(unix)]
        {
            // As any file of the user's, not for its owner alone.
            use std::os::unix::fs::PermissionsExt;
            staged.permissions(std::fs::Permissions::from_mode(0o666));
        }
        Ok(Self {
            path: path.to_owned(),
            staged: staged.tempfile_in(folder).with_context(cannot_write)?,
        })
    }

    /// Writes it.
    pub(super) fn write(mut self, text: &str) -> anyhow::Result<()> {
        let cannot_write = || format!("cannot write the report '{}'", self.path.display());
        self.staged
            .write_all(text.as_bytes())
            .and_then(|()| self.staged.as_file().sync_all())
            .with_context(cannot_write)?;
        let path = &self.path;
        self.staged
            .persist(path)
            .with_context(|| format!("cannot write the report '{}'", path.display()))?;
        Ok(())
    }
}
