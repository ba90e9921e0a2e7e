//! A plant: everything that is particular to a site, from the files of a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use crate::cost::Prices;
use crate::digest::Digest;
use crate::example::{self, Example, ExampleError, LabelledText};
use crate::glossary::{Glossary, GlossaryError};
use crate::label::{LabelError, LabelSet};
use crate::mapping::Mapping;
use crate::procedure::Procedure;
use crate::redact::{Gazetteer, GazetteerError};
use crate::schema::{Schema, SchemaError};
use crate::task::{Kind, Task, TaskError, TaskFile};
use crate::upstream;

/// The files of a plant: path within the plant, with `/`, to content. Whoever
/// reads the disk (or holds the embedded demo) makes one.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Everything that is particular to a site.
#[derive(Clone, Debug, Default)]
pub struct Plant {
    /// What `plant.toml` says.
    pub settings: Settings,
    /// Tasks by name.
    pub tasks: BTreeMap<String, Task>,
    /// Procedures by file name.
    pub procedures: BTreeMap<String, Procedure>,
    /// Examples of `decide` tasks by task name.
    pub examples: BTreeMap<String, Vec<LabelledText>>,
    /// Examples of tasks of the other kinds by task name.
    pub expected: BTreeMap<String, Vec<Example>>,
    /// The files below `manuals/` and `procedures/`, by path: what questions are answered
    /// from.
    pub documents: BTreeMap<String, Arc<[u8]>>,
    /// The asset register, by asset id; empty where the plant keeps none.
    pub assets: BTreeMap<String, Asset>,
    /// Which columns of other systems' tables hold what, by name.
    pub mappings: BTreeMap<String, Mapping>,
    /// What the plant's own words mean; empty where it has no `glossary.csv`.
    pub glossary: Glossary,
    /// The digest of the policy files; of no bytes where there are none.
    pub policy: Option<Digest>,
    /// The policy files by path, and the files that test them.
    pub policies: BTreeMap<String, String>,
    /// What is replaced in whatever leaves.
    pub gazetteer: Gazetteer,
}

/// `plant.toml`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The site's name.
    pub name: String,
    /// The small language model that the tasks use.
    pub language_model: String,
    /// The encoder that the tasks use.
    pub encoder: String,
    /// An open note of the same asset that is at least this alike is named as
    /// the one a new note repeats; from 0 to 1.
    pub duplicate_likeness: f64,
    /// The plant's prices, for who asks what answers cost.
    pub cost: Option<Prices>,
    /// Larger models elsewhere, in the order in which they are asked.
    #[serde(rename = "upstream")]
    pub upstreams: Vec<upstream::Settings>,
    /// Bounds of what waits for their links.
    pub queue: QueueBounds,
}

/// `[queue]` of `plant.toml`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct QueueBounds {
    /// The most bytes that wait.
    pub max_bytes: u64,
}

impl Default for QueueBounds {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "plant".into(),
            language_model: "smollm2:135m".into(),
            encoder: "minilm:l6".into(),
            duplicate_likeness: 0.6,
            cost: None,
            upstreams: Vec::new(),
            queue: QueueBounds::default(),
        }
    }
}

/// One asset of the register, a line of `assets.csv`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Asset {
    /// Its id, as notes name it.
    pub id: String,
    /// Where it stands in the ISA-95 hierarchy: `area/line/cell`.
    pub path: String,
    /// Its name.
    pub name: String,
}

