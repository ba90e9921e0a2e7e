//! What training computes is what the serving engine computes.

use std::path::PathBuf;
use std::sync::Arc;

use andon_engine::adapter::Files;
use andon_engine::{LanguageModel, Options};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_specimen::{Family, Kind, Mix, Specimen};
use andon_task::digest::Digest;
use andon_task::engine::{self, Prompt};
use candle_core::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::*;
use crate::lesson::Target;

/// A lesson that asks for all logits from `from` on.
fn all_of(tokens: &[u32], from: usize) -> Lesson {
    let targets = (from..tokens.len()).map(|position| Target {
        position,
        token: 0,
        among: None,
    });
    Lesson {
        tokens: tokens.to_vec(),
        targets: targets.collect(),
    }
}

/// An adapter whose second matrices are random too, of some strength.
fn random_adapter(shape: &DecoderShape, spread: f32) -> Adapter {
    let adapter = Adapter::new(shape, (4, 8.0), 7, &Device::Cpu).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(11);
    for parameter in adapter.parameters() {
        let values = &parameter.values;
        if values.dims()[0] != 4
            || values.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0] != 0.0
        {
            continue;
        }
        let numbers: Vec<f32> = (0..values.elem_count())
            .map(|_| spread * (random.next_u32() as f32 / (1u64 << 31) as f32 - 1.0))
            .collect();
        let numbers = Tensor::from_vec(numbers, values.shape(), &Device::Cpu).unwrap();
        values.set(&numbers).unwrap();
    }
    adapter
}

/// The mean Kullback-Leibler divergence of rows of logits.
fn divergence(served: &[Vec<f32>], trained: &[Vec<f32>]) -> f64 {
    let log_shares = |row: &[f32]| {
        let most = row.iter().copied().fold(f32::MIN, f32::max);
        let total: f64 = row.iter().map(|x| f64::from(x - most).exp()).sum();
        let total = total.ln();
        row.iter()
            .map(|x| f64::from(x - most) - total)
            .collect::<Vec<f64>>()
    };
    let rows = served.iter().zip(trained).map(|(served, trained)| {
        let (served, trained) = (log_shares(served), log_shares(trained));
        let terms = served.iter().zip(&trained);
        terms.map(|(p, q)| p.exp() * (p - q)).sum::<f64>()
    });
    rows.sum::<f64>() / served.len() as f64
}

/// Compares served logits with training's, with and without an adapter, for two
/// sequences that have a beginning in common.
#[track_caller]
fn check(name: &str, file: &[u8], sequences: [Vec<u32>; 2], spread: f32, bound: f64) {
    let kernels = Arc::new(Kernels::new(Isa::detect(), 2));
    let model = LanguageModel::from_bytes("model", file, kernels).unwrap();
    let weights = LanguageModel::weights(file, &Options::default()).unwrap();
    let decoder = Decoder::new(&weights, None, &Device::Cpu).unwrap();
    let adapter = random_adapter(&decoder.shape, spread);
    let bytes = adapter.file(&decoder.shape, Digest::of(file)).unwrap();
    model
        .add_adapter_from("trained", Files::Gguf(&bytes))
        .unwrap();
    let named = engine::Adapter {
        name: "trained".into(),
        scale: 1.0,
    };
    let shared = 5;
    let lessons = sequences.map(|tokens| all_of(&tokens, shared));
    let batch = decoder.pack(&[&lessons[0], &lessons[1]], shared);
    let mut served_all = Vec::new();
    for (what, named, adapter) in [
        ("base", None, None),
        ("adapter", Some(&named), Some(&adapter)),
    ] {
        let logits = decoder
            .logits(&batch, adapter)
            .unwrap()
            .to_vec2::<f32>()
            .unwrap();
        let served: Vec<Vec<f32>> = lessons
            .iter()
            .flat_map(|lesson| {
                let rows = model.evaluate_with(&lesson.tokens, named).unwrap();
                rows.into_iter().skip(shared)
            })
            .collect();
        let found = divergence(&served, &logits);
        eprintln!("{name}, {what}: {found:.5} nats");
        assert!(found < bound, "{name}, {what}: {found} nats");
        served_all.push(served);
    }
    let moved = divergence(&served_all[0], &served_all[1]);
    assert!(
        moved > 4.0 * bound,
        "{name}: the adapter moves only {moved} nats"
    );
}

#[test]
fn all_families_compute_what_is_served() {
    for family in Family::ALL {
        let specimen = Specimen::tiny(family, Mix::InTurn(vec![Kind::Q8_0, Kind::Q4_0]));
        let file = specimen.file().bytes();
        let start = [1, 7, 30, 31, 8];
        let more = |step: u32| start.into_iter().chain((0..20).map(move |x| 20 + x * step));
        let sequences = [more(3).collect(), more(5).collect()];
        check(family.name(), &file, sequences, 0.5, 0.005);
    }
}

#[test]
fn the_default_model_computes_what_is_served() {
    let home = std::env::var_os("ANDON_HOME").map(PathBuf::from);
    let file = home.and_then(|home| {
        let model = "models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf";
        std::fs::read(home.join(model)).ok()
    });
    let Some(file) = file else {
        eprintln!("skipped: the_default_model_computes_what_is_served needs smollm2:135m");
        return;
    };
    let kernels = Arc::new(Kernels::new(Isa::detect(), 2));
    let model = LanguageModel::from_bytes("model", &file, kernels).unwrap();
    let tokens = |text: &str| {
        let text = format!("The operator of the press writes: {text}");
        model.tokenize(&Prompt::Text(text)).unwrap()
    };
    let sequences = [
        tokens("the guard does not close, and the light stays red."),
        tokens("oil drips from the pump of the second line again"),
    ];
    check("smollm2:135m", &file, sequences, 0.1, 0.01);
}
