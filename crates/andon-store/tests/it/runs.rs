use andon_store::{Counts, Error, Page, RunFilter, RunsByRoute};
use andon_task::digest::Digest;
use andon_task::procedure::Procedure;
use andon_task::route::{Reason, Route};
use andon_task::run::{
    Answerer, Digests, Evidence, Guarantee, LabelProbability, Repeat, Run, Timestamp,
};
use proptest::prelude::*;

use crate::Fixture;

fn procedure(text: &str) -> Evidence {
    Evidence::Procedure(Procedure {
        file: "seal.md".to_owned(),
        id: "P-17".to_owned(),
        title: "Replace the shaft seal".to_owned(),
        revision: Some("C".to_owned()),
        text: text.to_owned(),
    })
}

pub(crate) fn sample(task: &str, route: Route) -> Run {
    Run {
        task: task.to_owned(),
        answer: "leak".into(),
        also: Some("noise".to_owned()),
        probability: Some(0.1 + 0.2),
        probabilities: vec![LabelProbability {
            label: "leak".to_owned(),
            probability: 1.0 / 3.0,
        }],
        calibrated: true,
        route,
        reason: Reason::Confident,
        answered_by: Answerer::Head,
        evidence: vec![
            procedure("1. Lock out. 2. Torque to 35 N·m."),
            Evidence::Repeats(Repeat {
                record: 1,
                likeness: 0.875,
            }),
        ],
        certificate: Guarantee::Uncertified,
        digests: Digests {
            head: Some(Digest::of(b"head")),
            ..Digests::default()
        },
        took_ms: 3.25,
    }
}

/// Inserts a run and reads it in every way that there is.
fn check(fixture: &Fixture, run: &Run) {
    let store = &fixture.store;
    let record = fixture.note("a note").id;
    let stored = store.insert_run(record, Timestamp(9), run).expect("a run");
    assert_eq!(
        (stored.record, stored.created_at, &stored.run),
        (record, Timestamp(9), run)
    );
    assert_eq!(store.run(stored.id).expect("a read"), Some(stored.clone()));
    assert_eq!(
        store.runs_of(record).expect("a read"),
        std::slice::from_ref(&stored)
    );
    let filter = RunFilter {
        unsettled_only: false,
        task: Some(run.task.clone()),
        route: Some(run.route),
    };
    let listed = store.runs(&filter, Page::default()).expect("a listing");
    assert_eq!(listed[0], stored);
}

#[test]
fn any_run_comes_back_as_it_was() {
    let fixture = Fixture::new();
    let number = any::<f64>().prop_filter("runs are finite", |number| number.is_finite());
    proptest!(ProptestConfig::with_cases(100), |(answer: String, texts: Vec<String>, number in number)| {
        let run = Run {
            answer: answer.into(),
            probability: (number > 0.0).then_some(number),
            took_ms: number,
            evidence: texts.iter().map(|text| procedure(text)).collect(),
            ..sample("failure-code", Route::Edge)
        };
        check(&fixture, &run);
    });
}

#[test]
fn runs_outlive_the_process() {
    let fixture = Fixture::new();
    let run = sample("team", Route::Human);
    check(&fixture, &run);
    let fixture = fixture.reopen();
    let stored = fixture
        .store
        .run(1)
        .expect("a read")
        .expect("it was stored");
    assert_eq!(stored.run, run);
    check(&fixture, &run);
}

#[test]
fn a_run_without_its_record_is_refused() {
    let fixture = Fixture::new();
    let run = sample("team", Route::Edge);
    let refused = fixture.store.insert_run(5, Timestamp(1), &run);
    assert!(matches!(refused, Err(Error::NoRecord(5))));
    assert_eq!(fixture.store.run(1).expect("a read"), None);
}

#[test]
fn a_run_that_could_not_be_read_again_is_refused() {
    let fixture = Fixture::new();
    let record = fixture.note("a note").id;
    for (probability, took_ms) in [(None, f64::NAN), (Some(f64::INFINITY), 1.0)] {
        let run = Run {
            probability,
            took_ms,
            ..sample("team", Route::Edge)
        };
        let refused = fixture.store.insert_run(record, Timestamp(1), &run);
        assert!(matches!(refused, Err(Error::Unstorable("run"))));
    }
}

#[test]
fn runs_are_listed_and_counted() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let record = fixture.note("a note").id;
    store
        .close_record(fixture.note("another").id, Timestamp(2))
        .expect("a record");
    for (task, route) in [
        ("team", Route::Edge),
        ("team", Route::Human),
        ("critical", Route::Edge),
        ("team", Route::Cloud),
        ("team", Route::Edge),
    ] {
        store
            .insert_run(record, Timestamp(3), &sample(task, route))
            .expect("a run");
    }
    let list = |task: Option<&str>, route, before, limit| -> Vec<i64> {
        let task = task.map(str::to_owned);
        let runs = {
            let filter = RunFilter {
                task,
                route,
                ..RunFilter::default()
            };
            store.runs(&filter, Page { before, limit })
        };
        runs.expect("a listing").iter().map(|run| run.id).collect()
    };
    assert_eq!(list(None, None, None, 2), [5, 4]);
    assert_eq!(list(Some("team"), None, Some(5), 9), [4, 2, 1]);
    assert_eq!(list(Some("team"), Some(Route::Edge), None, 9), [5, 1]);
    assert_eq!(list(None, Some(Route::Human), None, 9), [2]);
    let expected = Counts {
        records: 2,
        open_records: 1,
        runs: RunsByRoute {
            edge: 3,
            cloud: 1,
            human: 1,
        },
    };
    assert_eq!(store.counts().expect("counts"), expected);
}
