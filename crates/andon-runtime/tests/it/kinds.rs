//! Tasks of other kinds than decisions, whose uncertain cases go the same way: what comes
//! back is checked against the text and the documents.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use andon_runtime::{Corpus, ReadDocument};
use andon_task::digest::Digest;
use andon_task::engine::{Embed, EngineError, Identity, Terms};
use andon_task::route::{Reason, Route};
use andon_task::run::{Answerer, Evidence, NewRecord, Run};
use serde_json::{Value, json};

use crate::bench::{Bench, Made};
use crate::server::{Asked, Reply, Server};

const SLIP: &str = "Delivered by Juan Pérez: 12 kg, in good order";

/// Vectors that tell nothing.
struct Alike(Identity);

impl Embed for Alike {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn dimensions(&self) -> usize {
        2
    }

    fn count_tokens(&self, text: &str) -> Result<usize, EngineError> {
        Ok(text.split_whitespace().count())
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError> {
        Ok(texts.iter().map(|_| vec![1.0, 0.0]).collect())
    }
}

struct Text;

impl ReadDocument for Text {
    fn version(&self) -> u32 {
        1
    }

    fn read(&self, _: &str, bytes: &[u8]) -> Result<String, String> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// A bench whose documents are read.
fn read(made: &Made) -> Bench {
    let bench = made.bench();
    let encoder = Alike(Identity {
        name: "alike".to_owned(),
        digest: Digest::of(b"alike"),
        context_tokens: 100,
    });
    let corpus = Corpus::ingest(&made.plant(), &bench.store, &encoder, &Text, &mut |_| {});
    bench.node.shelf().fill(&corpus.expect("a corpus"));
    bench
}

/// The first placeholder for a person in what was asked.
fn person(asked: &Asked) -> String {
    let text = asked.last();
    let start = text.find("[PERSON_").expect("a placeholder");
    let length = text[start..].find(']').expect("its end") + 1;
    text[start..start + length].to_owned()
}

fn says(answer: &Value) -> Reply {
    Reply::says(&answer.to_string())
}

fn is_left(run: &Run) -> bool {
    let mut evidence = run.evidence.iter();
    evidence.any(|evidence| matches!(evidence, Evidence::Egress(_)))
}

#[test]
fn values_come_back_as_the_text_has_them() {
    let server =
        Server::start(|asked| says(&json!({"by": person(asked), "amount": 12, "unit": "kg"})));
    let bench = Made::with(&server.url).bench();
    let run = bench.run_task("slip", SLIP, &Terms::default()).run;
    assert_eq!(
        run.answer,
        json!({"by": "Juan Pérez", "amount": 12, "unit": "kg"})
    );
    assert_eq!(
        (run.route, run.answered_by),
        (Route::Cloud, Answerer::Upstream)
    );
    let by = run.evidence.iter().find_map(|evidence| match evidence {
        Evidence::Field(field) if field.path == "by" => field.span,
        _ => None,
    });
    let by = by.expect("its place");
    assert_eq!(&SLIP[by.start..by.end], "Juan Pérez");
    let asked = &server.asked()[0];
    assert!(!String::from_utf8_lossy(&asked.bytes).contains("Juan"));
    let left = run.evidence.iter().find_map(|evidence| match evidence {
        Evidence::Egress(left) => Some(left.fields.clone()),
        _ => None,
    });
    assert_eq!(
        left.expect("what left"),
        ["input", "instructions", "schema"]
    );
}

/// A task, what an upstream says, and the reason that a person gets it after two tries.
#[track_caller]
fn is_refused(task: &str, text: &str, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
    let server = Server::start(answer);
    let bench = read(&Made::with(&server.url));
    let run = bench.run_task(task, text, &Terms::default()).run;
    assert_eq!(
        (run.route, run.reason),
        (Route::Human, Reason::UpstreamInvalid)
    );
    assert_eq!(server.count(), 2);
    assert_ne!(run.answered_by, Answerer::Upstream);
}

#[test]
fn what_does_not_hold_is_asked_for_twice_and_then_a_persons() {
    // A value that the text does not say, and one that the schema does not let.
    is_refused("slip", SLIP, |_| {
        says(&json!({"by": "Somebody Else", "amount": 12, "unit": "kg"}))
    });
    is_refused("slip", SLIP, |_| says(&json!({"unit": "stone"})));
    is_refused("slip", SLIP, |_| Reply::says("Gladly! The unit is kg."));
    is_refused("slip", SLIP, |_| {
        let head = "Content-Type: text/html\r\n".to_owned();
        Reply::Body(200, head, "<html>sign in</html>".to_owned())
    });
    // A sentence that no passage has, and a passage that was not sent.
    let question = "What torque do the bolts take?";
    for (passage, text) in [(1, "Bolts take 35 N·m."), (9, "Bolts take 25 N·m.")] {
        is_refused("ask", question, move |_| {
            says(&json!({"quotations": [{"passage": passage, "text": text}]}))
        });
    }
}

/// The number under which a passage with these words was sent.
fn passage(asked: &Asked, words: &str) -> usize {
    let parts = asked.last().split("Passage ").skip(1);
    let place = parts.into_iter().position(|part| part.contains(words));
    place.expect("it was sent") + 1
}

#[test]
fn an_answer_is_quoted_from_the_passages_that_were_sent() {
    let server = Server::start(|asked| {
        let number = passage(asked, "25");
        let text = format!("Bolts take 25 N·m. {} has the wrench.", person(asked));
        says(&json!({"quotations": [{"passage": number, "text": text}]}))
    });
    let bench = read(&Made::with(&server.url));
    let run = bench
        .run_task("ask", "What torque do the bolts take?", &Terms::default())
        .run;
    assert_eq!(
        (run.route, run.reason),
        (Route::Cloud, Reason::NotCalibrated)
    );
    assert_eq!(run.answer, "Bolts take 25 N·m. Juan Pérez has the wrench.");
    let Some(Evidence::Passage(quoted)) = run.evidence.first() else {
        panic!("{:?}", run.evidence);
    };
    assert_eq!(quoted.citation.section, "manuals/filler.md#torque-of-bolts");
    assert!(!String::from_utf8_lossy(&server.asked()[0].bytes).contains("Juan"));
}

#[test]
fn a_question_goes_with_the_one_before_it() {
    let server = Server::start(|asked| {
        let number = passage(asked, "25");
        says(&json!({"quotations": [{"passage": number, "text": "Bolts take 25 N·m."}]}))
    });
    let bench = read(&Made::with(&server.url));
    let record = NewRecord {
        text: "And the bolts?".to_owned(),
        meta: json!({"before": ["What torque does Juan Pérez use for nozzles?"]}),
        ..NewRecord::default()
    };
    let taken = bench.node.take_in(record).expect("a record");
    let run = bench
        .node
        .run("ask", &taken, &Terms::default())
        .expect("a run")
        .run;
    assert_eq!(run.route, Route::Cloud);
    let asked = server.asked()[0].last().to_owned();
    assert!(
        asked.contains("Question before: What torque does [PERSON_"),
        "{asked}"
    );
    assert!(asked.ends_with("Question: And the bolts?"), "{asked}");
}

#[test]
fn what_no_passage_holds_is_a_persons() {
    let server = Server::start(|_| says(&json!({"quotations": []})));
    let bench = read(&Made::with(&server.url));
    let run = bench
        .run_task("ask", "What torque do the bolts take?", &Terms::default())
        .run;
    assert_eq!(
        (run.route, run.reason),
        (Route::Human, Reason::NotCalibrated)
    );
    assert!(is_left(&run));
    assert_eq!(server.count(), 1);
}

#[test]
fn passages_leave_only_where_the_policy_lets_them() {
    let server = Server::start(|_| says(&json!({"quotations": []})));
    let policy = "permit (principal, action, resource) unless { resource == Field::\"passages\" };";
    let bench = read(&Made::with(&server.url).policy(policy));
    let run = bench
        .run_task("ask", "What torque do the bolts take?", &Terms::default())
        .run;
    assert_eq!(
        (run.route, run.reason),
        (Route::Human, Reason::PolicyDenied)
    );
    assert_eq!(server.count(), 0);
}

#[test]
fn what_waited_comes_back_in_the_plants_own_words() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let server = Server::start(move |asked| match down.load(Ordering::Relaxed) {
        true => Reply::Close,
        false => says(&json!({"by": person(asked), "amount": 12, "unit": "kg"})),
    });
    let bench = Made::with(&server.url).task("queue = true").bench();
    let stored = bench.run_task("slip", SLIP, &Terms::default());
    assert_eq!(stored.run.reason, Reason::Queued);
    is_down.store(false, Ordering::Relaxed);
    let mut settled = 0;
    for _ in 0..200 {
        settled += bench.node.drain_queue().expect("draining").settled;
        if settled > 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let runs = bench.node.runs_of(stored.record).expect("runs");
    let last = &runs.last().expect("one").run;
    assert_eq!(last.route, Route::Cloud);
    assert_eq!(last.answer["by"], "Juan Pérez");
}