/// What is wrong with a plant, and in which file.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct PlantError {
    /// The file.
    pub path: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a file of a plant.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// Not UTF-8.
    #[error("not UTF-8 at byte {0}: save the file as UTF-8")]
    NotUtf8(usize),
    /// A file that another names does not exist.
    #[error("no such file in the plant; '{named_in}' names it")]
    Missing {
        /// Where it is named.
        named_in: String,
    },
    /// Not TOML of the expected form.
    #[error("{0}")]
    Toml(String),
    /// `duplicate_likeness` is not between 0 and 1.
    #[error("duplicate_likeness is {0}: give a number from 0 to 1")]
    Likeness(f64),
    /// A price is negative or no number.
    #[error("cost.{0} is {1}: give a number from 0 on, and years above 0")]
    Price(&'static str, f64),
    /// An upstream.
    #[error("upstream: {0}")]
    Upstream(String),
    /// Not CSV of the expected form.
    #[error("{0}")]
    Csv(String),
    /// The gazetteer.
    #[error(transparent)]
    Gazetteer(#[from] GazetteerError),
    /// A task file.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A label file.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// A schema file.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A file of examples.
    #[error(transparent)]
    Examples(#[from] ExampleError),
    /// The glossary.
    #[error(transparent)]
    Glossary(#[from] GlossaryError),
    /// Examples of a task that is not there.
    #[error("there is no task '{0}': add tasks/{0}.toml or remove the examples")]
    NoTask(String),
}

impl Plant {
    /// Reads a plant from its files. The first thing wrong is the error; it
    /// names the file and the line.
    pub fn parse(files: &Files) -> Result<Self, PlantError> {
        let settings = parse_settings(files)?;
        let procedures = parse_procedures(files)?;
        let tasks = parse_tasks(files, &procedures)?;
        let (examples, expected) = parse_examples(files, &tasks)?;
        let documents = parse_documents(files, &tasks)?;
        let assets = parse_assets(files)?;
        let mappings = parse_mappings(files)?;
        let glossary = parse_glossary(files)?;
        Ok(Self {
            settings,
            tasks,
            procedures,
            examples,
            expected,
            documents,
            assets,
            mappings,
            glossary,
            policy: policy_digest(files),
            policies: parse_policies(files)?,
            gazetteer: parse_gazetteer(files)?,
        })
    }

    /// The policy of these files in place of its own, and nothing else of them.
    ///
    /// # Errors
    /// If one of them is no text.
    pub fn rule_by(&mut self, files: &Files) -> Result<(), PlantError> {
        self.policies = parse_policies(files)?;
        self.policy = policy_digest(files);
        Ok(())
    }

    /// The procedure that a label of a task leads to.
    pub fn procedure_of(&self, task: &Task, label: &str) -> Option<&Procedure> {
        let labels = task.labels();
        let label = &labels.labels()[labels.position(label)?];
        self.procedures.get(label.procedure.as_ref()?)
    }
}

fn fail(path: &str, problem: impl Into<Problem>) -> PlantError {
    PlantError {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

/// The files of a folder with an ending: path and stem.
fn within<'a>(
    files: &'a Files,
    folder: &'a str,
    ending: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    files.keys().filter_map(move |path| {
        let stem = path.strip_prefix(folder)?.strip_suffix(ending)?;
        Some((path.as_str(), stem))
    })
}

fn text<'a>(files: &'a Files, path: &str) -> Result<Option<&'a str>, PlantError> {
    files
        .get(path)
        .map(|bytes| std::str::from_utf8(bytes))
        .transpose()
        .map_err(|error| fail(path, Problem::NotUtf8(error.valid_up_to())))
}

fn named<'a>(files: &'a Files, path: &str, named_in: &str) -> Result<&'a str, PlantError> {
    text(files, path)?.ok_or_else(|| {
        let named_in = named_in.to_owned();
        fail(path, Problem::Missing { named_in })
    })
}

fn parse_settings(files: &Files) -> Result<Settings, PlantError> {
    const PATH: &str = "plant.toml";
    let Some(toml_text) = text(files, PATH)? else {
        return Ok(Settings::default());
    };
    let settings: Settings = toml::from_str(toml_text)
        .map_err(|error| fail(PATH, Problem::Toml(error.to_string().trim_end().to_owned())))?;
    if !(0.0..=1.0).contains(&settings.duplicate_likeness) {
        return Err(fail(PATH, Problem::Likeness(settings.duplicate_likeness)));
    }
    if let Some((key, value)) = settings.cost.as_ref().and_then(Prices::wrong) {
        return Err(fail(PATH, Problem::Price(key, value)));
    }
    let mut names = BTreeSet::new();
    for upstream in &settings.upstreams {
        let twice = || format!("there are two of the name '{}'", upstream.name);
        let again = (!names.insert(&upstream.name)).then(twice);
        if let Some(wrong) = upstream.wrong().or(again) {
            return Err(fail(PATH, Problem::Upstream(wrong)));
        }
    }
    Ok(settings)
}

