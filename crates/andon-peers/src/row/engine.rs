//! What the engines do by themselves: prefill, decode, and labels behind a cached
//! prefix. Andon's runs in this process, the peer's in its benchmark and server.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use andon_engine::LanguageModel;
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_task::engine::{Generate, GenerateRequest, Prompt, Score, ScoreRequest};
use anyhow::{Context, bail};
use serde_json::json;

use super::{Contest, Size, Subject};
use crate::http::Client;
use crate::limits::{Limits, Share};
use crate::peer::{self, Flags, FlashAttention, Speeds};
use crate::series::Series;
use crate::table::{Row, Target, Unit};

/// Tokens of the prompt whose speed is measured.
pub(crate) const PREFILL_TOKENS: usize = 128;

const CACHED_TOKENS: usize = 400;
const NEW_TOKENS: usize = 25;
const LABELS: usize = 10;
/// The number of the first prompt beside a busy core.
const CONTENDED_FROM: usize = 1000;
/// Prompts or answers of Andon in a turn; one of the peer's turns is a process.
const EACH: usize = 5;

/// Andon's engine with a model, in this process.
pub(crate) struct Engine {
    model: LanguageModel,
}

/// What speeds say of the use of the machine, beside the rows.
pub(crate) struct Spoken {
    /// Prefill and decode.
    pub(crate) rows: Vec<Row>,
    /// Andon's part of what the machine can do.
    pub(crate) share: Option<Share>,
}

impl Engine {
    /// Loads a model.
    pub(crate) fn load(subject: &Subject, threads: usize) -> anyhow::Result<Self> {
        let kernels = Arc::new(Kernels::new(Isa::detect(), threads));
        let model = LanguageModel::load(&subject.name, &subject.gguf, kernels)
            .with_context(|| format!("cannot load '{}'", subject.gguf.display()))?;
        Ok(Self { model })
    }

    fn count(&self, text: &str) -> anyhow::Result<usize> {
        Ok(self.model.tokenize(&Prompt::Text(text.to_owned()))?.len())
    }

    /// `opening` and words until there are so many tokens.
    fn text_of(&self, opening: &str, tokens: usize) -> anyhow::Result<String> {
        // The words need not be one token each: which one fits is tried out.
        const WORDS: [&str; 4] = [" oil", " a", "\n", "."];
        let mut text = opening.to_owned();
        loop {
            let found = self.count(&text)?;
            if found == tokens {
                return Ok(text);
            }
            let next = WORDS.iter().map(|word| format!("{text}{word}"));
            let mut fitting = None;
            for candidate in next {
                if (found + 1..=tokens).contains(&self.count(&candidate)?) {
                    fitting = Some(candidate);
                    break;
                }
            }
            match fitting {
                Some(longer) => text = longer,
                None => bail!("a text of {tokens} tokens cannot be made of '{opening}'"),
            }
        }
    }

    fn generate(&self, prompt: &str, tokens: usize) -> anyhow::Result<(Duration, usize)> {
        let request = GenerateRequest {
            max_tokens: Some(tokens),
            ..GenerateRequest::new(Prompt::Text(prompt.to_owned()))
        };
        let began = Instant::now();
        let generation = self
            .model
            .generate(&request, &mut |_| ControlFlow::Continue(()))?;
        Ok((began.elapsed(), generation.usage.completion_tokens))
    }

    /// Tokens of a prompt a second, until its first token is chosen.
    fn prefill(&self, number: usize) -> anyhow::Result<f64> {
        let prompt = self.text_of(&format!("{number} notes of the day"), PREFILL_TOKENS)?;
        let (took, _) = self.generate(&prompt, 1)?;
        Ok(PREFILL_TOKENS as f64 / took.as_secs_f64())
    }

