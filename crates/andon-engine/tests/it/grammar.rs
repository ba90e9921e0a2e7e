//! Grammars on the default model's vocabulary.

mod bench;
mod hostile;
mod suite;

use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use andon_engine::gguf::Gguf;
use andon_engine::grammar::{Constraint, Grammars, Mask};
use andon_engine::tokenizer::{Controls, Tokenizer};
use andon_task::engine::Grammar;
use serde_json::{Value, json};

use crate::models;

static TOKENIZER: LazyLock<Arc<Tokenizer>> = LazyLock::new(|| {
    let file = std::fs::read(models::smollm2_path()).expect("the model is there");
    let gguf = Gguf::parse(&file).expect("the model is sound");
    Arc::new(Tokenizer::from_gguf(&gguf).expect("the vocabulary is sound"))
});

static GRAMMARS: LazyLock<Grammars> =
    LazyLock::new(|| Grammars::new(Arc::clone(&TOKENIZER)).expect("the vocabulary is walked"));

/// The lines of a compressed data set, or `None` where the data is not there.
fn data(name: &str) -> Option<Vec<Value>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let folder = std::env::var_os("ANDON_DATA").map_or_else(|| beside.into(), PathBuf::from);
    let file = std::fs::File::open(folder.join(name)).ok()?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("the data set is sound");
    let lines = text.lines();
    Some(
        lines
            .map(|line| serde_json::from_str(line).expect("JSON lines"))
            .collect(),
    )
}

/// Whether the constraint takes this text as an answer. Leaves it where it was.
fn accepts(constraint: &mut Constraint, text: &str) -> bool {
    let tokens = TOKENIZER.encode(text, Controls::Text);
    let taken = constraint.accept_all(&tokens).expect("a bounded grammar");
    let whole = taken == tokens.len() && constraint.may_end();
    constraint.roll_back(taken).expect("they were taken");
    whole
}

/// The ways to write a value: with the properties of its objects in every order,
/// as far as there are few, and whole numbers without a point.
fn spellings(value: &Value) -> Vec<String> {
    const MOST: usize = 720;
    match value {
        Value::Object(entries) => {
            let entries: Vec<(String, Vec<String>)> = entries
                .iter()
                .map(|(name, value)| (json!(name).to_string(), spellings(value)))
                .collect();
            let mut all = Vec::new();
            for order in orders(entries.len(), MOST) {
                let pieces = order
                    .iter()
                    .map(|&at| {
                        let (name, values) = &entries[at];
                        values.iter().map(|value| format!("{name}:{value}")).collect()
                    })
                    .collect::<Vec<Vec<String>>>();
                all.extend(joined(&pieces, MOST).map(|inner| format!("{{{inner}}}")));
                if all.len() >= MOST {
                    break;
                }
            }
            all
        }
        Value::Array(items) => {
            let pieces: Vec<Vec<String>> = items.iter().map(spellings).collect();
            joined(&pieces, MOST)
                .map(|inner| format!("[{inner}]"))
                .collect()
        }
        Value::Number(number) => {
            let float = number.as_f64().filter(|x| x.fract() == 0.0 && x.abs() < 1e15);
            let whole = float.filter(|_| number.is_f64());
            let whole = whole.map(|x| (x as i64).to_string());
            whole.into_iter().chain([number.to_string()]).collect()
        }
        other => vec![other.to_string()],
    }
}

/// The first orders of so many things, the given one first.
fn orders(count: usize, most: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..count {
        let mut longer = Vec::new();
        for order in &all {
            for next in (0..count).filter(|next| !order.contains(next)) {
                if longer.len() < most {
                    longer.push([order.as_slice(), &[next]].concat());
                }
            }
        }
        all = longer;
    }
    all
}

/// One spelling of each piece, in every combination, as far as there are few.
fn joined(pieces: &[Vec<String>], most: usize) -> impl Iterator<Item = String> {
    let mut all = vec![String::new()];
    for (at, piece) in pieces.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        all = all
            .iter()
            .flat_map(|before| piece.iter().map(move |one| format!("{before}{comma}{one}")))
            .take(most)
            .collect();
    }
    all.into_iter()
}

#[track_caller]
fn check(grammar: Grammar, accepted: &[&str], refused: &[&str]) {
    let mut constraint = GRAMMARS.compile(&grammar).expect("it compiles");
    for text in accepted {
        assert!(accepts(&mut constraint, text), "{text:?} is refused");
    }
    for text in refused {
        assert!(!accepts(&mut constraint, text), "{text:?} is accepted");
    }
}
