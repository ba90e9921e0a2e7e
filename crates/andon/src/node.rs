//! Puts a node together: a plant, its models, its store and its heads.

use std::fs::{File, TryLockError};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use andon_engine::Encoder;
use andon_runtime::{
    AdapterFiles, HeadFiles, LanguageModel, Node, Parts, ReadEncoder, ReaderFiles, TunedEncoders,
};
use andon_store::Store;
use andon_task::engine::Embed;
use andon_task::plant::Plant;
use andon_task::task::Kind;
use anyhow::{Context, bail};

use crate::engine::{self, AdapterFile, Loader};
use crate::progress::line;
use crate::settings::Settings;
use crate::{asking, clock, document, reach};

/// Which models a node needs for what it is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs<'a> {
    /// All that the plant names, and these adapters.
    Everything(&'a [AdapterFile]),
    /// What answers these tasks: no language model where heads do.
    Tasks(&'a [&'a str]),
    /// The heads, and the language model where there is one.
    Words,
    /// The heads alone.
    Heads,
}

/// The node of `settings`, ready to answer.
pub(crate) fn open(settings: &Settings, plant: Plant, needs: Needs<'_>) -> anyhow::Result<Node> {
    let store = store(&settings.state)?;
    let loader = Loader::new(settings);
    // Whoever needs both loads both at once.
    let (encoder, words) = std::thread::scope(|scope| {
        let encoder = scope.spawn(|| loader.encoder(&plant.settings.encoder));
        let words = match needs {
            Needs::Everything(adapters) => {
                language_model(settings, &plant, (&loader, adapters)).map(Some)
            }
            Needs::Tasks(_) | Needs::Words | Needs::Heads => Ok(None),
        };
        (encoder.join(), words)
    });
    let encoder = match encoder {
        Ok(encoder) => Arc::new(encoder?),
        Err(panic) => resume_unwind(panic),
    };
    let words = words?;
    let assemble = |plant: Plant, language_model: Option<Arc<dyn LanguageModel>>| {
        let parts = Parts {
            plant,
            encoder: Some(encoder.clone()),
            language_model,
            store: store.clone(),
            heads: heads(&settings.state, &encoder),
            adapters: adapters(&settings.state),
            readers: readers_with(&settings.state, &encoder),
            clock: Box::new(clock::now),
        };
        let egress = match needs {
            Needs::Heads => None,
            _ => crate::egress::open(settings, &parts.plant, store.clone())?,
        };
        let node = Node::new(parts).context("cannot read what is promoted")?;
        let node = match egress {
            Some(egress) => node.with_egress(egress),
            None => node,
        };
        let node = match reach::of(encoder.identity()) {
            Some(reach) => node.with_reach(reach),
            None => node,
        };
        let node = node
            .with_rankers(asking::rankers(&settings.state))
            .with_documents(Arc::new(document::RECORDS));
        let asks = |name: &&str| {
            let task = node.plant().tasks.get(*name);
            task.is_some_and(|task| task.kind == Kind::Answer)
        };
        if matches!(needs, Needs::Tasks(tasks) if tasks.iter().any(asks)) {
            let corpus = asking::corpus(node.plant(), &store, &*encoder)?;
            node.shelf().fill(&corpus);
            node.refresh().context("cannot read what is promoted")?;
        }
        Ok(node)
    };
    if needs == Needs::Heads {
        return assemble(plant, None);
    }
    if needs == Needs::Words {
        return assemble(
            plant.clone(),
            if_there(settings, &plant, &loader, WITHOUT_WORDS),
        );
    }
    if let Needs::Tasks(tasks) = needs {
        let node = assemble(plant.clone(), None)?;
        let summarises = |task: &&&str| {
            let known = plant.tasks.get(**task);
            known.is_some_and(|task| matches!(task.kind, Kind::Summarise))
        };
        let (summaries, others): (Vec<&&str>, Vec<&&str>) = tasks.iter().partition(summarises);
        if others.iter().all(|task| node.serves_alone(task)) {
            let is_fused = others.iter().any(|task| node.is_fused(task));
            let without = match (summaries.is_empty(), is_fused) {
                (true, false) => return Ok(node),
                (true, true) => "the reader answers alone",
                (false, _) => WITHOUT_WORDS,
            };
            drop(node);
            return assemble(plant.clone(), if_there(settings, &plant, &loader, without));
        }
    }
    let language_model = match words {
        Some(words) => words,
        None => language_model(settings, &plant, (&loader, &[]))?,
    };
    assemble(plant, Some(language_model))
}

