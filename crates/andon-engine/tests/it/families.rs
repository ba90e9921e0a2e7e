//! Every family and kind of tensor against llama.cpp, on small models of random
//! weights.

use andon_engine::decoder::{Decoder, Slot, Wants, Workspace};
use andon_engine::gguf::Gguf;
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_kernels::kv::BLOCK;
use andon_specimen::{Family, File, Kind, Mix, Specimen, Value};
use serde::Deserialize;

use crate::specimens;

/// What `scripts/reference/families.py` prints.
#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
pub(crate) struct Case {
    family: String,
    kind: String,
    context: usize,
    tokens: Vec<u32>,
    /// After each of the last tokens.
    most_probable: Vec<Vec<u32>>,
    /// Thousandths of a nat.
    surprisals: Vec<Vec<u32>>,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.tokens.len();
        write!(f, "{:7} {:7} {count:4} tokens", self.family, self.kind)
    }
}

impl Case {
    pub(crate) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many of the last tokens the reference is for.
    pub(crate) fn compared(&self) -> usize {
        self.most_probable.len()
    }

    pub(crate) fn file(&self) -> File {
        self.specimen().file()
    }

    pub(crate) fn specimen(&self) -> Specimen {
        let family = Family::ALL.into_iter().find(|f| f.name() == self.family);
        let mix = match self.kind.as_str() {
            "q4_k_m" => Mix::Q4KM,
            name => {
                let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
                Mix::InTurn(vec![kind.expect("a kind")])
            }
        };
        Specimen::tiny(family.expect("a family"), mix)
    }

    fn decoder(&self, file: &File) -> Decoder {
        let file = file.bytes();
        let gguf = Gguf::parse(&file).expect("a GGUF file");
        let vocabulary = gguf.list("tokenizer.ggml.tokens").expect("tokens").len();
        Decoder::from_gguf(&gguf, vocabulary, |_| self.context).expect("a model")
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
                copies: &[],
                wants: match position >= first {
                    true => Wants::Everything,
                    false => Wants::Nothing,
                },
                adapter: None,
            })
            .collect();
        let steps = slots.chunks(chunk);
        let logits: Vec<f32> = steps
            .flat_map(|slots| {
                decoder
                    .step(&kernels, &mut workspace, &mut cache, slots, &mut |_| {})
                    .whole
            })
            .collect();
        let rows = logits.chunks_exact(decoder.vocabulary());
        rows.map(<[f32]>::to_vec).collect()
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let total: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
    logits.iter().map(|&x| f64::from(x) - total.ln()).collect()
}

