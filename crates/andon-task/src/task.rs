//! A task: one bounded language job, declared in TOML.

use std::sync::LazyLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::label::LabelSet;
use crate::period;
use crate::redact::Field;
use crate::schema::Schema;

/// One bounded language job of a plant, read from `tasks/<name>.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its name, the file's stem.
    pub name: String,
    /// What it asks, in one or two sentences.
    pub instructions: String,
    /// What kind of answer it gives.
    pub kind: Kind,
    /// How long an answer may take.
    pub deadline: Class,
    /// How its input is to be treated.
    pub data_class: DataClass,
    /// Where an uncertain case goes, first choice first.
    pub escalate: Vec<Escalation>,
    /// An answer is accepted at the edge from this probability on, where no
    /// certificate says otherwise.
    pub accept: f64,
    /// The share of answers accepted by a certificate that go to a person as well.
    pub spot_check: f64,
    /// How long a request waits for an upstream's link; without it none does.
    pub wait: Option<Duration>,
    /// Of an `answer` task, the files or folders that answers come from; empty: all of
    /// `manuals/` and `procedures/`.
    pub documents: Vec<String>,
}

/// The kind of a task, with what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// One label of a closed set.
    Decide(LabelSet),
    /// An object that satisfies a schema, its values from the text.
    Extract(Schema),
    /// What happened in a period, from its records.
    Summarise,
    /// The answer to a question, from the plant's procedures and manuals.
    Answer,
    /// The text in plain words.
    Normalise,
}

impl Kind {
    /// Its name, as task files have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Decide(_) => "decide",
            Self::Extract(_) => "extract",
            Self::Summarise => "summarise",
            Self::Answer => "answer",
            Self::Normalise => "normalise",
        }
    }
}

impl From<LabelSet> for Kind {
    fn from(labels: LabelSet) -> Self {
        Self::Decide(labels)
    }
}

/// The labels of a task that has none.
static NO_LABELS: LazyLock<LabelSet> = LazyLock::new(LabelSet::empty);

/// How soon an answer is needed, by who waits for it: the deadline class of a task
/// or a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A machine waits: 50 ms.
    Machine,
    /// A person waits: 1 s.
    Person,
    /// Nobody waits.
    Batch,
}

impl Class {
    /// How long an answer may take; `None` where nobody waits.
    pub fn patience(self) -> Option<Duration> {
        match self {
            Self::Machine => Some(Duration::from_millis(50)),
            Self::Person => Some(Duration::from_secs(1)),
            Self::Batch => None,
        }
    }
}

/// How confidential the input of a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataClass {
    /// May be seen by anyone.
    Public,
    /// Stays within the company.
    Internal,
    /// Stays with those who need it.
    Confidential,
}

impl DataClass {
    /// All of them, the least confidential first.
    pub const ALL: [Self; 3] = [Self::Public, Self::Internal, Self::Confidential];

    /// Its name, as task files have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Confidential => "confidential",
        }
    }
}

/// Where an uncertain case may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Escalation {
    /// To a larger model at an upstream, as policy allows.
    Cloud,
    /// To a person.
    Human,
}

/// What is wrong with a task file.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The text is not TOML, or a key is missing, unknown or of the wrong type.
    #[error("{0}")]
    Toml(String),
    /// The name differs from the file's.
    #[error("name is '{name}': it must be the file's name, '{stem}'")]
    Name {
        /// The name in the file.
        name: String,
        /// The stem of the file's name.
        stem: String,
    },
    /// The name has characters that do not fit a URL or a file name.
    #[error("the name '{0}' must be lower-case letters, digits and hyphens")]
    Characters(String),
    /// A kind that there is not.
    #[error(
        "there is no kind '{0}': the kinds are decide, extract, summarise, answer and normalise"
    )]
    Kind(String),
    /// A key that the kind needs is missing.
    #[error("a '{kind}' task needs '{key}'")]
    Missing {
        /// The kind.
        kind: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A key that the kind has no use for.
    #[error("a '{kind}' task has no '{key}'")]
    Superfluous {
        /// The kind.
        kind: &'static str,
        /// The key.
        key: &'static str,
    },
    /// `accept` is not a probability.
    #[error("accept is {0}: give a probability from 0 to 1")]
    Accept(f64),
    /// `spot_check` is not a share.
    #[error("spot_check is {0}: give the share of accepted answers to check, from 0 to 1")]
    SpotCheck(f64),
}

