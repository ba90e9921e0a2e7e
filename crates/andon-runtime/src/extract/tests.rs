use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use andon_store::{Kind, Store};
use andon_task::digest::Digest;
use andon_task::engine::{
    Finish, Generate, GenerateRequest, Generation, Identity, Piece, Prompt, Score, ScoreRequest,
    Scores, Terms, Usage,
};
use andon_task::extract::{
    Balance, Demand, Fields, Grouping, Habit, Parts as ReaderParts, Shown, Spelling, Trust,
    digest_of,
};
use andon_task::plant::Plant;
use andon_task::route::Route;
use andon_task::run::{NewRecord, Timestamp};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{AdapterFiles, HeadFiles, LanguageModel, Parts, ReaderFiles};

/// Writes what it was told to, or fails as it was told to.
struct Scripted {
    identity: Identity,
    says: Result<&'static str, EngineError>,
    asked: AtomicUsize,
}

impl Generate for Scripted {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn generate(
        &self,
        request: &GenerateRequest,
        _: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<Generation, EngineError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        assert_eq!(request.alternatives, Some(0));
        let Prompt::Chat(chat) = &request.prompt else {
            panic!("{:?}", request.prompt);
        };
        let turns: Vec<&str> = chat.messages.iter().map(|m| m.content.as_str()).collect();
        assert_eq!(turns[1..3], ["Slip S-1", "{\"number\":\"S-1\"}"]);
        Ok(Generation {
            text: self.says.clone()?.to_owned(),
            drawn: Vec::new(),
            finish: Finish::Stop,
            usage: Usage::default(),
        })
    }
}

impl Score for Scripted {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn score_all(&self, _: &[ScoreRequest]) -> Result<Vec<Scores>, EngineError> {
        Err(EngineError::Invalid("it scores nothing".to_owned()))
    }

    fn pin(&self, _: &[Prompt]) -> Result<usize, EngineError> {
        Ok(0)
    }
}

const SCHEMA: &str = r#"{"type":"object","properties":{"number":{"type":"string","pattern":"^S-[0-9]+$"}},"required":["number"],"additionalProperties":false}"#;

fn plant(deadline: &str) -> Plant {
    let task = format!(
        "name = 'slip'\nkind = 'extract'\ninstructions = 'Which slip?'\nschema = 's.json'\n\
         deadline = '{deadline}'\naccept = 0.8\n"
    );
    let files = [("tasks/slip.toml", task.as_str()), ("s.json", SCHEMA)];
    let files = files
        .into_iter()
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    Plant::parse(&files.collect()).expect("a plant")
}

struct Bench {
    node: Node,
    model: Arc<Scripted>,
    _directory: TempDir,
}

/// A node whose reader takes every number for as probable as any other, and was learnt with
/// the language model `model`, whose word counts for much.
fn bench(deadline: &str, model: &str, says: Result<&'static str, EngineError>) -> Bench {
    let plant = plant(deadline);
    let task = &plant.tasks["slip"];
    let andon_task::task::Kind::Extract(schema) = &task.kind else {
        panic!("{task:?}");
    };
    let model_of = |name: &str| Scripted {
        identity: Identity {
            name: name.to_owned(),
            digest: Digest::of(name.as_bytes()),
            context_tokens: 1_000,
        },
        says: says.clone(),
        asked: AtomicUsize::new(0),
    };
    let shown = vec![Shown {
        input: "Slip S-1".to_owned(),
        expected: "{\"number\":\"S-1\"}".to_owned(),
    }];
    let learnt_with = model_of("learnt-with");
    let opinion = Writer::new(&learnt_with, None).opinion(task, schema, &shown);
    let fields = Fields::of(schema.value()).expect("fields");
    let parts = ReaderParts {
        schema: digest_of(schema.value()),
        demands: vec![Demand::all(&fields.all()[0], 4, 1)],
        remembered: vec![Vec::new()],
        spelling: vec![Spelling::default()],
        grouping: Vec::<Grouping>::new(),
        nested: false,
        always: vec![0],
        weights: Vec::new(),
        trust: Trust::default(),
        meaning: None,
        fusion: Some(Fusion {
            opinion,
            shown,
            ask_below: 0.8,
            given_from: 0.97,
            most_tokens: 100,
            mean_ms: 400.0,
            habits: vec![Habit::default()],
            balance: Balance {
                agreed: vec![4.0, 1.0, 0.0, 0.0, 0.0, 0.0],
                read: vec![-2.0, 1.0, 0.0, 0.0, 0.0, 0.0],
                written: vec![2.0, 0.5, 0.0, 1.0, 0.0, 0.0],
                record: Vec::new(),
            },
        }),
    };
    let reader = Reader::new(fields, parts).expect("a reader");
    let directory = tempfile::tempdir().expect("a directory");
    let readers = ReaderFiles::new(directory.path().join("readers"));
    readers.save(&reader).expect("writable");
    let store = Store::open(directory.path().join("andon.db")).expect("a store");
    let promoted = (Kind::Reader, reader.digest());
    store
        .promote_as("slip", promoted, Timestamp(1), None, Value::Null)
        .expect("promoted");
    let model = Arc::new(model_of(model));
    let node = Node::new(Parts {
        plant,
        encoder: None,
        language_model: Some(Arc::clone(&model) as Arc<dyn LanguageModel>),
        store,
        heads: HeadFiles::new(directory.path().join("heads")),
        adapters: AdapterFiles::new(directory.path().join("adapters")),
        readers,
        clock: Box::new(|| Timestamp(5)),
    });
    Bench {
        node: node.expect("a node"),
        model,
        _directory: directory,
    }
}

