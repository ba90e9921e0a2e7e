use std::cell::Cell;
use std::collections::BTreeMap;

use andon_task::digest::Digest;
use serde_json::json;

use super::*;
use crate::extract::Words;
use crate::extract::learn_reader;

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"number": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["number", "count"]
    })
}

/// Slips with two numbers, of which no reader can know which is meant.
fn slips(count: usize) -> Vec<(String, Value)> {
    let mut random = Random::seeded(5);
    (0..count)
        .map(|slip| {
            let numbers = [0, 1].map(|_| format!("S-{}", 1000 + random.below(9000)));
            let meant = &numbers[random.below(2)];
            let text = format!("Slip {} {}\nCount: {slip}", numbers[0], numbers[1]);
            (text, json!({"number": meant, "count": slip}))
        })
        .collect()
}

/// Says of each text what it was told to, in so many milliseconds.
struct Scripted<'a> {
    says: BTreeMap<String, Value>,
    takes: Duration,
    now: &'a Cell<Duration>,
}

impl SecondReader for Scripted<'_> {
    fn opinion(&self, shown: &[Shown]) -> Opinion {
        let inputs = shown.iter().map(|one| one.input.as_bytes());
        Opinion {
            model: Digest::of(b"scripted"),
            prompt: Digest::of_parts(inputs),
            adapter: None,
        }
    }

    fn write(&mut self, question: &Question<'_>) -> Result<Written, String> {
        self.now.set(self.now.get() + self.takes);
        let shown = |one: &&Shown| one.input == question.text;
        assert_eq!(
            question.shown.iter().find(shown),
            None,
            "it is shown the answer"
        );
        let said = self.says.get(question.text);
        let said = said.ok_or_else(|| "there is nothing to say".to_owned())?;
        let mut said = said.clone();
        // It is held to what is given.
        for (name, held_to) in question.schema["properties"]
            .as_object()
            .expect("properties")
        {
            if let Some(given) = held_to.get("const") {
                said[name] = given.clone();
            }
        }
        Ok(Written::of(&said.to_string(), &[]).expect("JSON"))
    }
}

/// What comes of a second reader that says these things.
fn outcome(
    slips: &[(String, Value)],
    says: impl Fn(usize, &str, &Value) -> Option<Value>,
    takes: Duration,
) -> (LearntReader, Verdict) {
    let pairs: Vec<(&str, &Value)> = slips.iter().map(|(text, e)| (text.as_str(), e)).collect();
    let learnt =
        learn_reader("slip", &schema(), &pairs, Words::None, &Default::default).expect("learnt");
    let now = Cell::new(Duration::ZERO);
    let said = slips
        .iter()
        .enumerate()
        .filter_map(|(slip, (text, expected))| Some((text.clone(), says(slip, text, expected)?)));
    let mut second = Scripted {
        says: said.collect(),
        takes,
        now: &now,
    };
    let asking = Asking {
        below: 0.8,
        within: Some(Duration::from_secs(1)),
        tell: &mut |done, total| assert!(done < total),
        clock: &|| now.get(),
    };
    fuse(learnt, (&schema(), &pairs), asking, &mut second).expect("sound examples")
}

/// The object with the number that is not meant.
fn other(text: &str, expected: &Value) -> Value {
    let meant = expected["number"].as_str().expect("a text");
    let numbers = text.lines().next().expect("a line").split(' ').skip(1);
    let other = numbers.into_iter().find(|number| *number != meant);
    json!({"number": other.expect("two numbers"), "count": expected["count"]})
}

const SOON: Duration = Duration::from_millis(200);

