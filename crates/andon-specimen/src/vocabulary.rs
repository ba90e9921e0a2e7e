//! Vocabularies that tokenizers accept: every byte, some merges, control tokens.

use std::collections::HashSet;

use crate::file::Value;

/// Pairs that text is full of, in the order in which they are merged.
const MERGES: [&str; 24] = [
    "Ġ t", "h e", "Ġt he", "i n", "e r", "o n", "a n", "Ġ a", "a t", "e n", "i t", "o r", "i s",
    "a l", "Ġ o", "l e", "Ġ w", "a r", "Ġ m", "u m", "p um", "in g", "Ġ le", "Ġle a",
];

/// Letters, the usual ones first: larger vocabularies pair them in this order.
const LETTERS: &str = "etaoinshrdlucmfwypvbgkjqxz";

/// What blanks become in SentencePiece vocabularies.
const BLANK: char = '\u{2581}';

/// The kinds of tokens, as the format numbers them.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const BYTE: i32 = 6;

/// The token of a piece of text.
pub(crate) struct Token {
    text: String,
    kind: i32,
    score: f32,
}

/// A token that stands for no text.
pub(crate) fn control(text: &str) -> Token {
    let kind = if text == "<unk>" { UNKNOWN } else { CONTROL };
    Token {
        text: text.into(),
        kind,
        score: 0.0,
    }
}

/// The metadata of a byte-level vocabulary (Radford et al. 2019) of at least
/// `size` tokens, the control tokens first.
pub(crate) fn byte_level(controls: &[&str], size: usize) -> Vec<(String, Value)> {
    let mut tokens: Vec<Token> = controls.iter().map(|text| control(text)).collect();
    let normal = |text: String| Token {
        text,
        kind: NORMAL,
        score: 0.0,
    };
    let symbols = stand_ins();
    tokens.extend(symbols.iter().cloned().map(normal));
    let mut merges: Vec<(String, String)> = MERGES
        .iter()
        .filter_map(|merge| merge.split_once(' '))
        .map(|(left, right)| (left.into(), right.into()))
        .collect();
    let wanted = size.saturating_sub(tokens.len());
    enlarge(&mut merges, &usual_first(symbols, "Ġ"), wanted);
    tokens.extend(
        merges
            .iter()
            .map(|(left, right)| normal(left.clone() + right)),
    );
    let mut entries = listed(&tokens);
    let merges = merges.iter().map(|(left, right)| format!("{left} {right}"));
    entries.extend([
        text("tokenizer.ggml.model", "gpt2"),
        text("tokenizer.ggml.pre", "smollm"),
        (
            "tokenizer.ggml.merges".to_owned(),
            Value::Texts(merges.collect()),
        ),
    ]);
    entries
}

/// The metadata of a SentencePiece vocabulary (Kudo and Richardson 2018) of at
/// least `size` tokens: control tokens, bytes, pieces with their scores.
pub(crate) fn sentence_piece(controls: &[&str], size: usize) -> Vec<(String, Value)> {
    let mut tokens: Vec<Token> = controls.iter().map(|text| control(text)).collect();
    tokens.extend((0..=u8::MAX).map(|byte| Token {
        text: format!("<0x{byte:02X}>"),
        kind: BYTE,
        score: 0.0,
    }));
    let symbols: Vec<String> = std::iter::once(BLANK)
        .chain('!'..='~')
        .map(String::from)
        .collect();
    let blank = |text: &str| text.replace('Ġ', &BLANK.to_string());
    let mut merges: Vec<(String, String)> = MERGES
        .iter()
        .filter_map(|merge| merge.split_once(' '))
        .map(|(left, right)| (blank(left), blank(right)))
        .collect();
    let wanted = size.saturating_sub(tokens.len() + symbols.len());
    enlarge(
        &mut merges,
        &usual_first(symbols.clone(), &BLANK.to_string()),
        wanted,
    );
    let merged = merges.iter().map(|(left, right)| left.clone() + right);
    // The best score is merged first; single characters come last.
    tokens.extend(merged.chain(symbols).enumerate().map(|(rank, text)| Token {
        text,
        kind: NORMAL,
        score: -(rank as f32 + 1.0),
    }));
    let mut entries = listed(&tokens);
    let scores = tokens.iter().map(|token| token.score).collect();
    entries.extend([
        text("tokenizer.ggml.model", "llama"),
        text("tokenizer.ggml.pre", "default"),
        ("tokenizer.ggml.scores".to_owned(), Value::Floats(scores)),
    ]);
    entries
}

