//! What the store writes beside a model's files.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use andon_task::digest::Digest;
use andon_task::run::Timestamp;
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::name::ModelName;

/// The file's name in a model's folder.
pub(super) const FILE: &str = "manifest.json";

/// `manifest.json`: what a model is and where it came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The name under which it is kept.
    pub(crate) name: ModelName,
    /// Where it came from.
    pub(crate) source: String,
    /// Its files, the weights first.
    pub(crate) files: Vec<ModelFile>,
    /// The family, where it is known.
    pub(crate) family: Option<String>,
    /// The most tokens that it holds, where it is known.
    pub(crate) context_tokens: Option<usize>,
    /// The licence of the weights, where it is known.
    pub(crate) licence: Option<String>,
    /// When it was fetched.
    pub(crate) fetched_at: Timestamp,
}

/// One file of a model as it was when it was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModelFile {
    /// The path in the model's folder, with `/`.
    pub(crate) path: String,
    /// Its digest.
    pub(crate) sha256: Digest,
    /// Its size.
    pub(crate) bytes: u64,
}

/// How thoroughly files are compared with their manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// They are there and have their size.
    Sizes,
    /// They have their digest; every byte is read.
    Digests,
}

impl Manifest {
    /// Reads the manifest of the model in `folder`; `None` where there is none.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            // A home below a file is said when it is to be written to.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read '{}'", path.display()));
            }
        };
        let manifest: Self = serde_json::from_str(&text).with_context(|| {
            format!(
                "'{}' is no manifest of a model: remove the folder and pull the model again",
                path.display()
            )
        })?;
        let stays_inside = |file: &ModelFile| {
            Path::new(&file.path)
                .components()
                .all(|part| matches!(part, Component::Normal(_)))
        };
        if manifest.files.is_empty() || !manifest.files.iter().all(stays_inside) {
            bail!(
                "'{}' names no files, or files outside its folder",
                path.display()
            );
        }
        Ok(Some(manifest))
    }

    /// The digest of the weights: what the model is known by.
    pub(crate) fn digest(&self) -> Digest {
        self.files[0].sha256
    }

    /// What the files take on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The first thing that is not as the manifest says, if any.
    pub(super) fn damage(&self, folder: &Path, check: Check) -> Option<String> {
        self.files.iter().find_map(|file| {
            let path = folder.join(&file.path);
            let bytes = match path.metadata() {
                Ok(metadata) => metadata.len(),
                Err(error) => return Some(format!("'{}': {error}", file.path)),
            };
            if bytes != file.bytes {
                return Some(format!(
                    "'{}' has {bytes} bytes and not {}",
                    file.path, file.bytes
                ));
            }
            if check == Check::Sizes {
                return None;
            }
            match hash_file(&path) {
                Ok(found) if found == file.sha256 => None,
                Ok(found) => Some(format!(
                    "'{}' has SHA-256 {found} and not {}",
                    file.path, file.sha256
                )),
                Err(error) => Some(format!("'{}': {error}", file.path)),
            }
        })
    }
}

/// The digest of a file, read once.
pub(super) fn hash_file(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest::from_bytes(hasher.finalize().into())),
            read => hasher.update(&buffer[..read]),
        }
    }
}
