//! What the options of every command mean, with their defaults.

use std::path::{Path, PathBuf};

use andon_task::digest::Digest;
use anyhow::{Context, anyhow};
use etcetera::BaseStrategy;

use crate::cli::Common;
use crate::engine::Computes;
use crate::model::Store;
use crate::output::Output;
use crate::remote::Remote;

/// The options of every command, resolved.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The plant's directory; `None` is the embedded demo.
    pub(crate) plant: Option<PathBuf>,
    /// Where records and promoted artefacts are kept.
    pub(crate) state: PathBuf,
    /// Where models are kept.
    pub(crate) home: PathBuf,
    /// The server whose language model is used; `None` for a model of the home.
    pub(crate) language_model: Option<Remote>,
    /// What computes the plant's language model.
    pub(crate) engine: Computes,
    /// How answers are printed.
    pub(crate) output: Output,
}

impl Settings {
    /// Resolves what was typed.
    pub(crate) fn resolve(typed: Common) -> anyhow::Result<Self> {
        let home = match typed.home {
            Some(home) => home,
            None => etcetera::base_strategy::choose_native_strategy()
                .map_err(|error| anyhow!(error))
                .context("cannot tell where models are kept: set ANDON_HOME")?
                .data_dir()
                .join("andon"),
        };
        let state = typed
            .state
            .unwrap_or_else(|| home.join("state").join(state_name(typed.plant.as_deref())));
        let key_file = typed.language_model_key_file;
        let language_model = typed
            .language_model
            .map(|endpoint| Remote::resolve(endpoint, key_file, typed.plant.as_deref()))
            .transpose()?;
        Ok(Self {
            language_model,
            engine: typed.engine,
            plant: typed.plant,
            state,
            home,
            output: if typed.json {
                Output::Json
            } else {
                Output::Human
            },
        })
    }

    /// The models of the home.
    pub(crate) fn store(&self) -> Store {
        Store::new(&self.home)
    }
}

/// The folder for the state of a plant: two plants of the same directory name
/// must not share records.
fn state_name(plant: Option<&Path>) -> String {
    let Some(plant) = plant else {
        return "demo".to_owned();
    };
    let path = plant.canonicalize().unwrap_or_else(|_| plant.to_owned());
    let name: String = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .take(40)
        .collect();
    let digest = Digest::of(path.as_os_str().as_encoded_bytes());
    format!("{name}-{}", &digest.short()[..8])
}
