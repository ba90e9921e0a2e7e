//! Measures a task that extracts: readers, language models and adapters of them, on the same
//! examples.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use andon_engine::LanguageModel;
use andon_learn::comparison::{self, Given, compare};
use andon_learn::extract::{Extraction, Graded, figures, grade_reader};
use andon_learn::promotion::Outcome;
use andon_learn::report::{self, Cost, Examples, ExtractFigures, Figures, Report, Subject, Today};
use andon_runtime::Writer;
use andon_store::Kind;
use andon_task::adapter::TaskAdapter;
use andon_task::digest::Digest;
use andon_task::engine::{Embed, Generate, Score};
use andon_task::example::Example;
use andon_task::extract::{Fields, folded};
use andon_task::plant::Plant;
use andon_task::prompt;
use andon_task::schema::Schema;
use andon_task::task::Task;
use anyhow::{Context, anyhow, bail};
use serde_json::Value;

use super::artefact::Artefact;
use super::{Contender, Labels, On, contenders, few, labels};
use crate::cli::Eval;
use crate::engine::Loader;
use crate::reading::{Tuning, second};
use crate::settings::Settings;
use crate::{node, reading, writing};

/// One contender, measured.
struct Measured {
    subject: Subject,
    given: Given,
    /// What was read; none where only outcomes are kept.
    graded: Option<Vec<Graded>>,
    warnings: Vec<String>,
}

/// The report on a task that extracts.
pub(super) fn measure(
    settings: &Settings,
    plant: &Plant,
    (task, schema): (&Task, &Schema),
    typed: &Eval,
) -> anyhow::Result<Report> {
    let (examples, on) = match &typed.examples {
        Some(path) => (reading::read(path, schema)?, On::File),
        None => (reading::examples(settings, plant, task, schema)?, On::Plant),
    };
    let contenders = contenders(typed, &on)?;
    let bench = Bench::new(settings, plant, (task, schema), &examples, on)?;
    let is_alone = contenders.len() == 1;
    for contender in &contenders {
        bench.check(contender, is_alone)?;
    }
    let mut measured = Vec::new();
    for contender in &contenders {
        let one = bench.measure(contender, is_alone);
        measured
            .push(one.with_context(|| format!("cannot measure '{contender}' on '{}'", task.name))?);
    }
    bench.report(typed, &contenders, measured)
}

struct Bench<'a> {
    settings: &'a Settings,
    plant: &'a Plant,
    task: &'a Task,
    schema: &'a Schema,
    fields: Fields,
    examples: &'a [Example],
    on: On,
    /// What is promoted.
    promoted: Option<Artefact>,
    /// The adapters that were kept, promoted or not.
    adapters: Vec<Artefact>,
    loader: Loader,
    began: Instant,
}

impl<'a> Bench<'a> {
    fn new(
        settings: &'a Settings,
        plant: &'a Plant,
        (task, schema): (&'a Task, &'a Schema),
        examples: &'a [Example],
        on: On,
    ) -> anyhow::Result<Self> {
        let store = node::store(&settings.state)?;
        let candidates = store.candidates(&task.name)?.into_iter();
        Ok(Self {
            fields: reading::fields(schema, task)?,
            promoted: store.promoted(&task.name)?.map(Artefact::from),
            adapters: candidates
                .filter(|candidate| candidate.kind == Kind::Adapter)
                .map(Artefact::from)
                .collect(),
            loader: Loader::new(settings),
            began: Instant::now(),
            settings,
            plant,
            task,
            schema,
            examples,
            on,
        })
    }

    /// What a contender names among what was kept.
    fn artefact(&self, contender: &Contender) -> anyhow::Result<Option<&Artefact>> {
        let name = &self.task.name;
        match contender {
            Contender::Promoted => self.promoted.as_ref().map(Some).with_context(|| {
                format!("no reader is promoted for '{name}': train one with `andon learn {name}`")
            }),
            Contender::Adapter(digits) => {
                let mut known = self.adapters.iter();
                let found = known.find(|one| one.digest.to_string().starts_with(digits));
                found.map(Some).with_context(|| {
                    format!(
                        "'{name}' has no adapter that begins with {digits}: `andon promote {name} --list` shows them, `andon learn {name} --adapter` trains one"
                    )
                })
            }
            _ => Ok(None),
        }
    }

