use std::sync::Arc;

use andon_store::{
    Counts, Kind, Page, Place, Promotion, QueueCounts, QueueFilter, RecordFilter, RunFilter, Store,
};
use andon_task::engine::{Embed, EngineError};
use andon_task::plant::Plant;
use andon_task::prompt;
use andon_task::reach::{Beyond, Reach};
use andon_task::run::{Record, StoredRun, Timestamp};
use andon_task::task::{self, Task};

use crate::adapters::{AdapterFiles, AdapterStatus, Adapters};
use crate::certificates::Certificates;
use crate::corpus::ReadDocument;
use crate::egress::Egress;
use crate::error::Error;
use crate::heads::{Beside, HeadFiles, HeadStatus, Heads};
use crate::model::LanguageModel;
use crate::normalise::Normalisers;
use crate::rankers::{RankerFiles, Rankers};
use crate::readers::{ReaderFiles, ReaderStatus, Readers};

/// Tells the time.
pub type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// What a node is made of.
pub struct Parts {
    /// Everything that is particular to the site.
    pub plant: Plant,
    /// The model that turns notes into vectors.
    pub encoder: Option<Arc<dyn Embed>>,
    /// The model that generates, and that scores labels where there is no head.
    pub language_model: Option<Arc<dyn LanguageModel>>,
    /// Records, runs and promotions.
    pub store: Store,
    /// The files of the heads that were trained.
    pub heads: HeadFiles,
    /// The files of the adapters that were trained.
    pub adapters: AdapterFiles,
    /// The files of the readers that were trained.
    pub readers: ReaderFiles,
    /// The time.
    pub clock: Clock,
}

/// One plant with its models, its promoted heads and adapters, and its store. Shared by all
/// who serve it; every method takes `&self` and blocks until it is done.
pub struct Node {
    pub(crate) plant: Plant,
    pub(crate) encoder: Option<Arc<dyn Embed>>,
    pub(crate) language_model: Option<Arc<dyn LanguageModel>>,
    pub(crate) store: Store,
    pub(crate) heads: Heads,
    pub(crate) adapters: Adapters,
    pub(crate) normalisers: Normalisers,
    pub(crate) readers: Readers,
    pub(crate) certificates: Certificates,
    pub(crate) egress: Option<Arc<Egress>>,
    reach: Option<Reach>,
    pub(crate) rankers: Arc<Rankers>,
    pub(crate) ranker_files: Option<RankerFiles>,
    documents: Option<Arc<dyn ReadDocument + Send + Sync>>,
    clock: Clock,
}

impl Node {
    /// The node of these parts, with the heads that are promoted now.
    pub fn new(parts: Parts) -> Result<Self, Error> {
        let node = Self {
            plant: parts.plant,
            encoder: parts.encoder,
            language_model: parts.language_model,
            store: parts.store,
            normalisers: Normalisers::new(parts.heads.clone()),
            heads: Heads::new(parts.heads),
            adapters: Adapters::new(parts.adapters),
            readers: Readers::new(parts.readers),
            certificates: Certificates::default(),
            egress: None,
            reach: None,
            rankers: Arc::default(),
            ranker_files: None,
            documents: None,
            clock: parts.clock,
        };
        node.refresh()?;
        Ok(node)
    }

    /// The same node with what recognises requests that its language model is bad at.
    pub fn with_reach(self, reach: Reach) -> Self {
        Self {
            reach: Some(reach),
            ..self
        }
    }

    /// The same node with what reads documents that come in as records.
    pub fn with_documents(self, reader: Arc<dyn ReadDocument + Send + Sync>) -> Self {
        Self {
            documents: Some(reader),
            ..self
        }
    }

    /// The text of a document that is to become a record, by the ending of its name.
    ///
    /// # Errors
    /// If it is of no form that is read, scanned, encrypted or broken.
    pub fn read_document(&self, name: &str, bytes: &[u8]) -> Result<String, Error> {
        let reader = self.documents.as_ref().ok_or_else(|| {
            Error::Unreadable("this node reads no documents: send their text".to_owned())
        })?;
        reader.read(name, bytes).map_err(Error::Unreadable)
    }

    /// What a request asks for that a small model is bad at; nothing where it is within
    /// reach, or nobody here can say.
    pub fn beyond(&self, text: &str) -> Result<Option<Beyond>, Error> {
        self.beyond_of(text, None)
    }

