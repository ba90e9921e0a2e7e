//! Encoders: tuned, loaded, refused.

use std::ops::ControlFlow;
use std::sync::Arc;

use andon_engine::Encoder;
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_specimen::{Encoder as Specimen, Kind, Spelling};
use andon_task::engine::Embed;
use andon_train::{EncoderSettings, Schedule, Text, TunedEncoder, tune_encoder};

fn encoder(seed: u64) -> Encoder {
    let specimen = Specimen {
        spelling: Spelling::WordPiece,
        kind: Kind::F32,
        seed,
    };
    let kernels = Arc::new(Kernels::new(Isa::detect(), 1));
    Encoder::from_gguf("tiny", &specimen.file().bytes(), kernels).expect("a sound specimen")
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
fn separation(encoder: &Encoder) -> f32 {
    let texts = texts();
    let names: Vec<&str> = texts.iter().map(|(text, _)| text.as_str()).collect();
    let vectors = encoder.embed(&names).expect("vectors");
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
    let encoder = base.tuned(&tuned.file).unwrap();
    assert_ne!(encoder.identity().digest, base.identity().digest);
    let (before, after) = (separation(&base), separation(&encoder));
    assert!(after > before + 0.2, "{before} and {after}");
}

#[test]
fn a_file_that_is_spoilt_or_of_another_encoder_is_refused() {
    let (base, mut settings) = (encoder(3), settings());
    settings.schedule.epochs = 1;
    let file = tune(&base, &settings).file;
    let check = |encoder: &Encoder, file: &[u8], part: &str| {
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
