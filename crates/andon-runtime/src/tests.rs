use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use andon_store::{RecordFilter, Store};
use andon_task::digest::Digest;
use andon_task::engine::{
    Embed, EngineError, Finish, Generate, GenerateRequest, Generation, Identity, Piece, Prompt,
    Score, ScoreRequest, Scores, Terms, Usage,
};
use andon_task::glossary::Glossary;
use andon_task::head::{Head, Parts as HeadParts, Recipe, Unit, Vocabulary};
use andon_task::plant::Plant;
use andon_task::route::{Reason, Route};
use andon_task::run::{Answerer, NewRecord, Timestamp};
use serde_json::json;
use tempfile::TempDir;

use crate::{AdapterFiles, Error, HeadFiles, Node, Parts};

mod adapters;
mod answers;
mod certificates;

/// Scores a label by its place, and turns a text into the direction of its first
/// letter: `a` east, anything else north. A text with `#` does not fit.
struct Scripted(Identity);

fn scripted(name: &str) -> Scripted {
    Scripted(Identity {
        name: name.to_owned(),
        digest: Digest::of(name.as_bytes()),
        context_tokens: 8,
    })
}

impl Scripted {
    fn unfit(&self) -> EngineError {
        EngineError::DoesNotFit {
            model: self.0.name.clone(),
            prompt_tokens: 9,
            answer_tokens: 0,
            context_tokens: 8,
        }
    }
}

impl Generate for Scripted {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn generate(
        &self,
        _: &GenerateRequest,
        _: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<Generation, EngineError> {
        Err(EngineError::Invalid("not for this test".to_owned()))
    }
}

impl Score for Scripted {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn score_all(&self, requests: &[ScoreRequest]) -> Result<Vec<Scores>, EngineError> {
        let answer = |request: &ScoreRequest| {
            // An adapter turns the order around.
            let sign = if request.adapter.is_some() { 1.0 } else { -1.0 };
            let weights = (0..request.labels.len()).map(|place| (sign * place as f64).exp());
            let sum: f64 = weights.clone().sum();
            Scores {
                shares: weights.map(|weight| weight / sum).collect(),
                usage: Usage::default(),
            }
        };
        Ok(requests.iter().map(answer).collect())
    }

    fn hold_adapter(&self, file: &[u8]) -> Result<(), EngineError> {
        match file {
            b"foreign" => Err(EngineError::Invalid("other shapes".to_owned())),
            _ => Ok(()),
        }
    }

    fn pin(&self, _: &[Prompt]) -> Result<usize, EngineError> {
        Ok(0)
    }
}

impl Embed for Scripted {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn dimensions(&self) -> usize {
        2
    }

