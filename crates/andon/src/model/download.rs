//! Downloads that survive a cut: a part stays until the whole file is there and
//! has its digest, and a later download continues it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use andon_task::digest::Digest;
use anyhow::{Context, anyhow, bail};
use serde::{Deserialize, Serialize};
use ureq::Agent;
use ureq::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE,
};
use ureq::http::{Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};

use super::manifest::hash_file;
use crate::progress::Progress;

/// How often a download begins anew without a byte gained before it is given up.
const ATTEMPTS_WITHOUT_GAIN: u32 = 3;

/// What is to be downloaded.
pub(super) struct Wanted<'a> {
    /// Where it is.
    pub(super) url: &'a str,
    /// What it must be; `None` where the user trusts the first use.
    pub(super) sha256: Option<Digest>,
    /// Who asks, for a hub's private files.
    pub(super) token: Option<&'a str>,
}

/// What makes two answers of a server the same file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    url: String,
    /// A strong entity tag, or the date of the last change.
    validator: Option<String>,
    total_bytes: Option<u64>,
}

/// A file that is not whole yet, with its identity beside it.
struct Part {
    path: PathBuf,
    identity: Identity,
    bytes: u64,
}

/// How an attempt ended without an error that is final.
enum Attempt {
    /// The part is whole.
    Whole(Part),
    /// The connection was cut, or the server asks to come again.
    Cut(anyhow::Error),
}

/// Downloads `wanted` below `folder` and gives the file and its digest. The
/// file is durable; whoever takes it moves it away.
pub(super) fn download(wanted: &Wanted<'_>, folder: &Path) -> anyhow::Result<(PathBuf, Digest)> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create '{}'", folder.display()))?;
    let agent = agent();
    let mut barren = 0;
    loop {
        let before = longest_part(wanted, folder).map_or(0, |part| part.bytes);
        match attempt(&agent, wanted, folder)? {
            Attempt::Whole(part) => {
                if let Some(done) = settle(wanted, part, before)? {
                    return Ok(done);
                }
            }
            Attempt::Cut(error) => {
                let after = longest_part(wanted, folder).map_or(0, |part| part.bytes);
                barren = if after > before { 0 } else { barren + 1 };
                if barren == ATTEMPTS_WITHOUT_GAIN {
                    return Err(error.context(format!(
                        "cannot download '{}': {after} bytes are kept, the same command continues from there",
                        wanted.url
                    )));
                }
                thread::sleep(Duration::from_millis(500) * (barren + 1));
            }
        }
    }
}

/// Verifies a whole part. `None`: it was continued from an older part and is not
/// the file, so it is to be fetched from its beginning.
fn settle(
    wanted: &Wanted<'_>,
    part: Part,
    continued_from: u64,
) -> anyhow::Result<Option<(PathBuf, Digest)>> {
    let found =
        hash_file(&part.path).with_context(|| format!("cannot read '{}'", part.path.display()))?;
    match wanted.sha256 {
        Some(expected) if expected != found => {
            part.discard();
            if continued_from > 0 {
                crate::progress::line(
                    "the continued download is not the file that was asked for: beginning anew",
                );
                return Ok(None);
            }
            bail!(
                "'{}' has SHA-256 {found} and not {expected}: nothing was installed; pull again, and compare the digest with its publisher's if it stays so",
                wanted.url
            )
        }
        _ => {
            let _ = std::fs::remove_file(identity_path(&part.path));
            Ok(Some((part.path, found)))
        }
    }
}

fn agent() -> Agent {
    let tls = TlsConfig::builder()
        // The platform's certificates: a plant's proxy often has its own.
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)))
        .build()
        .into()
}

fn attempt(agent: &Agent, wanted: &Wanted<'_>, folder: &Path) -> anyhow::Result<Attempt> {
    let part = longest_part(wanted, folder);
    if let Some(part) = part {
        if part.identity.total_bytes == Some(part.bytes) {
            return Ok(Attempt::Whole(part));
        }
        let response = match ask(agent, wanted, Some(&part)) {
            Ok(response) => response,
            Err(error) => return Ok(Attempt::Cut(error)),
        };
        return match response.status() {
            StatusCode::PARTIAL_CONTENT if continues(&response, &part) => {
                receive(response, part, 0)
            }
            StatusCode::OK if identity(wanted, &response) == part.identity => {
                // The server knows no ranges: pass over what is here already.
                let known = part.bytes;
                receive(response, part, known)
            }
            StatusCode::OK => begin(wanted, folder, response),
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                part.discard();
                Ok(Attempt::Cut(anyhow!("the file has changed at its source")))
            }
            status => refuse(wanted, status),
        };
    }
    let response = match ask(agent, wanted, None) {
        Ok(response) => response,
        Err(error) => return Ok(Attempt::Cut(error)),
    };
    match response.status() {
        StatusCode::OK => begin(wanted, folder, response),
        status => refuse(wanted, status),
    }
}

fn ask(
    agent: &Agent,
    wanted: &Wanted<'_>,
    part: Option<&Part>,
) -> anyhow::Result<Response<ureq::Body>> {
    let mut request = agent.get(wanted.url);
    if let Some(token) = wanted.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(part) = part {
        request = request.header(RANGE, format!("bytes={}-", part.bytes));
        if let Some(validator) = &part.identity.validator {
            request = request.header(IF_RANGE, validator);
        }
    }
    request
        .call()
        .with_context(|| format!("cannot reach '{}'", wanted.url))
}

