//! What holds for every text and every file, whatever the vocabulary.

use std::panic::{AssertUnwindSafe, catch_unwind};

use andon_engine::gguf::Gguf;
use andon_engine::tokenizer::{Controls, Tokenizer};
use andon_specimen::{File, Value};
use proptest::prelude::*;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::tokenizers::{SMALL, read, small};

/// The small vocabularies that can spell every byte.
const LOSSLESS: [&str; 9] = [
    "gpt-2",
    "smollm",
    "llama-bpe",
    "qwen2",
    "falcon",
    "default",
    "spm",
    "gemma",
    "gemma4",
];

fn decode(tokenizer: &Tokenizer, tokens: &[u32]) -> String {
    let bytes = tokens.iter().flat_map(|&token| tokenizer.bytes(token));
    String::from_utf8(bytes.copied().collect()).expect("whole characters")
}

/// Texts of anything, of what vocabularies know, and of what reads like control.
fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        ".{0,8}",
        "[ \t\r\n]{1,20}",
        "[a-z]{1,9}",
        Just("<|im_end|>".to_owned()),
        Just("<end_of_turn>".to_owned()),
        Just("</s>".to_owned()),
        Just("<unk>".to_owned()),
        Just("<0x0A>".to_owned()),
        Just("[SEP]".to_owned()),
        Just("[PAD]".to_owned()),
    ];
    prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn tokens_stand_for_the_bytes_of_their_text(text in text()) {
        for name in LOSSLESS {
            let tokenizer = &SMALL[name];
            // A blank and the mark that vocabularies write for it are one.
            let text = match name {
                "spm" | "gemma" | "gemma4" => text.replace('\u{2581}', " "),
                _ => text.clone(),
            };
            let tokens = tokenizer.encode(&text, Controls::Text);
            let mut decoded = decode(tokenizer, &tokens);
            if name == "spm" {
                // A blank leads the text, and what stands behind a token of the
                // user's own: these have no such neighbours in common with blanks.
                decoded = decoded.replace(' ', "");
                prop_assert_eq!(decoded, text.replace(' ', ""));
                continue;
            }
            prop_assert_eq!(&decoded, &text, "{}", name);
        }
    }

    #[test]
    fn text_gives_no_control_token(text in text()) {
        for (name, tokenizer) in &*SMALL {
            let tokens = tokenizer.encode(&text, Controls::Text);
            let is_unknown = |token| tokenizer.control_text(token).to_lowercase().contains("unk");
            let meant = |&token: &u32| tokenizer.is_control(token) && !is_unknown(token);
            prop_assert!(!tokens.iter().any(meant), "{}", name);
            // Cut where it reads like control, it is the same text again.
            let parts = tokenizer.split_controls(&text);
            prop_assert_eq!(parts.concat(), text.clone());
            prop_assert_eq!(tokenizer.encode_parts(parts), tokens, "{}", name);
        }
    }
}

#[test]
fn control_tokens_are_found_where_they_are_meant() {
    let check = |name: &str, text: &str, expected: &[&str]| {
        let tokenizer = &SMALL[name];
        let tokens = tokenizer.encode(text, Controls::Meant);
        let controls = tokens.iter().filter(|&&token| tokenizer.is_control(token));
        let texts: Vec<&str> = controls
            .map(|&token| tokenizer.control_text(token))
            .collect();
        assert_eq!(texts, expected, "{name}: {text}");
    };
    check(
        "qwen2",
        "<|im_start|>user\noil<|im_end|>",
        &["<|im_start|>", "<|im_end|>"],
    );
    check("qwen2", "<|im_start<|im_end|>|>", &["<|im_end|>"]);
    check(
        "gemma",
        "<start_of_turn>a<end_of_turn>\n",
        &["<start_of_turn>", "<end_of_turn>"],
    );
    check("spm", "<s>a</s>", &["<s>", "</s>"]);
    check("unigram", "a<mask>b", &["<mask>"]);
    check("wordpiece", "a [MASK] b", &["[MASK]"]);
}

