//! Adapters: trained, interrupted, resumed, refused, served.

use std::ops::ControlFlow;
use std::sync::Arc;

use andon_engine::adapter::Files;
use andon_engine::decoder::Decoder;
use andon_engine::{LanguageModel, Options};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_specimen::{Family, Kind, Mix, Specimen};
use andon_task::digest::Digest;
use andon_task::engine::Adapter;
use andon_train::{
    AdapterSettings, Lesson, Progress, Resume, Schedule, TrainError, TrainedAdapter, train_adapter,
};

const LABELS: [[u32; 2]; 3] = [[40, 2], [41, 2], [42, 2]];

fn file(family: Family) -> Vec<u8> {
    let kinds = Mix::InTurn(vec![Kind::Q8_0]);
    Specimen::tiny(family, kinds).file().bytes()
}

fn weights(file: &[u8]) -> Decoder {
    LanguageModel::weights(file, &Options::default()).expect("a sound specimen")
}

/// Prompts whose label shows in one of their tokens.
fn lessons(count: usize) -> Vec<Lesson> {
    let labels = LABELS.map(|label| label.to_vec());
    let lesson = |index: usize| {
        let right = index % 3;
        let mut prompt = vec![1, 9, 12, 30 + index as u32 % 7];
        prompt.extend([20 + right as u32; 2]);
        prompt.extend((0..index % 4).map(|x| 33 + x as u32));
        prompt.push(8);
        Lesson::label(&prompt, &labels, right).expect("a label of the list")
    };
    (0..count).map(lesson).collect()
}

fn settings(epochs: usize) -> AdapterSettings {
    let usual = AdapterSettings::default();
    AdapterSettings {
        schedule: Schedule {
            epochs,
            batch: 6,
            rate: 5e-3,
            patience: epochs,
            ..usual.schedule
        },
        ..usual
    }
}

fn train(
    file: &[u8],
    settings: &AdapterSettings,
    resume: Option<Resume<'_>>,
    report: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<TrainedAdapter, TrainError> {
    let (lessons, base) = (lessons(30), Digest::of(file));
    train_adapter(
        &weights(file),
        base,
        &lessons[..24],
        &lessons[24..],
        settings,
        resume,
        report,
    )
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn every_family_learns_and_the_engine_serves_what_it_learnt() {
    for family in Family::ALL {
        let file = file(family);
        let trained = train(&file, &settings(15), None, &mut go_on).unwrap();
        let losses: Vec<f64> = trained.history.iter().filter_map(|e| e.held_out).collect();
        let kernels = Arc::new(Kernels::new(Isa::detect(), 1));
        let model = LanguageModel::from_bytes("tiny", &file, kernels).unwrap();
        model
            .add_adapter_from("a", Files::Gguf(&trained.file))
            .unwrap();
        let adapter = Adapter {
            name: "a".into(),
            scale: 1.0,
        };
        let all = lessons(30);
        let right = all[24..].iter().enumerate().filter(|(index, lesson)| {
            let rows = model.evaluate_with(&lesson.tokens, Some(&adapter)).unwrap();
            let logits = &rows[lesson.tokens.len() - 1];
            let logit = |label: &[u32; 2]| logits[label[0] as usize];
            let best = LABELS.iter().max_by(|a, b| logit(a).total_cmp(&logit(b)));
            best == Some(&LABELS[index % 3])
        });
        let right = right.count();
        assert!(
            right >= 5,
            "{}: {right} of 6 right, {losses:?}",
            family.name()
        );
    }
}

#[test]
fn a_training_that_was_killed_ends_as_if_it_were_not() {
    let file = file(Family::Llama);
    let whole = train(&file, &settings(2), None, &mut go_on).unwrap();
    let again = train(&file, &settings(2), None, &mut go_on).unwrap();
    assert_eq!(whole, again, "the same seed gives the same adapter");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("task.checkpoint");
    let resume = Some(Resume {
        path: &path,
        every: 3,
    });
    let mut left = 5;
    let mut stop = |_: Progress| {
        left -= 1;
        match left {
            0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    };
    let error = train(&file, &settings(2), resume, &mut stop).unwrap_err();
    assert!(matches!(error, TrainError::Stopped));
    let resumed = train(&file, &settings(2), resume, &mut go_on).unwrap();
    assert_eq!(resumed, whole);
    assert!(!path.exists());
}

#[track_caller]
fn refused(settings: &AdapterSettings, lessons: &[Lesson], part: &str) {
    let file = file(Family::Llama);
    let base = Digest::of(&file);
    let error = train_adapter(
        &weights(&file),
        base,
        lessons,
        &[],
        settings,
        None,
        &mut go_on,
    );
    let error = error.expect_err("a refusal").to_string();
    assert!(error.contains(part), "'{part}' is not in: {error}");
}

#[test]
fn what_cannot_be_trained_is_refused_before_it_begins() {
    refused(&settings(1), &lessons(3), "3 examples are too few");
    let narrow = AdapterSettings {
        memory: Some(1 << 16),
        ..settings(1)
    };
    refused(&narrow, &lessons(20), "MiB of memory");
    let mut foreign = lessons(20);
    foreign[4].tokens[0] = 1 << 20;
    refused(
        &settings(1),
        &foreign,
        "example 5 has a token that the model has not",
    );
    let mut long = lessons(20);
    long[2].tokens = vec![5; 1 << 20];
    refused(&settings(1), &long, "example 3 has 1048576 tokens");
}

#[test]
fn a_rate_that_is_too_high_ends_in_an_error() {
    let mut settings = settings(5);
    settings.schedule.rate = 1e30;
    refused(&settings, &lessons(20), "lower learning rate");
}