    /// The same, with the encoder's vector of the text as the plant's glossary reads it, where
    /// that is known.
    pub(crate) fn beyond_of(
        &self,
        text: &str,
        vector: Option<&[f32]>,
    ) -> Result<Option<Beyond>, Error> {
        let (Some(reach), Some(encoder)) = (&self.reach, &self.encoder) else {
            return Ok(None);
        };
        let judged_part = Reach::read(text);
        // What recognises requests knows no plant's glossary: a text that it changes has
        // another vector.
        let is_same = |_: &&[f32]| self.plant.glossary.read(text).text() == judged_part;
        let judged = match vector.filter(is_same) {
            Some(vector) => reach.judge(text, vector),
            None => {
                let vectors = encoder.embed(&[judged_part])?;
                reach.judge(text, vectors.first().map_or(&[][..], Vec::as_slice))
            }
        };
        Ok(judged.map_err(|error| EngineError::Failed(error.to_string()))?)
    }

    /// The plant.
    pub fn plant(&self) -> &Plant {
        &self.plant
    }

    /// The encoder, if one is loaded.
    pub fn encoder(&self) -> Option<&Arc<dyn Embed>> {
        self.encoder.as_ref()
    }

    /// The language model, if one is loaded.
    pub fn language_model(&self) -> Option<&Arc<dyn LanguageModel>> {
        self.language_model.as_ref()
    }

    /// The time, by the clock that the node was given.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The task of this name.
    pub fn task(&self, name: &str) -> Result<&Task, Error> {
        self.plant
            .tasks
            .get(name)
            .ok_or_else(|| Error::UnknownTask(name.to_owned()))
    }

    /// Looks for what was promoted, rolled back, certified or suspended since, and
    /// lets those heads and adapters serve that were made for what serves here. A run that
    /// has begun keeps what it began with.
    pub fn refresh(&self) -> Result<(), Error> {
        let encoder = self.encoder.as_ref();
        let beside = Beside {
            encoder: encoder.map(|encoder| encoder.identity()),
            glossary: &self.plant.glossary,
        };
        for task in self.plant.tasks.values() {
            let promoted = self.store.promoted(&task.name)?;
            let of = |kinds: &[Kind]| {
                let fits = |promotion: &&Promotion| kinds.contains(&promotion.kind);
                let promoted = promoted.as_ref().filter(fits);
                promoted.map(|promotion| promotion.digest)
            };
            let adapter = of(&[Kind::Adapter]);
            let set_adapter = || {
                let model = self.language_model.as_ref();
                self.adapters.set(task, adapter, model);
            };
            match &task.kind {
                task::Kind::Decide(_) => {}
                task::Kind::Extract(schema) => {
                    let mut is_new = false;
                    let mut set_reader = || {
                        let reader = of(&[Kind::Reader]);
                        is_new = self.readers.set(&task.name, schema, reader);
                    };
                    if adapter.is_some() {
                        set_adapter();
                        set_reader();
                    } else {
                        set_reader();
                        set_adapter();
                    }
                    let status = self.reader_status(&task.name).filter(|_| is_new);
                    if let Some(reason) = status.and_then(|status| status.alone) {
                        tracing::warn!(task = task.name, reason, "the reader answers alone");
                    }
                    continue;
                }
                task::Kind::Normalise => {
                    self.normalisers.set(task, of(&[Kind::Normaliser]));
                    continue;
                }
                task::Kind::Answer => {
                    if let (Some(files), Some(encoder)) = (&self.ranker_files, beside.encoder) {
                        let ranker = of(&[Kind::Ranker]);
                        self.rankers.set(task, ranker, files, encoder.digest);
                    }
                    continue;
                }
                task::Kind::Summarise => continue,
            }
            let head = of(&[Kind::Head, Kind::TunedEncoder]);
            // What comes is there before what goes is not, so that every run meanwhile
            // is answered by one of them.
            if adapter.is_some() {
                set_adapter();
                self.heads.set(task, head, beside);
            } else {
                self.heads.set(task, head, beside);
                set_adapter();
            }
        }
        if let Some(egress) = &self.egress {
            egress.mask_by(self.normalisers.masks());
        }
        self.refresh_worths()?;
        self.refresh_certificates()
    }

    /// Has the language model keep at hand what the prompts of a task begin with,
    /// for every task that it answers. The tokens that it keeps.
    pub fn pin_prompts(&self) -> Result<usize, Error> {
        let Some(model) = &self.language_model else {
            return Ok(0);
        };
        let mut tokens = 0;
        let decides = |task: &&Task| matches!(task.kind, task::Kind::Decide(_));
        for task in self.plant.tasks.values().filter(decides) {
            // What an adapter is asked is short, and begins otherwise.
            let is_adapted = self.adapters.serving(&task.name).is_some();
            if !is_adapted && !self.serves_alone(&task.name) {
                // Two notes that have nothing in common: what is left is the task's.
                let prompts = ["a", "Z"].map(|note| prompt::decide(task, note));
                tokens += model.pin(&prompts)?;
            }
        }
        for (name, task) in &self.plant.tasks {
            if let (task::Kind::Extract(schema), Some(serving)) =
                (&task.kind, self.readers.serving(name))
                && let Some(Ok((fusion, _))) = self.second_opinion(task, schema, &serving.reader)
            {
                let prompt = |text| prompt::extract_like(task, schema, &fusion.shown, text);
                tokens += model.pin(&["a", "Z"].map(prompt))?;
            }
        }
        Ok(tokens)
    }

