//! Learning and measuring tasks that answer questions.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use andon_learn::answer::{self, Against, Case, Cases, Evaluation, Lesson};
use andon_learn::promotion::{Outcome, Verdict, not_worse};
use andon_learn::report::{AnswerFigures, Cost, Examples, Figures, Report, Subject};
use andon_runtime::{Corpus, Ingested, Node, RankerFiles};
use andon_store::{Candidate, Kind, Store};
use andon_task::answer::{Index, Learned};
use andon_task::digest::Digest;
use andon_task::engine::Embed;
use andon_task::example::Example;
use andon_task::plant::Plant;
use andon_task::task::Task;
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::document::MANUALS;
use crate::engine::Loader;
use crate::learning::{Promote, Shown, examples_of_people, read_expected};
use crate::progress::{Progress, line};
use crate::settings::Settings;
use crate::{clock, node};

/// What came of learning a task.
#[derive(Debug, Serialize)]
pub(crate) struct LearnedRanker {
    pub(crate) task: String,
    /// The digest of the candidate.
    pub(crate) ranker: Digest,
    /// Whether it serves now.
    pub(crate) promoted: bool,
    /// How it compares with the one that served before.
    pub(crate) comparison: Verdict,
    /// Its cross-validated figures.
    pub(crate) evaluation: Evaluation,
    /// How long it took.
    pub(crate) took_s: f64,
}

/// What is kept with a candidate.
#[derive(Serialize, Deserialize)]
struct Kept {
    outcomes: Vec<Outcome>,
}

/// The documents of a plant, brought up to date in the store.
pub(crate) fn corpus(plant: &Plant, store: &Store, encoder: &dyn Embed) -> anyhow::Result<Corpus> {
    let mut shown: Option<(String, Progress)> = None;
    let mut show = |at: Ingested<'_>| {
        if shown.as_ref().is_none_or(|(path, _)| path != at.path) {
            shown = None;
            let what = format!("reading '{}'", at.path);
            shown = Some((at.path.to_owned(), Progress::of_parts(&what, at.total)));
        }
        if let Some((_, progress)) = &shown {
            progress.reach(at.done as u64);
        }
    };
    let corpus = Corpus::ingest(plant, store, encoder, &MANUALS, &mut show)
        .context("cannot read the plant's documents")?;
    drop(shown);
    for problem in corpus.problems().values() {
        line(&format!("left out: {problem}"));
    }
    Ok(corpus)
}

/// Reads the documents of a node that is up, on a thread of its own: manuals of thousands of
/// pages take minutes the first time, and nothing else waits for them.
pub(crate) fn fill_shelf(settings: &Settings, node: &Node) -> anyhow::Result<()> {
    let Some(encoder) = node
        .encoder()
        .filter(|_| !node.plant().documents.is_empty())
    else {
        return Ok(());
    };
    let (encoder, plant) = (Arc::clone(encoder), node.plant().clone());
    let (shelf, store) = (node.shelf(), node::store(&settings.state)?);
    let read = move || match Corpus::ingest(&plant, &store, &*encoder, &MANUALS, &mut |_| {}) {
        Ok(corpus) => {
            shelf.fill(&corpus);
            let problems = corpus.problems().len();
            tracing::info!(
                read_anew = corpus.read_anew(),
                problems,
                "the documents are read"
            );
        }
        Err(error) => tracing::error!(%error, "the documents cannot be read"),
    };
    thread::Builder::new()
        .name("documents".to_owned())
        .spawn(read)
        .context("no thread to read the documents")?;
    Ok(())
}

/// The files of the rankers of a state directory.
pub(crate) fn rankers(state: &Path) -> RankerFiles {
    RankerFiles::new(state.join("rankers"))
}

/// What learning and measuring need.
struct Bench<'a> {
    plant: &'a Plant,
    task: &'a Task,
    store: Store,
    encoder: andon_engine::Encoder,
    index: Index,
    began: Instant,
}