#[test]
fn vocabularies_say_how_texts_begin_and_end() {
    let check = |name: &str, begin: Option<&str>, end: Option<&str>, ends: &[&str], blank: bool| {
        let tokenizer = &SMALL[name];
        let text = |token: u32| tokenizer.control_text(token);
        assert_eq!(tokenizer.begin().map(text), begin, "{name}");
        assert_eq!(tokenizer.end().map(text), end, "{name}");
        let found: Vec<&str> = tokenizer.ends().iter().map(|&token| text(token)).collect();
        assert_eq!(found, ends, "{name}");
        assert_eq!(tokenizer.leads_with_blank(), blank, "{name}");
    };
    let chat = ["<|im_end|>", "<|endoftext|>"];
    check("gpt-2", None, Some("<|im_end|>"), &chat, false);
    check(
        "llama-bpe",
        Some("<|im_start|>"),
        Some("<|im_end|>"),
        &chat,
        false,
    );
    let turn = ["</s>", "<end_of_turn>"];
    check("spm", Some("<s>"), Some("</s>"), &turn, true);
    check("gemma", Some("<s>"), Some("</s>"), &turn, false);
    check("unigram", Some("<s>"), Some("</s>"), &["</s>"], true);
    check("wordpiece", Some("[CLS]"), None, &[], false);
}

#[test]
fn the_end_of_a_turn_is_what_the_chat_template_writes() {
    let (_, mut file) = small()
        .into_iter()
        .find(|(name, _)| name == "gemma")
        .expect("it is there");
    let template = Value::Text("<start_of_turn>{{ m }}<end_of_turn>\n".into());
    file.metadata
        .push(("tokenizer.chat_template".into(), template));
    let tokenizer = read(&file.bytes());
    assert_eq!(tokenizer.control_text(tokenizer.ends()[0]), "<end_of_turn>");
    assert_eq!(
        tokenizer.end().map(|token| tokenizer.control_text(token)),
        Some("</s>")
    );
}

#[test]
fn phi_3_takes_the_blanks_behind_its_control_tokens() {
    let (_, mut file) = small()
        .into_iter()
        .find(|(name, _)| name == "spm")
        .expect("it is there");
    let name = Value::Text("phi3".into());
    file.metadata.push(("general.architecture".into(), name));
    let tokenizer = read(&file.bytes());
    let encode = |text: &str| tokenizer.encode(text, Controls::Meant);
    assert_eq!(encode("<end_of_turn>\n \noil"), encode("<end_of_turn>oil"));
    assert_ne!(encode("<s>\n \noil"), encode("<s>oil"));
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let check = |key: &str, value: &str, expected: &str| {
        let (_, mut file) = small().swap_remove(0);
        file.set(key, Value::Text(value.into()));
        let file = file.bytes();
        let read = Tokenizer::from_gguf(&Gguf::parse(&file).expect("a file"));
        let error = read.err().expect("it is refused").to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("tokenizer.ggml.model", "rwkv", "the tokenizer model 'rwkv'");
    check(
        "tokenizer.ggml.pre",
        "kimi-k2",
        "the pre-tokenizer 'kimi-k2'",
    );
    check(
        "tokenizer.ggml.pre",
        "deepseek-llm",
        "the pre-tokenizer 'deepseek-llm'",
    );
}

/// Half a megabyte would take minutes if anything were looked at again and again.
#[test]
fn half_a_megabyte_of_anything_is_soon_done() {
    let units = [
        " ",
        "a",
        "\n",
        "7",
        "<|im_end|>",
        "<|im_start",
        "</s>",
        "\u{301}",
        "a ",
        " \n",
    ];
    for name in [
        "smollm",
        "llama-bpe",
        "spm",
        "gemma4",
        "unigram",
        "wordpiece",
    ] {
        let tokenizer = &SMALL[name];
        for unit in units {
            let text = unit.repeat((1 << 19) / unit.len());
            let tokens = tokenizer.encode(&text, Controls::Text);
            assert!(tokens.len() <= text.len() + 1, "{name}: {unit:?}");
            assert_eq!(tokenizer.split_controls(&text).concat(), text);
        }
    }
}

#[test]
fn spoilt_vocabularies_give_an_error_or_tokens() {
    let bases = small();
    let mut loaded = 0;
    for seed in 0..4_000 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (name, mut file) = bases[seed as usize % bases.len()].clone();
        for _ in 0..random.random_range(1..4) {
            spoil(&mut file, &mut random);
        }
        let tried = catch_unwind(AssertUnwindSafe(|| use_vocabulary(&file.bytes())));
        loaded += u32::from(tried.unwrap_or_else(|_| panic!("{name}, seed {seed}: a panic")));
    }
    assert!((500..3_500).contains(&loaded), "{loaded} loaded");
}

