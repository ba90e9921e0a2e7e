//! `andon eval TASK`

use std::path::Path;
use std::process::ExitCode;

use andon_learn::answer;
use andon_learn::comparison::{self, compare};
use andon_learn::evaluate::Evaluation;
use andon_learn::interval::Estimate;
use andon_learn::mend;
use andon_learn::report::{self, Cost, Examples, Figures, Report, Thousand, Today};
use andon_runtime::estimated_tokens;
use andon_task::example::{self, LabelledText};
use andon_task::plant::Plant;
use andon_task::task::{Kind, Task};
use anyhow::{Context, bail};

use crate::asking;
use crate::cli::Eval;
use crate::learning::all_examples;
use crate::settings::Settings;
use crate::{node, output, plant};

mod artefact;
mod contender;
mod extract;
mod labels;
mod learned;
mod measure;
mod normalise;
mod page;
mod summarise;
mod terminal;
mod upstream;

pub(crate) use contender::{Contender, Labels};
use measure::{Bench, Beside, Measured, On};
use page::Page;
pub(crate) use upstream::Whom;

/// Fewer examples than this say little of others.
const FEW: usize = 30;

/// Measures what answers a task, alone or beside others.
pub(super) fn run(settings: &Settings, typed: &Eval) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    let task = super::task(&plant, &typed.task)?;
    if let Some(whom) = &typed.on {
        return upstream::run(settings, &plant, task, typed, whom);
    }
    if typed.sample.is_some() {
        bail!("`--sample` belongs to `--on`: leave it out");
    }
    let is_compared = typed.with.is_some() || !typed.against.is_empty();
    if is_compared && !matches!(task.kind, Kind::Decide(_) | Kind::Extract(_)) {
        bail!("`--with` and `--against` are for tasks that decide or extract: leave them out");
    }
    match &task.kind {
        Kind::Decide(_) => decide(settings, &plant, task, typed),
        Kind::Normalise => {
            let page = typed.report.as_deref().map(Page::reserve).transpose()?;
            show(
                settings,
                page,
                &normalise::measure(settings, &plant, task, typed)?,
            )
        }
        Kind::Summarise => {
            let page = typed.report.as_deref().map(Page::reserve).transpose()?;
            show(
                settings,
                page,
                &summarise::measure(settings, &plant, task, typed)?,
            )
        }
        Kind::Answer => {
            let page = typed.report.as_deref().map(Page::reserve).transpose()?;
            let examples = typed.examples.as_deref();
            show(
                settings,
                page,
                &asking::measure(settings, &plant, task, examples)?,
            )
        }
        Kind::Extract(schema) => {
            let page = typed.report.as_deref().map(Page::reserve).transpose()?;
            let task = (task, schema);
            show(
                settings,
                page,
                &extract::measure(settings, &plant, task, typed)?,
            )
        }
    }
}

fn decide(
    settings: &Settings,
    plant: &Plant,
    task: &Task,
    typed: &Eval,
) -> anyhow::Result<ExitCode> {
    // What can be wrong with the files is said before anything is computed.
    let (labelled, on) = match &typed.examples {
        Some(path) => (read(path, task)?, On::File),
        None => (
            all_examples(&node::store(&settings.state)?, plant, task)?,
            On::Plant,
        ),
    };
    let page = typed.report.as_deref().map(Page::reserve).transpose()?;
    let contenders = contenders(typed, &on)?;
    let beside = match contenders.len() {
        1 => Beside::Nobody,
        _ => Beside::Others,
    };
    let bench = Bench::new(settings, plant, task, &labelled, on)?;
    for contender in &contenders {
        bench.check(contender, beside)?;
    }
    let measured = contenders
        .iter()
        .map(|contender| bench.measure(contender, beside))
        .collect::<anyhow::Result<Vec<Measured>>>()?;
    let source = match &typed.examples {
        Some(path) => path.display().to_string(),
        None => format!("the plant's examples of {}", task.name),
    };
    let report = assemble(&bench, &contenders, measured, source)?;
    show(settings, page, &report)
}