impl<'a> Bench<'a> {
    fn new(settings: &Settings, plant: &'a Plant, task: &'a Task) -> anyhow::Result<Self> {
        let store = node::store(&settings.state)?;
        let encoder = Loader::new(settings).encoder(&plant.settings.encoder)?;
        let index = corpus(plant, &store, &encoder)?.index(task);
        if index.is_empty() {
            bail!(
                "the plant has no documents that '{}' could answer from: put Markdown, text, HTML or PDF files into manuals/",
                task.name
            );
        }
        let began = Instant::now();
        Ok(Self {
            plant,
            task,
            store,
            encoder,
            index,
            began,
        })
    }

    fn against(&self) -> Against<'_> {
        Against {
            index: &self.index,
            encoder: &self.encoder,
            glossary: &self.plant.glossary,
        }
    }

    fn lesson<'b>(&'b self, cases: &'b [Case]) -> Lesson<'b> {
        Lesson {
            task: &self.task.name,
            accept: self.task.accept,
            cases,
            against: self.against(),
        }
    }

    /// The cases of examples, and what the reader has to know of them.
    fn cases(&self, examples: &[Example]) -> anyhow::Result<(Vec<Case>, Vec<String>)> {
        let mut shown = Shown::new(&self.task.name);
        let clock = || self.began.elapsed();
        let read = Cases::read(examples, self.against(), &clock, &mut |at| shown.show(at))
            .with_context(|| format!("cannot read the examples of '{}'", self.task.name))?;
        drop(shown);
        let warnings = match read.lost.as_slice() {
            [] => Vec::new(),
            [one] => vec![format!(
                "The source '{one}' names no section of the documents."
            )],
            [one, ..] => vec![format!(
                "{} sources, such as '{one}', name no section of the documents.",
                read.lost.len()
            )],
        };
        Ok((read.cases, warnings))
    }

    /// The plant's examples, and those that people's answers have become.
    fn examples(&self) -> anyhow::Result<Vec<Example>> {
        let own = self
            .plant
            .expected
            .get(&self.task.name)
            .into_iter()
            .flatten();
        let mut examples: Vec<Example> = own.cloned().collect();
        examples.extend(examples_of_people(&self.store, self.plant, self.task)?);
        Ok(examples)
    }

    /// The ranker that is promoted, if it can serve.
    fn promoted(&self, settings: &Settings) -> anyhow::Result<Option<(Learned, Vec<Outcome>)>> {
        let promoted = self
            .store
            .promoted(&self.task.name)
            .with_context(|| format!("cannot read what is promoted for '{}'", self.task.name))?;
        Ok(promoted
            .filter(|one| one.kind == Kind::Ranker)
            .and_then(|promotion| {
                let encoder = self.encoder.identity().digest;
                let learned = rankers(&settings.state)
                    .open(promotion.digest, encoder)
                    .ok()?;
                let kept: Kept = serde_json::from_value(promotion.figures).ok()?;
                Some((learned, kept.outcomes))
            }))
    }
}

/// Learns from the plant's examples, and promotes what is learned if it is not worse than what
/// serves, or the user says so.
pub(crate) fn learn(
    settings: &Settings,
    plant: &Plant,
    task: &Task,
    (promote, by): (Promote, Option<&str>),
) -> anyhow::Result<LearnedRanker> {
    let bench = Bench::new(settings, plant, task)?;
    let examples = bench.examples()?;
    let (cases, warnings) = bench.cases(&examples)?;
    for warning in &warnings {
        line(warning);
    }
    let clock = || bench.began.elapsed();
    let candidate = answer::learn(&bench.lesson(&cases), &clock)
        .with_context(|| format!("cannot learn '{}'", task.name))?;
    let outcomes = outcomes(&examples, &candidate.evaluation);
    let current = bench.promoted(settings)?.map(|(_, outcomes)| outcomes);
    let comparison = not_worse(&outcomes, current.as_deref());
    let promoted = promote == Promote::Anyway || comparison.promotes();

    let digest = candidate.learned.digest();
    rankers(&settings.state)
        .save(&candidate.learned)
        .with_context(|| format!("cannot keep the ranker in '{}'", settings.state.display()))?;
    let mut figures = serde_json::json!({ "evaluation": &candidate.evaluation });
    figures["outcomes"] = serde_json::to_value(&outcomes)?;
    let at = clock::now();
    let kept = Candidate {
        task: task.name.clone(),
        kind: Kind::Ranker,
        digest,
        at,
        figures: figures.clone(),
    };
    bench
        .store
        .insert_candidate(&kept)
        .with_context(|| format!("cannot keep the candidate of '{}'", task.name))?;
    if promoted {
        bench
            .store
            .promote_as(&task.name, (Kind::Ranker, digest), at, by, figures)
            .with_context(|| format!("cannot promote the ranker of '{}'", task.name))?;
    }
    crate::pruning::prune(settings, &bench.store, &task.name, by)?;
    Ok(LearnedRanker {
        task: task.name.clone(),
        ranker: digest,
        promoted,
        comparison,
        evaluation: candidate.evaluation,
        took_s: bench.began.elapsed().as_secs_f64(),
    })
}

