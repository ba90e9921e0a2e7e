//! Every kind of tensor against a plain pass through the same numbers.

use std::ops::ControlFlow;
use std::sync::Arc;

use andon_engine::LanguageModel;
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_specimen::{Family, File, Kind, Shape};
use andon_task::engine::{
    Generate, GenerateRequest, Message, Prompt, Role, Sampling, Score, ScoreRequest,
};

use crate::specimens::{self, FLAT, llama, specimen};

const TEXT: &str = "pump 4 is leaking in the morning, the valve at station 12 too";

fn load(file: &File, isa: Isa) -> LanguageModel {
    let kernels = Arc::new(Kernels::new(isa, 1));
    LanguageModel::from_bytes("tiny", &file.bytes(), kernels).expect("the model loads")
}

fn tokens(model: &LanguageModel) -> Vec<u32> {
    let prompt = Prompt::Text(TEXT.into());
    model.tokenize(&prompt).expect("the text has tokens")
}

/// What a model does, to the last bit.
fn all(model: &LanguageModel) -> (Vec<u32>, Vec<u64>, String) {
    let logits = model.evaluate(&tokens(model)).expect("logits");
    let prompt = Prompt::chat(vec![Message::new(Role::User, TEXT)]);
    let labels = ["leak", "noise", "no failure at all"].map(str::to_owned);
    let request = ScoreRequest::new(prompt.clone(), labels.to_vec());
    let scores = model.score(&request).expect("scores");
    let request = GenerateRequest {
        max_tokens: Some(12),
        sampling: Sampling {
            temperature: 1.0,
            top_p: 0.95,
            seed: 5,
        },
        ..GenerateRequest::new(prompt)
    };
    let generation = model
        .generate(&request, &mut |_| ControlFlow::Continue(()))
        .expect("text is generated");
    (
        logits.iter().flatten().map(|x| x.to_bits()).collect(),
        scores.shares.iter().map(|x| x.to_bits()).collect(),
        generation.text,
    )
}

/// The model gives the same bits in every form of the kernels, and logits whose
/// distributions are as near to the exact ones as activations of 8 bits are.
fn check(kinds: &[Kind], has_output: bool) {
    let specimen = specimen(1, kinds, has_output);
    let file = specimen.file();
    let model = load(&file, Isa::scalar());
    let expected = all(&model);
    for isa in Isa::supported() {
        assert_eq!(all(&load(&file, isa)), expected, "{kinds:?} on {isa}");
    }
    let tokens = tokens(&model);
    let exact = Reference {
        file: &file,
        shape: specimen.shape,
    }
    .logits(&tokens);
    let found = model.evaluate(&tokens).expect("logits");
    let divergences = exact.iter().zip(&found).map(|(exact, found)| {
        let found: Vec<f64> = found.iter().map(|&x| f64::from(x)).collect();
        let (exact, found) = (log_softmax(exact), log_softmax(&found));
        let pairs = exact.iter().zip(&found);
        pairs.map(|(p, q)| p.exp() * (p - q)).sum::<f64>()
    });
    let divergence = divergences.sum::<f64>() / tokens.len() as f64;
    assert!(divergence < 4e-3, "{kinds:?}: KL {divergence}");
}

#[test]
fn every_kind_of_tensor_gives_its_logits() {
    for kind in Kind::ALL {
        check(&[kind], false);
    }
    check(&FLAT, true);
    check(&Kind::ALL, true);
    check(&[Kind::Q8_0, Kind::Q4_1, Kind::Q8_0, Kind::F16], true);
}

#[test]
fn every_family_answers_alike_in_every_form() {
    for family in Family::ALL {
        let file = specimens::family(family);
        let expected = all(&load(&file, Isa::scalar()));
        for isa in Isa::supported() {
            assert_eq!(all(&load(&file, isa)), expected, "{family:?} on {isa}");
        }
    }
}

#[test]
fn queries_keys_and_values_may_be_kept_differently() {
    // The embedding, then the seven matrices of a layer.
    let others = [Kind::Q4_0, Kind::F32, Kind::Bf16, Kind::Q4_1];
    let kinds = [
        &[Kind::Q8_0, Kind::Q4_1, Kind::Q8_0, Kind::F16],
        &others[..],
    ]
    .concat();
    let mut file = llama(1, &kinds, false);
    for (part, kind) in [("q", Kind::Q4_1), ("k", Kind::Q8_0), ("v", Kind::F16)] {
        let tensor = file.tensor(&format!("blk.0.attn_{part}.weight"));
        assert_eq!(tensor.kind, kind as u32);
    }
    check(&kinds, false);
}

fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = logits.iter().map(|x| (x - top).exp()).sum();
    logits.iter().map(|x| x - top - total.ln()).collect()
}

/// The Llama family as its paper has it, in double precision and without a cache.
struct Reference<'a> {
    file: &'a File,
    shape: Shape,
}

impl Reference<'_> {
    fn weight(&self, name: &str) -> Vec<f64> {
        self.file.numbers(name).expect("the tensor is there")
    }

    fn logits(&self, tokens: &[u32]) -> Vec<Vec<f64>> {
        let Shape { width, head, .. } = self.shape;
        let embedding = self.weight("token_embd");
        let mut states: Vec<Vec<f64>> = tokens
            .iter()
            .map(|&token| embedding[token as usize * width..][..width].to_vec())
            .collect();
        for layer in 0..self.shape.layers {
            let weight = |part: &str| self.weight(&format!("blk.{layer}.{part}"));
            let [q, k, v] = ["attn_q", "attn_k", "attn_v"].map(weight);
            let [norm, out] = ["attn_norm", "attn_output"].map(weight);
            let normed: Vec<_> = states.iter().map(|state| rms(state, &norm)).collect();
            let each = |matrix: &[f64]| -> Vec<Vec<f64>> {
                normed.iter().map(|state| product(matrix, state)).collect()
            };
            let (queries, keys, values) =
                (rotated(each(&q), head), rotated(each(&k), head), each(&v));
            for (at, state) in states.iter_mut().enumerate() {
                let group = self.shape.queries / self.shape.keys;
                let heads = (0..self.shape.queries).flat_map(|index| {
                    let shared = index / group * head;
                    let query = &queries[at][index * head..][..head];
                    attend(query, &keys[..=at], &values[..=at], shared)
                });
                add(state, &product(&out, &heads.collect::<Vec<_>>()));
            }
            let [gate, up, down] = ["ffn_gate", "ffn_up", "ffn_down"].map(weight);
            let norm = weight("ffn_norm");
            for state in &mut states {
                let normed = rms(state, &norm);
                let (gate, up) = (product(&gate, &normed), product(&up, &normed));
                let pairs = gate.iter().zip(&up);
                let inner: Vec<f64> = pairs.map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
                assert_eq!(inner.len(), self.shape.inner);
                add(state, &product(&down, &inner));
            }
        }
        let norm = self.weight("output_norm");
        let output = self.file.numbers("output").unwrap_or(embedding);
        let normed = states.iter().map(|state| rms(state, &norm));
        normed.map(|state| product(&output, &state)).collect()
    }
}

fn product(matrix: &[f64], x: &[f64]) -> Vec<f64> {
    let rows = matrix.chunks_exact(x.len());
    rows.map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum())
        .collect()
}

fn rms(x: &[f64], weight: &[f64]) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    let factor = 1.0 / (mean + 1e-5).sqrt();
    x.iter().zip(weight).map(|(x, w)| x * factor * w).collect()
}

fn add(state: &mut [f64], x: &[f64]) {
    state.iter_mut().zip(x).for_each(|(to, x)| *to += x);
}

/// Neighbours turn together, each pair by its own angle.
fn rotated(mut rows: Vec<Vec<f64>>, head: usize) -> Vec<Vec<f64>> {
    for (position, row) in rows.iter_mut().enumerate() {
        for (index, pair) in row.chunks_exact_mut(2).enumerate() {
            let exponent = -2.0 * (index % (head / 2)) as f64 / head as f64;
            let (sin, cos) = (position as f64 * 10_000f64.powf(exponent)).sin_cos();
            (pair[0], pair[1]) = (pair[0] * cos - pair[1] * sin, pair[0] * sin + pair[1] * cos);
        }
    }
    rows
}

fn attend(query: &[f64], keys: &[Vec<f64>], values: &[Vec<f64>], shared: usize) -> Vec<f64> {
    let score = |key: &Vec<f64>| {
        let products = query.iter().zip(&key[shared..]);
        products.map(|(q, k)| q * k).sum::<f64>() / (query.len() as f64).sqrt()
    };
    let scores: Vec<f64> = keys.iter().map(score).collect();
    let weights = log_softmax(&scores);
    let mut out = vec![0.0; query.len()];
    for (weight, value) in weights.iter().zip(values) {
        let value: Vec<f64> = value[shared..][..query.len()]
            .iter()
            .map(|v| weight.exp() * v)
            .collect();
        add(&mut out, &value);
    }
    out
}
