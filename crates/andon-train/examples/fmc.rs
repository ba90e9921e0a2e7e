//! Trains on FMC-MWO2KG and says how well, how fast and in how much memory:
//! `cargo run --release -p andon-train --example fmc -- adapter|full|encoder [EPOCHS]`.
//!
//! The data are no part of the repository: `ANDON_DATA` names the folder of data sets,
//! `ANDON_HOME` that of the models.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use andon_engine::adapter::Files;
use andon_engine::{Encoder, EncoderFiles, LanguageModel, Options};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_task::digest::Digest;
use andon_task::engine::{Adapter, Embed, Prompt, Score, ScoreRequest};
use andon_task::label::{Label, LabelSet};
use andon_task::prompt;
use andon_task::task::{Task, TaskFile};
use andon_train::{
    AdapterSettings, EncoderSettings, Lesson, Progress, Text, adapter_memory, encoder_memory,
    train_adapter, tune_encoder,
};

type Rows = Vec<(String, usize)>;

#[allow(clippy::print_stdout, reason = "it is what this program is for")]
fn say(text: &str) {
    println!("{text}");
}

fn folder(variable: &str) -> Result<PathBuf, String> {
    let found = std::env::var_os(variable).map(PathBuf::from);
    found.ok_or_else(|| format!("{variable} is not set"))
}

/// The task, and its notes for training and for measuring.
fn data() -> Result<(Task, Rows, Rows), Box<dyn Error>> {
    let folder = folder("ANDON_DATA")?.join("fmc_mwo2kg");
    let train = std::fs::read_to_string(folder.join("train.txt"))?;
    let dev = std::fs::read_to_string(folder.join("dev.txt"))?;
    let rows = |text: &'static str| text.lines().filter_map(|line| line.rsplit_once(','));
    let (train, dev): (&'static str, &'static str) = (train.leak(), dev.leak());
    let mut names: Vec<&str> = rows(train).chain(rows(dev)).map(|row| row.1).collect();
    names.sort_unstable();
    names.dedup();
    let label = |name: &&str| Label {
        label: (*name).to_owned(),
        description: None,
        procedure: None,
        critical: false,
        none: false,
    };
    let labels = LabelSet::new(names.iter().map(label).collect())?;
    let numbered = |text: &'static str| -> Rows {
        let rows = rows(text).map(|(note, label)| {
            let note = note.trim_matches('"').to_owned();
            (note, labels.position(label).unwrap_or(0))
        });
        rows.collect()
    };
    let (train, dev) = (numbered(train), numbered(dev));
    let toml = "name = 'fmc'\nkind = 'decide'\nlabels = 'l.csv'\ninstructions = 'Which failure mode does the maintenance note describe?'";
    Ok((TaskFile::parse("fmc", toml)?.resolve(labels), train, dev))
}

/// The most memory that was used, in MiB, and the processors' time, in seconds.
fn used() -> Result<(u64, f64), Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let ticks = stat.split_whitespace().skip(13).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok((kib.unwrap_or(0) >> 10, ticks as f64 / 100.0))
}

/// Says what each epoch took.
fn watch(began: Instant) -> impl FnMut(Progress) -> ControlFlow<()> {
    move |at| {
        if at.step == at.steps || at.step % 8 == 0 {
            let (memory, cpu) = used().unwrap_or_default();
            let wall = began.elapsed().as_secs_f64();
            say(&format!(
                "epoch {} step {}/{} loss {:.4} held out before {:?}: {wall:.0} s, {cpu:.0} s of processors, {memory} MiB",
                at.epoch, at.step, at.steps, at.loss, at.held_out
            ));
        }
        ControlFlow::Continue(())
    }
}