/// The metadata of a WordPiece vocabulary (Schuster and Nakajima 2012): control
/// tokens, letters at the beginning of a word and within it, some words and ends.
pub(crate) fn word_piece() -> Vec<(String, Value)> {
    let controls = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let mut tokens: Vec<Token> = controls.iter().map(|text| control(text)).collect();
    let letters = ('a'..='z').chain('0'..='9').chain(['.', ',']);
    let letters = letters.flat_map(|letter| [format!("{BLANK}{letter}"), letter.to_string()]);
    let words = ["the", "pump", "is", "leak", "oil", "valve"].map(|word| format!("{BLANK}{word}"));
    let ends = ["ing", "er", "ed"].map(str::to_owned);
    tokens.extend(letters.chain(words).chain(ends).map(|text| Token {
        text,
        kind: NORMAL,
        score: 0.0,
    }));
    let mut entries = listed(&tokens);
    entries.push(text("tokenizer.ggml.model", "bert"));
    for (name, id) in [
        ("padding", 0),
        ("unknown", 1),
        ("cls", 2),
        ("bos", 2),
        // Misspelt, as in every file.
        ("seperator", 3),
        ("eos", 3),
        ("mask", 4),
    ] {
        entries.push((format!("tokenizer.ggml.{name}_token_id"), Value::U32(id)));
    }
    entries
}

/// The metadata of a unigram vocabulary (Kudo 2018): control tokens, and pieces
/// with the logarithms of their probabilities.
pub(crate) fn unigram() -> Vec<(String, Value)> {
    let controls = ["<s>", "<pad>", "</s>", "<unk>"];
    let mut tokens: Vec<Token> = controls.iter().map(|text| control(text)).collect();
    let letters = ('a'..='z').chain('0'..='9').chain(['.', ',', BLANK]);
    let letters = letters.map(|letter| (letter.to_string(), -8.0));
    let words = ["the", "pump", "is", "leak", "oil", "valve"];
    let words = words.map(|word| (format!("{BLANK}{word}"), -5.0 - word.len() as f32 / 10.0));
    let parts = ["ing", "er", "al", "in"].map(|part| (part.to_owned(), -6.5));
    tokens.extend(
        letters
            .chain(words)
            .chain(parts)
            .map(|(text, score)| Token {
                text,
                kind: NORMAL,
                score,
            }),
    );
    let mut entries = listed(&tokens);
    let scores = tokens.iter().map(|token| token.score).collect();
    entries.extend([
        text("tokenizer.ggml.model", "t5"),
        ("tokenizer.ggml.scores".to_owned(), Value::Floats(scores)),
    ]);
    for (name, id) in [("bos", 0), ("padding", 1), ("eos", 2), ("unknown", 3)] {
        entries.push((format!("tokenizer.ggml.{name}_token_id"), Value::U32(id)));
    }
    for name in [
        "add_space_prefix",
        "remove_extra_whitespaces",
        "add_bos_token",
        "add_eos_token",
    ] {
        entries.push((format!("tokenizer.ggml.{name}"), Value::Bool(true)));
    }
    entries
}

fn text(key: &str, text: &str) -> (String, Value) {
    (key.to_owned(), Value::Text(text.to_owned()))
}

fn listed(tokens: &[Token]) -> Vec<(String, Value)> {
    let texts = tokens.iter().map(|token| token.text.clone()).collect();
    let kinds = tokens.iter().map(|token| token.kind).collect();
    vec![
        ("tokenizer.ggml.tokens".to_owned(), Value::Texts(texts)),
        (
            "tokenizer.ggml.token_type".to_owned(),
            Value::Integers(kinds),
        ),
    ]
}

/// The printable stand-in of every byte: itself where it is printable, the others
/// from 256 on.
fn stand_ins() -> Vec<String> {
    let is_printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 256;
    let stand_in = |byte: u32| {
        if is_printable(byte) {
            return byte;
        }
        next += 1;
        next - 1
    };
    let characters = (0..256).map(stand_in).filter_map(char::from_u32);
    characters.map(String::from).collect()
}

/// The symbols, those that text is full of first.
fn usual_first(symbols: Vec<String>, blank: &str) -> Vec<String> {
    let usual: Vec<String> = std::iter::once(blank.to_owned())
        .chain(LETTERS.chars().map(String::from))
        .collect();
    let others = symbols.into_iter().filter(|symbol| !usual.contains(symbol));
    let others: Vec<String> = others.collect();
    usual.into_iter().chain(others).collect()
}

/// Adds merges until there are `wanted`: pairs of symbols, then pairs with a third.
fn enlarge(merges: &mut Vec<(String, String)>, symbols: &[String], wanted: usize) {
    let mut known: HashSet<String> = merges
        .iter()
        .map(|(left, right)| left.clone() + right)
        .collect();
    let pairs = || {
        let pair = |left: &String| {
            let left = left.clone();
            symbols
                .iter()
                .map(move |right| (left.clone(), right.clone()))
        };
        symbols.iter().flat_map(pair)
    };
    let triples = pairs().flat_map(|(left, right)| {
        let left = left + &right;
        symbols
            .iter()
            .map(move |third| (left.clone(), third.clone()))
    });
    for (left, right) in pairs().chain(triples) {
        if merges.len() >= wanted {
            return;
        }
        if known.insert(left.clone() + &right) {
            merges.push((left, right));
        }
    }
}