    /// Refuses what would not be fair before anything is computed.
    fn check(&self, contender: &Contender, is_alone: bool) -> anyhow::Result<()> {
        let is_of_node = !matches!(contender, Contender::Learn | Contender::Tune);
        if is_of_node && self.settings.language_model.is_some() {
            bail!("objects are written here by models of this node: leave out `--language-model`");
        }
        match contender {
            Contender::Head(_) => {
                bail!(
                    "'{contender}' is for tasks that decide: name head, learn, learn+tune, adapter:DIGEST or a model"
                )
            }
            Contender::Learn | Contender::Tune | Contender::Labels(_) => return Ok(()),
            Contender::Promoted | Contender::Adapter(_) => {}
        }
        let Some(kept) = self.artefact(contender)? else {
            return Ok(());
        };
        match (&self.on, is_alone, self.seen(kept)) {
            (On::Plant, true, _) => bail!(
                "it was trained on the plant's examples, so its answers to them show nothing: give others with `--examples FILE`, or leave out `--with` to cross-validate"
            ),
            (On::File, false, seen @ 1..) => bail!(
                "'{contender}' was trained on {seen} of these {} examples, so the comparison would not be fair: take other examples",
                self.examples.len()
            ),
            _ => Ok(()),
        }
    }

    /// How many of the examples an artefact was trained on, or chosen by.
    fn seen(&self, artefact: &Artefact) -> usize {
        let mut known: BTreeSet<Digest> = artefact.outcomes().into_keys().collect();
        known.extend(artefact.kept().into_iter().flat_map(|kept| kept.trained_on));
        let examples = self.examples.iter();
        examples
            .filter(|example| known.contains(&identify(example)))
            .count()
    }

    fn measure(&self, contender: &Contender, is_alone: bool) -> anyhow::Result<Measured> {
        match contender {
            Contender::Learn | Contender::Tune => self.learn(contender),
            Contender::Labels(asked) => self.model(asked),
            _ => match self.artefact(contender)? {
                Some(kept) if matches!(self.on, On::Plant) && !is_alone => self.outcomes(kept),
                Some(kept) => self.kept(kept),
                None => bail!("'{contender}' is for tasks that decide"),
            },
        }
    }

    /// What `andon learn` would make of the plant's examples: a reader.
    fn learn(&self, contender: &Contender) -> anyhow::Result<Measured> {
        let encoder = Arc::new(self.loader.encoder(&self.plant.settings.encoder)?);
        let tune = matches!(contender, Contender::Tune).then_some(Tuning { epochs: None });
        let train = |examples: &[Example]| {
            let task = (self.plant, self.task, self.schema);
            reading::train(&self.began, task, examples, &encoder, tune)
        };
        let here = (self.settings, self.plant, &self.loader);
        let task = (self.task, self.schema);
        // What is measured is what serves: a reader alone, or one with a second opinion.
        let held_out = |examples: &[Example]| {
            let (mut learnt, _) = train(examples)?;
            if self.is_fused() {
                (learnt, _) = second::learn(&self.began, here, task, (learnt, examples))?;
            }
            anyhow::Ok(learnt.held_out)
        };
        // Whatever is measured on must not be learned from.
        let others: Vec<Example> = match self.on {
            On::Plant => Vec::new(),
            On::File => {
                let known: BTreeSet<String> =
                    self.examples.iter().map(|e| folded(&e.input)).collect();
                let all = reading::examples(self.settings, self.plant, self.task, self.schema)?;
                let others = all.into_iter();
                others
                    .filter(|e| !known.contains(&folded(&e.input)))
                    .collect()
            }
        };
        let (how, graded) = match (others.is_empty(), &self.on) {
            (true, On::Plant) => (
                "cross-validated on the plant's examples".to_owned(),
                held_out(self.examples)?,
            ),
            (true, On::File) => (
                "cross-validated on the file's own examples".to_owned(),
                held_out(self.examples)?,
            ),
            (false, _) => {
                let learnt = train(&others)?.0;
                let tuned = learnt.tuned.map(|file| encoder.tuned(&file)).transpose()?;
                let states: &dyn Embed = match &tuned {
                    Some(tuned) => tuned,
                    None => &*encoder,
                };
                let clock = || self.began.elapsed();
                let how = format!(
                    "trained on {} of the plant's examples, those without a text of the file",
                    others.len()
                );
                (
                    how,
                    grade_reader(&learnt.reader, &self.pairs(), states, &clock)?,
                )
            }
        };
        Ok(self.measured(self.subject(contender.to_string(), how, &[]), graded))
    }

