//! Where a model comes from, as a user writes it.

use std::fmt;
use std::path::PathBuf;

use andon_task::digest::Digest;
use anyhow::{Context, bail};

use super::catalogue::{self, Entry};

/// Where a model comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The built-in catalogue.
    Catalogue(&'static Entry),
    /// A file at a URL: `https://…`, or `hf:owner/repository/file[@revision]`
    /// resolved to one.
    Url {
        /// As it was written, without a digest.
        written: String,
        /// The URL to get.
        url: String,
    },
    /// A file or a directory of this machine.
    Local(PathBuf),
}

/// Whether a source may be taken without knowing its digest beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// No: the digest comes from the catalogue or from the user.
    KnownDigest,
    /// Yes, the user said so: the digest found now is the one to keep.
    FirstUse,
}

impl Trust {
    /// What the user said by `--trust-on-first-use`.
    pub(crate) fn from_flag(on_first_use: bool) -> Self {
        if on_first_use {
            Self::FirstUse
        } else {
            Self::KnownDigest
        }
    }
}

/// The public model hub; `HF_ENDPOINT` names a mirror.
pub(crate) const HUB: &str = "https://huggingface.co";

impl Source {
    /// Reads a source, with the digest that may follow a URL as `#sha256=…`.
    /// `hub` is the address of the model hub.
    pub(crate) fn parse(text: &str, hub: &str) -> anyhow::Result<(Self, Option<Digest>)> {
        if let Some(entry) = catalogue::by_name(text) {
            return Ok((Self::Catalogue(entry), None));
        }
        let (written, digest) = match text.split_once("#sha256=") {
            Some((written, digest)) => (written, Some(digest.parse()?)),
            None => (text, None),
        };
        let written = written.to_owned();
        if let Some(rest) = written.strip_prefix("hf:") {
            let url = hub_url(rest, hub)?;
            return Ok((Self::Url { written, url }, digest));
        }
        if written.starts_with("https://") {
            let url = written.clone();
            return Ok((Self::Url { written, url }, digest));
        }
        if written.starts_with("http://") {
            // Nothing protects the way but the digest.
            if digest.is_none() {
                bail!("'{written}' is not encrypted: append '#sha256=…', or use https");
            }
            let url = written.clone();
            return Ok((Self::Url { written, url }, digest));
        }
        let path = PathBuf::from(&written);
        if path.exists() {
            return Ok((Self::Local(path), digest));
        }
        let known: Vec<&str> = catalogue::CATALOGUE.iter().map(|e| e.name).collect();
        bail!(
            "'{written}' is no model of the catalogue ({}), no 'hf:owner/repository/file', no 'https://…' and no file",
            known.join(", ")
        )
    }

    /// The name of the file that the source gives, without folders.
    pub(super) fn file_name(&self) -> anyhow::Result<String> {
        let path = match self {
            Self::Catalogue(entry) => entry.files[0].path.to_owned(),
            Self::Url { url, .. } => {
                let end = url.find(['?', '#']).unwrap_or(url.len());
                url[..end].to_owned()
            }
            Self::Local(path) => path
                .canonicalize()
                .with_context(|| format!("cannot read '{}'", path.display()))?
                .to_string_lossy()
                .into_owned(),
        };
        let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
        if name.is_empty() || name.starts_with('.') || name.contains('%') {
            bail!("'{self}' does not end in the name of a file");
        }
        Ok(name.to_owned())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catalogue(entry) => write!(f, "pypi:{}=={}", entry.package, entry.version),
            Self::Url { written, .. } => f.write_str(written),
            Self::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

fn hub_url(rest: &str, hub: &str) -> anyhow::Result<String> {
    let (path, revision) = match rest.rsplit_once('@') {
        Some((path, revision)) => (path, revision),
        None => (rest, "main"),
    };
    let parts: Vec<&str> = path.splitn(3, '/').collect();
    let plain = |text: &str| {
        !text.is_empty()
            && !text.split('/').any(|part| part.is_empty() || part == "..")
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
    };
    match parts.as_slice() {
        [owner, repository, file]
            if [owner, repository, file, &revision]
                .into_iter()
                .all(|s| plain(s)) =>
        {
            let hub = hub.trim_end_matches('/');
            Ok(format!(
                "{hub}/{owner}/{repository}/resolve/{revision}/{file}"
            ))
        }
        _ => bail!("'hf:{rest}' is no file of the hub: write hf:owner/repository/file[@revision]"),
    }
}
