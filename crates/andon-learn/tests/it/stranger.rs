//! The label for what fits no other, where there is no example of it. On CLINC150, which
//! is not part of the repository; the folder of data sets is `ANDON_DATA`.

use std::time::Duration;

use andon_learn::{Lesson, learn};
use andon_task::engine::Embed as _;
use andon_task::example::LabelledText;
use andon_task::glossary::Glossary;
use andon_task::label::LabelSet;
use andon_task::task::{Task, TaskFile};

use crate::data::{clinc, clinc_strangers};
use crate::encoder::Trigrams;

/// Texts of each intent that are taught, and that are not.
const TAUGHT: usize = 20;
const HELD_OUT: usize = 10;
const INTENTS: usize = 60;

/// How often a known text has the lower score, of all pairs.
fn auroc(known: &[f64], strange: &[f64]) -> f64 {
    let pairs = known
        .iter()
        .flat_map(|known| strange.iter().map(move |s| (known, s)));
    let won = pairs.map(|(known, strange)| f64::from(u8::from(known < strange)));
    won.sum::<f64>() / (known.len() * strange.len()) as f64
}

#[test]
fn strangers_are_told_without_examples_of_them() {
    let (Some(rows), Some(strangers)) = (clinc(), clinc_strangers()) else {
        eprintln!("skipped: clinc150 is not there");
        return;
    };
    let mut intents: Vec<&str> = rows.iter().map(|(_, label)| label.as_str()).collect();
    intents.sort_unstable();
    intents.dedup();
    intents.truncate(INTENTS);
    let file = format!("label,none\n{},\nnothing,true\n", intents.join(",\n"));
    let labels = LabelSet::parse(&file).unwrap();
    let toml = "name = 'set'\nkind = 'decide'\ninstructions = 'Which?'\nlabels = 'l.csv'";
    let task: Task = TaskFile::parse("set", toml).unwrap().resolve(labels);
    let (mut taught, mut held_out) = (Vec::new(), Vec::new());
    for intent in &intents {
        let mut texts = rows.iter().filter(|(_, label)| label == intent);
        let example = |(text, label): &(String, String)| LabelledText {
            text: text.clone(),
            label: task.labels().position(label).unwrap(),
            also: None,
            language: None,
        };
        taught.extend(texts.by_ref().take(TAUGHT).map(example));
        held_out.extend(texts.take(HELD_OUT).map(example));
    }
    let (encoder, glossary) = (Trigrams::new(), Glossary::default());
    let lesson = Lesson {
        task: &task,
        examples: &taught,
        encoder: &encoder,
        tune: None,
        glossary: &glossary,
    };
    let candidate = learn(&lesson, &|| Duration::ZERO, &mut |_| {}).unwrap();
    // Of a text: how probable it is that no label fits, how unsure the best one is, and
    // whether it is called a stranger.
    let look = |text: &str| {
        let reading = glossary.read(text);
        let vector = encoder.embed(&[reading.text()]).unwrap().remove(0);
        let shares = candidate.head.decide(&reading, &vector).unwrap();
        let (strange, others) = shares.split_last().unwrap();
        let best = others.iter().copied().fold(0.0, f64::max);
        (*strange, 1.0 - best, *strange > best)
    };
    let known: Vec<_> = held_out.iter().map(|example| look(&example.text)).collect();
    let strange: Vec<_> = strangers.iter().map(|text| look(text)).collect();
    let share =
        |of: &[(f64, f64, bool)]| of.iter().filter(|look| look.2).count() as f64 / of.len() as f64;
    let column = |of: &[(f64, f64, bool)], at: fn(&(f64, f64, bool)) -> f64| {
        of.iter().map(at).collect::<Vec<f64>>()
    };
    let by_label = auroc(&column(&known, |l| l.0), &column(&strange, |l| l.0));
    let by_doubt = auroc(&column(&known, |l| l.1), &column(&strange, |l| l.1));
    println!(
        "strangers: AUROC {by_label:.3}, by the best probability {by_doubt:.3}; \
         called so {:.3} of the strangers, {:.3} of the known",
        share(&strange),
        share(&known)
    );
    assert!(by_label > 0.85, "{by_label}");
    assert!(share(&known) < 0.09, "{}", share(&known));
    assert!(share(&strange) > 5.0 * share(&known), "{}", share(&strange));
}
