//! llama.cpp: its benchmark, its server and its requantisation.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

use crate::process::{self, Server};

/// Loading and answering are waited for so long at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// The peer's programs.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Where they lie.
    pub(crate) programs: PathBuf,
    /// Where their logs go.
    pub(crate) logs: PathBuf,
    /// How many threads they use.
    pub(crate) threads: usize,
}

/// How the server is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flags {
    /// As a user starts it: its own defaults, the prompt cache among them.
    Default,
    /// What its documents advise for few long prompts with a common beginning.
    Best,
}

impl Flags {
    /// The name in the results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "llama-server, default flags",
            Self::Best => "llama-server, -fa on --cache-reuse 64",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Default => &[],
            Self::Best => &["-fa", "on", "--cache-reuse", "64"],
        }
    }
}

/// Flash attention in the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlashAttention {
    /// `-fa 0`
    Off,
    /// `-fa 1`
    On,
}

/// What one run of the benchmark says.
#[derive(Debug, Deserialize)]
pub(crate) struct Bench {
    n_prompt: usize,
    avg_ts: f64,
    /// Bytes of the model's tensors.
    pub(crate) model_size: u64,
    /// Numbers in the model's tensors.
    pub(crate) model_n_params: u64,
}

/// Both speeds of one run of the benchmark.
#[derive(Debug)]
pub(crate) struct Speeds {
    /// Tokens of a prompt a second.
    pub(crate) prefill: f64,
    /// Tokens of an answer a second.
    pub(crate) decode: f64,
    /// Bytes of the model's tensors.
    pub(crate) model_bytes: u64,
    /// Numbers in the model's tensors.
    pub(crate) parameters: u64,
}

impl Peer {
    /// Prompt and answer of so many tokens, each once after a warm-up.
    pub(crate) fn bench(
        &self,
        gguf: &Path,
        (prompt, answer): (usize, usize),
        attention: FlashAttention,
    ) -> anyhow::Result<Speeds> {
        let on = match attention {
            FlashAttention::Off => "0",
            FlashAttention::On => "1",
        };
        let mut arguments: Vec<String> = Vec::new();
        for (flag, value) in [
            ("-m", gguf.display().to_string()),
            ("-t", self.threads.to_string()),
            ("-p", prompt.to_string()),
            ("-n", answer.to_string()),
            ("-r", "1".to_owned()),
            ("-fa", on.to_owned()),
            ("-o", "json".to_owned()),
        ] {
            arguments.extend([flag.to_owned(), value]);
        }
        let program = self.programs.join("llama-bench");
        let log = self.logs.join("llama-bench.log");
        let printed = process::output(&program, &arguments, &log, PATIENCE)?;
        let runs: Vec<Bench> = serde_json::from_str(&printed)
            .context("llama-bench printed something else than JSON")?;
        let of = |is_prompt: bool| {
            runs.iter()
                .find(|run| (run.n_prompt > 0) == is_prompt)
                .context("llama-bench left out a test")
        };
        let (prefill, decode) = (of(true)?, of(false)?);
        Ok(Speeds {
            prefill: prefill.avg_ts,
            decode: decode.avg_ts,
            model_bytes: prefill.model_size,
            parameters: prefill.model_n_params,
        })
    }

    /// Writes `to`, the model of `from` in the format `kind`.
    pub(crate) fn requantise(&self, from: &Path, to: &Path, kind: &str) -> anyhow::Result<()> {
        let partial = to.with_extension("partial");
        let arguments = [
            "--allow-requantize".to_owned(),
            from.display().to_string(),
            partial.display().to_string(),
            kind.to_owned(),
            self.threads.to_string(),
        ];
        let program = self.programs.join("llama-quantize");
        let log = self.logs.join("llama-quantize.log");
        process::output(&program, &arguments, &log, PATIENCE)?;
        std::fs::rename(&partial, to).with_context(|| format!("cannot write '{}'", to.display()))
    }

    /// The server, ready, with `slots` places and room for `context` tokens in all;
    /// without `slots` it chooses their number itself.
    pub(crate) fn serve(
        &self,
        gguf: &Path,
        flags: Flags,
        slots: Option<usize>,
        context: usize,
        more: &[String],
    ) -> anyhow::Result<Server> {
        let mut arguments: Vec<String> = Vec::new();
        for (flag, value) in [
            ("-m", gguf.display().to_string()),
            ("-t", self.threads.to_string()),
            ("-c", context.to_string()),
            ("--host", "127.0.0.1".to_owned()),
        ] {
            arguments.extend([flag.to_owned(), value]);
        }
        if let Some(slots) = slots {
            arguments.extend(["-np".to_owned(), slots.to_string()]);
        }
        arguments.extend(flags.arguments().iter().map(|&flag| flag.to_owned()));
        arguments.extend(more.iter().cloned());
        let name = match flags {
            Flags::Default => "llama-server-default.log",
            Flags::Best => "llama-server-best.log",
        };
        Server::start(
            &self.programs.join("llama-server"),
            |port| {
                arguments.extend(["--port".to_owned(), port.to_string()]);
                arguments
            },
            &self.logs.join(name),
            PATIENCE,
        )
    }

    /// What the programs say they are.
    pub(crate) fn version(&self) -> anyhow::Result<String> {
        let program = self.programs.join("llama-server");
        let log = self.logs.join("llama-version.log");
        let arguments = ["--version".to_owned()];
        let printed = process::output(&program, &arguments, &log, PATIENCE)?;
        let errors = std::fs::read_to_string(&log).unwrap_or_default();
        let line = printed
            .lines()
            .chain(errors.lines())
            .find(|line| line.starts_with("version"));
        Ok(line.unwrap_or("unknown").to_owned())
    }
}
