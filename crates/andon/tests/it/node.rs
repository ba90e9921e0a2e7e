//! A home of its own and the binary to run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A fresh `ANDON_HOME`.
pub(crate) struct Home {
    folder: TempDir,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path for a test's own files, outside the home.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The folder of a model in the store.
    pub(crate) fn model(&self, folder: &str) -> PathBuf {
        self.path().join("home/models").join(folder)
    }

    /// A command with nothing of the caller's environment that changes it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
        for name in [
            "ANDON_PLANT",
            "ANDON_STATE",
            "ANDON_PYTHON",
            "ANDON_LANGUAGE_MODEL",
            "ANDON_LANGUAGE_MODEL_KEY",
            "ANDON_LANGUAGE_MODEL_KEY_FILE",
            "HF_TOKEN",
            "HF_ENDPOINT",
        ] {
            command.env_remove(name);
        }
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
        command.env("ANDON_HOME", self.path().join("home"));
        command.args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.command(arguments).output().expect("the binary runs"))
    }

    /// Runs a command that must succeed and reads its JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ended = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        serde_json::from_str(&ended.stdout).expect("JSON")
    }

    /// The names of the models that are listed, each verified byte by byte.
    pub(crate) fn models(&self) -> Vec<String> {
        let listed = self.json(&["model", "list", "--verify"]);
        let listed = listed.as_array().expect("a list");
        listed
            .iter()
            .map(|model| model["name"].as_str().expect("a name").to_owned())
            .collect()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Ended {
    /// The command failed and said each of `parts`.
    #[track_caller]
    pub(crate) fn failed(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(1), "{}{}", self.stdout, self.stderr);
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "'{part}' is not in: {}",
                self.stderr
            );
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }

    #[track_caller]
    pub(crate) fn succeeded(&self) {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
    }
}
