//! Measures Andon and llama.cpp in turn: the same machine, the same files, the same
//! threads. `make bench-peers` builds the peer and runs this. It is a tool of the
//! project and no part of the product.
//!
//! Start at [`row`]: a module for each kind of work. [`work`] has what is asked,
//! [`process`] what keeps servers from outliving this program, [`table`] the ratios.

mod andon;
mod http;
mod limits;
mod machine;
mod options;
mod peer;
mod process;
mod row;
mod series;
mod table;
mod work;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Parser;
use serde_json::json;

use crate::andon::{Andon, Kept};
use crate::limits::{Limits, Share};
use crate::machine::Machine;
use crate::options::{Options, Work};
use crate::peer::Peer;
use crate::row::ask::{self, Asked};
use crate::row::engine::{self, Engine};
use crate::row::{Contest, Plan, Size, Subject, mix, restart};
use crate::table::Row;
use crate::work::{Decide, Restart};

/// The model that both sides are compared on, as Andon's catalogue names it.
const MODEL: &str = "smollm2:135m";
/// The same in 8 bits, which the peer computes faster.
const MODEL_Q8_0: &str = "smollm2:135m-q8_0";
/// A node has an encoder, too.
const ENCODER: &str = "minilm:l6";

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let machine = Machine::read(threads);
    let limits = Limits::measure(threads);
    let folder = Folder::take(&options.work)?;
    let contest = contest(&options, &folder, threads)?;
    let versions = json!({
        "andon": contest.andon.version()?,
        "peer": contest.peer.version()?,
    });
    say(&machine.line())?;
    let subjects = subjects(&options, &contest, &folder.models())?;
    let mut rows = Vec::new();
    let mut shares = Vec::new();
    let mut failed = Vec::new();
    for subject in &subjects {
        // One that fails leaves the others, and what was measured before.
        let outcome = measure(&options, &contest, subject, &limits, &mut rows, &mut shares);
        if let Err(error) = outcome {
            say(&format!("{}: {error:#}", subject.name))?;
            failed.push(subject.name.as_str());
        }
    }
    let took = began.elapsed().as_secs_f64();
    let found = json!({
        "machine": machine,
        "limits": limits,
        "shares": shares,
        "versions": versions,
        "quick": options.quick,
        "seconds": took,
        "failed": failed,
        "rows": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
    });
    say(&table::render(&rows))?;
    for share in &shares {
        say(&share.line())?;
    }
    say(&format!("measured in {took:.0} s"))?;
    match &options.json {
        Some(path) => std::fs::write(path, format!("{found:#}\n"))
            .with_context(|| format!("cannot write '{}'", path.display()))?,
        None => say(&found.to_string())?,
    }
    if !failed.is_empty() {
        bail!("not everything was measured with {}", failed.join(", "));
    }
    Ok(())
}

/// Where everything goes. Requantised models stay for the next comparison; Andon's
/// home goes with it.
struct Folder {
    path: PathBuf,
    /// Two comparisons at once would measure each other.
    _lock: File,
}

impl Folder {
    fn take(path: &Path) -> anyhow::Result<Self> {
        let cannot_write = || format!("cannot write to '{}'", path.display());
        std::fs::create_dir_all(path).with_context(cannot_write)?;
        let path = path.canonicalize()?;
        let lock = File::create(path.join("lock")).with_context(cannot_write)?;
        if let Err(error) = lock.try_lock() {
            bail!("another comparison runs in '{}' ({error})", path.display());
        }
        let folder = Self { path, _lock: lock };
        // One that was killed has left its home behind.
        if folder.scratch().exists() {
            std::fs::remove_dir_all(folder.scratch()).with_context(cannot_write)?;
        }
        for part in [folder.scratch(), folder.logs(), folder.models()] {
            std::fs::create_dir_all(part).with_context(cannot_write)?;
        }
        Ok(folder)
    }

    fn scratch(&self) -> PathBuf {
        self.path.join("scratch")
    }

    fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    fn models(&self) -> PathBuf {
        self.path.join("models")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is removed by the next comparison.
        std::fs::remove_dir_all(self.scratch()).ok();
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end())?;
    out.flush()?;
    Ok(())
}

