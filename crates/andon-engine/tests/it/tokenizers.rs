//! Tokenizers against the tokens that llama.cpp gives.

use std::path::Path;

use andon_engine::gguf::Gguf;
use andon_engine::tokenizer::{Controls, Tokenizer};

/// Names a folder of `ggml-vocab-*.gguf` with their `.inp` and `.out`: see
/// `scripts/reference/vocabularies`.
const VOCABULARIES: &str = "ANDON_VOCABULARIES";

/// The vocabularies that the folder must hold.
const NAMES: [&str; 13] = [
    "bert-bge",
    "command-r",
    "deepseek-coder",
    "falcon",
    "gemma-4",
    "gpt-2",
    "llama-bpe",
    "llama-spm",
    "mpt",
    "phi-3",
    "qwen2",
    "qwen35",
    "starcoder",
];

/// Checks every line of a vector file; the number of lines.
fn check(folder: &Path, name: &str) -> usize {
    let path = |end: &str| folder.join(format!("ggml-vocab-{name}.gguf{end}"));
    let text = |end| std::fs::read_to_string(path(end)).expect("the vectors are there");
    let file = std::fs::read(path("")).expect("the vocabulary is there");
    let gguf = Gguf::parse(&file).expect("it is a GGUF file");
    let tokenizer = Tokenizer::from_gguf(&gguf)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let (texts, tokens) = (text(".inp"), text(".out"));
    let mut texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
    // Some files end with the mark.
    texts.truncate(tokens.lines().count());
    assert_eq!(texts.len(), tokens.lines().count(), "{name}");
    for (text, line) in texts.iter().zip(tokens.lines()) {
        let expected: Vec<u32> = line
            .split_whitespace()
            .map(|token| token.parse().expect("a number"))
            .collect();
        assert_eq!(tokenizer.encode(text, Controls::Text), expected, "{name}: {text:?}");
    }
    texts.len()
}

#[test]
fn every_vector_of_llama_cpp_agrees() {
    let Some(folder) = std::env::var_os(VOCABULARIES) else {
        println!("skipped: {VOCABULARIES} names no folder of vocabularies");
        return;
    };
    let mut wrong = Vec::new();
    for name in NAMES {
        match std::panic::catch_unwind(|| check(Path::new(&folder), name)) {
            Ok(n) => println!("{name} {n} ok"),
            Err(_) => wrong.push(name),
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
