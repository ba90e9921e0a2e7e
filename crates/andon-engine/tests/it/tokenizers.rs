//! Tokenizers against the tokens that llama.cpp gives: those of small
//! vocabularies of every kind always, those of real ones where they are there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use andon_engine::gguf::Gguf;
use andon_engine::tokenizer::{Controls, Tokenizer};
use andon_specimen::{File, Value};
use serde::Deserialize;

/// Names a folder that `scripts/reference/vocabularies.py` filled.
const VOCABULARIES: &str = "ANDON_VOCABULARIES";

/// Stands between two texts of a file of vectors.
const MARK: &str = "\n__ggml_vocab_test__\n";

/// What `scripts/reference/vocabularies.py --fixtures` writes.
#[derive(Deserialize)]
struct Fixtures {
    texts: Vec<String>,
    vocabularies: BTreeMap<String, Fixture>,
}

#[derive(Deserialize)]
struct Fixture {
    metadata: BTreeMap<String, serde_json::Value>,
    /// For every text, without those that begin and end it.
    tokens: Vec<Vec<u32>>,
    /// For the first text, with them.
    closed: Vec<u32>,
}

fn fixtures() -> Fixtures {
    let text = include_str!("reference/tokenizers.json");
    serde_json::from_str(text).expect("the reference is JSON")
}

/// The names of the small vocabularies, with their files.
pub(crate) fn small() -> Vec<(String, File)> {
    let file = |fixture: &Fixture| File {
        metadata: fixture
            .metadata
            .iter()
            .map(|(key, value)| (key.clone(), value_of(key, value)))
            .collect(),
        tensors: Vec::new(),
    };
    let vocabularies = fixtures().vocabularies;
    vocabularies
        .iter()
        .map(|(name, fixture)| (name.clone(), file(fixture)))
        .collect()
}

/// The small vocabularies, loaded once.
pub(crate) static SMALL: LazyLock<BTreeMap<String, Tokenizer>> = LazyLock::new(|| {
    let files = small().into_iter();
    files
        .map(|(name, file)| (name, read(&file.bytes())))
        .collect()
});

pub(crate) fn read(file: &[u8]) -> Tokenizer {
    let gguf = Gguf::parse(file).expect("it is a GGUF file");
    Tokenizer::from_gguf(&gguf).expect("it is read")
}

fn value_of(key: &str, value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let integer = |value: &Json| value.as_i64().expect("an integer") as i32;
    match value {
        Json::String(text) => Value::Text(text.clone()),
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Array(values) if key.ends_with("scores") => {
            let score = |value: &Json| value.as_f64().expect("a number") as f32;
            Value::Floats(values.iter().map(score).collect())
        }
        Json::Array(values) if values[0].is_string() => {
            let text = |value: &Json| value.as_str().expect("a text").to_owned();
            Value::Texts(values.iter().map(text).collect())
        }
        Json::Array(values) => Value::Integers(values.iter().map(integer).collect()),
        number => Value::U32(integer(number) as u32),
    }
}

#[test]
fn small_vocabularies_agree() {
    let fixtures = fixtures();
    for (name, tokenizer) in &*SMALL {
        let fixture = &fixtures.vocabularies[name];
        assert_eq!(fixtures.texts.len(), fixture.tokens.len());
        for (text, expected) in fixtures.texts.iter().zip(&fixture.tokens) {
            let tokens = tokenizer.encode(text, Controls::Text);
            assert_eq!(&tokens, expected, "{name}: {text:?}");
        }
        let closed = tokenizer.encode_closed(&fixtures.texts[0]);
        assert_eq!(closed, fixture.closed, "{name}");
    }
}

/// Checks every line of the vectors of a vocabulary, and says how many.
#[track_caller]
fn check(folder: &Path, name: &str) -> usize {
    let vocabulary = folder.join(format!("ggml-vocab-{name}.gguf"));
    let tokenizer = read(&std::fs::read(&vocabulary).expect("the vocabulary is there"));
    let mut lines = 0;
    for kind in ["", ".more"] {
        let path = |end: &str| folder.join(format!("ggml-vocab-{name}.gguf{kind}.{end}"));
        let Ok(texts) = std::fs::read_to_string(path("inp")) else {
            // llama.cpp has none of its own for some.
            continue;
        };
        let tokens = std::fs::read_to_string(path("out")).expect("texts have tokens");
        // Some files end with the mark.
        let texts = texts.split(MARK).take(tokens.lines().count());
        for (text, line) in texts.zip(tokens.lines()) {
            let expected: Vec<u32> = line
                .split_whitespace()
                .map(|token| token.parse().expect("a number"))
                .collect();
            let tokens = tokenizer.encode(text, Controls::Text);
            assert_eq!(tokens, expected, "{name}: {text:?}");
            lines += 1;
        }
    }
    lines
}

#[test]
fn real_vocabularies_agree() {
    let Some(folder) = std::env::var_os(VOCABULARIES) else {
        println!("skipped: {VOCABULARIES} names no folder of vocabularies");
        return;
    };
    for name in [
        "baichuan",
        "bert-bge",
        "command-r",
        "deepseek-coder",
        "falcon",
        "gemma-4",
        "gpt-2",
        "gpt-neox",
        "llama-bpe",
        "llama-spm",
        "mpt",
        "nomic-bert-moe",
        "phi-3",
        "qwen2",
        "qwen35",
        "refact",
        "starcoder",
    ] {
        let lines = check(Path::new(&folder), name);
        assert!(lines >= 46, "{name} has {lines} lines");
    }
}