fn show(settings: &Settings, page: Option<Page>, report: &Report) -> anyhow::Result<ExitCode> {
    if let Some(page) = page {
        let text = report::page(&report.document());
        page.write(&text.context("cannot make the page of the report")?)?;
    }
    settings
        .output
        .print(report, |report| terminal::show(&report.document()))?;
    Ok(ExitCode::SUCCESS)
}

/// What is to be said where there are few examples.
pub(crate) fn few(n: usize) -> Vec<String> {
    match n {
        FEW.. => Vec::new(),
        1 => vec!["There is one example: its figures say nothing of others.".to_owned()],
        n => vec![format!(
            "There are {n} examples: mind the intervals; fifty or a hundred say more."
        )],
    }
}

fn read(path: &Path, task: &Task) -> anyhow::Result<Vec<LabelledText>> {
    let cannot_read = || format!("cannot read the examples '{}'", path.display());
    let text = std::fs::read_to_string(path).with_context(cannot_read)?;
    let examples = example::parse_labelled(&text, task.labels()).with_context(cannot_read)?;
    if examples.is_empty() {
        bail!(
            "the file '{}' has no examples: give a line {{\"input\": …, \"expected\": …}} for each",
            path.display()
        );
    }
    Ok(examples)
}

/// What is measured, the one that the report is about first.
fn contenders(typed: &Eval, on: &On) -> anyhow::Result<Vec<Contender>> {
    let subject = typed.with.clone().unwrap_or(match on {
        On::Plant => Contender::Learn,
        On::File => Contender::Promoted,
    });
    let mut contenders = vec![subject];
    for (index, other) in typed.against.iter().enumerate() {
        if typed.against[..index].contains(other) || typed.with.as_ref() == Some(other) {
            bail!("'{other}' is named twice: it cannot differ from itself");
        }
        // The default may be named as well.
        if contenders[0] != *other {
            contenders.push(other.clone());
        }
    }
    if !typed.against.is_empty() && contenders.len() == 1 {
        bail!(
            "'{}' is measured anyway: name another with `--against`",
            contenders[0]
        );
    }
    Ok(contenders)
}

fn assemble(
    bench: &Bench<'_>,
    contenders: &[Contender],
    measured: Vec<Measured>,
    source: String,
) -> anyhow::Result<Report> {
    let (task, labels) = (bench.task, bench.task.labels().names());
    let comparison = match measured.len() {
        1 => None,
        _ => Some(compared(bench, contenders, &measured)?),
    };
    // The first that has figures: of a head there may be outcomes alone.
    let about = measured.iter().position(|one| one.evaluation.is_some());
    let mut warnings = warnings(bench, &measured);
    let (measured, evaluation) = measured
        .into_iter()
        .nth(about.unwrap_or(0))
        .and_then(|mut one| Some((one.evaluation.take()?, one)))
        .map(|(evaluation, one)| (one, evaluation))
        .with_context(|| {
            format!(
                "of '{}' only outcomes are kept: compare with one that is measured anew, as 'learn'",
                task.name
            )
        })?;
    if !measured.subject.calibrated {
        warnings.push(format!(
            "What {} gives are scores and no probabilities: every answer goes to a person.",
            measured.subject.name
        ));
    }
    Ok(Report {
        task: task.name.clone(),
        examples: Examples {
            source,
            digest: bench.examples_digest(),
        },
        cost: cost(bench, &evaluation, &measured),
        wrong: mend::wrong(bench.examples, &evaluation.answers, &labels),
        contradictions: mend::contradictions(bench.examples, &labels),
        warnings,
        measured: measured.subject,
        figures: Figures::Decide(Box::new(evaluation)),
        comparison,
    })
}

