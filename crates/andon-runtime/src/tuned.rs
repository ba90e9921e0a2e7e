//! Encoders that were tuned for what serves a task.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use andon_task::digest::Digest;
use andon_task::engine::Embed;

use crate::files;

/// Makes a tuned encoder of the bytes that were kept of it, or says why not.
pub type ReadEncoder = Arc<dyn Fn(&[u8]) -> Result<Arc<dyn Embed>, String> + Send + Sync>;

/// The files of tuned encoders: one directory, each file named by its digest.
#[derive(Clone)]
pub struct TunedEncoders {
    folder: PathBuf,
    read: Option<ReadEncoder>,
}

impl TunedEncoders {
    /// The files in `directory`, which is made when the first is kept. Without what reads them
    /// none is found.
    pub fn new(directory: impl Into<PathBuf>, read: Option<ReadEncoder>) -> Self {
        Self {
            folder: directory.into(),
            read,
        }
    }

    /// Keeps an encoder, whole or not at all; it is known by its digest.
    pub fn save(&self, bytes: &[u8]) -> io::Result<()> {
        files::keep(&self.folder, &self.path(Digest::of(bytes)), bytes)
    }

    /// The encoder of this digest; `None` where none was kept.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn open(&self, digest: Digest) -> Result<Option<Arc<dyn Embed>>, String> {
        let Some(read) = &self.read else {
            return Ok(None);
        };
        let path = self.path(digest);
        let unreadable = |reason: String| {
            format!(
                "its tuned encoder '{}' cannot be read ({reason}): learn again",
                path.display()
            )
        };
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(|error| unreadable(error.to_string()))?,
        };
        match Digest::of(&bytes) == digest {
            true => read(&bytes).map(Some).map_err(unreadable),
            false => Err(unreadable("it is not as it was kept".to_owned())),
        }
    }

    /// Deletes an encoder, if no file with this ending names it. One that cannot be read names
    /// nothing.
    pub(crate) fn forget(
        &self,
        digest: Digest,
        ending: &str,
        encoder_of: impl Fn(&Path) -> Option<Digest>,
    ) -> io::Result<()> {
        let path = self.path(digest);
        if !path.exists() {
            return Ok(());
        }
        for entry in fs::read_dir(&self.folder)? {
            let other = entry?.path();
            let names = other.extension().is_some_and(|kind| kind == ending);
            if names && encoder_of(&other) == Some(digest) {
                return Ok(());
            }
        }
        files::forget(&path)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}.encoder"))
    }
}
