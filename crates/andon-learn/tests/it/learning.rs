use std::error::Error as _;
use std::time::Duration;

use andon_learn::promotion::not_worse;
use andon_learn::{
    Candidate, LearnError, Lesson, Progress, Stage, cross_validate, evaluate_head, learn,
};
use andon_task::example::LabelledText;
use andon_task::glossary::Glossary;
use andon_task::head::{Head, HeadError};
use andon_task::task::Task;
use serde_json::{Value, json};

use crate::encoder::Trigrams;
use crate::notes::{examples, task};

/// A clock that stands still.
fn still() -> Duration {
    Duration::ZERO
}

fn learn_from(examples: &[LabelledText]) -> Result<Candidate, LearnError> {
    learn_with(examples, &Glossary::default())
}

fn lesson<'a>(
    task: &'a Task,
    examples: &'a [LabelledText],
    encoder: &'a Trigrams,
    glossary: &'a Glossary,
) -> Lesson<'a> {
    Lesson {
        task,
        examples,
        encoder,
        tune: None,
        glossary,
    }
}

fn learn_with(examples: &[LabelledText], glossary: &Glossary) -> Result<Candidate, LearnError> {
    let (task, encoder) = (task(), Trigrams::new());
    learn(
        &lesson(&task, examples, &encoder, glossary),
        &still,
        &mut |_| {},
    )
}

fn example(text: &str, label: usize) -> LabelledText {
    LabelledText {
        text: text.to_owned(),
        label,
        also: None,
        language: None,
    }
}

/// Numbers to four places: the last bits of `exp` differ between C libraries.
fn rounded(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if !number.is_u64() => json!((float * 1e4).round() / 1e4),
            _ => Value::Number(number),
        },
        Value::Array(values) => values.into_iter().map(rounded).collect(),
        Value::Object(entries) => entries
            .into_iter()
            .map(|(key, value)| (key, rounded(value)))
            .collect(),
        other => other,
    }
}

#[test]
fn a_candidate_is_measured() {
    let candidate = learn_from(&examples()).unwrap();
    let by_chance = candidate.evaluation.ece_by_chance;
    assert!(0.0 < by_chance && by_chance < 0.5, "{by_chance}");
    let Value::Object(figures) = serde_json::to_value(&candidate.evaluation).unwrap() else {
        panic!("figures are an object");
    };
    // Draws turn on the last bits of confidences.
    let figures = figures
        .into_iter()
        .filter(|(name, _)| name != "ece_by_chance");
    insta::assert_json_snapshot!(rounded(Value::Object(figures.collect())));
    assert_eq!(candidate.outcomes.len(), examples().len());
    assert!(not_worse(&candidate.outcomes, None).promotes());
    assert!(not_worse(&candidate.outcomes, Some(&candidate.outcomes)).promotes());
}

#[test]
fn the_same_examples_give_the_same_bytes() {
    let (first, second) = (learn_from(&examples()), learn_from(&examples()));
    let (first, second) = (first.unwrap().head, second.unwrap().head);
    assert_eq!(first.bytes(), second.bytes());
    let fewer = learn_from(&examples()[1..]).unwrap().head;
    assert_ne!(first.digest(), fewer.digest());
}