#[test]
fn one_who_knows_better_is_asked() {
    let slips = slips(60);
    let says = |slip: usize, text: &str, expected: &Value| {
        Some(if slip.is_multiple_of(9) {
            other(text, expected)
        } else {
            expected.clone()
        })
    };
    let (learnt, verdict) = outcome(&slips, says, SOON);
    let Verdict::Kept(measured) = &verdict else {
        panic!("{verdict}");
    };
    assert!(
        measured.with.records > measured.without.records + 0.2,
        "{verdict}"
    );
    assert!(measured.with.accepted > 0.5, "{verdict}");
    assert!(measured.with.wrong < Some(0.25), "{verdict}");
    assert_eq!(measured.mean_ms.round(), 200.0);
    let fusion = learnt.reader.fusion().expect("a second opinion");
    assert!(!fusion.shown.is_empty());
    // It is known again from its file, with all that it was learnt with.
    let again = Reader::parse(&schema(), learnt.reader.bytes()).expect("a reader");
    assert_eq!(again.fusion(), Some(fusion));
    // What was held out is what would be answered now.
    let right = learnt
        .held_out
        .iter()
        .filter(|graded| graded.is_right())
        .count();
    assert!(right > 40, "{right} of 60");

    // Asked again, it answers what it was asked.
    let pairs: Vec<(&str, &Value)> = slips.iter().map(|(text, e)| (text.as_str(), e)).collect();
    let now = Cell::new(Duration::ZERO);
    let said = slips
        .iter()
        .map(|(text, expected)| (text.clone(), expected.clone()));
    let unshown = |(text, _): &(String, Value)| fusion.shown.iter().all(|one| one.input != *text);
    let says = said.filter(unshown).collect();
    let mut second = Scripted {
        says,
        takes: SOON,
        now: &now,
    };
    let pairs: Vec<(&str, &Value)> = pairs
        .into_iter()
        .filter(|(text, _)| second.says.contains_key(*text))
        .collect();
    let golds = golds(learnt.reader.fields(), &pairs).expect("sound");
    let mut graded: Vec<Graded> = (pairs.iter().zip(&golds))
        .map(|((text, _), gold)| {
            let fields = learnt.reader.fields();
            grade::grade(
                &learnt.reader,
                fields,
                (text, gold),
                None,
                &Default::default,
            )
        })
        .collect();
    let before = graded.iter().filter(|graded| graded.is_right()).count();
    let clock = || now.get();
    let telling: (&mut dyn FnMut(usize, usize), &dyn Fn() -> Duration) = (&mut |_, _| {}, &clock);
    ask_again(
        &learnt.reader,
        (&schema(), &pairs),
        &mut graded,
        telling,
        &mut second,
    )
    .expect("sound");
    let after = graded.iter().filter(|graded| graded.is_right()).count();
    assert!(
        after >= before && after > 50,
        "{before} and {after} of {}",
        graded.len()
    );
}

#[test]
fn one_who_makes_numbers_up_is_not() {
    let says = |_: usize, _: &str, expected: &Value| {
        Some(json!({"number": "S-0000", "count": expected["count"]}))
    };
    let (learnt, verdict) = outcome(&slips(60), says, SOON);
    assert!(matches!(verdict, Verdict::Left(_)), "{verdict}");
    assert_eq!(learnt.reader.fusion(), None);
}

#[test]
fn why_nobody_is_asked_is_said() {
    let slips = slips(40);
    let knows = |_: usize, _: &str, expected: &Value| Some(expected.clone());
    let (learnt, verdict) = outcome(&slips, knows, Duration::from_secs(3));
    assert_eq!(
        verdict,
        Verdict::Slow {
            mean_ms: 3000.0,
            within_ms: 1000.0
        }
    );
    assert_eq!(learnt.reader.fusion(), None);

    let (_, verdict) = outcome(&slips, |_, _, _| None, SOON);
    let said = verdict.to_string();
    assert!(
        said.ends_with("wrote no objects (there is nothing to say)"),
        "{said}"
    );

    let (_, verdict) = outcome(&slips[..8], knows, SOON);
    assert!(matches!(verdict, Verdict::Sure { of: 8, .. }), "{verdict}");
}
