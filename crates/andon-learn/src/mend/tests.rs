use std::time::Duration;

use andon_task::example::{self, LabelledText};
use andon_task::label::LabelSet;

use super::*;

fn examples(lines: &[(&str, &str)]) -> (Vec<LabelledText>, Vec<String>) {
    let labels = LabelSet::parse("label\nleak\nnoise\n").unwrap();
    let jsonl: Vec<String> = lines
        .iter()
        .map(|(input, expected)| {
            serde_json::json!({ "input": input, "expected": expected }).to_string()
        })
        .collect();
    let examples = example::parse_labelled(&jsonl.join("\n"), &labels).unwrap();
    (examples, labels.names())
}

fn answer(label: usize, best: usize, confidence: f64) -> Answer {
    Answer {
        label,
        also: None,
        second: None,
        best,
        confidence,
        above: usize::from(label != best),
        language: None,
        took: Duration::ZERO,
    }
}

#[test]
fn the_surest_wrong_answer_comes_first_and_is_suspect() {
    let (examples, labels) = examples(&[
        ("oil drips", "leak"),
        ("seal leaks", "noise"),
        ("fan squeals", "noise"),
        ("drops below", "noise"),
    ]);
    let answers = [
        answer(0, 0, 0.8),
        answer(1, 0, 0.9),
        answer(1, 1, 0.7),
        answer(1, 0, 0.5),
    ];
    let found = wrong(&examples, &answers, &labels);
    let seen: Vec<_> = found
        .iter()
        .map(|wrong| (wrong.example, wrong.answer.as_str(), wrong.suspect))
        .collect();
    assert_eq!(seen, [(2, "leak", true), (4, "leak", false)]);
    assert_eq!(found[0].text, "seal leaks");
}

#[test]
fn one_text_with_two_labels_is_found() {
    let (examples, labels) = examples(&[
        ("Pump 4  leaks", "leak"),
        ("fan squeals", "noise"),
        ("PUMP 4 leaks", "noise"),
        ("pump 7 leaks", "noise"),
        ("fan squeals", "noise"),
    ]);
    let found = contradictions(&examples, &labels);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].text, "Pump 4  leaks");
    assert_eq!(found[0].labels["leak"], [1]);
    assert_eq!(found[0].labels["noise"], [3]);
}