    /// Whether what was promoted answers a task, so that no language model is needed for a
    /// text that fits it. No language model stands in for a normaliser.
    pub fn serves_alone(&self, task: &str) -> bool {
        let serves = |status: HeadStatus| status.refused.is_none();
        let reads = |status: ReaderStatus| status.refused.is_none();
        let known = self.plant.tasks.get(task);
        known.is_some_and(|task| matches!(task.kind, task::Kind::Normalise | task::Kind::Answer))
            || self.head_status(task).is_some_and(serves)
            || self.reader_status(task).is_some_and(reads)
    }

    /// The tasks that a note is run through where its sender names none: those that
    /// decide, and normalisers that serve. The others are about documents, periods and
    /// questions.
    pub fn tasks_of_a_note(&self) -> Vec<String> {
        let of_a_note = |task: &&Task| match task.kind {
            task::Kind::Decide(_) => true,
            task::Kind::Normalise => self.normalisers.serving(&task.name).is_some(),
            task::Kind::Extract(_) | task::Kind::Summarise | task::Kind::Answer => false,
        };
        let tasks = self.plant.tasks.values().filter(of_a_note);
        tasks.map(|task| task.name.clone()).collect()
    }

    /// The head or the normaliser that is promoted for a task, and whether it serves.
    pub fn head_status(&self, task: &str) -> Option<HeadStatus> {
        let head = self.heads.status(task);
        head.or_else(|| self.normalisers.status(task))
    }

    /// The adapter that is promoted for a task, and whether it serves.
    pub fn adapter_status(&self, task: &str) -> Option<AdapterStatus> {
        self.adapters.status(task)
    }

    /// The reader that is promoted for a task, and whether it serves.
    pub fn reader_status(&self, name: &str) -> Option<ReaderStatus> {
        let status = self.readers.status(name)?;
        let second = match (self.plant.tasks.get(name), self.readers.serving(name)) {
            (Some(task), Some(serving)) => match &task.kind {
                task::Kind::Extract(schema) => {
                    let second = self.second_opinion(task, schema, &serving.reader);
                    second.map(|second| second.map(drop))
                }
                _ => None,
            },
            _ => None,
        };
        Some(ReaderStatus {
            alone: second.and_then(Result::err),
            ..status
        })
    }

    /// The record of this number.
    pub fn record(&self, id: i64) -> Result<Record, Error> {
        self.store.record(id)?.ok_or(Error::UnknownRecord(id))
    }

    /// A page of records, newest first.
    pub fn records(&self, filter: &RecordFilter, page: Page) -> Result<Vec<Record>, Error> {
        Ok(self.store.records(filter, page)?)
    }

    /// Closes a record: a later note does not repeat it any more. One that is
    /// closed stays as it is.
    pub fn close(&self, id: i64) -> Result<Record, Error> {
        self.store
            .close_record(id, self.now())
            .map_err(|error| match error {
                andon_store::Error::NoRecord(id) => Error::UnknownRecord(id),
                other => other.into(),
            })
    }

    /// The run of this number.
    pub fn run_of(&self, id: i64) -> Result<StoredRun, Error> {
        self.store.run(id)?.ok_or(Error::UnknownRun(id))
    }

    /// All runs over a record, in order of recording.
    pub fn runs_of(&self, record: i64) -> Result<Vec<StoredRun>, Error> {
        Ok(self.store.runs_of(record)?)
    }

    /// A page of runs, newest first.
    pub fn runs(&self, filter: &RunFilter, page: Page) -> Result<Vec<StoredRun>, Error> {
        Ok(self.store.runs(filter, page)?)
    }

    /// All that was promoted for a task, newest first; the first is current.
    pub fn promotions(&self, task: &str) -> Result<Vec<Promotion>, Error> {
        Ok(self.store.promotions(&self.task(task)?.name)?)
    }

    /// Lets serve again what served a task before, in the name of `by`.
    pub fn roll_back(&self, task: &str, by: Option<&str>) -> Result<Promotion, Error> {
        let task = self.task(task)?;
        let promotion = self.store.rollback(&task.name, self.now(), by)?;
        self.refresh()?;
        Ok(promotion)
    }

    /// A page of what waits for an upstream's link, newest first, and how much does.
    pub fn queue(
        &self,
        filter: &QueueFilter,
        page: Page,
    ) -> Result<(Vec<Place>, QueueCounts), Error> {
        Ok((self.store.queue(filter, page)?, self.store.queue_counts()?))
    }

    /// How much the store holds.
    pub fn counts(&self) -> Result<Counts, Error> {
        Ok(self.store.counts()?)
    }
}