    /// Tokens of an answer a second: a long answer less a short one to a prompt
    /// that is in the cache; `None` if the model ends the answer early.
    fn decode(&self, number: usize, tokens: usize) -> anyhow::Result<Option<f64>> {
        let prompt = format!("{number}. A long story about a bottling plant. Once upon a time");
        self.generate(&prompt, 1)?;
        let (short, _) = self.generate(&prompt, 1)?;
        let (long, made) = self.generate(&prompt, tokens + 1)?;
        let took = long.saturating_sub(short).as_secs_f64();
        Ok((made > tokens / 2).then(|| (made - 1) as f64 / took))
    }
}

/// How both sides are measured: prefill and decode, in turn.
struct Speed {
    /// Tokens of an answer.
    tokens: usize,
    /// Of the peer, without and with flash attention.
    peer: [Vec<Speeds>; 2],
    prefills: Vec<f64>,
    decodes: Vec<f64>,
}

impl Speed {
    /// `first` is the number of the first prompt: none is to be in the cache.
    fn measure(
        contest: &Contest,
        subject: &Subject,
        engine: &Engine,
        first: usize,
    ) -> anyhow::Result<Self> {
        let plan = contest.plan;
        let (rounds, tokens) = match subject.size {
            Size::Small => (plan.rounds, plan.decode_tokens),
            Size::Large => (plan.large_rounds, plan.decode_tokens / 2),
        };
        let mut speed = Self {
            tokens,
            peer: [Vec::new(), Vec::new()],
            prefills: Vec::new(),
            decodes: Vec::new(),
        };
        engine.prefill(first)?;
        for round in 0..rounds {
            let attentions = [FlashAttention::Off, FlashAttention::On];
            for (runs, attention) in speed.peer.iter_mut().zip(attentions) {
                let lengths = (PREFILL_TOKENS, tokens);
                runs.push(contest.peer.bench(&subject.gguf, lengths, attention)?);
            }
            for number in 1..=EACH {
                let number = first + round * EACH + number;
                speed.prefills.push(engine.prefill(number)?);
                speed.decodes.extend(engine.decode(number, tokens)?);
            }
        }
        Ok(speed)
    }

    fn peer(&self, speed: fn(&Speeds) -> f64) -> Vec<Series> {
        let names = ["llama-bench -fa 0", "llama-bench -fa 1"];
        let series = self.peer.iter().zip(names);
        series
            .filter_map(|(runs, name)| Series::new(name, runs.iter().map(speed).collect()))
            .collect()
    }

    fn prefill(&self) -> Option<Series> {
        Series::new(
            "andon, engine, until the first token",
            self.prefills.clone(),
        )
    }

    fn decode(&self) -> Option<Series> {
        Series::new("andon, engine", self.decodes.clone())
    }

    /// Two rows, told apart from others by what follows their names.
    fn rows(&self, subject: &Subject, beside: &str, targets: [Option<f64>; 2]) -> Vec<Row> {
        let row =
            |work: String, target: Option<f64>, peer: Vec<Series>, andon: Option<Series>| Row {
                work,
                model: subject.name.clone(),
                unit: Unit::TokensPerSecond,
                target: target.map(Target::Times),
                peer,
                andon: andon.ok_or_else(|| "the model ends every answer at once".to_owned()),
            };
        let [prefill, decode] = targets;
        vec![
            row(
                format!("prefill {PREFILL_TOKENS} tokens{beside}"),
                prefill,
                self.peer(|run| run.prefill),
                self.prefill(),
            ),
            row(
                format!("decode {} tokens{beside}", self.tokens),
                decode,
                self.peer(|run| run.decode),
                self.decode(),
            ),
        ]
    }
}

/// Prefill and decode.
pub(crate) fn speeds(
    contest: &Contest,
    subject: &Subject,
    engine: &Engine,
    limits: &Limits,
) -> anyhow::Result<Spoken> {
    let speed = Speed::measure(contest, subject, engine, 0)?;
    let share = match (speed.peer[0].first(), speed.prefill(), speed.decode()) {
        (Some(run), Some(prefill), Some(decode)) => Some(Share::new(
            limits,
            subject,
            (run.parameters, run.model_bytes),
            (prefill.median, decode.median),
        )?),
        _ => None,
    };
    Ok(Spoken {
        rows: speed.rows(subject, "", targets(subject)),
        share,
    })
}

