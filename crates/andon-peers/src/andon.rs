//! Andon: its models, a plant for the comparison, and a node.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use crate::process::{self, Server};
use crate::work::{Decide, Restart};

/// Loading and answering are waited for so long at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The task that decides on notes.
pub(crate) const DECIDE: &str = "decide";
/// The task with a long prefix.
pub(crate) const RESTART: &str = "restart";

/// The program under test, with a home of its own.
#[derive(Debug)]
pub(crate) struct Andon {
    /// The binary.
    pub(crate) program: PathBuf,
    /// Models, plants and states of this comparison.
    pub(crate) home: PathBuf,
    /// Where its logs go.
    pub(crate) logs: PathBuf,
}

/// A plant and what its node keeps.
#[derive(Debug)]
pub(crate) struct Site {
    plant: PathBuf,
    state: PathBuf,
}

/// The folder and the files of a model that somebody's home holds.
#[derive(Debug)]
pub(crate) struct Kept {
    folder: PathBuf,
    weights: PathBuf,
}

impl Kept {
    /// The file of its weights.
    pub(crate) fn weights(&self) -> &Path {
        &self.weights
    }
}

impl Andon {
    fn output(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let arguments: Vec<String> = arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        let log = self.logs.join("andon.log");
        process::output(&self.program, &arguments, &log, PATIENCE)
    }

    /// A model of the user's own home; the default one, or that of the environment.
    pub(crate) fn pulled(&self, name: &str) -> anyhow::Result<Kept> {
        let listed: Value = serde_json::from_str(&self.output(&["model", "list", "--json"])?)?;
        let models = listed.as_array().map(Vec::as_slice).unwrap_or_default();
        let model = models
            .iter()
            .find(|model| model["name"] == name)
            .with_context(|| {
                format!("the model '{name}' is missing: fetch it with `andon model pull {name}`")
            })?;
        let text = |value: &Value| value.as_str().map(PathBuf::from);
        let folder = text(&model["folder"]).context("`andon model list` names no folder")?;
        let file =
            text(&model["files"][0]["path"]).context("`andon model list` names no weights")?;
        Ok(Kept {
            weights: folder.join(file),
            folder,
        })
    }

    /// Takes an encoder into the comparison's own home.
    pub(crate) fn take_encoder(&self, name: &str, kept: &Kept) -> anyhow::Result<()> {
        self.take(name, &kept.folder)
    }

    /// Takes a model file, or the folder of an encoder, into the comparison's home.
    pub(crate) fn take(&self, name: &str, path: &Path) -> anyhow::Result<()> {
        let (home, path) = (self.home.display().to_string(), path.display().to_string());
        self.output(&[
            "--home",
            &home,
            "model",
            "import",
            &path,
            "--name",
            name,
            "--trust-on-first-use",
        ])?;
        Ok(())
    }

    /// A plant whose language model is `model`, with the tasks of the comparison
    /// and no examples: no head answers, so the language model scores the labels.
    pub(crate) fn site(
        &self,
        model: &str,
        decide: Option<&Decide>,
        restart: &Restart,
    ) -> anyhow::Result<Site> {
        let folder = self.home.join("sites").join(model.replace(':', "-"));
        let (plant, state) = (folder.join("plant"), folder.join("state"));
        for part in ["tasks", "codes"] {
            fs::create_dir_all(plant.join(part))?;
        }
        let settings =
            format!("name = \"Comparison\"\nlanguage_model = {model:?}\nencoder = \"minilm:l6\"\n");
        fs::write(plant.join("plant.toml"), settings)?;
        let task = |name: &str, instructions: &str, labels: &str| -> anyhow::Result<()> {
            let instructions = toml_text(instructions);
            let text = format!(
                "name = \"{name}\"\nkind = \"decide\"\ninstructions = {instructions}\nlabels = \"codes/{name}.csv\"\ndeadline = \"machine\"\n"
            );
            fs::write(plant.join(format!("tasks/{name}.toml")), text)?;
            fs::write(plant.join(format!("codes/{name}.csv")), labels)?;
            Ok(())
        };
        if let Some(decide) = decide {
            task(DECIDE, decide.instructions(), &decide.labels_csv())?;
        }
        task(RESTART, restart.instructions(), &restart.labels_csv())?;
        Ok(Site { plant, state })
    }

    /// A node of `site`, ready.
    pub(crate) fn up(&self, site: &Site) -> anyhow::Result<Server> {
        let [home, plant, state] =
            [&self.home, &site.plant, &site.state].map(|path| path.display().to_string());
        let fixed = [
            "up", "--log", "warn", "--home", &home, "--plant", &plant, "--state", &state,
        ];
        Server::start(
            &self.program,
            |port| {
                let mut arguments: Vec<String> = fixed.map(str::to_owned).to_vec();
                arguments.extend(["--listen".to_owned(), format!("127.0.0.1:{port}")]);
                arguments
            },
            &self.logs.join("andon-up.log"),
            PATIENCE,
        )
    }

    /// What the program says it is.
    pub(crate) fn version(&self) -> anyhow::Result<String> {
        Ok(self.output(&["--version"])?.trim_end().to_owned())
    }
}

/// A text as TOML writes it; JSON's escapes are a part of TOML's.
fn toml_text(text: &str) -> String {
    Value::from(text).to_string()
}