/// Whether each question was dealt with rightly: answered from a right section, or declined
/// where the documents do not say.
fn outcomes(examples: &[Example], evaluation: &Evaluation) -> Vec<Outcome> {
    let pairs = examples.iter().zip(&evaluation.graded);
    pairs
        .map(|(example, graded)| {
            let expected = example.expected.to_string();
            let language = example.meta.as_ref().and_then(|meta| meta["lang"].as_str());
            Outcome {
                example: Digest::of_parts([example.input.as_bytes(), expected.as_bytes()]),
                right: match graded.answerable {
                    true => graded.right,
                    false => !graded.given,
                },
                language: language.map(str::to_owned),
                judged: None,
            }
        })
        .collect()
}

/// Measures a task: with a file what serves, without one what would be learned, by
/// cross-validation.
pub(crate) fn measure(
    settings: &Settings,
    plant: &Plant,
    task: &Task,
    file: Option<&Path>,
) -> anyhow::Result<Report> {
    let given = file.map(read_expected).transpose()?;
    let bench = Bench::new(settings, plant, task)?;
    let clock = || bench.began.elapsed();
    let mut digests = BTreeMap::from([
        ("encoder".to_owned(), bench.encoder.identity().digest),
        ("glossary".to_owned(), plant.glossary.digest()),
        ("corpus".to_owned(), bench.index.digest()),
    ]);
    let mut subject = Subject {
        name: "learn".to_owned(),
        how: "learned, cross-validated in five folds".to_owned(),
        calibrated: true,
        digests: BTreeMap::new(),
    };
    let examples = match given {
        Some(examples) => examples,
        None => bench.examples()?,
    };
    let (cases, mut warnings) = bench.cases(&examples)?;
    warnings.extend(crate::command::few(examples.len()));
    let evaluation = match file {
        Some(_) => {
            let learned = match bench.promoted(settings)? {
                Some((learned, _)) => {
                    subject.name = format!("ranker:{}", learned.digest().short());
                    subject.how = "what is promoted, on the file".to_owned();
                    digests.insert("ranker".to_owned(), learned.digest());
                    learned
                }
                None => {
                    warnings.push(format!(
                        "Nothing is learned: its probabilities are scores. Run `andon learn {}`.",
                        task.name
                    ));
                    subject.name = "default".to_owned();
                    subject.how = "the ranker of the binary, on the file".to_owned();
                    subject.calibrated = false;
                    Learned::default()
                }
            };
            answer::evaluate(&bench.lesson(&cases), &learned, &clock)
        }
        None => answer::cross_validate(&bench.lesson(&cases), &clock),
    };
    let evaluation = evaluation.with_context(|| format!("cannot measure '{}'", task.name))?;
    let times = evaluation.graded.iter().map(|one| one.took.as_secs_f64());
    let mean = times.sum::<f64>() / evaluation.n.max(1) as f64;
    Ok(Report {
        task: task.name.clone(),
        examples: Examples::of(&task.name, file, &examples),
        cost: Cost {
            mean_ms: 1000.0 * mean,
            ..Cost::default()
        },
        measured: Subject { digests, ..subject },
        warnings,
        figures: Figures::Answer(Box::new(AnswerFigures::of(evaluation, &examples))),
        wrong: Vec::new(),
        contradictions: Vec::new(),
        comparison: None,
    })
}
