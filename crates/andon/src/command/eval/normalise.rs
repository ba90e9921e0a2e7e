//! Measures a task that normalises.

use std::collections::BTreeMap;
use std::time::Duration;

use andon_learn::report::{Cost, Examples, Figures, NormaliseFigures, Report, Subject, Summary};
use andon_runtime::HeadFiles;
use andon_store::Kind;
use andon_task::digest::Digest;
use andon_task::plant::Plant;
use andon_task::task::Task;
use anyhow::{Context, bail};

use super::On;
use crate::cli::Eval;
use crate::node;
use crate::normalising::{answer, examples, figures, texts, train};
use crate::settings::Settings;

/// The report on what is promoted where a file is given, and else the cross-validated one
/// on the plant's examples.
pub(super) fn measure(
    settings: &Settings,
    plant: &Plant,
    task: &Task,
    typed: &Eval,
) -> anyhow::Result<Report> {
    let store = node::store(&settings.state)?;
    let (examples, on) = match &typed.examples {
        Some(path) => (crate::learning::read_expected(path)?, On::File),
        None => (examples(&store, plant, task)?, On::Plant),
    };
    let pairs = texts(task, &examples)?;
    let (normaliser, outcomes, times, how) = match on {
        On::File => {
            let promoted = store.promoted(&task.name)?;
            let promoted = promoted.filter(|promotion| promotion.kind == Kind::Normaliser);
            let Some(promoted) = promoted else {
                bail!(
                    "nothing is promoted for '{0}': train it with `andon learn {0}`",
                    task.name
                );
            };
            let files = HeadFiles::new(node::heads_folder(&settings.state));
            let normaliser = files
                .normaliser(promoted.digest)
                .map_err(anyhow::Error::msg)
                .with_context(|| format!("what is promoted for '{}' does not answer", task.name))?;
            let (outcomes, times) = answer(&normaliser, &plant.glossary, &pairs);
            (normaliser, outcomes, times, "what is promoted, on a file")
        }
        On::Plant => {
            let learned = train(task, &examples)?;
            let (_, times) = answer(&learned.normaliser, &plant.glossary, &pairs);
            let how = "cross-validated on the plant's examples";
            (learned.normaliser, learned.outcomes, times, how)
        }
    };
    let source = match &typed.examples {
        Some(path) => path.display().to_string(),
        None => format!("the plant's examples of {}", task.name),
    };
    let parts = pairs
        .iter()
        .flat_map(|(text, expected)| [text.as_bytes(), expected.as_bytes()]);
    let mean = times.iter().sum::<Duration>().as_secs_f64() / times.len().max(1) as f64;
    Ok(Report {
        task: task.name.clone(),
        examples: Examples {
            source,
            digest: Digest::of_parts(parts),
        },
        cost: Cost {
            mean_ms: 1000.0 * mean,
            ..Cost::default()
        },
        measured: Subject {
            name: format!("normaliser:{}", normaliser.digest().short()),
            how: how.to_owned(),
            calibrated: true,
            digests: BTreeMap::from([("normaliser".to_owned(), normaliser.digest())]),
        },
        figures: Figures::Normalise(Box::new(NormaliseFigures::of(
            figures(task, &outcomes)?,
            Summary::of(&times),
            &outcomes,
            task.accept,
        ))),
        warnings: super::few(examples.len()),
        wrong: Vec::new(),
        contradictions: Vec::new(),
        comparison: None,
    })
}
