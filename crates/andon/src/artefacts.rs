//! What was trained for tasks, and whether it can serve beside what serves.

use std::sync::Arc;

use andon_engine::Encoder;
use andon_runtime::{AdapterFiles, HeadFiles, RankerFiles, ReaderFiles};
use andon_store::Kind;
use andon_task::digest::Digest;
use andon_task::engine::Embed as _;
use andon_task::plant::Plant;
use andon_task::task::{self, Task};

use crate::engine::Loader;
use crate::settings::Settings;
use crate::{asking, node};

/// The files of a state, beside the models and the glossary of a plant.
pub(crate) struct Artefacts<'a> {
    plant: &'a Plant,
    encoder: Arc<Encoder>,
    /// The plant's language model; `None` where it is not here, or on a server.
    model: Option<Digest>,
    pub(crate) heads: HeadFiles,
    pub(crate) adapters: AdapterFiles,
    rankers: RankerFiles,
    pub(crate) readers: ReaderFiles,
}

impl<'a> Artefacts<'a> {
    pub(crate) fn of(
        settings: &Settings,
        plant: &'a Plant,
        loader: &Loader,
        encoder: &Arc<Encoder>,
    ) -> Self {
        let model = match settings.language_model {
            Some(_) => None,
            None => loader.digest(&plant.settings.language_model).ok(),
        };
        Self {
            plant,
            encoder: Arc::clone(encoder),
            model,
            heads: node::heads(&settings.state, encoder),
            adapters: node::adapters(&settings.state),
            rankers: asking::rankers(&settings.state),
            readers: node::readers_with(&settings.state, encoder),
        }
    }

    /// Whether an artefact can answer a task as things are.
    ///
    /// # Errors
    /// Why it cannot.
    pub(crate) fn check(&self, task: &Task, kind: Kind, digest: Digest) -> Result<(), String> {
        match kind {
            Kind::Head | Kind::TunedEncoder => {
                let beside = (self.encoder.identity(), &self.plant.glossary);
                let opened = self.heads.open(digest, task.labels(), beside);
                opened.map(drop)
            }
            Kind::Normaliser => self.heads.normaliser(digest).map(drop),
            Kind::Ranker => {
                let encoder = self.encoder.identity().digest;
                self.rankers.open(digest, encoder).map(drop)
            }
            Kind::Adapter => {
                let model = self.model.ok_or(
                    "the language model that it was trained for is not on this node: fetch it with `andon model pull`, and leave out `--language-model`",
                )?;
                self.adapters.open(digest, task, model).map(drop)
            }
            Kind::Reader => match &task.kind {
                task::Kind::Extract(schema) => self.readers.open(digest, schema).map(drop),
                _ => Err("a reader answers tasks that extract".to_owned()),
            },
        }
    }
}
