use std::time::Duration;

use andon_task::label::LabelSet;

use super::*;
use crate::comparison::{self, Given, compare};
use crate::evaluate::{Answer, evaluate};
use crate::mend::{contradictions, wrong};

const HOSTILE: &str = "<script src=http://evil.example>alert('x')</script>\u{0}\u{202e} & \"q\"";

fn labels(count: usize) -> Vec<String> {
    let mut names: Vec<String> = (1..count).map(|label| format!("label-{label}")).collect();
    names.insert(0, "</td><img src=x onerror=alert(1)>".to_owned());
    names
}

/// Every seventh answer is wrong, and every fourteenth surely so.
fn answers(n: usize, labels: usize, shift: usize) -> Vec<Answer> {
    let answer = |index: usize| {
        let label = index % labels;
        let is_wrong = (index + shift).is_multiple_of(7);
        let best = if is_wrong {
            (label + 1) % labels
        } else {
            label
        };
        Answer {
            label,
            also: None,
            second: None,
            best,
            confidence: if is_wrong && index % 2 == 1 {
                0.6
            } else {
                0.7 + 0.29 * (index % 10) as f64 / 10.0
            },
            above: usize::from(is_wrong),
            language: Some(if index.is_multiple_of(3) { "es" } else { "en" }.to_owned()),
            took: Duration::from_micros(900 + 10 * index as u64),
        }
    };
    (0..n).map(answer).collect()
}

fn subject(name: &str) -> Subject {
    Subject {
        name: name.to_owned(),
        how: "cross-validated on the plant's examples".to_owned(),
        calibrated: true,
        digests: BTreeMap::from([("labels".to_owned(), Digest::of(b"labels"))]),
    }
}

fn report(n: usize, count: usize) -> Report {
    let names = labels(count);
    let own = answers(n, count, 0);
    let jsonl: Vec<String> = own
        .iter()
        .map(|answer| {
            let input = format!("note {HOSTILE}");
            serde_json::json!({ "input": input, "expected": names[answer.label] }).to_string()
        })
        .collect();
    let set = names.iter().map(|label| andon_task::label::Label {
        label: label.clone(),
        description: None,
        procedure: None,
        critical: false,
        none: false,
    });
    let set = LabelSet::new(set.collect()).unwrap();
    let examples = andon_task::example::parse_labelled(&jsonl.join("\n"), &set).unwrap();
    let evaluation = evaluate(&own, &names, 0.6).unwrap();
    Report {
        task: "mode".to_owned(),
        measured: subject("learn"),
        examples: Examples {
            source: "the plant's examples of mode".to_owned(),
            digest: Digest::of(b"examples"),
        },
        cost: Cost {
            mean_ms: 1.2,
            tokens_per_request: Some(310.0),
            cached_per_request: Some(290.0),
            thousand: Some(Thousand {
                currency: "EUR".to_owned(),
                edge: 0.0002,
                cloud: Some(0.775),
            }),
        },
        warnings: vec![format!("mind {HOSTILE}")],
        wrong: wrong(&examples, &own, &names),
        contradictions: contradictions(&examples, &names),
        figures: Figures::Decide(Box::new(evaluation)),
        comparison: None,
    }
}

fn with_comparison(today: Option<&str>, shift: usize) -> Report {
    let contender = |name: &str, answers: Vec<Answer>| comparison::Contender {
        name: name.to_owned(),
        given: Given::Answers(answers),
    };
    let mut poor = answers(210, 6, shift);
    for answer in poor.iter_mut().filter(|answer| answer.label == 2) {
        (answer.best, answer.above) = (3, 4);
    }
    let found = compare(
        &[
            contender("learn", answers(210, 6, 0)),
            contender("smollm2:135m", poor),
        ],
        6,
    )
    .unwrap();
    let today = Today {
        runs: today.unwrap_or("head:abc").to_owned(),
        contender: today.map(str::to_owned),
    };
    let subjects = vec![subject("learn"), subject("smollm2:135m")];
    Report {
        comparison: Some(decide(found, subjects, today, |name| {
            format!("`andon learn mode` promotes {name}")
        })),
        ..report(210, 6)
    }
}

#[test]
fn the_object_has_the_figures_beside_the_other_keys() {
    let object = serde_json::to_value(with_comparison(Some("learn"), 0)).unwrap();
    assert_eq!(object["n"], 210);
    for figure in [
        "accuracy",
        "macro_f1",
        "ece",
        "auroc",
        "coverage",
        "selective_error",
    ] {
        for end in ["value", "low", "high"] {
            assert!(object[figure][end].is_f64(), "{figure} {end}");
        }
    }
    for key in ["p50_ms", "p99_ms"] {
        assert!(object[key].is_f64(), "{key}");
    }
    assert_eq!(object["comparison"]["decision"]["outcome"], "stays");
    assert_eq!(
        object["coverage_at_error"].as_array().map(Vec::len),
        Some(4)
    );
    assert!(object.get("answers").is_none());
}