fn compared(
    bench: &Bench<'_>,
    contenders: &[Contender],
    measured: &[Measured],
) -> anyhow::Result<report::Compared> {
    let entries: Vec<comparison::Contender> = measured
        .iter()
        .map(|one| comparison::Contender {
            name: one.subject.name.clone(),
            given: one.given.clone(),
        })
        .collect();
    for (index, entry) in entries.iter().enumerate() {
        if let Some(twin) = entries[..index].iter().position(|e| e.name == entry.name) {
            bail!(
                "'{}' and '{}' are the same, {}: name one of them",
                contenders[twin],
                contenders[index],
                entry.name
            );
        }
    }
    let comparison = compare(&entries, bench.task.labels().labels().len())
        .with_context(|| format!("cannot compare on '{}'", bench.task.name))?;
    let serving = bench.serving()?;
    let serves = serving.is_some();
    let runs = match serving {
        Some(serving) => serving.name(),
        None => match &bench.settings.language_model {
            // Named by what was measured, if it was.
            Some(_) => contenders
                .iter()
                .position(|one| matches!(one, Contender::Labels(Labels { model: None, .. })))
                .map_or_else(
                    || "the server's language model".to_owned(),
                    |index| entries[index].name.clone(),
                ),
            None => bench.plant.settings.language_model.clone(),
        },
    };
    let contender = entries
        .iter()
        .find(|entry| entry.name == runs)
        .map(|entry| entry.name.clone());
    let task = &bench.task.name;
    let to_run = |name: &str| {
        let contender = entries.iter().position(|entry| entry.name == name);
        match contender.map(|index| &contenders[index]) {
            Some(Contender::Learn) => format!("`andon learn {task}` promotes it"),
            Some(Contender::Promoted | Contender::Head(_) | Contender::Adapter(_)) => {
                let digest = name.split_once(':').map_or(name, |(_, digest)| digest);
                format!("`andon promote {task} {digest}`")
            }
            Some(Contender::Tune) => format!("`andon learn {task} --tune` promotes it"),
            Some(Contender::Labels(Labels {
                prompt: Some(path), ..
            })) => format!(
                "write the instructions of '{}' in tasks/{task}.toml",
                path.display()
            ),
            Some(Contender::Labels(Labels {
                adapter: Some(_), ..
            })) => format!(
                "a file of an adapter has no probabilities: train one with `andon learn {task} --adapter`"
            ),
            _ if serves => format!(
                "write language_model = \"{name}\" in plant.toml, but as long as something is promoted, that answers"
            ),
            _ => format!("write language_model = \"{name}\" in plant.toml"),
        }
    };
    let subjects = measured.iter().map(|one| one.subject.clone()).collect();
    let today = Today { runs, contender };
    Ok(report::decide(comparison, subjects, today, to_run))
}

/// What the reader has to know before believing a figure.
fn warnings(bench: &Bench<'_>, measured: &[Measured]) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    let (n, labels) = (bench.examples.len(), bench.task.labels().labels());
    match n {
        0 => {}
        1 => warnings.push("There is one example: its figures say nothing of others.".to_owned()),
        2..FEW => warnings.push(format!(
            "There are {n} examples: mind the intervals; fifty or a hundred say more."
        )),
        _ => {}
    }
    let mut counts = vec![0usize; labels.len()];
    for example in bench.examples {
        counts[example.label] += 1;
    }
    let present = counts.iter().filter(|&&count| count > 0).count();
    if present == 1 {
        let only = counts.iter().position(|&count| count > 0).unwrap_or(0);
        warnings.push(format!(
            "All examples have the label '{}': nothing is known of the others.",
            labels[only].label
        ));
    } else if present < labels.len() {
        let lacking = labels.len() - present;
        warnings.push(match lacking {
            1 => "One label has no example: nothing is known of it.".to_owned(),
            _ => format!(
                "{lacking} of {} labels have no example: nothing is known of them.",
                labels.len()
            ),
        });
    }
    let names = bench.task.labels().names();
    match mend::contradictions(bench.examples, &names).len() {
        0 => {}
        1 => warnings.push("One text has several labels: mend the examples.".to_owned()),
        many => warnings.push(format!(
            "{many} texts have several labels: mend the examples."
        )),
    }
    warnings.extend(measured.iter().flat_map(|one| one.warnings.iter().cloned()));
    warnings
}