fn refuse(wanted: &Wanted<'_>, status: StatusCode) -> anyhow::Result<Attempt> {
    let url = wanted.url;
    let remedy = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "the file is not public: set HF_TOKEN, or import an offline copy"
        }
        StatusCode::NOT_FOUND => "check owner, repository, file and revision",
        StatusCode::TOO_MANY_REQUESTS => "try again later; what is here already is kept",
        status if status.is_server_error() => {
            return Ok(Attempt::Cut(anyhow!("'{url}' answers {status}")));
        }
        _ => "check the address, and whether a proxy answers in its place",
    };
    bail!("'{url}' answers {status}: {remedy}")
}

/// The answer's own name for its file.
fn identity(wanted: &Wanted<'_>, response: &Response<ureq::Body>) -> Identity {
    let text = |name| response.headers().get(name)?.to_str().ok();
    let tag = text(ETAG).filter(|tag| !tag.starts_with("W/"));
    Identity {
        url: wanted.url.to_owned(),
        validator: tag.or_else(|| text(LAST_MODIFIED)).map(str::to_owned),
        total_bytes: text(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
    }
}

/// Whether a partial answer is the rest of `part`.
fn continues(response: &Response<ureq::Body>, part: &Part) -> bool {
    let text = |name| response.headers().get(name)?.to_str().ok();
    let same_file = match (&part.identity.validator, text(ETAG)) {
        (Some(mine), Some(theirs)) if mine.starts_with('"') => mine == theirs,
        _ => true,
    };
    let Some((range, total)) =
        text(CONTENT_RANGE).and_then(|r| r.strip_prefix("bytes ")?.split_once('/'))
    else {
        return false;
    };
    let first = range.split('-').next().and_then(|n| n.parse::<u64>().ok());
    let same_total = match (part.identity.total_bytes, total.parse::<u64>()) {
        (Some(mine), Ok(theirs)) => mine == theirs,
        _ => true,
    };
    same_file && same_total && first == Some(part.bytes)
}

/// Begins a part of its own, so that an answer that is not the file (a login
/// page, a newer version) does not overwrite a part that can be continued.
fn begin(
    wanted: &Wanted<'_>,
    folder: &Path,
    response: Response<ureq::Body>,
) -> anyhow::Result<Attempt> {
    let identity = identity(wanted, &response);
    let text = serde_json::to_string(&identity).expect("an identity is plain data");
    let path = folder.join(format!("{}.part", Digest::of(text.as_bytes()).short()));
    let write = || {
        File::create(&path)?;
        std::fs::write(identity_path(&path), &text)
    };
    write().with_context(|| format!("cannot write '{}'", path.display()))?;
    let bytes = 0;
    let part = Part {
        path,
        identity,
        bytes,
    };
    receive(response, part, 0)
}

/// Appends the answer's body to `part`, after passing over its first `skip` bytes.
fn receive(response: Response<ureq::Body>, mut part: Part, skip: u64) -> anyhow::Result<Attempt> {
    let total = part.identity.total_bytes;
    let name = part.identity.url.rsplit('/').next().unwrap_or_default();
    let progress = Progress::start(&format!("fetching {name}"), total);
    if part.bytes > 0 {
        progress.note(&format!("continuing after {} bytes", part.bytes));
    }
    let write_failed = |path: &Path| format!("cannot write '{}'", path.display());
    let mut file = OpenOptions::new()
        .append(true)
        .open(&part.path)
        .with_context(|| write_failed(&part.path))?;
    let mut body = response.into_body().into_reader();
    if let Err(error) = io::copy(&mut (&mut body).take(skip), &mut io::sink()) {
        return Ok(Attempt::Cut(error.into()));
    }
    let mut buffer = vec![0; 1 << 18];
    let cut = loop {
        match body.read(&mut buffer) {
            Ok(0) => break None,
            Ok(read) => {
                file.write_all(&buffer[..read])
                    .with_context(|| write_failed(&part.path))?;
                part.bytes += read as u64;
                progress.reach(part.bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Some(error),
        }
    };
    file.sync_all().with_context(|| write_failed(&part.path))?;
    match cut {
        Some(error) => Ok(Attempt::Cut(error.into())),
        None if total.is_some_and(|total| part.bytes < total) => {
            Ok(Attempt::Cut(anyhow!("the connection was closed early")))
        }
        None => Ok(Attempt::Whole(part)),
    }
}

fn identity_path(part: &Path) -> PathBuf {
    part.with_extension("json")
}

/// The part of `wanted` that has come farthest. Without a validator and without
/// a digest nothing would show that the file changed meanwhile: such a part is
/// not continued.
fn longest_part(wanted: &Wanted<'_>, folder: &Path) -> Option<Part> {
    std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "part"))
        .filter_map(|path| {
            let text = std::fs::read(identity_path(&path)).ok()?;
            let identity: Identity = serde_json::from_slice(&text).ok()?;
            let bytes = path.metadata().ok()?.len();
            Some(Part {
                path,
                identity,
                bytes,
            })
        })
        .filter(|part| part.identity.url == wanted.url && part.bytes > 0)
        .filter(|part| wanted.sha256.is_some() || part.identity.validator.is_some())
        .max_by_key(|part| part.bytes)
}

impl Part {
    /// Removes a part that no later download can use.
    fn discard(&self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(identity_path(&self.path));
    }
}
