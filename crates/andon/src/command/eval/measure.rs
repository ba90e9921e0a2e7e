//! Measures contenders one after the other on the same examples.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use andon_engine::Encoder;
use andon_learn::comparison::Given;
use andon_learn::evaluate::Evaluation;
use andon_learn::promotion::identify;
use andon_learn::report::Subject;
use andon_learn::{Scored, evaluate_adapter, evaluate_head};
use andon_runtime::Serving;
use andon_store::Kind;
use andon_task::digest::Digest;
use andon_task::engine::{Embed, Score, Usage};
use andon_task::example::LabelledText;
use andon_task::plant::Plant;
use andon_task::run::Digests;
use andon_task::task::Task;
use anyhow::{Context, anyhow, bail};

use super::Contender;
use super::artefact::Artefact;
use crate::artefacts::Artefacts;
use crate::engine::Loader;
use crate::learning::Shown;
use crate::node;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::training::EncoderTuner;

/// Why an adapter is not measured with `--language-model`.
const NOT_OF_A_SERVER: &str =
    "adapters belong to a model of this node and not to a server's: leave out `--language-model`";

/// What is measured on.
pub(super) enum On {
    /// The plant's own examples.
    Plant,
    /// Those of a file.
    File,
}

/// One contender, measured.
pub(super) struct Measured {
    pub(super) subject: Subject,
    pub(super) given: Given,
    /// The figures; none where only outcomes are kept.
    pub(super) evaluation: Option<Evaluation>,
    /// What the language model's answers cost together.
    pub(super) usage: Option<Usage>,
    pub(super) warnings: Vec<String>,
}

/// Whether a contender is measured alone or beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nobody.
    Nobody,
    /// Others, on the same examples.
    Others,
}