/// The language model of this node, with adapters, or of a server.
pub(crate) fn language_model(
    settings: &Settings,
    plant: &Plant,
    (loader, adapters): (&Loader, &[AdapterFile]),
) -> anyhow::Result<Arc<dyn LanguageModel>> {
    match &settings.language_model {
        Some(_) if !adapters.is_empty() => bail!(
            "adapters belong to a model of this node and not to a server's: leave out `--adapter` or `--language-model`"
        ),
        Some(remote) => Ok(Arc::new(remote.connect()?)),
        None => {
            let model = loader.language_model(&plant.settings.language_model)?;
            engine::add_adapters(&model, adapters)?;
            Ok(Arc::new(model))
        }
    }
}

/// A node without models, to look at what is kept.
pub(crate) fn without_models(settings: &Settings, plant: Plant) -> anyhow::Result<Node> {
    let parts = Parts {
        plant,
        encoder: None,
        language_model: None,
        store: store(&settings.state)?,
        heads: HeadFiles::new(settings.state.join("heads")),
        adapters: adapters(&settings.state),
        readers: readers(&settings.state),
        clock: Box::new(clock::now),
    };
    Node::new(parts).context("cannot read what is promoted")
}

/// What is done of a summary without a language model.
const WITHOUT_WORDS: &str = "plain sentences";

/// The language model, for what can be done without; says what is done then.
fn if_there(
    settings: &Settings,
    plant: &Plant,
    loader: &Loader,
    without: &str,
) -> Option<Arc<dyn LanguageModel>> {
    match language_model(settings, plant, (loader, &[])) {
        Ok(model) => Some(model),
        Err(error) => {
            line(&format!("{without}, without a language model: {error:#}"));
            None
        }
    }
}

/// The store of a state directory, which is made if there is none.
pub(crate) fn store(state: &Path) -> anyhow::Result<Store> {
    create(state)?;
    let path = database(state);
    Store::open(&path).with_context(|| format!("cannot open the store '{}'", path.display()))
}

fn create(state: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(state).with_context(|| {
        format!(
            "cannot create '{}': set ANDON_STATE or `--state` to a folder that can be written",
            state.display()
        )
    })
}

/// Takes hold of a state directory for a node that stays up, until the file that
/// is returned is closed. Commands that come and go work beside it.
pub(crate) fn occupy(state: &Path) -> anyhow::Result<File> {
    create(state)?;
    let path = state.join("up.lock");
    let file =
        File::create(&path).with_context(|| format!("cannot create '{}'", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another node is up on the state '{}': end it, or give this one a folder of its own with `--state`",
            state.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock '{}'", path.display()))
        }
    }
}

/// The files of the heads of a state directory, and of what was tuned for them from
/// the plant's encoder.
pub(crate) fn heads(state: &Path, encoder: &Arc<Encoder>) -> HeadFiles {
    HeadFiles::beside(tuned_encoders(heads_folder(state), encoder))
}

/// The encoders in a folder that were tuned from the plant's.
fn tuned_encoders(folder: PathBuf, encoder: &Arc<Encoder>) -> TunedEncoders {
    let encoder = Arc::clone(encoder);
    let read: ReadEncoder = Arc::new(move |bytes| {
        let tuned = encoder.tuned(bytes).map_err(|error| error.to_string())?;
        Ok(Arc::new(tuned) as Arc<dyn Embed>)
    });
    TunedEncoders::new(folder, Some(read))
}

/// Where the files of heads and normalisers of a state directory are.
pub(crate) fn heads_folder(state: &Path) -> PathBuf {
    state.join("heads")
}

fn readers_folder(state: &Path) -> PathBuf {
    state.join("readers")
}

/// The files of the readers of a state directory.
pub(crate) fn readers(state: &Path) -> ReaderFiles {
    ReaderFiles::new(readers_folder(state))
}

/// The same, with what was tuned for them from the plant's encoder.
pub(crate) fn readers_with(state: &Path, encoder: &Arc<Encoder>) -> ReaderFiles {
    ReaderFiles::beside(tuned_encoders(readers_folder(state), encoder))
}

/// The files of the adapters of a state directory.
pub(crate) fn adapters(state: &Path) -> AdapterFiles {
    AdapterFiles::new(state.join("adapters"))
}

fn database(state: &Path) -> PathBuf {
    state.join("andon.db")
}