#[test]
fn a_head_from_its_file_answers_as_the_trained_one() {
    let head = learn_from(&examples()).unwrap().head;
    let read = Head::parse(head.bytes()).unwrap();
    let encoder = Trigrams::new();
    let seen = examples();
    let found = evaluate_head(
        &task(),
        &read,
        &seen,
        &encoder,
        &Glossary::default(),
        &still,
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(found.accuracy.value, 1.0);
    let spanish = found.per_language.iter().find(|of| of.language == "es");
    assert_eq!(spanish.map(|of| of.n), Some(6));
}

#[test]
fn a_description_teaches_a_label_without_examples() {
    use andon_task::engine::Embed as _;
    let head = learn_from(&examples()).unwrap().head;
    let text = "the guard interlock does not work";
    let (glossary, vector) = (Glossary::default(), Trigrams::new().embed(&[text]));
    let vector = vector.unwrap().remove(0);
    let probabilities = head.decide(&glossary.read(text), &vector).unwrap();
    assert_eq!(probabilities.len(), 5);
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(
        probabilities[..4]
            .iter()
            .all(|&other| other < probabilities[4])
    );
}

#[test]
fn odd_examples_are_learned_from() {
    let check = |examples: &[LabelledText]| {
        let evaluation = learn_from(examples).unwrap().evaluation;
        assert_eq!(evaluation.n, examples.len());
        let (found, encoder) = (evaluation.accuracy.value, Trigrams::new());
        let (task, glossary) = (task(), Glossary::default());
        let lesson = lesson(&task, examples, &encoder, &glossary);
        let alone = cross_validate(&lesson, &still, &mut |_| {}).unwrap();
        assert_eq!(alone.accuracy.value, found);
    };
    // One example each; copies; contradicting copies; no known n-gram; no letters.
    check(&[example("hot", 2), example("noise", 1)]);
    check(&[example("hot", 2), example("HOT", 2), example("noise", 1)]);
    check(&[example("hot", 2), example("hot", 1), example("noise", 1)]);
    check(&[example("xyz", 2), example("uvw", 1), example("rst", 0)]);
    check(&[example("\u{301}", 2), example("?", 1), example("\0 \0", 0)]);
}

#[test]
fn what_cannot_be_learned_is_said() {
    let check = |examples: &[LabelledText], expected: &str| {
        let error = learn_from(examples).unwrap_err();
        let source = error.source().map(|source| format!(": {source}"));
        assert_eq!(format!("{error}{}", source.unwrap_or_default()), expected);
    };
    check(
        &[],
        "task 'mode' has no examples: add lines to examples/mode.jsonl",
    );
    check(
        &[example("hot", 2), example("too hot", 2)],
        "the examples of task 'mode' show only the label 'heat': add examples of at least one more",
    );
    check(
        &[example("hot", 2), example(" Hot", 1)],
        "the examples of task 'mode' all have the same text: add others",
    );
    check(
        &[example("hot", 5)],
        "example 1 has label number 5, but task 'mode' has 5 labels: read the examples with this task's labels",
    );
    check(
        &[example("hot", 2), example(&"noise ".repeat(101), 1)],
        "the encoder did not take example 2: the prompt has 101 tokens and 0 are wanted for the answer, but the model 'trigrams' holds 100: shorten the text",
    );
}

#[test]
fn progress_ends_where_it_said_it_would() {
    let mut seen: Vec<Progress> = Vec::new();
    let (task, examples, encoder) = (task(), examples(), Trigrams::new());
    learn(
        &lesson(&task, &examples, &encoder, &Glossary::default()),
        &still,
        &mut |progress| {
            seen.push(progress);
        },
    )
    .unwrap();
    for (stage, total) in [(Stage::Embedding, examples.len()), (Stage::Training, 6)] {
        let of_stage = seen.iter().filter(|progress| progress.stage == stage);
        let done: Vec<usize> = of_stage.clone().map(|progress| progress.done).collect();
        assert_eq!(done, (0..=total).collect::<Vec<_>>());
        assert!(of_stage.clone().all(|progress| progress.total == total));
    }
}

#[test]
fn a_glossary_carries_what_one_language_taught_to_another() {
    use andon_task::engine::Embed as _;
    let glossary = "term,meaning\nheiss,hot\nundicht*,leak\nlärm,noise";
    let glossary = Glossary::parse(glossary).unwrap();
    let head = learn_with(&examples(), &glossary).unwrap().head;
    let encoder = Trigrams::new();
    let best = |text: &str| {
        let reading = glossary.read(text);
        let vector = encoder.embed(&[reading.text()]).unwrap().remove(0);
        let probabilities = head.decide(&reading, &vector).unwrap();
        (0..5).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]))
    };
    let check = |text: &str, label: usize| assert_eq!(best(text), Some(label), "{text}");
    check("Dichtung undichte", 0);
    check("Lager LÄRM", 1);
    check("Lager sehr heiß heiss", 2);

    let (task, seen, none) = (task(), examples(), Glossary::default());
    let other = evaluate_head(&task, &head, &seen, &encoder, &none, &still, &mut |_| {});
    assert!(matches!(
        other,
        Err(LearnError::Head(HeadError::OtherGlossary { .. }))
    ));
}