    /// Whether the reader that is promoted is given a second opinion.
    fn is_fused(&self) -> bool {
        let reader = (self.promoted.as_ref()).filter(|kept| kept.kind == Kind::Reader);
        let files = node::readers(&self.settings.state);
        let serving = reader.and_then(|kept| files.open(kept.digest, self.schema).ok());
        serving.is_some_and(|serving| serving.reader.fusion().is_some())
    }

    /// A reader or an adapter that was kept.
    fn kept(&self, kept: &Artefact) -> anyhow::Result<Measured> {
        let name = &self.task.name;
        let state = &self.settings.state;
        let mut measured = match kept.kind {
            Kind::Adapter => {
                let model = self
                    .loader
                    .language_model(&self.plant.settings.language_model)?;
                let digest = Generate::identity(&model).digest;
                let (adapter, weights) = node::adapters(state)
                    .open(kept.digest, self.task, digest)
                    .map_err(|reason| {
                        anyhow!("the adapter of '{name}' does not serve: {reason}")
                    })?;
                model.hold_adapter(&weights)?;
                let how = "the language model writes the object with the adapter";
                let digests = [
                    ("adapter", kept.digest),
                    ("model", digest),
                    ("prompt", adapter.prompt),
                ];
                let subject = self.subject(kept.name(), how.to_owned(), &digests);
                self.written(subject, &model, Some(&adapter))?
            }
            _ => {
                let encoder = Arc::new(self.loader.encoder(&self.plant.settings.encoder)?);
                let serving = node::readers_with(state, &encoder)
                    .open(kept.digest, self.schema)
                    .map_err(|reason| anyhow!("the reader of '{name}' does not serve: {reason}"))?;
                let clock = || self.began.elapsed();
                let states: &dyn Embed = match &serving.tuned {
                    Some(tuned) => &**tuned,
                    None => &*encoder,
                };
                let pairs = self.pairs();
                let mut graded = grade_reader(&serving.reader, &pairs, states, &clock)?;
                let here = (self.settings, self.plant, &self.loader);
                let read = (&*serving.reader, pairs.as_slice());
                let task = (self.task, self.schema);
                let opinion = second::ask(&self.began, here, task, read, &mut graded)?;
                let how = "the promoted reader, on the file".to_owned();
                let mut digests = vec![("reader", kept.digest)];
                let second = opinion.map(|one| [("model", one.model), ("prompt", one.prompt)]);
                digests.extend(second.into_iter().flatten());
                self.measured(self.subject(kept.name(), how, &digests), graded)
            }
        };
        let seen = self.seen(kept);
        if seen > 0 {
            measured.warnings.push(format!(
                "{} was trained on {seen} of these {} examples, so the figures flatter it.",
                kept.name(),
                self.examples.len()
            ));
        }
        Ok(measured)
    }