fn policy_digest(files: &Files) -> Option<Digest> {
    let policy = within(files, "policy/", ".cedar");
    let policy: Vec<&[u8]> = policy.map(|(path, _)| files[path].as_slice()).collect();
    (!policy.is_empty()).then(|| Digest::of_parts(policy))
}

fn parse_policies(files: &Files) -> Result<BTreeMap<String, String>, PlantError> {
    let policies = within(files, "policy/", ".cedar");
    policies
        .chain(within(files, "policy/tests/", ".toml"))
        .map(|(path, _)| Ok((path.to_owned(), named(files, path, "policy")?.to_owned())))
        .collect()
}

/// The names of `gazetteer.csv`, and those of the assets: ids, names in all languages
/// and places.
fn parse_gazetteer(files: &Files) -> Result<Gazetteer, PlantError> {
    const PATH: &str = "gazetteer.csv";
    const ASSETS: &str = "assets.csv";
    let mut gazetteer = Gazetteer::default();
    if let Some(csv_text) = text(files, PATH)? {
        gazetteer
            .read(csv_text)
            .map_err(|error| fail(PATH, error))?;
    }
    if let Some(csv_text) = text(files, ASSETS)? {
        let broken = |error: csv::Error| fail(ASSETS, Problem::Csv(error.to_string()));
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(csv_text.as_bytes());
        let names = |column: &str| matches!(column, "id" | "path") || column.starts_with("name");
        let columns: Vec<bool> = reader
            .headers()
            .map_err(broken)?
            .iter()
            .map(names)
            .collect();
        for row in reader.records() {
            let row = row.map_err(broken)?;
            let named = row.iter().zip(&columns).filter(|(_, names)| **names);
            for (value, _) in named {
                // A name without letters and digits would not be found in a text.
                if value.chars().any(char::is_alphanumeric) {
                    gazetteer
                        .add(value, "asset")
                        .map_err(|error| fail(ASSETS, error))?;
                }
            }
        }
    }
    Ok(gazetteer)
}

fn parse_procedures(files: &Files) -> Result<BTreeMap<String, Procedure>, PlantError> {
    within(files, "procedures/", ".md")
        .map(|(path, stem)| {
            let file = format!("{stem}.md");
            let procedure = Procedure::parse(&file, named(files, path, "procedures")?);
            Ok((file, procedure))
        })
        .collect()
}

fn parse_tasks(
    files: &Files,
    procedures: &BTreeMap<String, Procedure>,
) -> Result<BTreeMap<String, Task>, PlantError> {
    let mut tasks = BTreeMap::new();
    for (path, stem) in within(files, "tasks/", ".toml") {
        let file = TaskFile::parse(stem, named(files, path, "tasks")?)
            .map_err(|error| fail(path, error))?;
        let kind = match file.kind() {
            "decide" => Kind::Decide(parse_labels(files, path, &file, procedures)?),
            "extract" => {
                let schema_path = file.schema.clone().unwrap_or_default();
                let schema = Schema::parse(named(files, &schema_path, path)?);
                Kind::Extract(schema.map_err(|error| fail(&schema_path, error))?)
            }
            "summarise" => Kind::Summarise,
            "answer" => Kind::Answer,
            _ => Kind::Normalise,
        };
        tasks.insert(stem.to_owned(), file.resolve(kind));
    }
    Ok(tasks)
}

fn parse_labels(
    files: &Files,
    path: &str,
    file: &TaskFile,
    procedures: &BTreeMap<String, Procedure>,
) -> Result<LabelSet, PlantError> {
    let label_path = file.labels.clone().unwrap_or_default();
    let labels = LabelSet::parse(named(files, &label_path, path)?)
        .map_err(|error| fail(&label_path, error))?;
    let named_by_labels = labels.labels().iter();
    for procedure in named_by_labels.filter_map(|label| label.procedure.as_ref()) {
        if !procedures.contains_key(procedure) {
            let missing = format!("procedures/{procedure}");
            let named_in = label_path;
            return Err(fail(&missing, Problem::Missing { named_in }));
        }
    }
    Ok(labels)
}

