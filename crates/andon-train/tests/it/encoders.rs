//! Encoders: tuned, loaded, refused.

use std::ops::ControlFlow;
use std::sync::Arc;

use andon_engine::Encoder;
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_specimen::{Encoder as Specimen, Kind, Spelling};
use andon_task::engine::Embed;
use andon_train::{EncoderSettings, Schedule, Text, TunedEncoder, tune_encoder};

fn encoder(seed: u64) -> Arc<Encoder> {
    let specimen = Specimen {
        spelling: Spelling::WordPiece,
        kind: Kind::F32,
        seed,
    };
    let kernels = Arc::new(Kernels::new(Isa::detect(), 1));
    Arc::new(
        Encoder::from_gguf("tiny", &specimen.file().bytes(), kernels).expect("a sound specimen"),
    )
}

/// Texts whose label is their first letter's.
fn texts() -> Vec<(String, usize)> {
    let letters = ["a", "b", "c", "d", "e"];
    let texts = letters.iter().enumerate().flat_map(|(index, first)| {
        let others = letters
            .iter()
            .map(move |other| format!("{first} {other} {first}"));
        others.map(move |text| (text, index % 2))
    });
    texts.collect()
}

fn vectors(encoder: &dyn Embed) -> Vec<Vec<f32>> {
    let texts = texts();
    let names: Vec<&str> = texts.iter().map(|(text, _)| text.as_str()).collect();
    encoder.embed(&names).expect("vectors")
}

fn tune(encoder: &Encoder, settings: &EncoderSettings) -> TunedEncoder {
    let texts: Vec<Text> = texts()
        .into_iter()
        .map(|(text, label)| Text {
            tokens: encoder.tokenize(&text).expect("tokens"),
            label,
        })
        .collect();
    let base = encoder.identity().digest;
    let mut go_on = |_| ControlFlow::Continue(());
    tune_encoder(encoder, base, (&texts, 2), settings, None, &mut go_on).expect("a tuned encoder")
}

fn settings() -> EncoderSettings {
    let usual = EncoderSettings::default();
    EncoderSettings {
        schedule: Schedule {
            epochs: 20,
            rate: 3e-3,
            ..usual.schedule
        },
        ..usual
    }
}

/// How much nearer texts of one label lie to each other than to those of the other.
fn separation(vectors: &[Vec<f32>]) -> f32 {
    let texts = texts();
    let (mut sums, mut counts) = ([0.0; 2], [0.0; 2]);
    for (one, (_, label)) in vectors.iter().zip(&texts) {
        for (other, (_, other_label)) in vectors.iter().zip(&texts) {
            let kin = usize::from(label == other_label);
            sums[kin] += one.iter().zip(other).map(|(x, y)| x * y).sum::<f32>();
            counts[kin] += 1.0;
        }
    }
    sums[1] / counts[1] - sums[0] / counts[0]
}

#[test]
fn texts_of_one_label_come_to_lie_together_in_the_engine() {
    let base = encoder(3);
    let tuned = tune(&base, &settings());
    assert_eq!(
        tuned,
        tune(&base, &settings()),
        "the same seed gives the same encoder"
    );
    let first = tuned.history[0].loss;
    let last = tuned.history[tuned.history.len() - 1].loss;
    assert!(last < first, "{first} and {last}");
    let pair = base.tuned(&tuned.file).unwrap();
    assert_ne!(pair.identity().digest, base.identity().digest);
    let (plain, both) = (vectors(&*base), vectors(&pair));
    let own: Vec<Vec<f32>> = both
        .iter()
        .zip(&plain)
        .map(|(both, plain)| {
            let (first, own) = both.split_at(plain.len());
            assert_eq!(first, plain, "the plain encoder's vector stands first");
            own.to_vec()
        })
        .collect();
    let (before, after) = (separation(&plain), separation(&own));
    assert!(after > before + 0.2, "{before} and {after}");
}

#[test]
fn the_classifier_answers_in_the_engine_what_it_was_tuned_to() {
    let base = encoder(3);
    let tuned = tune(&base, &settings());
    let pair = base.tuned(&tuned.file).unwrap();
    let width = base.dimensions();
    for (vector, (text, label)) in vectors(&pair).iter().zip(texts()) {
        let inputs = vector[width..].iter().chain([&1.0]);
        let rows = inputs.zip(tuned.classifier.chunks_exact(2));
        let margin: f32 = rows.map(|(input, row)| input * (row[1] - row[0])).sum();
        assert_eq!(usize::from(margin > 0.0), label, "{text}: {margin}");
    }
}

#[test]
fn a_file_that_is_spoilt_or_of_another_encoder_is_refused() {
    let (base, mut settings) = (encoder(3), settings());
    settings.schedule.epochs = 1;
    let file = tune(&base, &settings).file;
    let check = |encoder: &Arc<Encoder>, file: &[u8], part: &str| {
        let error = encoder
            .tuned(file)
            .err()
            .expect("it is refused")
            .to_string();
        assert!(error.contains(part), "'{part}' is not in: {error}");
    };
    check(&encoder(4), &file, "another model");
    check(&base, &file[..file.len() - 1], "not as it was written");
    check(&base, &file[..10], "only 10 bytes");
    let mut spoilt = file;
    spoilt[200] ^= 1;
    check(&base, &spoilt, "not as it was written");
}