#[test]
fn the_decision_is_one_sentence() {
    let sentence = |today, shift| {
        let compared = with_comparison(today, shift).comparison.unwrap();
        compared.sentence
    };
    insta::assert_snapshot!(sentence(Some("smollm2:135m"), 0), @"Today smollm2:135m runs; learn is shown to be better by 14.3 points of accuracy (9.4 to 18.9, p < 0.001) and should run: `andon learn mode` promotes learn.");
    insta::assert_snapshot!(sentence(Some("learn"), 0), @"Today learn runs, which is shown to be better than every other: it stays.");
    insta::assert_snapshot!(sentence(None, 0), @"learn is shown to be better than every other; today head:abc runs, which was not among them. To run learn: `andon learn mode` promotes learn.");
}

#[test]
fn nothing_shown_says_how_many_examples_would_show_it() {
    let contender = |name: &str, shift: usize, n: usize| comparison::Contender {
        name: name.to_owned(),
        given: Given::Answers(
            answers(140, 6, 0)
                .into_iter()
                .enumerate()
                .map(|(index, mut answer)| {
                    let is_wrong = index >= shift && index < shift + n;
                    answer.best = if is_wrong {
                        (answer.label + 1) % 6
                    } else {
                        answer.label
                    };
                    answer
                })
                .collect(),
        ),
    };
    let entries = [contender("a", 0, 10), contender("b", 8, 14)];
    let found = compare(&entries, 6).unwrap();
    let today = |name: Option<&str>| Today {
        runs: name.unwrap_or("head:abc").to_owned(),
        contender: name.map(str::to_owned),
    };
    let sentence =
        |name| decide(found.clone(), Vec::new(), today(name), |_| String::new()).sentence;
    insta::assert_snapshot!(sentence(Some("b")), @"Today b runs, and nothing is shown to be better: it stays. It and a are not shown to differ: if the difference is real, some 1300 examples more would show it.");
    insta::assert_snapshot!(sentence(None), @"a and b are not shown to differ: if the difference is real, some 1300 examples more would show it; today head:abc runs, which was not among them.");
}

/// Elements without an end.
const VOID: [&str; 3] = ["meta", "!doctype", "img"];

/// Walks through the tags: each that begins ends, in order. Returns their names.
fn parse(html: &str) -> Vec<String> {
    let (mut open, mut names) = (Vec::new(), Vec::new());
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "</{name}>");
            continue;
        }
        let name = tag
            .split_whitespace()
            .next()
            .expect("a tag has a name")
            .to_owned();
        names.push(name.clone());
        if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<String>::new());
    names
}

#[test]
fn the_page_is_well_formed_and_needs_nothing_else() {
    for report in [
        report(1, 2),
        report(50, 6),
        report(900, 150),
        with_comparison(Some("learn"), 3),
    ] {
        let html = page(&report.document()).unwrap();
        let tags = parse(&html);
        for foreign in [
            "script", "link", "img", "iframe", "image", "object", "base", "form",
        ] {
            assert!(!tags.iter().any(|tag| tag == foreign), "<{foreign}>");
        }
        let plain = html.replace("http://www.w3.org/2000/svg", "");
        let plain = plain.replace("http:&#x2f;&#x2f;evil.example", "");
        for reference in ["http:", "https:", "url(", "@import", "//"] {
            assert!(!plain.contains(reference), "{reference}");
        }
        // No mark of a note survives.
        assert!(!html.contains("<script") && !html.contains("onerror=alert(1)>"));
        assert_eq!(tags.iter().filter(|tag| *tag == "svg").count(), 2);
        // The stand-ins of the drawings' colours are gone.
        assert!(!html.contains("#0101") && !html.contains("#0303"));
    }
}

#[test]
fn a_matrix_of_many_labels_keeps_the_confused_ones() {
    let report = report(900, 150);
    let document = report.document();
    let matrix = document
        .sections
        .iter()
        .flat_map(|section| &section.content)
        .find_map(|content| match content {
            Content::Matrix(matrix) => Some(matrix),
            _ => None,
        })
        .unwrap();
    assert!(matrix.rows.len() <= 16);
    let Figures::Decide(evaluation) = &report.figures else {
        panic!("figures of decisions");
    };
    for row in &matrix.rows {
        let of = evaluation.per_label.iter().find(|of| of.label == row.name);
        let told: usize = row.cells.iter().map(|cell| cell.n).sum();
        assert_eq!(Some(told), of.map(|of| of.support), "{}", row.name);
    }
}