    /// What is kept of an artefact's answers while the examples were held out from it.
    fn outcomes(&self, kept: &Artefact) -> anyhow::Result<Measured> {
        let known = kept.outcomes();
        let outcomes: Vec<Option<bool>> = (self.examples.iter())
            .map(|example| known.get(&identify(example)).copied())
            .collect();
        if outcomes.iter().all(Option::is_none) {
            bail!(
                "{} was measured on none of these examples: measure it on others with `--examples FILE`",
                kept.name()
            );
        }
        let how = "its answers to the plant's examples while they were held out from it, as they were kept when it was trained";
        Ok(Measured {
            subject: self.subject(kept.name(), how.to_owned(), &[]),
            given: Given::Outcomes(outcomes),
            graded: None,
            warnings: Vec::new(),
        })
    }

    /// A language model, with an adapter or without.
    fn model(&self, asked: &Labels) -> anyhow::Result<Measured> {
        let named = asked.model.as_ref().map(ToString::to_string);
        let mut name = named.unwrap_or_else(|| self.plant.settings.language_model.clone());
        let model = self.loader.language_model(&name)?;
        let base = Generate::identity(&model).digest;
        let mut task = self.task.clone();
        if let Some(path) = &asked.prompt {
            task.instructions = labels::instructions(path)?;
        }
        let mut digests = vec![("model", base)];
        let mut warnings = Vec::new();
        let mut adapter = None;
        if let Some(path) = &asked.adapter {
            let held = labels::hold(&model, path, &mut warnings)?;
            digests.push(("adapter", held));
            name = format!("{name}+adapter={}", path.display());
            let state = &self.settings.state;
            let kept = labels::kept(state, &self.adapters, held, (&task, base));
            // Who trained it elsewhere is taken to have trained it as it is done here.
            adapter = Some(kept.unwrap_or_else(|| TaskAdapter::new(&task, held, base)));
        }
        let prompt = match &adapter {
            Some(adapter) => adapter.prompt,
            None => prompt::digest(&prompt::extract(&task, self.schema, "")),
        };
        digests.push(("prompt", prompt));
        if let Some(path) = &asked.prompt {
            name = format!("{name}+prompt={}", path.display());
        }
        let how = "the language model writes the object under the schema".to_owned();
        let subject = self.subject(name, how, &digests);
        let measured = self.written(subject, &model, adapter.as_ref())?;
        Ok(Measured {
            warnings,
            ..measured
        })
    }

    fn written(
        &self,
        subject: Subject,
        model: &LanguageModel,
        adapter: Option<&TaskAdapter>,
    ) -> anyhow::Result<Measured> {
        let writer = Writer::new(model, adapter);
        let task = (self.task, self.schema);
        let graded = writing::grade(&writer, task, &self.fields, self.examples)?;
        let subject = Subject {
            calibrated: false,
            ..subject
        };
        Ok(self.measured(subject, graded))
    }

    fn measured(&self, subject: Subject, graded: Vec<Graded>) -> Measured {
        let records = figures(&self.fields, &graded, self.task.accept);
        Measured {
            subject,
            given: Given::Answers(records.map_or_else(Vec::new, |found| found.1.answers)),
            graded: Some(graded),
            warnings: Vec::new(),
        }
    }

    fn subject(&self, name: String, how: String, digests: &[(&str, Digest)]) -> Subject {
        let mut known = BTreeMap::from([("schema".to_owned(), self.schema.digest())]);
        known.extend(
            digests
                .iter()
                .map(|&(what, digest)| (what.to_owned(), digest)),
        );
        Subject {
            name,
            how,
            calibrated: true,
            digests: known,
        }
    }

    fn pairs(&self) -> Vec<(&str, &Value)> {
        let pairs = self.examples.iter();
        pairs.map(|e| (e.input.as_str(), &e.expected)).collect()
    }

    fn figures_of(
        &self,
        graded: &[Graded],
    ) -> Option<(Extraction, andon_learn::evaluate::Evaluation)> {
        figures(&self.fields, graded, self.task.accept)
    }

