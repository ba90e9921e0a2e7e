//! Measures readers on public sets: receipts (`sroie`, five folds) and entities of work
//! orders (`maintie`). Sets are found by `ANDON_DATA`, and skipped where they are absent.
//!
//! `cargo run --release -p andon-learn --example receipts [sroie|maintie] [errors]`

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use andon_engine::{Encoder, EncoderFiles};
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_learn::extract::{Graded, grade_reader, learn_reader};
use andon_task::extract::folded;
use serde_json::{Value, json};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|w| w == word);
    if has("sroie") || !has("maintie") {
        receipts(has("errors"));
    }
    if has("maintie") || !has("sroie") {
        entities(has("errors"));
    }
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
    let learnt = learn_reader("receipts", &schema, &examples, None, &clock).unwrap();
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

const CLASSES: [&str; 5] = ["PhysicalObject", "State", "Process", "Activity", "Property"];

/// An order as an example: text, expected object, and the right spans in bytes.
type Order = (String, Value, Vec<(usize, usize, String)>);

fn order(line: &Value) -> Order {
    let tokens: Vec<&str> = line["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t.as_str().unwrap())
        .collect();
    let mut expected: BTreeMap<&str, Vec<String>> =
        CLASSES.iter().map(|class| (*class, Vec::new())).collect();
    let mut spans = Vec::new();
    for entity in line["entities"].as_array().unwrap() {
        let (start, end) = (
            entity["start"].as_u64().unwrap() as usize,
            entity["end"].as_u64().unwrap() as usize,
        );
        let class = entity["type"].as_str().unwrap().split('/').next().unwrap();
        let text = tokens[start..end].join(" ");
        let from = tokens[..start]
            .iter()
            .map(|token| token.len() + 1)
            .sum::<usize>();
        spans.push((from, from + text.len(), class.to_owned()));
        expected.get_mut(class).unwrap().push(text);
    }
    (tokens.join(" "), json!(expected), spans)
}

fn entities(errors: bool) {
    let (Some(train), Some(dev)) = (
        lines("maintie/gold.train.jsonl"),
        lines("maintie/gold.dev.jsonl"),
    ) else {
        return;
    };
    let home = std::env::var_os("ANDON_HOME").map(PathBuf::from).unwrap();
    let encoder = Encoder::load(
        "minilm:l6",
        &EncoderFiles::within(&home.join("models/minilm-l6")),
        Arc::new(Kernels::new(Isa::detect(), 2)),
    )
    .unwrap();
    let train: Vec<Order> = train.iter().map(order).collect();
    let dev: Vec<Order> = dev.iter().map(order).collect();
    let properties: serde_json::Map<String, Value> = CLASSES
        .iter()
        .map(|class| {
            (
                (*class).to_owned(),
                json!({"type": "array", "items": {"type": "string"}}),
            )
        })
        .collect();
    let schema = json!({"type": "object", "properties": properties, "required": CLASSES});
    let examples: Vec<(&str, &Value)> = train
        .iter()
        .map(|(text, expected, _)| (text.as_str(), expected))
        .collect();
    let began = Instant::now();
    let learnt = learn_reader("entities", &schema, &examples, Some(&encoder), &|| {
        began.elapsed()
    })
    .unwrap();
    let took = began.elapsed();
    let held: Vec<&Graded> = learnt.held_out.iter().collect();
    println!(
        "maintie train, five folds: F1 {:.2}",
        f1(&held, &train, false)
    );
    let examples: Vec<(&str, &Value)> = dev
        .iter()
        .map(|(text, expected, _)| (text.as_str(), expected))
        .collect();
    let graded = grade_reader(&learnt.reader, &examples, &encoder, &|| began.elapsed()).unwrap();
    println!(
        "maintie dev: F1 {:.2}, trained 6 times in {:.1} s",
        f1(&graded.iter().collect::<Vec<_>>(), &dev, errors),
        took.as_secs_f64()
    );
}

/// Micro F1 over exact spans and types.
fn f1(graded: &[&Graded], orders: &[Order], errors: bool) -> f64 {
    let (mut right, mut read, mut wanted) = (0, 0, 0);
    for (graded, (text, _, spans)) in graded.iter().zip(orders) {
        let own: Vec<(usize, usize, String)> = graded
            .reading
            .iter()
            .flat_map(|reading| &reading.fields)
            .filter_map(|pointed| {
                let class = pointed.path.split('[').next()?.to_owned();
                pointed.span.map(|(start, end)| (start, end, class))
            })
            .collect();
        right += own.iter().filter(|span| spans.contains(span)).count();
        read += own.len();
        wanted += spans.len();
        if errors {
            let show = |(start, end, class): &(usize, usize, String)| {
                format!("{}={class}", &text[*start..*end])
            };
            let missing: Vec<String> = spans
                .iter()
                .filter(|s| !own.contains(s))
                .map(show)
                .collect();
            let extra: Vec<String> = own
                .iter()
                .filter(|s| !spans.contains(s))
                .map(show)
                .collect();
            if !missing.is_empty() || !extra.is_empty() {
                println!("{text} | missing {missing:?} | extra {extra:?}");
            }
        }
    }
    println!("  right {right} of {read} read, {wanted} wanted");
    200.0 * f64::from(right as u32) / (read + wanted) as f64
}