/// Examples by the names of their tasks: of `decide` tasks, and of all others.
type Examples = (
    BTreeMap<String, Vec<LabelledText>>,
    BTreeMap<String, Vec<Example>>,
);

fn parse_examples(files: &Files, tasks: &BTreeMap<String, Task>) -> Result<Examples, PlantError> {
    let (mut labelled, mut expected) = Examples::default();
    for (path, stem) in within(files, "examples/", ".jsonl") {
        let task = tasks
            .get(stem)
            .ok_or_else(|| fail(path, Problem::NoTask(stem.to_owned())))?;
        let text = named(files, path, "examples")?;
        match &task.kind {
            Kind::Decide(labels) => {
                let examples = example::parse_labelled(text, labels);
                labelled.insert(
                    stem.to_owned(),
                    examples.map_err(|error| fail(path, error))?,
                );
            }
            Kind::Extract(schema) => {
                let examples = example::parse_extracted(text, schema);
                expected.insert(
                    stem.to_owned(),
                    examples.map_err(|error| fail(path, error))?,
                );
            }
            _ => {
                let examples = example::parse(text).map_err(|error| fail(path, error))?;
                let examples = examples.into_iter().map(|(_, example)| example).collect();
                expected.insert(stem.to_owned(), examples);
            }
        }
    }
    Ok((labelled, expected))
}

/// The files that questions are answered from; none where no task answers any.
fn parse_documents(
    files: &Files,
    tasks: &BTreeMap<String, Task>,
) -> Result<BTreeMap<String, Arc<[u8]>>, PlantError> {
    let answering: Vec<&Task> = (tasks.values())
        .filter(|task| task.kind == Kind::Answer)
        .collect();
    let is_document = |path: &&String| {
        ["manuals/", "procedures/"]
            .iter()
            .any(|folder| path.starts_with(folder))
    };
    let documents: BTreeMap<String, Arc<[u8]>> = files
        .iter()
        .filter(|(path, _)| is_document(path) && !answering.is_empty())
        .map(|(path, bytes)| (path.clone(), Arc::from(bytes.as_slice())))
        .collect();
    for task in answering {
        for named in &task.documents {
            let alone = Task {
                documents: vec![named.clone()],
                ..task.clone()
            };
            if !documents.keys().any(|path| alone.reads(path)) {
                let named_in = format!("tasks/{}.toml", task.name);
                return Err(fail(named, Problem::Missing { named_in }));
            }
        }
    }
    Ok(documents)
}

fn parse_mappings(files: &Files) -> Result<BTreeMap<String, Mapping>, PlantError> {
    within(files, "mappings/", ".toml")
        .map(|(path, stem)| {
            let mapping = toml::from_str(named(files, path, "mappings")?).map_err(|error| {
                let problem = Problem::Toml(error.to_string().trim_end().to_owned());
                fail(path, problem)
            })?;
            Ok((stem.to_owned(), mapping))
        })
        .collect()
}

fn parse_glossary(files: &Files) -> Result<Glossary, PlantError> {
    const PATH: &str = "glossary.csv";
    match text(files, PATH)? {
        Some(csv_text) => Glossary::parse(csv_text).map_err(|error| fail(PATH, error)),
        None => Ok(Glossary::default()),
    }
}

fn parse_assets(files: &Files) -> Result<BTreeMap<String, Asset>, PlantError> {
    const PATH: &str = "assets.csv";
    let Some(csv_text) = text(files, PATH)? else {
        return Ok(BTreeMap::new());
    };
    csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(csv_text.as_bytes())
        .deserialize()
        .map(|row: Result<Asset, csv::Error>| {
            let asset = row.map_err(|error| fail(PATH, Problem::Csv(error.to_string())))?;
            Ok((asset.id.clone(), asset))
        })
        .collect()
}