    fn report(
        &self,
        typed: &Eval,
        contenders: &[Contender],
        measured: Vec<Measured>,
    ) -> anyhow::Result<Report> {
        let task = self.task;
        let comparison = match measured.len() {
            1 => None,
            _ => Some(self.compared(contenders, &measured)?),
        };
        let mut warnings = few(self.examples.len());
        warnings.extend(measured.iter().flat_map(|one| one.warnings.iter().cloned()));
        let about = measured
            .into_iter()
            .find_map(|one| Some((one.subject, one.graded?)));
        let (subject, graded) = about.with_context(|| {
            format!(
                "of '{}' only outcomes are kept: compare with one that is measured anew, as 'learn'",
                task.name
            )
        })?;
        let found = self.figures_of(&graded);
        let found =
            found.with_context(|| format!("'{}' has no examples to measure on", task.name))?;
        if !subject.calibrated {
            warnings.push(format!(
                "{} gives no probabilities: every answer goes to a person.",
                subject.name
            ));
        }
        let took: Duration = graded.iter().map(|one| one.took).sum();
        let figures = ExtractFigures::of(found, &self.fields, (self.examples, &graded));
        Ok(Report {
            task: task.name.clone(),
            examples: Examples::of(&task.name, typed.examples.as_deref(), self.examples),
            cost: Cost {
                mean_ms: 1000.0 * took.as_secs_f64() / graded.len() as f64,
                ..Cost::default()
            },
            measured: subject,
            warnings,
            figures: Figures::Extract(Box::new(figures)),
            wrong: Vec::new(),
            contradictions: Vec::new(),
            comparison,
        })
    }

    fn compared(
        &self,
        contenders: &[Contender],
        measured: &[Measured],
    ) -> anyhow::Result<report::Compared> {
        let entries: Vec<comparison::Contender> = measured
            .iter()
            .map(|one| comparison::Contender {
                name: one.subject.name.clone(),
                given: one.given.clone(),
            })
            .collect();
        let mut names = BTreeSet::new();
        if let Some(twin) = entries.iter().find(|entry| !names.insert(&entry.name)) {
            bail!("{} is named twice: it cannot differ from itself", twin.name);
        }
        let mut comparison = compare(&entries, 2)
            .with_context(|| format!("cannot compare on '{}'", self.task.name))?;
        for (standing, one) in comparison.contenders.iter_mut().zip(measured) {
            let found = one
                .graded
                .as_deref()
                .and_then(|graded| self.figures_of(graded));
            standing.field_accuracy = found.map(|(extraction, _)| extraction.field_accuracy);
        }
        let runs = match &self.promoted {
            Some(promoted) => promoted.name(),
            None => self.plant.settings.language_model.clone(),
        };
        let today = Today {
            contender: entries
                .iter()
                .map(|e| &e.name)
                .find(|name| **name == runs)
                .cloned(),
            runs,
        };
        let task = &self.task.name;
        let to_run = |name: &str| {
            let place = entries.iter().position(|entry| entry.name == name);
            match place.map(|place| &contenders[place]) {
                Some(Contender::Learn) => format!("`andon learn {task}` promotes it"),
                Some(Contender::Labels(Labels {
                    adapter: Some(_), ..
                })) => format!("`andon learn {task} --adapter --promote` trains and promotes one"),
                Some(Contender::Labels(_)) => {
                    format!(
                        "write language_model = \"{name}\" in plant.toml, but as long as something is promoted, that answers"
                    )
                }
                _ => {
                    let digest = name.split_once(':').map_or(name, |(_, digest)| digest);
                    format!("`andon promote {task} {digest}`")
                }
            }
        };
        let subjects = measured.iter().map(|one| one.subject.clone()).collect();
        Ok(report::decide(comparison, subjects, today, to_run))
    }
}

fn identify(example: &Example) -> Digest {
    Outcome::of_expected(&example.input, &example.expected, true).example
}