fn cost(bench: &Bench<'_>, evaluation: &Evaluation, measured: &Measured) -> Cost {
    let mean = evaluation.mean_time().as_secs_f64();
    let each = |tokens: usize| tokens as f64 / evaluation.n as f64;
    let tokens = measured.usage.map(|usage| each(usage.prompt_tokens));
    // What would go to a cloud is what the task says and the text, whatever answers here.
    let texts: usize = bench
        .examples
        .iter()
        .map(|example| example.text.len())
        .sum();
    let there = estimated_tokens(Some(bench.task), evaluation.n as u64, texts as u64);
    let there = tokens.unwrap_or(there / evaluation.n.max(1) as f64);
    let thousand = bench.plant.settings.cost.as_ref().map(|prices| Thousand {
        currency: prices.currency.clone(),
        edge: prices.of_edge(1000.0 * mean),
        cloud: prices.of_cloud(1000.0 * there),
    });
    Cost {
        mean_ms: 1000.0 * mean,
        tokens_per_request: tokens,
        cached_per_request: measured.usage.map(|usage| each(usage.cached_tokens)),
        thousand,
    }
}

/// The figures of answers to questions as a table.
pub(super) fn answers(evaluation: &answer::Evaluation) -> String {
    let percent = |value: f64| format!("{:.1} %", 100.0 * value);
    let at = format!("coverage at {:.2}", evaluation.threshold);
    let figures = [
        ("right section first", &evaluation.hit_at_1),
        ("among the first five", &evaluation.hit_at_5),
        ("ROUGE-L", &evaluation.rouge_l),
        ("declined without answer", &evaluation.declined),
        (at.as_str(), &evaluation.coverage),
        ("error when answered", &evaluation.selective_error),
    ];
    let rows = figures.iter().filter_map(|(name, estimate)| {
        let estimate = estimate.as_ref()?;
        let interval = format!("{} to {}", percent(estimate.low), percent(estimate.high));
        Some([(*name).to_owned(), percent(estimate.value), interval])
    });
    format!(
        "{}\n\n{} questions; one answer takes {:.1} ms (p50), {:.1} ms (p99)\n",
        output::table(["FIGURE", "VALUE", "95 % INTERVAL"], rows.collect()),
        evaluation.n,
        evaluation.p50_ms,
        evaluation.p99_ms
    )
}

/// The figures of an evaluation as a table.
pub(super) fn figures(evaluation: &Evaluation) -> String {
    let share = |name: &str, estimate: &Estimate| {
        let percent = |value: f64| format!("{:.1} %", 100.0 * value);
        [
            name.to_owned(),
            percent(estimate.value),
            format!("{} to {}", percent(estimate.low), percent(estimate.high)),
        ]
    };
    let mut rows = vec![
        share("accuracy", &evaluation.accuracy),
        share("top 3", &evaluation.top3_accuracy),
        share("macro F1", &evaluation.macro_f1),
        share("calibration error", &evaluation.ece),
    ];
    let parents = evaluation.parent_accuracy.iter();
    rows.extend(parents.map(|accuracy| share("accuracy of the branch", accuracy)));
    let precision = evaluation.second_precision.iter();
    rows.extend(precision.map(|right| share("second labels that are right", right)));
    let recall = evaluation.second_recall.iter();
    rows.extend(recall.map(|found| share("both labels of two found", found)));
    rows.extend(evaluation.auroc.iter().map(|auroc| share("AUROC", auroc)));
    let at = format!("coverage at {:.2}", evaluation.accept);
    rows.push(share(&at, &evaluation.coverage));
    let selective = evaluation.selective_error.iter();
    rows.extend(selective.map(|error| share("error when accepted", error)));
    for of in &evaluation.per_language {
        rows.push(share(&format!("accuracy, {}", of.language), &of.accuracy));
        rows.push(share(&format!("top 3, {}", of.language), &of.top3_accuracy));
    }
    format!(
        "{}\n\n{} examples; one answer takes {:.1} ms (p50), {:.1} ms (p99)",
        output::table(["FIGURE", "VALUE", "95 % INTERVAL"], rows),
        evaluation.n,
        evaluation.p50_ms,
        evaluation.p99_ms
    )
}

#[cfg(test)]
mod tests;
