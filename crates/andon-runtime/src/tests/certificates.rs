//! Certificates, spot checks and people's answers.

use andon_store::{Page, RunFilter};
use andon_task::certificate::{Basis, Certificate, Severity, Terms as Asked, Thresholds};
use andon_task::drift::Profile;
use andon_task::run::{Guarantee, StoredRun};

use super::*;
use crate::Validity;

/// A node whose head is certified from a threshold on.
fn certified(threshold: f64, spot_check: f64, profile: Profile) -> Bench {
    let mut bench = bench(Some("e"), Some("m"));
    let task = bench.node.plant.tasks.get_mut("kind").expect("a task");
    task.spot_check = spot_check;
    promote(&bench, &head(LABELS, "e"));
    let node = &bench.node;
    let digests = node.serving_digests(&node.plant.tasks["kind"]);
    let certificate = Certificate {
        task: "kind".to_owned(),
        terms: Asked {
            alpha: 0.05,
            critical_alpha: 0.05,
            delta: 0.1,
        },
        basis: Basis::Fresh,
        artefacts: digests.expect("a head").artefacts(),
        examples: Digest::of(b"examples"),
        n: 300,
        thresholds: Thresholds {
            ordinary: Some(threshold),
            critical: Some(threshold),
        },
        promises: Vec::new(),
        coverage: 1.0,
        profile,
        issued_at: Timestamp(6),
    };
    node.store
        .insert_certificate(&certificate, Some("ana"))
        .expect("kept");
    node.refresh().expect("refreshing");
    bench
}

/// The profile of a head that is always as sure as the one here.
fn sure() -> Profile {
    Profile::of([1.0 / (1.0 + (-4f64).exp()); 300])
}

fn run(bench: &Bench, text: &str) -> StoredRun {
    let taken = bench.node.take_in(note(text, None)).expect("taken");
    let run = bench.node.run("kind", &taken, &Terms::default());
    run.expect("a run")
}

fn validity(bench: &Bench) -> Validity {
    let status = bench.node.certificate_status("kind").expect("a read");
    status.expect("a certificate").validity
}

#[test]
fn a_certificate_routes_until_anything_changes() {
    let bench = certified(0.98, 0.0, sure());
    let first = run(&bench, "a word").run;
    assert_eq!(
        (first.route, first.reason),
        (Route::Edge, Reason::Confident)
    );
    let Guarantee::Certified(mark) = &first.certificate else {
        panic!("{:?}", first.certificate);
    };
    assert_eq!((mark.n, mark.threshold), (300, Some(0.98)));
    assert_eq!(validity(&bench), Validity::InForce);
    assert!(bench.node.readiness().is_ready());
    // Another head, by a hair.
    let other = Head::new(HeadParts {
        temperature: 1.01,
        ..head(LABELS, "e").parts().clone()
    });
    promote(&bench, &other.expect("a head"));
    let second = run(&bench, "a word").run;
    assert_eq!(second.certificate, Guarantee::Uncertified);
    let Validity::Void(reason) = validity(&bench) else {
        panic!("it is void");
    };
    assert!(reason.contains("another head"), "{reason}");
    let checks = bench.node.readiness().checks;
    assert!(
        checks
            .iter()
            .any(|check| check.name == "certificate of kind")
    );
    // What was certified serves again, and the certificate with it.
    bench
        .node
        .store
        .rollback("kind", Timestamp(9), None)
        .expect("rolled back");
    bench.node.refresh().expect("refreshing");
    assert_eq!(validity(&bench), Validity::InForce);
}

#[test]
fn a_certificate_may_ask_for_more_than_the_task() {
    let bench = certified(0.99, 0.0, sure());
    let run = run(&bench, "a word").run;
    assert_eq!(
        (run.route, run.reason),
        (Route::Human, Reason::BelowThreshold)
    );
}

#[test]
fn wrong_spot_checks_suspend_it() {
    let bench = certified(0.98, 1.0, sure());
    let first = run(&bench, "a word").run;
    assert_eq!(
        (first.route, first.reason),
        (Route::Human, Reason::SpotCheck)
    );
    // Right ones do not.
    for number in 0..10 {
        let checked = run(&bench, &format!("a right {number}"));
        let settled = bench.node.settle(checked.id, Some(&"east".into()), None);
        assert!(settled.expect("settled").settled.is_some());
    }
    assert_eq!(validity(&bench), Validity::InForce);
    let mut answered = 0;
    while validity(&bench) == Validity::InForce {
        let checked = run(&bench, &format!("a wrong {answered}"));
        bench
            .node
            .settle(checked.id, Some(&"north".into()), None)
            .expect("settled");
        answered += 1;
        assert!(answered < 10, "nothing is found");
    }
    assert!(answered > 1, "one wrong answer is no evidence");
    let status = bench.node.certificate_status("kind").expect("a read");
    let status = status.expect("a certificate");
    assert_eq!(status.spot_checks, (10 + answered, answered));
    assert!(status.errors.peak >= status.limit);
    // From then on the runs say so, at once and after a restart.
    let after = run(&bench, "a word more").run;
    assert_eq!(after.certificate, Guarantee::Suspended);
    assert_eq!(after.reason, Reason::Confident);
    bench.node.refresh().expect("refreshing");
    assert!(matches!(validity(&bench), Validity::Suspended(_)));
}

