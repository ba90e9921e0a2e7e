//! `andon bench`: how fast the plant's models answer on this machine.

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use andon_engine::{Encoder, LanguageModel};
use andon_kernels::isa::Isa;
use andon_task::engine::{Embed, Generate, GenerateRequest, Prompt};
use andon_task::plant::Plant;
use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::json;
use ureq::Agent;

use crate::engine::Loader;
use crate::learning::learn_missing;
use crate::node::{self, Needs};
use crate::output::Output;
use crate::settings::Settings;
use crate::{plant, service};

const PREFILL_TOKENS: usize = 128;
const DECODE_TOKENS: usize = 128;
const ENCODER_TOKENS: usize = 16;
const DECISIONS: usize = 500;

/// What was measured. Each rate and time is the median of its repetitions.
#[derive(Serialize)]
struct Measured {
    cores: usize,
    kernels: &'static str,
    language_model: String,
    prefill_tokens: usize,
    prefill_tokens_per_s: f64,
    decode_tokens: usize,
    decode_tokens_per_s: f64,
    encoder: String,
    encoder_tokens: usize,
    encoder_p50_ms: f64,
    encoder_p99_ms: f64,
    decision_task: String,
    decisions: usize,
    decision_p50_ms: f64,
    decision_p99_ms: f64,
}

/// Measures and prints JSON, whatever the form that was asked for.
pub(super) fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let loader = Loader::new(settings);
    let model = loader.language_model(&plant.settings.language_model)?;
    let prefill = prefill(&model)?;
    let decode = decode(&model)?;
    drop(model);
    let encoder = loader.encoder(&plant.settings.encoder)?;
    let encoded = encode(&encoder)?;
    drop(encoder);
    let (language_model, encoder) = (
        plant.settings.language_model.clone(),
        plant.settings.encoder.clone(),
    );
    let task = plant
        .examples
        .keys()
        .find(|task| *task == "failure-code")
        .or_else(|| plant.examples.keys().next())
        .context("the plant has no examples to decide on")?
        .clone();
    let decided = decide(settings, plant, &task)?;
    let measured = Measured {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernels: Isa::detect().name(),
        language_model,
        prefill_tokens: PREFILL_TOKENS,
        prefill_tokens_per_s: prefill,
        decode_tokens: DECODE_TOKENS,
        decode_tokens_per_s: decode,
        encoder,
        encoder_tokens: ENCODER_TOKENS,
        encoder_p50_ms: percentile_ms(&encoded, 0.5),
        encoder_p99_ms: percentile_ms(&encoded, 0.99),
        decision_task: task,
        decisions: decided.len(),
        decision_p50_ms: percentile_ms(&decided, 0.5),
        decision_p99_ms: percentile_ms(&decided, 0.99),
    };
    Output::Json.print(&measured, |_| String::new())?;
    Ok(ExitCode::SUCCESS)
}

/// A text of so many tokens; `number` makes its first tokens differ, so that no
/// prefix of another is found in the cache.
fn text_of(
    tokens: usize,
    number: usize,
    count: impl Fn(&str) -> anyhow::Result<usize>,
) -> anyhow::Result<String> {
    let mut text = format!("{} note", ["Day", "Night", "Early", "Late"][number % 4]);
    text.push_str(&format!(" {number}:"));
    loop {
        match count(&text)? {
            found if found == tokens => return Ok(text),
            found if found > tokens => bail!("a text of {tokens} tokens cannot be made"),
            _ => text.push_str(" oil"),
        }
    }
}

fn timed(model: &LanguageModel, prompt: &str, tokens: usize) -> anyhow::Result<(Duration, usize)> {
    let request = GenerateRequest {
        max_tokens: Some(tokens),
        ..GenerateRequest::new(Prompt::Text(prompt.to_owned()))
    };
    let began = Instant::now();
    let generation = model.generate(&request, &mut |_| ControlFlow::Continue(()))?;
    Ok((began.elapsed(), generation.usage.completion_tokens))
}

/// Tokens of a prompt a second, from the request to its first token.
fn prefill(model: &LanguageModel) -> anyhow::Result<f64> {
    let count = |text: &str| Ok(model.tokenize(&Prompt::Text(text.to_owned()))?.len());
    let mut rates = Vec::new();
    for number in 0..21 {
        let prompt = text_of(PREFILL_TOKENS, number, count)?;
        let (took, _) = timed(model, &prompt, 1)?;
        rates.push(PREFILL_TOKENS as f64 / took.as_secs_f64());
    }
    Ok(median(rates))
}

/// Tokens of an answer a second, without its prompt: the difference of a long and
/// a short answer to a prompt that is in the cache.
fn decode(model: &LanguageModel) -> anyhow::Result<f64> {
    let mut rates = Vec::new();
    for number in 0..11 {
        let prompt = format!("{number}. A long story about a bottling plant. Once upon a time");
        timed(model, &prompt, 1)?;
        let (short, _) = timed(model, &prompt, 1)?;
        let (long, tokens) = timed(model, &prompt, DECODE_TOKENS + 1)?;
        // A story that the model ends early says too little.
        if tokens > DECODE_TOKENS / 2 {
            let took = long.saturating_sub(short).as_secs_f64();
            rates.push((tokens - 1) as f64 / took);
        }
    }
    if rates.is_empty() {
        bail!("the model ends every story at once: nothing can be measured");
    }
    Ok(median(rates))
}

fn encode(encoder: &Encoder) -> anyhow::Result<Vec<Duration>> {
    let count = |text: &str| Ok(encoder.count_tokens(text)?);
    let text = text_of(ENCODER_TOKENS, 0, count)?;
    let mut times = Vec::new();
    for _ in 0..500 {
        let began = Instant::now();
        encoder.embed(&[&text])?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

/// Decisions by a head over HTTP, record and run on the disk of the home.
fn decide(settings: &Settings, plant: Plant, task: &str) -> anyhow::Result<Vec<Duration>> {
    let state = tempfile::tempdir_in(&settings.home)
        .with_context(|| format!("cannot write to '{}'", settings.home.display()))?;
    let settings = Settings {
        state: state.path().to_owned(),
        ..settings.clone()
    };
    let mut plant = plant;
    plant.tasks.retain(|name, _| name == task);
    learn_missing(&settings, &plant)?;
    let texts: Vec<String> = plant.examples[task]
        .iter()
        .take(DECISIONS)
        .map(|example| example.text.clone())
        .collect();
    let node = node::open(&settings, plant, Needs::Tasks(&[task]))?;
    service::during(node, |url| {
        let agent: Agent = Agent::config_builder().proxy(None).build().into();
        let url = format!("{url}/api/tasks/{task}/runs");
        let mut times = Vec::new();
        for text in &texts {
            let body = serde_json::to_vec(&json!({ "input": text }))?;
            let began = Instant::now();
            let mut response = agent
                .post(&url)
                .content_type("application/json")
                .send(&body)?;
            response.body_mut().read_to_vec()?;
            times.push(began.elapsed());
        }
        times.sort_unstable();
        Ok(times)
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The smallest time that at least `share` of the times did not exceed.
fn percentile_ms(sorted: &[Duration], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .map_or(0.0, |took| took.as_secs_f64() * 1000.0)
}
