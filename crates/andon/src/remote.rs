//! The server on the plant's network that takes the place of a language model.

use std::path::{Path, PathBuf};

use andon_remote::{Endpoint, Key, Patience, RemoteModel};
use anyhow::{Context, bail};

/// Holds the key, where no file does. The command line would show it to everybody
/// on the machine.
const KEY: &str = "ANDON_LANGUAGE_MODEL_KEY";

/// A server, and what it knows this node by.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    endpoint: Endpoint,
    key: Option<Key>,
}

impl Remote {
    /// The server at `endpoint`, with its key from a file or the environment.
    pub(crate) fn resolve(
        endpoint: Endpoint,
        key_file: Option<PathBuf>,
        plant: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let text = match key_file {
            Some(file) => {
                refuse_within(&file, plant)?;
                let text = std::fs::read_to_string(&file);
                Some(text.with_context(|| format!("cannot read the key '{}'", file.display()))?)
            }
            None => std::env::var(KEY).ok(),
        };
        let key = text.map(|text| Key::new(&text)).transpose();
        Ok(Self {
            endpoint,
            key: key.context("cannot use the key of the language model's server")?,
        })
    }

    /// The model, once it has answered.
    pub(crate) fn connect(&self) -> anyhow::Result<RemoteModel> {
        let model =
            RemoteModel::connect(self.endpoint.clone(), self.key.clone(), Patience::default())?;
        Ok(model)
    }
}

/// A plant's directory is kept in git and copied about: no place for a key.
pub(crate) fn refuse_within(file: &Path, plant: Option<&Path>) -> anyhow::Result<()> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if plant.is_some_and(|plant| real(file).starts_with(real(plant))) {
        bail!(
            "the key '{}' lies in the plant's directory, which is no place for secrets: move it out",
            file.display()
        );
    }
    Ok(())
}
