use std::time::Duration;

use andon_learn::evaluate::Evaluation;
use andon_learn::interval::Estimate;
use andon_learn::{Lesson, learn};
use andon_task::engine::Embed as _;
use andon_task::example::{self, LabelledText};
use andon_task::glossary::Glossary;
use andon_task::head::Head;
use andon_task::label::LabelSet;
use andon_task::task::{Task, TaskFile};

use crate::encoder::Trigrams;

const WORDS: [(&str, &[&str]); 3] = [
    (
        "leak",
        &["oil leak", "water leaking", "leaks syrup", "drips oil"],
    ),
    (
        "noise",
        &["loud noise", "squealing", "grinding noise", "knocks"],
    ),
    ("heat", &["too hot", "overheated", "very hot", "90 degrees"]),
];

/// Notes about one problem, and about each two of them where `doubles` are wanted.
fn notes(doubles: usize) -> String {
    let mut lines = Vec::new();
    let mut push = |text: String, expected: serde_json::Value| {
        lines.push(serde_json::json!({ "input": text, "expected": expected }).to_string());
    };
    for (index, (label, words)) in WORDS.iter().enumerate() {
        let (other, others) = WORDS[(index + 1) % 3];
        for (place, word) in words.iter().enumerate() {
            for machine in ["pump", "capper", "washer"] {
                push(format!("{word} {machine}"), (*label).into());
            }
            if place < doubles {
                let text = format!("{word} and {} at the filler", others[place]);
                push(text, serde_json::json!([label, other]));
            }
        }
    }
    lines.join("\n")
}

fn learned(jsonl: &str) -> (Head, Evaluation) {
    let labels = LabelSet::parse("label\nleak\nnoise\nheat\n").expect("sound labels");
    let examples: Vec<LabelledText> =
        example::parse_labelled(jsonl, &labels).expect("sound examples");
    let toml = "name = 'set'\nkind = 'decide'\ninstructions = 'Which?'\nlabels = 'l.csv'";
    let task: Task = TaskFile::parse("set", toml)
        .expect("a sound task")
        .resolve(labels);
    let lesson = Lesson {
        task: &task,
        examples: &examples,
        encoder: &Trigrams::new(),
        tune: None,
        glossary: &Glossary::default(),
    };
    let candidate = learn(&lesson, &|| Duration::ZERO, &mut |_| {}).expect("a head");
    (candidate.head, candidate.evaluation)
}

#[test]
fn a_note_of_two_problems_gets_both_labels() {
    let (head, evaluation) = learned(&notes(4));
    assert!(evaluation.accuracy.value > 0.8, "{evaluation:?}");
    let value = |estimate: Option<Estimate>| estimate.expect("there are notes of two").value;
    let (precision, recall) = (
        value(evaluation.second_precision),
        value(evaluation.second_recall),
    );
    assert!(precision > 0.7 && recall > 0.7, "{precision} and {recall}");
    let least = head.also().expect("a threshold");
    let check = |text: &str, expected: &[usize]| {
        let glossary = Glossary::default();
        let reading = glossary.read(text);
        let vector = Trigrams::new().embed(&[reading.text()]).unwrap().remove(0);
        let shares = head.decide(&reading, &vector).unwrap();
        let mut order: Vec<usize> = (0..3).collect();
        order.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]));
        let named = 1 + usize::from(shares[order[1]] >= least);
        let mut found = order[..named].to_vec();
        found.sort_unstable();
        assert_eq!(found, expected, "{text}: {shares:?}, threshold {least}");
    };
    check("loud noise and very hot at the capper", &[1, 2]);
    check("oil leak pump", &[0]);
    check("squealing washer", &[1]);
}

#[test]
fn without_notes_of_two_problems_one_label_is_answered() {
    let (head, evaluation) = learned(&notes(0));
    assert_eq!(head.also(), None);
    assert_eq!(
        (evaluation.second_precision, evaluation.second_recall),
        (None, None)
    );
}