/// Trains an adapter with prompts of a form, and asks it by them.
fn adapter(form: fn(&Task, &str) -> Prompt, epochs: Option<usize>) -> Result<(), Box<dyn Error>> {
    let (task, train, dev) = data()?;
    let path = "models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf";
    let file = std::fs::read(folder("ANDON_HOME")?.join(path))?;
    let kernels = Arc::new(Kernels::new(Isa::detect(), 2));
    let model = LanguageModel::from_bytes("smollm2:135m", &file, kernels)?;
    let weights = LanguageModel::weights(&file, &Options::default())?;
    let names = task.labels().names();
    let paths: Vec<Vec<u32>> = names
        .iter()
        .map(|name| model.tokenize_answer(name))
        .collect();
    let lessons = |rows: &Rows| -> Result<Vec<Lesson>, Box<dyn Error>> {
        let lessons = rows.iter().map(|(note, label)| {
            let prompt = model.tokenize(&form(&task, note))?;
            Ok(Lesson::label(&prompt, &paths, *label)?)
        });
        lessons.collect()
    };
    let (learnt, held_out) = (lessons(&train)?, lessons(&dev)?);
    let mut settings = AdapterSettings::default();
    settings.schedule.epochs = epochs.unwrap_or(settings.schedule.epochs);
    settings.schedule.patience = settings.schedule.epochs;
    let tokens: usize = learnt.iter().map(|lesson| lesson.tokens.len()).sum();
    let shape = andon_task::weights::DecoderWeights::shape(&weights);
    let estimate = adapter_memory(&shape, &learnt, &held_out, &settings) >> 20;
    say(&format!(
        "{} lessons, {tokens} tokens unpacked; some {estimate} MiB",
        learnt.len()
    ));
    let base = Digest::of(&file);
    let report = &mut watch(Instant::now());
    let trained = train_adapter(&weights, base, &learnt, &held_out, &settings, None, report)?;
    model.add_adapter_from("fmc", Files::Gguf(&trained.file))?;
    for adapter in [None, Some("fmc")] {
        let mut right = 0;
        for (note, label) in &dev {
            let asked = match adapter {
                Some(_) => form(&task, note),
                None => prompt::decide(&task, note),
            };
            let mut request = ScoreRequest::new(asked, names.clone());
            request.adapter = adapter.map(|name| Adapter {
                name: name.to_owned(),
                scale: 1.0,
            });
            let shares = model.score(&request)?.shares;
            let best = (0..shares.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b]));
            right += usize::from(best == Some(*label));
        }
        say(&format!(
            "{adapter:?}: {right} of {} right, as served",
            dev.len()
        ));
    }
    say(&format!("{:?}", trained.history));
    Ok(())
}

fn encoder(epochs: Option<usize>) -> Result<(), Box<dyn Error>> {
    let (task, train, dev) = data()?;
    let files = EncoderFiles::within(&folder("ANDON_HOME")?.join("models/minilm-l6"));
    let kernels = Arc::new(Kernels::new(Isa::detect(), 2));
    let encoder = Arc::new(Encoder::load("minilm:l6", &files, kernels)?);
    let texts = train.iter().chain(&dev).map(|(note, label)| {
        Ok(Text {
            tokens: encoder.tokenize(note)?,
            label: *label,
        })
    });
    let texts = texts.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let mut settings = EncoderSettings::default();
    settings.schedule.epochs = epochs.unwrap_or(settings.schedule.epochs);
    let shape = andon_task::weights::EncoderWeights::shape(&*encoder);
    say(&format!(
        "some {} MiB",
        encoder_memory(&shape, &texts, &settings) >> 20
    ));
    let labels = task.labels().labels().len();
    let base = encoder.identity().digest;
    let report = &mut watch(Instant::now());
    let tuned = tune_encoder(&*encoder, base, (&texts, labels), &settings, None, report)?;
    encoder.tuned(&tuned.file)?;
    say(&format!("{} MiB in the file", tuned.file.len() >> 20));
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next();
    let epochs = arguments.next().map(|epochs| epochs.parse()).transpose()?;
    match what.as_deref() {
        Some("adapter") => adapter(prompt::adapted, epochs),
        // With labels and roles in the prompt, as without an adapter.
        Some("full") => adapter(prompt::decide, epochs),
        Some("encoder") => encoder(epochs),
        _ => Err("say 'adapter', 'full' or 'encoder'".into()),
    }
}