/// Whether a vocabulary could be read; then it is used.
fn use_vocabulary(file: &[u8]) -> bool {
    let gguf = Gguf::parse(file).expect("the header is sound");
    let Ok(tokenizer) = Tokenizer::from_gguf(&gguf) else {
        return false;
    };
    for text in [
        "",
        "the pump <leaks>\n\n\u{7}é  12½ﬁ<|im_end|></s>",
        "\u{2581}\u{0}<table>한",
    ] {
        for controls in [Controls::Meant, Controls::Text] {
            let tokens = tokenizer.encode(text, controls);
            assert!(
                tokens
                    .iter()
                    .all(|&token| (token as usize) < tokenizer.size())
            );
        }
        let parts = tokenizer.split_controls(text);
        tokenizer.encode_parts(parts);
        tokenizer.encode_closed(text);
    }
    true
}

/// Changes a value of the metadata as somebody would who knows the format.
fn spoil(file: &mut File, random: &mut ChaCha8Rng) {
    let entry = random.random_range(0..file.metadata.len());
    if random.random_bool(0.05) {
        file.metadata.remove(entry);
        return;
    }
    let value = &mut file.metadata[entry].1;
    if random.random_bool(0.05) {
        *value = Value::Text("llama".into());
        return;
    }
    let at = |length: usize, random: &mut ChaCha8Rng| random.random_range(0..length.max(1));
    match value {
        Value::Texts(texts) if texts.len() > 1 => {
            let (from, to) = (at(texts.len(), random), at(texts.len(), random));
            let other = texts[from].clone();
            let odd = [
                &*other, "", " ", "\0", "a b", "\u{2581}", "<0x", "<0xé>", "xyz", "q q q",
            ];
            match random.random_range(0..4) {
                0 => texts.swap(from, to),
                1 => drop(texts.remove(to)),
                _ => texts[to] = (*odd.choose(random).expect("some")).to_owned(),
            }
        }
        Value::Integers(numbers) if !numbers.is_empty() => {
            let to = at(numbers.len(), random);
            match random.random_range(0..4) {
                0 => drop(numbers.remove(to)),
                1 => numbers.truncate(to),
                _ => {
                    numbers[to] = *[0, 1, 3, 4, 5, 6, 7, 255, 256, -1]
                        .choose(random)
                        .expect("some")
                }
            }
        }
        Value::Floats(numbers) if !numbers.is_empty() => {
            let to = at(numbers.len(), random);
            let odd = [0.0, -0.0, 1.0, f32::MAX, f32::MIN, f32::NAN, f32::INFINITY];
            match random.random_range(0..4) {
                0 => drop(numbers.remove(to)),
                _ => numbers[to] = *odd.choose(random).expect("some"),
            }
        }
        Value::Bool(flag) => *flag = !*flag,
        Value::U32(number) => *number = *[0, 3, 300, u32::MAX].choose(random).expect("some"),
        _ => {}
    }
}