    fn count_tokens(&self, text: &str) -> Result<usize, EngineError> {
        Ok(text.len())
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError> {
        texts
            .iter()
            .map(|text| match text.chars().next() {
                _ if text.contains('#') => Err(self.unfit()),
                _ if text.contains('!') => Err(EngineError::Overloaded {
                    waiting: 1,
                    retry_after: Duration::from_secs(1),
                }),
                Some('a') => Ok(vec![1.0, 0.0]),
                _ => Ok(vec![0.0, 1.0]),
            })
            .collect()
    }
}

fn plant(labels: &str) -> Plant {
    let files = [
        (
            "tasks/kind.toml",
            "name = \"kind\"\nkind = \"decide\"\ninstructions = \"Which?\"\nlabels = \"l.csv\"\n",
        ),
        ("l.csv", labels),
        ("procedures/p.md", "# Do it\nSlowly.\n"),
        ("assets.csv", "id,path,name\nA,a/b,One\nB,a/b,Two\n"),
    ];
    let files = files
        .into_iter()
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .collect();
    Plant::parse(&files).expect("a plant")
}

const LABELS: &str = "label,procedure\nnorth,\neast,p.md\n";

struct Bench {
    node: Node,
    heads: HeadFiles,
    _directory: TempDir,
}

fn bench(encoder: Option<&str>, language_model: Option<&str>) -> Bench {
    let directory = tempfile::tempdir().expect("a directory");
    let read: crate::ReadEncoder = Arc::new(|bytes| match bytes {
        b"tuned" => Ok(Arc::new(scripted("tuned"))),
        _ => Err("it is no encoder".to_owned()),
    });
    let folder = directory.path().join("heads");
    let heads = HeadFiles::beside(crate::TunedEncoders::new(folder, Some(read)));
    let node = Node::new(Parts {
        plant: plant(LABELS),
        encoder: encoder.map(|name| Arc::new(scripted(name)) as Arc<dyn Embed>),
        language_model: language_model.map(|name| Arc::new(scripted(name)) as _),
        store: Store::open(directory.path().join("andon.db")).expect("a store"),
        heads: heads.clone(),
        adapters: AdapterFiles::new(directory.path().join("adapters")),
        readers: crate::ReaderFiles::new(directory.path().join("readers")),
        clock: Box::new(|| Timestamp(5)),
    });
    Bench {
        node: node.expect("a node"),
        heads,
        _directory: directory,
    }
}

/// A head that answers `east` for texts that point east.
fn head(labels: &str, encoder: &str) -> Head {
    let plant = plant(labels);
    let labels = plant.tasks["kind"].labels();
    let count = labels.labels().len();
    let mut weights = vec![0.0; 3 * count];
    // One row a dimension: east speaks for the second label, north for the first.
    weights[1] = 4.0;
    weights[count] = 4.0;
    Head::new(HeadParts {
        labels: labels.names(),
        label_set: labels.digest(),
        encoder: Digest::of(encoder.as_bytes()),
        dimensions: 2,
        characters: Vocabulary::empty(Unit::Characters),
        words: Vocabulary::empty(Unit::Words),
        recipe: Recipe {
            words: 0.0,
            vector: 1.0,
            looseness: 1.0,
        },
        weights,
        temperature: 1.0,
        glossary: Glossary::default().digest(),
        also: None,
    })
    .expect("a head")
}

fn promote(bench: &Bench, head: &Head) {
    bench.heads.save(head).expect("saving");
    let store = &bench.node.store;
    store
        .promote("kind", head.digest(), Timestamp(6), json!({}))
        .expect("promoting");
    bench.node.refresh().expect("refreshing");
}

fn note(text: &str, asset: Option<&str>) -> NewRecord {
    NewRecord {
        text: text.to_owned(),
        asset: asset.map(str::to_owned),
        ..NewRecord::default()
    }
}

#[test]
fn a_head_answers_and_its_procedure_comes_along() {
    let bench = bench(Some("e"), Some("m"));
    promote(&bench, &head(LABELS, "e"));
    let taken = bench
        .node
        .take_in(note("a word", Some("A")))
        .expect("taken");
    let stored = bench
        .node
        .run("kind", &taken, &Terms::default())
        .expect("a run");
    let run = &stored.run;
    assert_eq!((run.answer.as_str(), run.calibrated), (Some("east"), true));
    assert_eq!((run.route, run.reason), (Route::Edge, Reason::Confident));
    assert_eq!(run.answered_by, Answerer::Head);
    assert!(run.probability.is_some_and(|p| p > 0.9));
    assert_eq!(run.evidence.len(), 1);
    assert_eq!(bench.node.run_of(stored.id).expect("kept"), stored);
    let again = bench.node.recall(taken.record.id).expect("recalled");
    let again = bench
        .node
        .run("kind", &again, &Terms::default())
        .expect("a run")
        .run;
    assert_eq!(again.probabilities, run.probabilities);
    let preview = bench.node.preview("kind", "a word").expect("a run");
    assert_eq!(preview.probabilities, run.probabilities);
}

#[test]
fn without_a_head_the_labels_are_scored() {
    let bench = bench(Some("e"), Some("m"));
    let run = bench.node.preview("kind", "a word").expect("a run");
    assert_eq!(
        (run.answer.as_str(), run.probability),
        (Some("north"), None)
    );
    assert_eq!(
        (run.route, run.reason),
        (Route::Human, Reason::NotCalibrated)
    );
    assert_eq!(run.answered_by, Answerer::LabelScoring);
}

#[test]
fn a_text_beyond_the_encoder_is_kept_and_scored() {
    let bench = bench(Some("e"), Some("m"));
    promote(&bench, &head(LABELS, "e"));
    let taken = bench.node.take_in(note("a #", None)).expect("taken");
    assert_eq!(taken.vector, None);
    let run = bench
        .node
        .run("kind", &taken, &Terms::default())
        .expect("a run")
        .run;
    assert_eq!(run.answered_by, Answerer::LabelScoring);
}

#[test]
fn a_head_for_something_else_does_not_answer() {
    let check = |head: &Head, encoder: Option<&str>, reason: &str| {
        let bench = bench(encoder, Some("m"));
        promote(&bench, head);
        let status = bench.node.head_status("kind").expect("promoted");
        let refused = status.refused.expect("refused");
        assert!(refused.contains(reason), "{refused}");
        let run = bench.node.preview("kind", "a").expect("a run");
        assert_eq!(run.answered_by, Answerer::LabelScoring);
        let checks = bench.node.readiness().checks;
        assert!(checks.iter().any(|c| c.detail.as_ref() == Some(&refused)));
    };
    check(&head("label\nx\ny\n", "e"), Some("e"), "other labels");
    check(&head(LABELS, "other"), Some("e"), "another encoder");
    check(&head(LABELS, "e"), None, "no encoder is loaded");
}

#[test]
fn a_head_answers_on_the_encoder_that_was_tuned_for_it() {
    let bench = bench(Some("e"), Some("m"));
    bench.heads.encoders().save(b"tuned").expect("saving");
    promote(&bench, &head(LABELS, "tuned"));
    assert_eq!(
        bench.node.head_status("kind").expect("promoted").refused,
        None
    );
    let taken = bench.node.take_in(note("a", None)).expect("taken in");
    let run = bench.node.run("kind", &taken, &Terms::default());
    let run = run.expect("a run").run;
    assert_eq!(run.answered_by, Answerer::Head);
    assert_eq!(run.digests.model, Some(Digest::of(b"tuned")));
}

#[test]
fn a_head_whose_tuned_encoder_was_changed_does_not_answer() {
    let bench = bench(Some("e"), Some("m"));
    bench.heads.encoders().save(b"tuned").expect("saving");
    let file = format!("{}.encoder", Digest::of(b"tuned"));
    let file = bench._directory.path().join("heads").join(file);
    std::fs::write(file, b"spoilt").expect("writing");
    promote(&bench, &head(LABELS, "tuned"));
    let status = bench.node.head_status("kind").expect("promoted");
    let refused = status.refused.expect("refused");
    assert!(refused.contains("not as it was kept"), "{refused}");
}

#[test]
fn a_head_whose_file_was_changed_does_not_answer() {
    let bench = bench(Some("e"), Some("m"));
    let (one, other) = (head(LABELS, "e"), head(LABELS, "x"));
    bench.heads.save(&other).expect("saving");
    let directory = bench._directory.path().join("heads");
    std::fs::rename(
        directory.join(format!("{}.head", other.digest())),
        directory.join(format!("{}.head", one.digest())),
    )
    .expect("renaming");
    bench
        .node
        .store
        .promote("kind", one.digest(), Timestamp(6), json!({}))
        .expect("promoting");
    bench.node.refresh().expect("refreshing");
    let status = bench.node.head_status("kind").expect("promoted");
    assert!(status.refused.expect("refused").contains("another head"));
}

#[test]
fn rolling_back_takes_effect_at_the_next_look() {
    let bench = bench(Some("e"), Some("m"));
    let (first, second) = (head(LABELS, "e"), head(LABELS, "other"));
    promote(&bench, &first);
    promote(&bench, &second);
    assert!(
        bench
            .node
            .head_status("kind")
            .expect("one")
            .refused
            .is_some()
    );
    bench
        .node
        .store
        .rollback("kind", Timestamp(7), None)
        .expect("rolled back");
    bench.node.refresh().expect("refreshing");
    let status = bench.node.head_status("kind").expect("one");
    assert_eq!((status.digest, status.refused), (first.digest(), None));
}

#[test]
fn a_note_repeats_an_open_one_of_its_asset() {
    let bench = bench(Some("e"), Some("m"));
    let check = |text: &str, asset: Option<&str>, repeats: Option<i64>| {
        let taken = bench.node.take_in(note(text, asset)).expect("taken");
        let found = taken.record.repeats.map(|repeat| repeat.record);
        assert_eq!(found, repeats, "{text} {asset:?}");
        taken.record.id
    };
    let first = check("a belt slips", Some("A"), None);
    check("a belt slips", Some("B"), None);
    check("a belt slips", None, None);
    let second = check("a belt SLIPS.", Some("A"), Some(first));
    bench.node.close(first).expect("closed");
    check("a belt slips again", Some("A"), Some(second));
}

#[test]
fn a_note_in_other_words_that_leads_to_the_same_procedure_is_a_repeat() {
    let bench = bench(Some("e"), Some("m"));
    promote(&bench, &head(LABELS, "e"));
    let take = |text| {
        bench
            .node
            .take_in(note(text, Some("A")))
            .expect("taken")
            .record
    };
    let first = take("agua por el suelo");
    let second = take("all wet below");
    assert_eq!(second.repeats.map(|repeat| repeat.record), Some(first.id));
    // What leads to no procedure repeats nothing by that.
    take("handover of the shift");
    assert_eq!(take("no news").repeats, None);
}

#[test]
fn what_cannot_be_taken_in_leaves_nothing() {
    let bench = bench(Some("e"), None);
    let check = |new: NewRecord, expected: &str| {
        let error = bench.node.take_in(new).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(note(" \n\t", None), "empty");
    check(note(&"x".repeat(65_537), None), "65537 bytes");
    check(note("a", Some("Z")), "'Z'");
    check(note("a!", None), "queue is full");
    let meta = NewRecord {
        meta: json!([1]),
        ..note("a", None)
    };
    check(meta, "meta");
    let records = bench
        .node
        .records(&RecordFilter::default(), andon_store::Page::default());
    assert_eq!(records.expect("a page"), []);
}

/// Writes, and cannot weigh labels.
struct Writer(Identity);

impl Generate for Writer {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn generate(
        &self,
        _: &GenerateRequest,
        _: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<Generation, EngineError> {
        Ok(Generation {
            text: "so".to_owned(),
            drawn: Vec::new(),
            finish: Finish::Length,
            usage: Usage::default(),
        })
    }
}

impl Score for Writer {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn score_all(&self, _: &[ScoreRequest]) -> Result<Vec<Scores>, EngineError> {
        Err(EngineError::Invalid("it cannot weigh labels".to_owned()))
    }

    fn pin(&self, _: &[Prompt]) -> Result<usize, EngineError> {
        Ok(0)
    }
}

#[test]
fn a_model_that_cannot_weigh_labels_is_enough_where_heads_answer() {
    let mut bench = bench(Some("e"), None);
    bench.node.language_model = Some(Arc::new(Writer(scripted("w").0)));
    let said = |bench: &Bench| {
        let readiness = bench.node.readiness();
        let check = readiness.checks.iter().find(|check| check.name == "w");
        (readiness.is_ready(), check.expect("a check").detail.clone())
    };
    let reason = Some("it cannot weigh labels".to_owned());
    assert_eq!(said(&bench), (false, reason.clone()));
    promote(&bench, &head(LABELS, "e"));
    assert_eq!(said(&bench), (true, reason));
}

#[test]
fn nothing_answers_without_models() {
    let bench = bench(None, None);
    let error = bench.node.preview("kind", "a").expect_err("refused");
    assert!(matches!(error, Error::NothingAnswers(_)), "{error}");
    let error = bench.node.preview("other", "a").expect_err("refused");
    assert!(matches!(error, Error::UnknownTask(_)), "{error}");
    let readiness = bench.node.readiness();
    assert!(!readiness.is_ready());
    assert_eq!(readiness.checks.iter().filter(|c| c.ready).count(), 1);
}