/// Measures the contenders of one task.
pub(super) struct Bench<'a> {
    pub(super) settings: &'a Settings,
    pub(super) plant: &'a Plant,
    pub(super) task: &'a Task,
    pub(super) examples: &'a [LabelledText],
    pub(super) on: On,
    /// What was promoted, the newest first, which is the one that serves.
    promotions: Vec<Artefact>,
    /// The adapters that were kept, promoted or not.
    pub(super) adapters: Vec<Artefact>,
    pub(super) loader: Loader,
    encoder: OnceCell<Arc<Encoder>>,
    pub(super) began: Instant,
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        plant: &'a Plant,
        task: &'a Task,
        examples: &'a [LabelledText],
        on: On,
    ) -> anyhow::Result<Self> {
        let name = &task.name;
        let store = node::store(&settings.state)?;
        let promotions = store
            .promotions(name)
            .with_context(|| format!("cannot read what is promoted for '{name}'"))?;
        let candidates = store
            .candidates(name)
            .with_context(|| format!("cannot read the candidates of '{name}'"))?;
        Ok(Self {
            settings,
            plant,
            task,
            examples,
            on,
            promotions: promotions.into_iter().map(Artefact::from).collect(),
            adapters: candidates
                .into_iter()
                .filter(|candidate| candidate.kind == Kind::Adapter)
                .map(Artefact::from)
                .collect(),
            loader: Loader::new(settings),
            encoder: OnceCell::new(),
            began: Instant::now(),
        })
    }

    pub(super) fn encoder(&self) -> anyhow::Result<&Arc<Encoder>> {
        if let Some(encoder) = self.encoder.get() {
            return Ok(encoder);
        }
        let encoder = self.loader.encoder(&self.plant.settings.encoder)?;
        Ok(self.encoder.get_or_init(|| Arc::new(encoder)))
    }

    /// What serves today, if something was promoted and can.
    pub(super) fn serving(&self) -> anyhow::Result<Option<&Artefact>> {
        let Some(promoted) = self.promotions.first() else {
            return Ok(None);
        };
        let encoder = self.encoder()?;
        let artefacts = Artefacts::of(self.settings, self.plant, &self.loader, encoder);
        let checked = artefacts.check(self.task, promoted.kind, promoted.digest);
        Ok(checked.is_ok().then_some(promoted))
    }

    /// A head with the encoder that it needs, or why it cannot answer.
    fn open(&self, head: Digest) -> anyhow::Result<Result<Serving, String>> {
        let encoder = self.encoder()?;
        let beside = (encoder.identity(), &self.plant.glossary);
        let heads = node::heads(&self.settings.state, encoder);
        Ok(heads.open(head, self.task.labels(), beside))
    }

    /// Refuses what would not be fair before anything is computed.
    pub(super) fn check(&self, contender: &Contender, beside: Beside) -> anyhow::Result<()> {
        match contender {
            Contender::Promoted | Contender::Head(_) | Contender::Adapter(_) => {
                let kept = self.artefact(contender)?;
                if kept.kind == Kind::Adapter && self.settings.language_model.is_some() {
                    bail!(NOT_OF_A_SERVER);
                }
                match (&self.on, beside) {
                    (On::Plant, Beside::Nobody) => bail!(
                        "it was trained on the plant's examples, so its answers to them show nothing: give others with `--examples FILE`, or leave out `--with` to cross-validate"
                    ),
                    (On::Plant, Beside::Others) => self.outcomes(kept).map(|_| ()),
                    (On::File, Beside::Nobody) => Ok(()),
                    (On::File, Beside::Others) => match self.seen(kept) {
                        0 => Ok(()),
                        seen => bail!(
                            "'{contender}' was trained on {seen} of these {} examples, so the comparison would not be fair: compare 'learn', which leaves them out of training, or take other examples",
                            self.examples.len()
                        ),
                    },
                }
            }
            Contender::Learn | Contender::Tune => Ok(()),
            Contender::Labels(labels) => {
                if labels.model.is_none()
                    && labels.adapter.is_some()
                    && self.settings.language_model.is_some()
                {
                    bail!(NOT_OF_A_SERVER);
                }
                Ok(())
            }
        }
    }

    /// What a contender names.
    fn artefact(&self, contender: &Contender) -> anyhow::Result<&Artefact> {
        let name = &self.task.name;
        if let Contender::Adapter(digits) = contender {
            let mut known = self.adapters.iter();
            let fits = |adapter: &&Artefact| adapter.digest.to_string().starts_with(digits);
            return known.find(fits).with_context(|| {
                format!(
                    "'{name}' has no adapter that begins with {digits}: `andon promote {name} --list` shows them, `andon learn {name} --adapter` trains one"
                )
            });
        }
        if let Contender::Head(digits) = contender {
            let known = self.promotions.iter();
            let known = known.filter(|promotion| promotion.kind != Kind::Adapter);
            let fits = |promotion: &&Artefact| promotion.digest.to_string().starts_with(digits);
            return known.clone().find(fits).with_context(|| {
                let known: Vec<String> = known.map(|promotion| promotion.digest.short()).collect();
                match known.as_slice() {
                    [] => format!(
                        "no head of '{name}' was promoted: train one with `andon learn {name}`"
                    ),
                    known => format!(
                        "no head of '{name}' that was promoted begins with {digits}: these were {}",
                        known.join(", ")
                    ),
                }
            });
        }
        self.promotions.first().with_context(|| {
            format!("nothing is promoted for '{name}': train one with `andon learn {name}`")
        })
    }

    /// Whether an artefact was right about each example while that was held out.
    fn outcomes(&self, artefact: &Artefact) -> anyhow::Result<Vec<Option<bool>>> {
        let kept = artefact.outcomes();
        let outcomes: Vec<Option<bool>> = self
            .examples
            .iter()
            .map(|example| kept.get(&self.digest(example)).copied())
            .collect();
        if outcomes.iter().all(Option::is_none) {
            bail!(
                "{} was measured on none of these examples: measure it on others with `--examples FILE`",
                artefact.name()
            );
        }
        Ok(outcomes)
    }

    /// How many of the examples an artefact was trained on, or chosen by.
    fn seen(&self, artefact: &Artefact) -> usize {
        let mut known: BTreeSet<Digest> = artefact.outcomes().into_keys().collect();
        known.extend(artefact.kept().into_iter().flat_map(|kept| kept.trained_on));
        let examples = self.examples.iter();
        let seen = examples.filter(|example| known.contains(&self.digest(example)));
        seen.count()
    }

    fn digest(&self, example: &LabelledText) -> Digest {
        identify(self.task, example)
    }

    /// The digest of all examples, in order.
    pub(super) fn examples_digest(&self) -> Digest {
        let digests: Vec<Digest> = self.examples.iter().map(|e| self.digest(e)).collect();
        Digest::of_parts(digests.iter().map(|digest| digest.as_bytes().as_slice()))
    }

    /// Measures one contender.
    pub(super) fn measure(
        &self,
        contender: &Contender,
        beside: Beside,
    ) -> anyhow::Result<Measured> {
        let measured = match contender {
            Contender::Promoted | Contender::Head(_) | Contender::Adapter(_) => {
                self.measure_kept(self.artefact(contender)?, beside)
            }
            Contender::Learn => self.measure_learning(contender, None),
            Contender::Tune => {
                let encoder = self.encoder()?;
                let tuner = EncoderTuner {
                    encoder,
                    epochs: None,
                };
                self.measure_learning(contender, Some(&tuner))
            }
            Contender::Labels(labels) => self.measure_labels(labels),
        };
        measured.with_context(|| format!("cannot measure '{contender}' on '{}'", self.task.name))
    }

    fn measure_kept(&self, artefact: &Artefact, beside: Beside) -> anyhow::Result<Measured> {
        let is_adapter = artefact.kind == Kind::Adapter;
        let encoder = match is_adapter {
            true => None,
            false => Some(&**self.encoder()?),
        };
        let mut digests = self.digests(encoder);
        let kind = if is_adapter { "adapter" } else { "head" };
        digests.insert(kind.to_owned(), artefact.digest);
        let mut subject = Subject {
            name: artefact.name(),
            how: "its answers to the plant's examples while they were held out from it, as they were kept when it was trained".to_owned(),
            calibrated: true,
            digests,
        };
        if matches!((&self.on, beside), (On::Plant, Beside::Others)) {
            return Ok(Measured {
                subject,
                given: Given::Outcomes(self.outcomes(artefact)?),
                evaluation: None,
                usage: None,
                warnings: Vec::new(),
            });
        }
        let mut measured = if is_adapter {
            "the language model scores the labels with the adapter, which calibrates the scores"
                .clone_into(&mut subject.how);
            self.measure_adapter(artefact, subject)?
        } else {
            "the trained head on the file".clone_into(&mut subject.how);
            self.measure_head(artefact, subject)?
        };
        let seen = self.seen(artefact);
        if seen > 0 {
            measured.warnings.push(format!(
                "The {kind} was trained on {seen} of these {} examples, so the figures flatter it.",
                self.examples.len()
            ));
        }
        Ok(measured)
    }

    fn measure_adapter(
        &self,
        artefact: &Artefact,
        mut subject: Subject,
    ) -> anyhow::Result<Measured> {
        let name = &self.task.name;
        let model = self
            .loader
            .language_model(&self.plant.settings.language_model)?;
        let digest = Score::identity(&model).digest;
        let (adapter, weights) = node::adapters(&self.settings.state)
            .open(artefact.digest, self.task, digest)
            .map_err(|reason| anyhow!("the adapter of '{name}' does not serve: {reason}"))?;
        model.hold_adapter(&weights)?;
        subject.digests.insert("model".to_owned(), digest);
        subject.digests.insert("prompt".to_owned(), adapter.prompt);
        let Scored { evaluation, usage } = {
            let bar = self.bar();
            let mut progress = |done: usize| bar.reach(done as u64);
            let clock = || self.began.elapsed();
            let asked = (&model as &dyn Score, &adapter);
            evaluate_adapter(self.task, asked, self.examples, &clock, &mut progress)?
        };
        let evaluation = self.certified(
            evaluation,
            &Digests {
                model: Some(digest),
                adapter: Some(artefact.digest),
                prompt: Some(adapter.prompt),
                labels: Some(adapter.answers),
                ..Digests::default()
            },
        )?;
        Ok(Measured {
            usage: Some(usage),
            ..answered(subject, evaluation)
        })
    }

    fn measure_head(&self, artefact: &Artefact, subject: Subject) -> anyhow::Result<Measured> {
        let name = &self.task.name;
        let serving = self
            .open(artefact.digest)?
            .map_err(|reason| anyhow!("the head of '{name}' does not serve: {reason}"))
            .with_context(|| format!("train another with `andon learn {name}`"))?;
        let evaluation = self.certified(
            self.evaluate(&serving)?,
            &Digests {
                model: Some(serving.head.encoder()),
                head: Some(serving.head.digest()),
                labels: Some(self.task.labels().digest()),
                glossary: Some(self.plant.glossary.digest()),
                ..Digests::default()
            },
        )?;
        Ok(answered(subject, evaluation))
    }

    /// Figures at the thresholds of the certificate that holds for answers with these
    /// digests, if there is one.
    fn certified(&self, evaluation: Evaluation, digests: &Digests) -> anyhow::Result<Evaluation> {
        let name = &self.task.name;
        let stored = node::store(&self.settings.state)?
            .certificate(name)
            .with_context(|| format!("cannot read the certificate of '{name}'"))?;
        let certificate = stored
            .filter(|stored| stored.suspension.is_none())
            .map(|stored| stored.certificate)
            .filter(|certificate| certificate.covers(digests));
        Ok(match certificate {
            Some(certificate) => {
                evaluation.at_certified(&certificate.thresholds, self.task.labels().labels())
            }
            None => evaluation,
        })
    }

    pub(super) fn evaluate(&self, serving: &Serving) -> anyhow::Result<Evaluation> {
        let encoder: &dyn Embed = match &serving.tuned {
            Some(tuned) => &**tuned,
            None => &**self.encoder()?,
        };
        let mut shown = Shown::new(&self.task.name);
        Ok(evaluate_head(
            self.task,
            &serving.head,
            self.examples,
            encoder,
            &self.plant.glossary,
            &|| self.began.elapsed(),
            &mut |progress| shown.show(progress),
        )?)
    }

    pub(super) fn bar(&self) -> Progress {
        let count = self.examples.len();
        let what = format!("{}: scoring {count} examples", self.task.name);
        Progress::of_parts(&what, count)
    }

    /// The digests of what shapes answers, whoever gives them.
    pub(super) fn digests(&self, encoder: Option<&Encoder>) -> BTreeMap<String, Digest> {
        let mut digests = BTreeMap::new();
        digests.insert("labels".to_owned(), self.task.labels().digest());
        if let Some(encoder) = encoder {
            digests.insert("encoder".to_owned(), encoder.identity().digest);
            digests.insert("glossary".to_owned(), self.plant.glossary.digest());
        }
        digests
    }
}

pub(super) fn answered(subject: Subject, evaluation: Evaluation) -> Measured {
    Measured {
        subject,
        given: Given::Answers(evaluation.answers.clone()),
        evaluation: Some(evaluation),
        usage: None,
        warnings: Vec::new(),
    }
}