fn run(bench: &Bench, text: &str, terms: &Terms) -> Result<Run, Error> {
    let record = NewRecord {
        text: text.to_owned(),
        ..NewRecord::default()
    };
    let taken = bench.node.take_in(record)?;
    Ok(bench.node.run("slip", &taken, terms)?.run)
}

const TWO: &str = "Slip S-41, not S-99";

#[test]
fn what_the_reader_is_not_sure_of_is_asked_of_the_language_model() {
    let bench = bench("person", "learnt-with", Ok("{\"number\":\"S-99\"}"));
    let fused = run(&bench, TWO, &Terms::default()).expect("a run");
    assert_eq!(fused.answered_by, Answerer::ReaderAndGeneration);
    assert_eq!(fused.answer, json!({"number": "S-99"}));
    assert_eq!(fused.route, Route::Edge, "{fused:?}");
    assert!(fused.calibrated && fused.probability > Some(0.8));
    let Some(Evidence::Field(field)) = fused.evidence.first() else {
        panic!("{:?}", fused.evidence);
    };
    assert_eq!(field.span, Some(Span { start: 15, end: 19 }));
    assert!(field.agreed.is_some() && field.confidence > Some(0.8));
    assert_eq!(fused.digests.model, Some(Digest::of(b"learnt-with")));
    assert!(fused.digests.reader.is_some() && fused.digests.prompt.is_some());

    // Of one number it is sure. It is the same system that answers.
    let sure = run(&bench, "Slip S-41", &Terms::default()).expect("a run");
    assert_eq!(sure.answered_by, Answerer::Reader);
    assert_eq!(sure.digests, fused.digests);
    assert_eq!(bench.model.asked.load(Ordering::Relaxed), 1);
    let task = &bench.node.plant().tasks["slip"];
    assert_eq!(
        bench.node.serving_digests(task),
        Some(fused.digests.artefacts())
    );
    assert_eq!(
        bench
            .node
            .reader_status("slip")
            .and_then(|status| status.alone),
        None
    );
}

/// The reader answers alone, and so many times the language model was asked.
#[track_caller]
fn check_alone(bench: &Bench, terms: &Terms, asked: usize) {
    let run = run(bench, TWO, terms).expect("a run");
    assert_eq!(run.answered_by, Answerer::Reader);
    assert_eq!((run.route, run.calibrated), (Route::Human, true));
    assert_eq!((run.digests.model, run.digests.prompt), (None, None));
    assert_eq!(bench.model.asked.load(Ordering::Relaxed), asked);
}

#[test]
fn another_language_model_is_no_second_opinion() {
    let bench = bench("person", "another", Ok("{\"number\":\"S-99\"}"));
    check_alone(&bench, &Terms::default(), 0);
    let status = bench.node.reader_status("slip").expect("promoted");
    assert_eq!(status.refused, None);
    let alone = status.alone.expect("a reason");
    assert!(alone.contains("another language model"), "{alone}");
}

#[test]
fn a_deadline_that_leaves_no_time_is_kept() {
    let bench_of = |deadline| bench(deadline, "learnt-with", Ok("{\"number\":\"S-99\"}"));
    check_alone(&bench_of("machine"), &Terms::default(), 0);
    let within = |time| Terms {
        deadline: Some(Instant::now() + time),
        ..Terms::default()
    };
    let person = bench_of("person");
    check_alone(&person, &within(Duration::from_millis(300)), 0);
    let answered = run(&person, TWO, &within(Duration::from_secs(20))).expect("a run");
    assert_eq!(answered.answered_by, Answerer::ReaderAndGeneration);
}

#[test]
fn where_nothing_is_written_the_reader_answers() {
    let busy = EngineError::Overloaded {
        waiting: 3,
        retry_after: Duration::from_secs(1),
    };
    check_alone(
        &bench("person", "learnt-with", Err(busy)),
        &Terms::default(),
        1,
    );
    check_alone(
        &bench("person", "learnt-with", Ok("{\"number\":")),
        &Terms::default(),
        1,
    );
    // Who has left gets no answer at all.
    let left = bench("person", "learnt-with", Err(EngineError::Cancelled));
    let error = run(&left, TWO, &Terms::default()).expect_err("nobody waits");
    assert!(
        matches!(error, Error::Engine(EngineError::Cancelled)),
        "{error}"
    );
}
