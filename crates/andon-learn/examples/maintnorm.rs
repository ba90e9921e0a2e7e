//! Measures the normaliser on MaintNorm: learns on its training part, answers its
//! validation part. The folder of data sets is `ANDON_DATA`.

#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::time::Instant;

use andon_learn::normalise::{Outcome, evaluate, learn, pairs};
use andon_task::glossary::Glossary;
use andon_task::normalise::Normaliser;

type Rows = Vec<Vec<(String, String)>>;

fn rows(part: &str) -> Rows {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let folder = std::env::var_os("ANDON_DATA").map_or_else(|| beside.into(), PathBuf::from);
    let path = folder.join(format!("maintnorm/combined.{part}.norm"));
    let text = std::fs::read_to_string(&path).expect("maintnorm is there");
    text.split("\n\n")
        .map(|block| {
            let lines = block.lines().filter_map(|line| line.split_once('\t'));
            lines.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
        })
        .filter(|rows: &Vec<_>| !rows.is_empty())
        .collect()
}

fn texts(rows: &Rows) -> Vec<(String, String)> {
    let join = |words: Vec<&str>| {
        let words: Vec<&str> = words.iter().flat_map(|w| w.split_whitespace()).collect();
        words.join(" ")
    };
    rows.iter()
        .map(|row| {
            (
                join(row.iter().map(|(a, _)| a.as_str()).collect()),
                join(row.iter().map(|(_, b)| b.as_str()).collect()),
            )
        })
        .collect()
}

fn main() {
    let (train, held) = (rows("train"), rows("val"));
    let train_texts = texts(&train);
    let borrowed: Vec<(&str, &str)> = train_texts
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    let limit: usize = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(usize::MAX);
    let began = Instant::now();
    let aligned = pairs(&borrowed);
    let (mut same, mut all) = (0, 0);
    for (pair, row) in aligned.iter().zip(&train) {
        for (target, (token, expected)) in pair.targets.iter().zip(row) {
            all += 1;
            let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
            same += usize::from(*target == expected);
            if *target != expected && all % 7 == 0 {
                println!(
                    "align: {token} -> {target:?} not {expected:?} in {}",
                    pair.text
                );
            }
        }
    }
    println!(
        "aligned as annotated: {same} of {all}, {:?}",
        began.elapsed()
    );
    let began = Instant::now();
    let learned = learn(
        "maintnorm",
        &borrowed[..borrowed.len().min(limit)],
        &mut |done, of| {
            println!("{done}/{of} {:?}", began.elapsed());
        },
    )
    .expect("learns");
    println!("cross-validated {:?}", learned.figures);
    println!(
        "{} bytes, {:?}",
        learned.normaliser.bytes().len(),
        learned.normaliser.calibration()
    );
    show(&learned.normaliser, &held);
}

fn show(normaliser: &Normaliser, held: &Rows) {
    let glossary = Glossary::default();
    let held_texts = texts(held);
    let began = Instant::now();
    let answers: Vec<_> = held_texts
        .iter()
        .map(|(text, _)| normaliser.normalise(text, &glossary))
        .collect();
    let took = began.elapsed();
    let outcomes: Vec<Outcome> = answers
        .iter()
        .zip(held)
        .map(|(answer, row)| Outcome {
            tokens: answer
                .tokens
                .iter()
                .zip(row)
                .map(|(settled, (token, expected))| {
                    let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
                    [token.clone(), expected, settled.target.clone()]
                })
                .collect(),
            probability: answer.probability,
        })
        .collect();
    for (outcome, answer) in outcomes.iter().zip(&answers) {
        for ([token, expected, answered], settled) in outcome.tokens.iter().zip(&answer.tokens) {
            if expected != answered {
                let text: Vec<&str> = outcome
                    .tokens
                    .iter()
                    .map(|[token, ..]| token.as_str())
                    .collect();
                println!(
                    "{token} -> {answered:?} not {expected:?} ({:.2}) in {}",
                    settled.confidence,
                    text.join(" ")
                );
            }
        }
    }
    println!("{:#?}", evaluate(&outcomes));
    println!(
        "{} texts a second",
        (held.len() as f64 / took.as_secs_f64()) as u64
    );
}