/// Both sides, ready to be asked.
fn contest(options: &Options, place: &Folder, threads: usize) -> anyhow::Result<Contest> {
    let folder = options.data.join("fmc_mwo2kg");
    let decide = match folder.is_dir() {
        true => Some(Decide::read(&folder)?),
        false => {
            say(&format!(
                "no deciding and no mix: '{}' is absent; name the data's folder with ANDON_DATA",
                folder.display()
            ))?;
            None
        }
    };
    let program = |path: &Path| -> anyhow::Result<PathBuf> {
        path.canonicalize()
            .with_context(|| format!("there is no '{}'", path.display()))
    };
    Ok(Contest {
        peer: Peer {
            programs: program(&options.programs)?,
            logs: place.logs(),
            threads,
        },
        andon: Andon {
            program: program(&options.andon)?,
            home: place.scratch().join("home"),
            logs: place.logs(),
        },
        plan: if options.quick {
            Plan::QUICK
        } else {
            Plan::WHOLE
        },
        decide,
        restart: Restart::new(),
        scratch: place.scratch(),
    })
}

/// The models, made where they are missing; Andon's home has those that its node is
/// asked.
fn subjects(options: &Options, contest: &Contest, models: &Path) -> anyhow::Result<Vec<Subject>> {
    let encoder: Kept = contest.andon.pulled(ENCODER)?;
    contest.andon.take_encoder(ENCODER, &encoder)?;
    let given = contest.andon.pulled(MODEL)?;
    let q8_0 = models.join("smollm2-135m-q8_0.gguf");
    if !q8_0.is_file() {
        contest.peer.requantise(given.weights(), &q8_0, "Q8_0")?;
    }
    let mut subjects = Vec::new();
    for (name, gguf) in [(MODEL, given.weights()), (MODEL_Q8_0, &q8_0)] {
        if options.wants_model(name) {
            contest.andon.take(name, gguf)?;
            subjects.push(Subject {
                name: name.to_owned(),
                gguf: gguf.to_owned(),
                size: Size::Small,
            });
        }
    }
    for large in &options.large {
        if !large.gguf.is_file() {
            bail!("there is no '{}'", large.gguf.display());
        }
        if options.wants_model(&large.name) {
            subjects.push(Subject {
                name: large.name.clone(),
                gguf: large.gguf.clone(),
                size: Size::Large,
            });
        }
    }
    Ok(subjects)
}

fn measure(
    options: &Options,
    contest: &Contest,
    subject: &Subject,
    limits: &Limits,
    rows: &mut Vec<Row>,
    shares: &mut Vec<Share>,
) -> anyhow::Result<()> {
    let doing = |what: &str| say(&format!("{}: {what} …", subject.name));
    let by_engine = [Work::Engine, Work::Contention, Work::Labels];
    if by_engine.into_iter().any(|work| options.wants(work)) {
        doing("engine")?;
        let engine = Engine::load(subject, contest.peer.threads)?;
        if options.wants(Work::Engine) {
            let spoken = engine::speeds(contest, subject, &engine, limits)?;
            rows.extend(spoken.rows);
            shares.extend(spoken.share);
        }
        if options.wants(Work::Contention) {
            rows.extend(engine::contended(contest, subject, &engine)?);
        }
        if options.wants(Work::Labels) {
            rows.push(engine::labels(contest, subject, &engine)?);
        }
    }
    if subject.size == Size::Large {
        return Ok(());
    }
    let kinds = [
        (Work::Decide, Asked::Decide),
        (Work::Questions, Asked::Questions),
        (Work::Extract, Asked::Extract),
    ];
    let asked: Vec<Asked> = kinds
        .into_iter()
        .filter_map(|(work, asked)| options.wants(work).then_some(asked))
        .collect();
    if !asked.is_empty() {
        doing("requests one after the other")?;
        rows.extend(ask::rows(contest, subject, &asked)?);
    }
    if options.wants(Work::Mix) {
        doing("sixteen clients at once")?;
        rows.extend(mix::rows(contest, subject)?);
    }
    if options.wants(Work::Restart) {
        doing("restarts")?;
        rows.extend(restart::rows(contest, subject)?);
    }
    Ok(())
}
