//! Encoders of random weights.

use crate::file::{File, Value};
use crate::kind::Kind;
use crate::tensor::{Numbers, Plan};
use crate::vocabulary;

/// How the texts of an encoder are spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// As BERT's: the longest pieces first.
    WordPiece,
    /// As XLM-R's: the most probable pieces.
    Unigram,
}

/// A small encoder: a BERT that takes the mean of its states, or one of the XLM-R
/// kind that takes the first.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    /// How its texts are spelt, and with that the rest.
    pub spelling: Spelling,
    /// How its matrices are kept.
    pub kind: Kind,
    /// What its numbers are drawn from.
    pub seed: u64,
}

const WIDTH: usize = 64;
const INNER: usize = 96;
const LAYERS: usize = 2;
const HEADS: usize = 4;
const CONTEXT: usize = 64;

impl Encoder {
    /// The whole file in memory.
    pub fn file(&self) -> File {
        let (vocabulary, pooling, types) = match self.spelling {
            Spelling::WordPiece => (vocabulary::word_piece(), 1, 2),
            Spelling::Unigram => (vocabulary::unigram(), 2, 1),
        };
        let tokens = vocabulary.iter().find_map(|(_, value)| match value {
            Value::Texts(tokens) => Some(tokens.len()),
            _ => None,
        });
        let tokens = tokens.expect("a vocabulary lists its tokens");
        let size = |n: usize| Value::U32(n as u32);
        let own = [
            ("general.architecture", Value::Text("bert".into())),
            ("bert.block_count", size(LAYERS)),
            ("bert.context_length", size(CONTEXT)),
            ("bert.embedding_length", size(WIDTH)),
            ("bert.feed_forward_length", size(INNER)),
            ("bert.attention.head_count", size(HEADS)),
            ("bert.attention.layer_norm_epsilon", Value::F32(1e-5)),
            ("bert.attention.causal", Value::Bool(false)),
            ("bert.pooling_type", Value::U32(pooling)),
            ("tokenizer.ggml.token_type_count", size(types)),
        ];
        let own = own.into_iter().map(|(key, value)| (key.to_owned(), value));
        File {
            metadata: own.chain(vocabulary).collect(),
            tensors: self.plans(tokens, types).iter().map(Plan::tensor).collect(),
        }
    }

    fn plans(&self, tokens: usize, types: usize) -> Vec<Plan> {
        let mut plans = Vec::new();
        let mut push = |name: String, kind: Kind, shape: &[usize], numbers: Numbers| {
            plans.push(Plan {
                name,
                shape: shape.iter().map(|&length| length as u64).collect(),
                kind,
                numbers,
                seed: self.seed << 32 | plans.len() as u64,
            });
        };
        for (name, rows, kind) in [
            ("token_embd", tokens, self.kind),
            ("position_embd", CONTEXT, Kind::F32),
            ("token_types", types, Kind::F32),
        ] {
            let numbers = Numbers::Random { spread: 1.0 };
            push(format!("{name}.weight"), kind, &[WIDTH, rows], numbers);
        }
        let mut norms = vec!["token_embd_norm".to_owned()];
        for layer in 0..LAYERS {
            for (part, rows, columns) in [
                ("attn_q", WIDTH, WIDTH),
                ("attn_k", WIDTH, WIDTH),
                ("attn_v", WIDTH, WIDTH),
                ("attn_output", WIDTH, WIDTH),
                ("ffn_up", INNER, WIDTH),
                ("ffn_down", WIDTH, INNER),
            ] {
                let name = format!("blk.{layer}.{part}");
                let spread = 1.7 / (columns as f32).sqrt();
                let weight = Numbers::Random { spread };
                push(
                    format!("{name}.weight"),
                    self.kind,
                    &[columns, rows],
                    weight,
                );
                let bias = Numbers::Random { spread: 0.3 };
                push(format!("{name}.bias"), Kind::F32, &[rows], bias);
            }
            norms.extend(
                ["attn_output_norm", "layer_output_norm"].map(|part| format!("blk.{layer}.{part}")),
            );
        }
        for name in norms {
            let weight = Numbers::NearOne { spread: 0.2 };
            push(format!("{name}.weight"), Kind::F32, &[WIDTH], weight);
            let bias = Numbers::Random { spread: 0.2 };
            push(format!("{name}.bias"), Kind::F32, &[WIDTH], bias);
        }
        plans
    }
}