/// The mean divergence from the reference, and the share of tokens after which both
/// name the same one first.
pub(crate) fn compare_all(case: &Case, logits: &[Vec<f32>]) -> (f64, f64) {
    let (mut divergence, mut agreements) = (0.0, 0.0);
    let expected = case.most_probable.iter().zip(&case.surprisals);
    for (logits, (ids, surprisals)) in logits.iter().zip(expected) {
        let (nats, agrees) = compare(&log_softmax(logits), ids, surprisals);
        divergence += nats;
        agreements += f64::from(u8::from(agrees));
    }
    let count = logits.len() as f64;
    (divergence / count, agreements / count)
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

fn reference() -> Vec<Case> {
    let reference: Reference = serde_json::from_str(include_str!("reference/families.json"))
        .expect("the reference is JSON");
    reference.cases
}

#[test]
fn logits_agree_with_llama_cpp_and_are_the_same_bits_in_every_way() {
    for case in reference() {
        let decoder = case.decoder(&case.file());
        let logits = case.evaluate(&decoder, Isa::detect(), 1, usize::MAX);
        for isa in Isa::supported() {
            let chunked = case.evaluate(&decoder, isa, 2, 7);
            assert_eq!(chunked, logits, "{} on {isa}", case.family);
        }
        let (divergence, agreement) = compare_all(&case, &logits);
        println!("{case}: KL {divergence:.5}, top-1 {agreement:.3}");
        assert!(divergence <= 0.012, "{case}: KL {divergence}");
    }
}

/// What a family has shows in its logits: without it they are not those of the
/// reference any more.
#[track_caller]
fn shows(family: &str, context: usize, change: impl FnOnce(&mut File)) {
    let mut cases = reference().into_iter();
    let is_meant = |case: &Case| case.family == family && case.context == context;
    let case = cases.find(is_meant).expect("such a case");
    let mut file = case.file();
    change(&mut file);
    let decoder = case.decoder(&file);
    let logits = case.evaluate(&decoder, Isa::detect(), 1, usize::MAX);
    let (divergence, _) = compare_all(&case, &logits);
    assert!(divergence > 0.012, "{family}: KL {divergence} all the same");
}

#[test]
fn what_a_family_has_shows_in_its_logits() {
    let set =
        |key: &'static str, value: f32| move |file: &mut File| file.set(key, Value::F32(value));
    let drop = |part: &'static str| {
        move |file: &mut File| file.tensors.retain(|tensor| !tensor.name.contains(part))
    };
    shows("llama", 1024, drop("rope_freqs"));
    shows("llama", 256, set("llama.rope.scaling.factor", 4.0));
    shows("qwen2", 256, drop(".bias"));
    shows("gemma2", 256, set("gemma2.attn_logit_softcapping", 50.0));
    shows("gemma2", 256, set("gemma2.final_logit_softcapping", 30.0));
    shows("gemma2", 256, |file| {
        file.set("gemma2.attention.sliding_window", Value::U32(4096));
    });
    shows("phi3", 1024, drop("rope_factors"));
    shows("phi3", 1024, set("phi3.rope.scaling.attn_factor", 1.0));
    shows("phi3", 1024, |file| {
        let original = "phi3.rope.scaling.original_context_length";
        file.set(original, Value::U32(1024));
    });
}

/// Why a changed file is refused.
#[track_caller]
fn refused(family: Family, change: impl FnOnce(&mut File), expected: &str) {
    let mut file = specimens::family(family);
    change(&mut file);
    let file = file.bytes();
    let gguf = Gguf::parse(&file).expect("a GGUF file");
    let vocabulary = gguf.list("tokenizer.ggml.tokens").expect("tokens").len();
    let refusal = Decoder::from_gguf(&gguf, vocabulary, |_| 256).err();
    let error = refusal.expect("it is refused").to_string();
    assert!(error.contains(expected), "'{expected}' is not in: {error}");
}

#[test]
fn what_is_not_supported_is_named() {
    let text = |key: &'static str, value: &'static str| {
        move |file: &mut File| file.set(key, Value::Text(value.into()))
    };
    let number =
        |key: &'static str, value: u32| move |file: &mut File| file.set(key, Value::U32(value));
    refused(
        Family::Llama,
        text("general.architecture", "mamba2"),
        "the architecture 'mamba2'; this version runs 'llama'",
    );
    refused(
        Family::Llama,
        text("llama.rope.scaling.type", "yarn"),
        "rotary positions scaled by 'yarn'",
    );
    refused(
        Family::Llama,
        number("llama.expert_count", 8),
        "'llama.expert_count'",
    );
    refused(
        Family::Qwen2,
        |file| {
            let mut norm = file.tensor("blk.1.attn_norm.weight").clone();
            norm.name = "blk.1.attn_q_norm.weight".into();
            file.tensors.push(norm);
        },
        "the tensor 'blk.1.attn_q_norm.weight', which",
    );
    refused(
        Family::Gemma2,
        number("gemma2.attention.value_length", 16),
        "values of 16 numbers a head beside keys of 32",
    );
    refused(
        Family::Phi3,
        |file| {
            let factors = file.tensor("rope_factors_short.weight");
            factors.bytes[..4].copy_from_slice(&0f32.to_le_bytes());
        },
        "'rope_factors_short' has the factor 0",
    );
}