#[test]
fn answers_to_other_runs_are_no_spot_checks() {
    let bench = certified(0.99, 1.0, sure());
    for number in 0..20 {
        let unsure = run(&bench, &format!("a wrong {number}"));
        assert_eq!(unsure.run.reason, Reason::BelowThreshold);
        bench
            .node
            .settle(unsure.id, Some(&"north".into()), None)
            .expect("settled");
    }
    let status = bench.node.certificate_status("kind").expect("a read");
    assert_eq!(status.expect("a certificate").spot_checks, (0, 0));
    assert_eq!(validity(&bench), Validity::InForce);
}

#[test]
fn other_inputs_suspend_it() {
    // It was made from notes that the head was less sure of.
    let unsure = Profile::of((0..300).map(|step| 0.5 + f64::from(step) / 1000.0));
    let bench = certified(0.98, 0.0, unsure);
    let mut seen = 0;
    while validity(&bench) == Validity::InForce {
        run(&bench, &format!("a word {seen}"));
        seen += 1;
        assert!(seen < 60, "nothing is found");
    }
    assert!(seen > 5, "some notes are no evidence");
    assert_eq!(run(&bench, "a word").run.certificate, Guarantee::Suspended);
}

#[test]
fn a_record_that_is_run_again_is_no_new_input() {
    let bench = certified(0.98, 0.0, sure());
    let stored = run(&bench, "a word");
    for _ in 0..5 {
        let taken = bench.node.recall(stored.record).expect("recalled");
        bench
            .node
            .run("kind", &taken, &Terms::default())
            .expect("a run");
    }
    let status = bench.node.certificate_status("kind").expect("a read");
    assert_eq!(status.expect("a certificate").inputs.n, 1);
}

#[test]
fn people_settle_runs_and_correct_themselves() {
    let bench = bench(Some("e"), Some("m"));
    promote(&bench, &head(LABELS, "e"));
    let stored = run(&bench, "a word");
    assert_eq!(stored.settled, None);
    let settle = |label: Option<&str>, by: Option<&str>| {
        let label = label.map(serde_json::Value::from);
        bench.node.settle(stored.id, label.as_ref(), by)
    };
    let error = settle(Some("west"), None).expect_err("refused");
    assert!(matches!(error, Error::UnknownLabel { .. }), "{error}");
    let error = settle(Some("east"), Some(" ")).expect_err("refused");
    assert!(matches!(error, Error::Name), "{error}");
    let error = bench.node.settle(99, None, None).expect_err("refused");
    assert!(matches!(error, Error::UnknownRun(99)), "{error}");
    let open = |bench: &Bench| {
        let filter = RunFilter {
            unsettled_only: true,
            ..RunFilter::default()
        };
        bench
            .node
            .runs(&filter, Page::default())
            .expect("a page")
            .len()
    };
    assert_eq!(open(&bench), 1);
    settle(Some("east"), Some("ana")).expect("settled");
    let settled = settle(Some("north"), Some("luis")).expect("settled");
    let last = settled.settled.expect("an answer");
    assert_eq!(last.answer, Some("north".into()));
    assert_eq!(last.by.as_deref(), Some("luis"));
    assert_eq!(bench.node.run_of(stored.id).expect("a run").run, stored.run);
    assert_eq!(open(&bench), 0);
    let answers = bench.node.answers("kind").expect("answers");
    assert_eq!(answers.len(), 1);
    assert_eq!(
        (answers[0].answer.clone(), answers[0].text.as_str()),
        (Some("north".into()), "a word")
    );
    settle(None, None).expect("settled");
    let answers = bench.node.answers("kind").expect("answers");
    assert_eq!(answers[0].answer, None);
    // A record may be labelled before any run.
    let taken = bench.node.take_in(note("a note", None)).expect("taken");
    bench
        .node
        .label_record("kind", taken.record.id, Some(&"east".into()), None)
        .expect("labelled");
    assert_eq!(bench.node.answers("kind").expect("answers").len(), 2);
}

#[test]
fn severities_are_those_of_the_label_file() {
    let labels = plant("label,critical\nnorth,yes\neast,\n");
    let labels = labels.tasks["kind"].labels();
    assert_eq!(labels.severity("north"), Severity::Critical);
    assert_eq!(labels.severity("east"), Severity::Ordinary);
    assert_eq!(labels.severity("west"), Severity::Ordinary);
}