/// Prefill and decode while another thread keeps a core busy.
pub(crate) fn contended(
    contest: &Contest,
    subject: &Subject,
    engine: &Engine,
) -> anyhow::Result<Vec<Row>> {
    let is_over = AtomicBool::new(false);
    let speed = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let speed = Speed::measure(contest, subject, engine, CONTENDED_FROM);
        is_over.store(true, Ordering::Relaxed);
        speed
    })?;
    Ok(speed.rows(subject, " beside a busy core", [None, None]))
}

/// What prefill and decode are to reach.
fn targets(subject: &Subject) -> [Option<f64>; 2] {
    match subject.size {
        Size::Large => [Some(3.0), Some(1.3)],
        Size::Small if subject.name.contains("q8_0") => [Some(5.0), Some(2.5)],
        Size::Small => [Some(8.0), Some(2.5)],
    }
}

/// Labels behind a prefix that is in the cache. Both sides get the same tokens;
/// the peer reads the log-probabilities of the next token, Andon weighs the labels.
pub(crate) fn labels(contest: &Contest, subject: &Subject, engine: &Engine) -> anyhow::Result<Row> {
    let prefix = engine.text_of("The rules of the plant", CACHED_TOKENS)?;
    let whole = |number: usize| {
        engine.text_of(
            &format!("{prefix} Note {number}"),
            CACHED_TOKENS + NEW_TOKENS,
        )
    };
    let labels: Vec<String> = ('A'..)
        .take(LABELS)
        .map(|label| format!(" {label}"))
        .collect();
    let default = contest
        .peer
        .serve(&subject.gguf, Flags::Default, None, 4096, &[])?;
    let best = contest
        .peer
        .serve(&subject.gguf, Flags::Best, Some(1), 4096, &[])?;
    let peers = [
        (Flags::Default, Client::new(default.url(), peer::PATIENCE)),
        (Flags::Best, Client::new(best.url(), peer::PATIENCE)),
    ];
    let mut times = [Vec::new(), Vec::new()];
    let mut own = Vec::new();
    let (rounds, each) = match subject.size {
        Size::Small => (contest.plan.rounds, contest.plan.short),
        Size::Large => (contest.plan.large_rounds, contest.plan.long),
    };
    for round in 0..rounds {
        // The first of each turn brings the prefix into the cache.
        let numbers = round * (each + 1)..(round + 1) * (each + 1);
        for (index, (_, client)) in peers.iter().enumerate() {
            for number in numbers.clone() {
                let tokens = engine.model.tokenize(&Prompt::Text(whole(number)?))?;
                let body = json!({
                    "prompt": tokens,
                    "n_predict": 1,
                    "n_probs": LABELS,
                    "temperature": 0,
                    "cache_prompt": true,
                });
                let answer = client.post("/completion", &[], &body)?;
                let took = answer.took.as_secs_f64() * 1000.0;
                if let Err(refusal) = answer.body {
                    bail!("llama-server refuses a completion: {}", refusal.reason);
                }
                if number > numbers.start {
                    times[index].push(took);
                }
            }
        }
        for number in numbers.clone() {
            let request = ScoreRequest::new(Prompt::Text(whole(number)?), labels.clone());
            let began = Instant::now();
            engine.model.score(&request)?;
            if number > numbers.start {
                own.push(began.elapsed().as_secs_f64() * 1000.0);
            }
        }
    }
    let peer = peers
        .iter()
        .zip(times)
        .filter_map(|((flags, _), times)| Series::new(flags.name(), times))
        .collect();
    Ok(Row {
        work: format!("{CACHED_TOKENS} cached + {NEW_TOKENS} new + {LABELS} labels"),
        model: subject.name.clone(),
        unit: Unit::Milliseconds,
        target: (subject.size == Size::Small).then_some(Target::Times(14.0)),
        peer,
        andon: Series::new("andon, engine", own).ok_or_else(|| "nothing was measured".to_owned()),
    })
}
