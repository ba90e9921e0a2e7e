//! Every family and kind of tensor against llama.cpp, on small models of random
//! weights.

use andon_engine::decoder::{Decoder, Slot, Workspace};
use andon_engine::gguf::Gguf;
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_kernels::kv::BLOCK;
use andon_specimen::{Family, Kind, Mix, Specimen};
use serde::Deserialize;

/// What `scripts/reference/families.py` prints.
#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    family: String,
    kind: String,
    context: usize,
    tokens: Vec<u32>,
    /// After each of the last tokens.
    most_probable: Vec<Vec<u32>>,
    /// Thousandths of a nat.
    surprisals: Vec<Vec<u32>>,
}

impl Case {
    fn file(&self) -> Vec<u8> {
        let family = Family::ALL.into_iter().find(|f| f.name() == self.family);
        let mix = match self.kind.as_str() {
            "q4_k_m" => Mix::Q4KM,
            name => {
                let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
                Mix::InTurn(vec![kind.expect("a kind")])
            }
        };
        let specimen = Specimen::tiny(family.expect("a family"), mix);
        specimen.file().bytes()
    }

    /// The log-probabilities after the last tokens, computed `chunk` tokens a step.
    fn evaluate(&self, decoder: &Decoder, isa: Isa, threads: usize, chunk: usize) -> Vec<Vec<f32>> {
        let kernels = Kernels::new(isa, threads);
        let count = self.tokens.len();
        let blocks: Vec<u32> = (0..count.div_ceil(BLOCK) as u32).rev().collect();
        let mut cache = decoder.new_cache(blocks.len());
        let mut workspace = Workspace::default();
        let first = count - self.most_probable.len();
        let slots: Vec<Slot<'_>> = (0..count)
            .map(|position| Slot {
                token: self.tokens[position],
                position,
                blocks: &blocks,
                wants_logits: position >= first,
            })
            .collect();
        let steps = slots.chunks(chunk);
        let logits: Vec<f32> = steps
            .flat_map(|slots| decoder.step(&kernels, &mut workspace, &mut cache, slots))
            .collect();
        let rows = logits.chunks_exact(decoder.vocabulary());
        rows.map(<[f32]>::to_vec).collect()
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let total: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
    logits.iter().map(|&x| f64::from(x) - total.ln()).collect()
}

/// The divergence from the reference's distribution, and whether both name the same
/// token first.
fn compare(ours: &[f64], ids: &[u32], surprisals: &[u32]) -> (f64, bool) {
    // The improbable tokens are taken together.
    let (mut divergence, mut their_rest, mut our_rest) = (0.0, 1.0, 1.0);
    for (&id, &surprisal) in ids.iter().zip(surprisals) {
        let (p, q) = (f64::from(surprisal) / -1000.0, ours[id as usize]);
        divergence += p.exp() * (p - q);
        their_rest -= p.exp();
        our_rest -= q.exp();
    }
    if their_rest > 1e-6 {
        divergence += their_rest * (their_rest / our_rest.max(1e-12)).ln();
    }
    let best = (0..ours.len()).max_by(|&a, &b| ours[a].total_cmp(&ours[b]));
    (divergence, best == Some(ids[0] as usize))
}

#[test]
fn logits_agree_with_llama_cpp_and_are_the_same_bits_in_every_way() {
    let reference: Reference = serde_json::from_str(include_str!("reference/families.json"))
        .expect("the reference is JSON");
    for case in &reference.cases {
        let file = case.file();
        let gguf = Gguf::parse(&file).expect("a GGUF file");
        let rows = gguf.list("tokenizer.ggml.tokens").expect("tokens").len();
        let decoder = Decoder::from_gguf(&gguf, rows, case.context).expect("a model");
        let logits = case.evaluate(&decoder, Isa::detect(), 1, usize::MAX);
        for isa in Isa::supported() {
            assert_eq!(
                case.evaluate(&decoder, isa, 2, 7),
                logits,
                "{}",
                case.family
            );
        }

        let (mut divergence, mut agreements) = (0.0, 0);
        let expected = case.most_probable.iter().zip(&case.surprisals);
        for (logits, (ids, surprisals)) in logits.iter().zip(expected) {
            let (nats, agrees) = compare(&log_softmax(logits), ids, surprisals);
            divergence += nats;
            agreements += u32::from(agrees);
        }
        let count = logits.len() as f64;
        println!(
            "{:7} {:7} {:4} tokens: KL {:.5}, top-1 agreement {:.3}",
            case.family,
            case.kind,
            case.tokens.len(),
            divergence / count,
            f64::from(agreements) / count
        );
        assert!(divergence / count <= 0.012, "{} {}", case.family, case.kind);
    }
}
