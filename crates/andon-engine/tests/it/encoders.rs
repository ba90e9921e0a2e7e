//! Encoders from GGUF files against llama.cpp, on small ones of random weights.

use std::sync::Arc;

use andon_engine::{Encoder, EncoderParts};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_specimen::{Encoder as Specimen, File, Kind, Spelling, Value};
use andon_task::engine::Embed;
use serde::Deserialize;

use crate::tiny_encoder::Files;

/// What `scripts/reference/encoders.py` prints.
#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    family: String,
    kind: String,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    tokens: Vec<u32>,
    vector: Vec<f64>,
}

fn specimen(spelling: Spelling, kind: Kind) -> File {
    let seed = 1;
    Specimen {
        spelling,
        kind,
        seed,
    }
    .file()
}

fn load(file: &File, isa: Isa, threads: usize) -> Encoder {
    let kernels = Arc::new(Kernels::new(isa, threads));
    Encoder::from_gguf("tiny", &file.bytes(), kernels).expect("the encoder loads")
}

#[test]
fn vectors_agree_with_llama_cpp_alone_and_together() {
    let reference: Reference = serde_json::from_str(include_str!("reference/encoders.json"))
        .expect("the reference is JSON");
    for case in reference.cases {
        let spelling = match case.family.as_str() {
            "bert" => Spelling::WordPiece,
            _ => Spelling::Unigram,
        };
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == case.kind);
        let file = specimen(spelling, kind.expect("a kind"));
        let encoder = load(&file, Isa::detect(), 2);
        let texts: Vec<&str> = case.texts.iter().map(|text| text.text.as_str()).collect();
        let together = encoder.embed(&texts).expect("vectors");
        let mut worst = 1.0f64;
        for (text, vector) in case.texts.iter().zip(&together) {
            let tokens = encoder.tokenize(&text.text).expect("tokens");
            assert_eq!(tokens, text.tokens, "{} '{}'", case.family, text.text);
            let products = vector.iter().zip(&text.vector);
            let cosine = products.map(|(&x, y)| f64::from(x) * y).sum::<f64>();
            worst = worst.min(cosine);
            for isa in Isa::supported() {
                let alone = load(&file, isa, 1).embed(&[&text.text]).expect("a vector");
                assert_eq!(&alone[0], vector, "{isa}");
            }
        }
        println!("{} {}: cosine {worst:.6} at worst", case.family, case.kind);
        assert!(worst >= 0.999, "{} {}: {worst}", case.family, case.kind);
    }
}

fn from_files(files: &Files, pooling: Option<&[u8]>) -> Encoder {
    let parts = EncoderParts {
        weights: &files.weights,
        tokenizer: &files.tokenizer,
        config: &files.config,
        pooling,
    };
    let kernels = Arc::new(Kernels::new(Isa::detect(), 1));
    Encoder::from_parts("tiny", parts, kernels).expect("the encoder loads")
}

#[test]
fn an_encoder_of_the_xlm_r_kind_begins_behind_the_positions_of_the_padding() {
    let texts = ["the pump is leaking oil.", "a"];
    let bert = from_files(&Files::new(1), None);
    let xlm_r = from_files(&Files::xlm_roberta(1), None);
    let context = |encoder: &Encoder| Embed::identity(encoder).context_tokens;
    assert_eq!(context(&xlm_r), context(&bert));
    let expected = bert.embed(&texts).expect("vectors");
    assert_eq!(xlm_r.embed(&texts).expect("vectors"), expected);
}

#[test]
fn the_pooling_is_that_of_the_file() {
    let files = Files::new(1);
    let vector = |pooling: Option<&[u8]>| {
        let encoder = from_files(&files, pooling);
        let vectors = encoder.embed(&["the pump is leaking oil."]);
        (vectors.expect("a vector"), Embed::identity(&encoder).digest)
    };
    let mean = vector(None);
    let named = vector(Some(br#"{"pooling_mode_mean_tokens": true}"#));
    assert_eq!(mean.0, named.0);
    let first = vector(Some(br#"{"pooling_mode_cls_token": true}"#));
    assert_ne!(mean.0, first.0);
    assert_ne!(mean.1, first.1, "another pooling is another encoder");
}

/// Why a changed file is refused.
#[track_caller]
fn refused(change: impl FnOnce(&mut File), expected: &str) {
    let mut file = specimen(Spelling::WordPiece, Kind::Q8_0);
    change(&mut file);
    let kernels = Arc::new(Kernels::new(Isa::detect(), 1));
    let refusal = Encoder::from_gguf("tiny", &file.bytes(), kernels).err();
    let error = refusal.expect("it is refused").to_string();
    assert!(error.contains(expected), "'{expected}' is not in: {error}");
}

#[test]
fn what_is_not_supported_is_named() {
    refused(
        |file| file.set("bert.pooling_type", Value::U32(4)),
        "the pooling Unsigned(4) of an encoder",
    );
    refused(
        |file| file.set("general.architecture", Value::Text("nomic-bert".into())),
        "the encoder 'nomic-bert'; this version runs 'bert'",
    );
    refused(
        |file| {
            let mut extra = file.tensor("token_embd_norm.weight").clone();
            extra.name = "cls.weight".into();
            file.tensors.push(extra);
        },
        "the tensor 'cls.weight', which",
    );
    refused(
        |file| file.set("bert.attention.head_count", Value::U32(3)),
        "the shape of the encoder is none",
    );
}
