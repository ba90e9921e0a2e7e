//! A small BERT encoder of random weights, in the files of real ones.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

const WIDTH: usize = 32;
const INNER: usize = 48;
const POSITIONS: usize = 64;

/// The three files.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) weights: Vec<u8>,
    pub(crate) tokenizer: Vec<u8>,
    pub(crate) config: Vec<u8>,
}

impl Files {
    pub(crate) fn new(seed: u64) -> Self {
        Self::of("bert", 0, seed)
    }

    /// The same encoder as one of the XLM-R kind: the first positions are those of
    /// the padding and never used.
    pub(crate) fn xlm_roberta(seed: u64) -> Self {
        Self::of("xlm-roberta", 2, seed)
    }

    fn of(family: &str, unused: usize, seed: u64) -> Self {
        let vocabulary = vocabulary();
        let config = json!({
            "model_type": family,
            "hidden_act": "gelu",
            "hidden_size": WIDTH,
            "intermediate_size": INNER,
            "layer_norm_eps": 1e-12,
            "max_position_embeddings": POSITIONS + unused,
            "pad_token_id": 1,
            "type_vocab_size": 2,
            "num_attention_heads": 2,
            "num_hidden_layers": 1,
            "vocab_size": vocabulary.len(),
        });
        Self {
            weights: weights(seed, vocabulary.len(), unused),
            tokenizer: tokenizer(&vocabulary).to_string().into_bytes(),
            config: config.to_string().into_bytes(),
        }
    }
}

fn vocabulary() -> Vec<String> {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(str::to_owned);
    let letters = ('a'..='z').flat_map(|letter| [letter.to_string(), format!("##{letter}")]);
    let words = ["pump", "leak", "##ing", "oil", "the", "."].map(str::to_owned);
    special.into_iter().chain(letters).chain(words).collect()
}

fn tokenizer(vocabulary: &[String]) -> Value {
    let ids: Map<String, Value> = (0..)
        .zip(vocabulary)
        .map(|(id, token): (u32, _)| (token.clone(), id.into()))
        .collect();
    let special = |id: usize| {
        json!({
            "id": id, "content": vocabulary[id], "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true,
        })
    };
    let named = |id: usize| {
        let name = &vocabulary[id];
        json!({"id": name, "ids": [id], "tokens": [name]})
    };
    let of = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    json!({
        "version": "1.0",
        "truncation": {"max_length": 16, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": null,
        "added_tokens": (0..4).map(special).collect::<Vec<_>>(),
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [of("[CLS]"), text("A"), of("[SEP]")],
            "pair": [of("[CLS]"), text("A"), of("[SEP]"), text("B"), of("[SEP]")],
            "special_tokens": {"[CLS]": named(2), "[SEP]": named(3)},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": ids,
        },
    })
}

fn weights(seed: u64, vocabulary: usize, unused: usize) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut header, mut data) = (Map::new(), Vec::new());
    let mut push = |name: &str, shape: &[usize], mean: f32| {
        let start = data.len();
        let is_positions = name.contains("position");
        let shape = &match is_positions {
            true => vec![shape[0] + unused, shape[1]],
            false => shape.to_vec(),
        };
        if is_positions {
            let far = std::iter::repeat_n(100f32.to_le_bytes(), unused * WIDTH);
            data.extend(far.flatten());
        }
        for _ in (data.len() - start) / 4..shape.iter().product() {
            let value: f32 = mean + random.random_range(-0.3..0.3);
            data.extend(value.to_le_bytes());
        }
        let range = [start, data.len()];
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": range});
        let prefix = if unused > 0 { "roberta." } else { "" };
        header.insert(format!("{prefix}{name}"), entry);
    };
    for (kind, count) in [
        ("word", vocabulary),
        ("position", POSITIONS),
        ("token_type", 2),
    ] {
        push(
            &format!("embeddings.{kind}_embeddings.weight"),
            &[count, WIDTH],
            0.0,
        );
    }
    let layer = "encoder.layer.0";
    for norm in [
        "embeddings.LayerNorm",
        &format!("{layer}.attention.output.LayerNorm"),
        &format!("{layer}.output.LayerNorm"),
    ] {
        push(&format!("{norm}.weight"), &[WIDTH], 1.0);
        push(&format!("{norm}.bias"), &[WIDTH], 0.0);
    }
    for (part, rows, columns) in [
        ("attention.self.query", WIDTH, WIDTH),
        ("attention.self.key", WIDTH, WIDTH),
        ("attention.self.value", WIDTH, WIDTH),
        ("attention.output.dense", WIDTH, WIDTH),
        ("intermediate.dense", INNER, WIDTH),
        ("output.dense", WIDTH, INNER),
    ] {
        push(&format!("{layer}.{part}.weight"), &[rows, columns], 0.0);
        push(&format!("{layer}.{part}.bias"), &[rows], 0.0);
    }
    let header = Value::Object(header).to_string().into_bytes();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], &header, &data].concat()
}