/// A task file as it was written: the keys of the contract, not yet resolved.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskFile {
    name: String,
    kind: String,
    instructions: String,
    /// Path of the label file, for `decide`.
    pub labels: Option<String>,
    /// Path of the schema file, for `extract`.
    pub schema: Option<String>,
    #[serde(default = "person")]
    deadline: Class,
    #[serde(default = "internal")]
    data_class: DataClass,
    #[serde(default = "human")]
    escalate: Vec<Escalation>,
    #[serde(default)]
    accept: Option<f64>,
    #[serde(default = "spot_check")]
    spot_check: f64,
    /// Whether requests wait for an upstream's link, for [`QUEUE_WAIT`].
    #[serde(default)]
    queue: bool,
    /// The same with how long.
    #[serde(default, deserialize_with = "period::optional")]
    wait: Option<Duration>,
    /// Files or folders, for `answer`.
    documents: Option<Vec<String>>,
}

/// How long requests of a task wait that says `queue = true` and not how long.
const QUEUE_WAIT: Duration = Duration::from_secs(8 * 3600);

fn person() -> Class {
    Class::Person
}

fn internal() -> DataClass {
    DataClass::Internal
}

fn human() -> Vec<Escalation> {
    vec![Escalation::Human]
}

/// Where the task does not say it: an `answer` task has a threshold of its own, which is
/// learned, or comes with the ranker of the binary.
fn accept(kind: &str) -> f64 {
    if kind == "answer" { 0.0 } else { 0.6 }
}

fn spot_check() -> f64 {
    0.02
}

impl TaskFile {
    /// Reads the TOML text of `tasks/<stem>.toml`.
    pub fn parse(stem: &str, toml_text: &str) -> Result<Self, TaskError> {
        let file: Self = toml::from_str(toml_text)
            .map_err(|error| TaskError::Toml(error.to_string().trim_end().to_owned()))?;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if file.name.is_empty() || !file.name.chars().all(fits) {
            return Err(TaskError::Characters(file.name));
        }
        if file.name != stem {
            let (name, stem) = (file.name, stem.to_owned());
            return Err(TaskError::Name { name, stem });
        }
        if let Some(accept) = file.accept.filter(|accept| !(0.0..=1.0).contains(accept)) {
            return Err(TaskError::Accept(accept));
        }
        if !(0.0..=1.0).contains(&file.spot_check) {
            return Err(TaskError::SpotCheck(file.spot_check));
        }
        const KINDS: [&str; 5] = ["decide", "extract", "summarise", "answer", "normalise"];
        let Some(kind) = KINDS.into_iter().find(|kind| *kind == file.kind) else {
            return Err(TaskError::Kind(file.kind));
        };
        let keys = [
            ("labels", &file.labels, "decide"),
            ("schema", &file.schema, "extract"),
        ];
        for (key, value, of) in keys {
            match (kind == of, value) {
                (true, None) => return Err(TaskError::Missing { kind, key }),
                (false, Some(_)) => return Err(TaskError::Superfluous { kind, key }),
                _ => {}
            }
        }
        if kind != "answer" && file.documents.is_some() {
            let key = "documents";
            return Err(TaskError::Superfluous { kind, key });
        }
        Ok(file)
    }

    /// The name of its kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The task, once what its kind needs is read.
    pub fn resolve(self, kind: impl Into<Kind>) -> Task {
        Task {
            name: self.name,
            instructions: self.instructions,
            kind: kind.into(),
            deadline: self.deadline,
            data_class: self.data_class,
            escalate: self.escalate,
            accept: self.accept.unwrap_or_else(|| accept(&self.kind)),
            spot_check: self.spot_check,
            wait: self.wait.or(self.queue.then_some(QUEUE_WAIT)),
            documents: self.documents.unwrap_or_default(),
        }
    }
}

impl Task {
    /// The labels of a `decide` task; none of any other.
    pub fn labels(&self) -> &LabelSet {
        match &self.kind {
            Kind::Decide(labels) => labels,
            _ => &NO_LABELS,
        }
    }

    /// Its fields that an upstream is sent, where one is asked. What a summary says was
    /// computed: no upstream is asked for one.
    pub fn fields(&self) -> &'static [Field] {
        match &self.kind {
            Kind::Decide(_) => &[Field::Input, Field::Instructions, Field::Labels],
            Kind::Extract(_) => &[Field::Input, Field::Instructions, Field::Schema],
            Kind::Answer => &[Field::Input, Field::Instructions, Field::Passages],
            Kind::Normalise => &[Field::Input, Field::Instructions],
            Kind::Summarise => &[],
        }
    }

    /// Whether answers may come from the document at `path`.
    pub fn reads(&self, path: &str) -> bool {
        let within = |named: &String| {
            let folder = named.trim_end_matches('/');
            path.strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.documents.is_empty() || self.documents.iter().any(within)
    }
}
