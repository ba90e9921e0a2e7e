use std::sync::Arc;

use andon_store::{Counts, Kind, Page, Promotion, RecordFilter, RunFilter, Store};
use andon_task::engine::Embed;
use andon_task::plant::Plant;
use andon_task::prompt;
use andon_task::run::{Record, StoredRun, Timestamp};
use andon_task::task::{self, Task};

use crate::adapters::{AdapterFiles, AdapterStatus, Adapters};
use crate::certificates::Certificates;
use crate::error::Error;
use crate::heads::{Beside, HeadFiles, HeadStatus, Heads};
use crate::model::LanguageModel;
use crate::rankers::{RankerFiles, Rankers};

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
    pub(crate) certificates: Certificates,
    pub(crate) rankers: Arc<Rankers>,
    pub(crate) ranker_files: Option<RankerFiles>,
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
            heads: Heads::new(parts.heads),
            adapters: Adapters::new(parts.adapters),
            certificates: Certificates::default(),
            rankers: Arc::default(),
            ranker_files: None,
            clock: parts.clock,
        };
        node.refresh()?;
        Ok(node)
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
            if let (Some(files), Some(encoder)) = (&self.ranker_files, beside.encoder) {
                let ranker = promoted.as_ref().filter(|one| one.kind == Kind::Ranker);
                let ranker = ranker.map(|promotion| promotion.digest);
                self.rankers.set(task, ranker, files, encoder.digest);
            }
            let promoted = promoted.filter(|promotion| promotion.kind != Kind::Ranker);
            let is_adapter = |promotion: &Promotion| promotion.kind == Kind::Adapter;
            let adapter = promoted.as_ref().filter(|promotion| is_adapter(promotion));
            let adapter = adapter.map(|promotion| promotion.digest);
            let head = promoted.filter(|promotion| !is_adapter(promotion));
            let head = head.map(|promotion| promotion.digest);
            let set_adapter = || {
                let model = self.language_model.as_ref();
                self.adapters.set(task, adapter, model);
            };
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
            if !self.serves_alone(&task.name) {
                // Two notes that have nothing in common: what is left is the task's.
                let prompts = ["a", "Z"].map(|note| prompt::decide(task, note));
                tokens += model.pin(&prompts)?;
            }
        }
        Ok(tokens)
    }

    /// Whether what was promoted answers a task, so that no language model is needed for a
    /// text that fits it.
    pub fn serves_alone(&self, task: &str) -> bool {
        let serves = |status: HeadStatus| status.refused.is_none();
        self.head_status(task).is_some_and(serves) || self.rankers.serving(task).is_some()
    }

    /// The head that is promoted for a task, and whether it serves.
    pub fn head_status(&self, task: &str) -> Option<HeadStatus> {
        self.heads.status(task)
    }

    /// The adapter that is promoted for a task, and whether it serves.
    pub fn adapter_status(&self, task: &str) -> Option<AdapterStatus> {
        self.adapters.status(task)
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

    /// How much the store holds.
    pub fn counts(&self) -> Result<Counts, Error> {
        Ok(self.store.counts()?)
    }
}
