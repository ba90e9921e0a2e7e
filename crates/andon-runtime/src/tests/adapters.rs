//! Adapters that answer tasks, and those that do not.

use andon_store::Kind;
use andon_task::adapter::TaskAdapter;

use super::*;

/// An adapter of a model, kept and promoted.
fn promoted(bench: &Bench, model: &str, weights: &[u8]) -> TaskAdapter {
    let task = bench.node.task("kind").expect("a task");
    let model = Digest::of(model.as_bytes());
    let adapter = TaskAdapter::new(task, Digest::of(weights), model).calibrated(0.5);
    let files = AdapterFiles::new(bench._directory.path().join("adapters"));
    files.save(&adapter, weights).expect("saving");
    let artefact = (Kind::Adapter, adapter.digest());
    let store = &bench.node.store;
    store
        .promote_as("kind", artefact, Timestamp(6), None, json!({}))
        .expect("promoting");
    adapter
}

#[track_caller]
fn refused(bench: &Bench, reason: &str) {
    bench.node.refresh().expect("refreshing");
    let status = bench.node.adapter_status("kind").expect("promoted");
    let refused = status.refused.expect("refused");
    assert!(refused.contains(reason), "{refused}");
    let run = bench.node.preview("kind", "a word").expect("a run");
    assert_eq!(
        (run.answer.as_str(), run.calibrated),
        (Some("north"), false)
    );
    assert_eq!(run.digests.adapter, None);
    let checks = bench.node.readiness().checks;
    let check = checks.iter().find(|check| check.name == "adapter of kind");
    assert_eq!(check.expect("said").detail, Some(refused));
}

#[test]
fn a_promoted_adapter_answers_with_probabilities() {
    let bench = bench(Some("e"), Some("m"));
    let adapter = promoted(&bench, "m", b"weights");
    bench.node.refresh().expect("refreshing");
    let run = bench.node.preview("kind", "a word").expect("a run");
    assert_eq!((run.answer.as_str(), run.calibrated), (Some("east"), true));
    assert_eq!(run.digests.adapter, Some(adapter.digest()));
    // Half the temperature squares the ratio of the shares.
    let expected = 1.0 / (1.0 + (-2.0f64).exp());
    assert!((run.probability.expect("calibrated") - expected).abs() < 1e-6);
    let task = bench.node.task("kind").expect("a task");
    let serving = bench.node.serving_digests(task).expect("it serves");
    assert_eq!(serving.adapter, Some(adapter.digest()));
}

#[test]
fn heads_and_adapters_take_turns() {
    let bench = bench(Some("e"), Some("m"));
    promote(&bench, &head(LABELS, "e"));
    promoted(&bench, "m", b"weights");
    bench.node.refresh().expect("refreshing");
    let by = |bench: &Bench| {
        let run = bench.node.preview("kind", "a word").expect("a run");
        (run.answered_by, run.calibrated)
    };
    assert_eq!(by(&bench), (Answerer::LabelScoring, true));
    let rolled = bench.node.store.rollback("kind", Timestamp(7), None);
    rolled.expect("a rollback");
    bench.node.refresh().expect("refreshing");
    assert_eq!(by(&bench), (Answerer::Head, true));
    assert_eq!(bench.node.adapter_status("kind"), None);
}

#[test]
fn an_adapter_of_another_model_is_refused_by_name() {
    let bench = bench(Some("e"), Some("m"));
    promoted(&bench, "other", b"weights");
    refused(&bench, &Digest::of(b"other").short());
}

#[test]
fn an_adapter_that_the_model_does_not_take_is_refused() {
    let bench = bench(Some("e"), Some("m"));
    promoted(&bench, "m", b"foreign");
    refused(&bench, "other shapes");
}

#[test]
fn a_damaged_file_is_named() {
    let bench = bench(Some("e"), Some("m"));
    let adapter = promoted(&bench, "m", b"weights");
    let file = bench._directory.path().join("adapters");
    let file = file.join(format!("{}.gguf", adapter.file));
    std::fs::write(&file, b"spoilt").expect("writing");
    refused(&bench, &file.display().to_string());
}
