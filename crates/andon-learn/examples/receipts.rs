//! Measures readers on receipts (`sroie`, five folds), and shows their errors. The set is found
//! by `ANDON_DATA`, and skipped where it is absent.
//!
//! `cargo run --release -p andon-learn --example receipts [COUNT] [errors]`

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use andon_learn::extract::{Graded, Words, learn_reader};
use andon_task::extract::folded;
use serde_json::{Value, json};

fn main() {
    receipts(std::env::args().any(|word| word == "errors"));
}

fn lines(path: &str) -> Option<Vec<Value>> {
    let root = std::env::var_os("ANDON_DATA")
        .map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(root.join(path)) else {
        println!("{path}: skipped, it is not there");
        return None;
    };
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

fn receipts(errors: bool) {
    let Some(mut receipts) = lines("sroie/train.jsonl") else {
        return;
    };
    if let Some(most) = std::env::args().find_map(|word| word.parse().ok()) {
        receipts.truncate(most);
    }
    let names = ["company", "date", "address", "total"];
    let properties: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), json!({"type": ["string", "null"]})))
        .collect();
    let schema = json!({"type": "object", "properties": properties});
    let examples: Vec<(&str, &Value)> = receipts
        .iter()
        .map(|receipt| (receipt["text"].as_str().unwrap(), &receipt["entities"]))
        .collect();
    let began = Instant::now();
    let clock = || began.elapsed();
    let learnt = learn_reader("receipts", &schema, &examples, Words::None, &clock).unwrap();
    let took = began.elapsed();
    let graded = &learnt.held_out;
    let right = |field: usize| graded.iter().filter(|graded| graded.right[field]).count();
    let n = graded.len() as f64;
    for (field, name) in names.iter().enumerate() {
        println!("{name}: {:.2}", 100.0 * right(field) as f64 / n);
    }
    let fields: usize = (0..4).map(right).sum();
    let records = graded.iter().filter(|graded| graded.is_right()).count();
    println!(
        "fields {:.2}  receipts {:.2}",
        100.0 * fields as f64 / (4.0 * n),
        100.0 * records as f64 / n
    );
    // The other way to read 'without punctuation': what is no letter or digit is left out.
    let joined = |value: Option<&Value>| {
        let text = value.and_then(Value::as_str).unwrap_or_default();
        folded(&text.replace(|c: char| !c.is_alphanumeric() && !c.is_whitespace(), ""))
    };
    let (mut loose, mut all) = (0, 0);
    for (graded, (_, expected)) in graded.iter().zip(&examples) {
        let value = graded.reading.as_ref().map(|reading| &reading.value);
        let right = names.iter().filter(|name| {
            joined(value.and_then(|v| v.get(**name))) == joined(expected.get(**name))
        });
        let right = right.count();
        loose += right;
        all += usize::from(right == 4);
    }
    println!(
        "signs left out: fields {:.2}  receipts {:.2}",
        100.0 * loose as f64 / (4.0 * n),
        100.0 * all as f64 / n
    );
    calibration(graded);
    println!(
        "trained 6 times in {:.1} s, reader of {} kB",
        took.as_secs_f64(),
        learnt.reader.bytes().len() / 1024
    );
    let mut times: Vec<Duration> = examples
        .iter()
        .map(|(text, _)| {
            let began = Instant::now();
            let reading = learnt.reader.read(text, None);
            let took = began.elapsed();
            drop(reading);
            took
        })
        .collect();
    times.sort_unstable();
    println!(
        "p50 {:?} p99 {:?}",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
    if errors {
        for (index, (graded, (_, expected))) in graded.iter().zip(&examples).enumerate() {
            for (field, name) in names
                .iter()
                .enumerate()
                .filter(|(field, _)| !graded.right[*field])
            {
                let value = graded
                    .reading
                    .as_ref()
                    .and_then(|reading| reading.value.get(*name));
                println!(
                    "{index} {name} {:.2}: {} <- {}",
                    graded.confidence[field],
                    value.unwrap_or(&Value::Null),
                    expected.get(*name).unwrap_or(&Value::Null)
                );
            }
        }
    }
}

/// Prints how well the records' probabilities hold.
fn calibration(graded: &[Graded]) {
    let mut sorted: Vec<(f64, bool)> = graded
        .iter()
        .map(|g| (g.probability, g.is_right()))
        .collect();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut ece = 0.0;
    for bin in 0..15 {
        let within = |p: f64| ((p * 15.0) as usize).min(14) == bin;
        let own: Vec<_> = sorted.iter().filter(|(p, _)| within(*p)).collect();
        let gap: f64 = own
            .iter()
            .map(|(p, right)| p - f64::from(u8::from(*right)))
            .sum();
        ece += gap.abs() / sorted.len() as f64;
    }
    let at = sorted.len() * 8 / 10;
    let right = sorted[..at].iter().filter(|(_, right)| *right).count();
    println!(
        "records: ece {ece:.3}, right among the surest 80 %: {:.2}",
        100.0 * right as f64 / at as f64
    );
}
