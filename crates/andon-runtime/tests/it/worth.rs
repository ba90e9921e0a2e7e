//! What upstreams were measured to be worth, and what routing makes of it.

use andon_runtime::Consulted;
use andon_store::{AuditFilter, Page};
use andon_task::audit::Act;
use andon_task::route::{Reason, Route};
use andon_task::worth::{Measure, Paired, Worth};

use crate::bench::{Bench, Made, upstream};
use crate::server::{Reply, Server};

/// A measure of the node's upstream, of which the edge alone and the upstream alone were
/// right about so many.
fn measure(bench: &Bench, upstream: &str, edge_alone: usize, upstream_alone: usize) -> Measure {
    let mut uncertain = Paired::default();
    (0..edge_alone).for_each(|_| uncertain.note(true, false));
    (0..upstream_alone).for_each(|_| uncertain.note(false, true));
    (0..20).for_each(|_| uncertain.note(true, true));
    Measure {
        task: "kind".to_owned(),
        upstream: upstream.to_owned(),
        basis: bench
            .node
            .basis_of_worth("kind", upstream)
            .expect("it is known"),
        all: uncertain,
        uncertain,
    }
}

#[test]
fn one_that_is_not_better_is_not_asked_and_the_next_is() {
    let first = Server::start(|_| Reply::label("east"));
    let second = Server::start(|_| Reply::label("east"));
    let both = Made {
        upstreams: upstream("first", &first.url, "") + &upstream("second", &second.url, ""),
        ..Made::with("")
    };
    let bench = both.bench();
    let keep = |measure: &Measure| {
        bench.node.keep_measure(measure, Some("ana")).expect("kept");
    };
    assert_eq!(bench.run("unmeasured").run.route, Route::Cloud);
    assert_eq!((first.count(), second.count()), (1, 0));
    keep(&measure(&bench, "first", 3, 3));
    assert_eq!(bench.run("the second is asked").run.route, Route::Cloud);
    assert_eq!((first.count(), second.count()), (1, 1));
    keep(&measure(&bench, "second", 4, 1));
    let run = bench.run("nobody is asked").run;
    assert_eq!((run.route, run.reason), (Route::Human, Reason::NotBetter));
    // Of another task nothing is known.
    let slip = bench.run_task("slip", "nothing", &Default::default()).run;
    assert_ne!(slip.reason, Reason::NotBetter);
    let before = (first.count(), second.count());
    keep(&measure(&bench, "first", 3, 4));
    assert_eq!(bench.run("better after all").run.route, Route::Cloud);
    assert_eq!((first.count(), second.count()), (before.0 + 1, before.1));
    let filter = AuditFilter {
        act: Some(Act::UpstreamMeasured),
        since: None,
    };
    let page = Page {
        before: None,
        limit: 10,
    };
    let rows = bench.store.audit(&filter, page).expect("the log");
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0].who, "ana");
    assert!(rows[1].detail.contains("not_better"), "{}", rows[1].detail);
}

#[test]
fn a_measure_of_something_else_says_nothing() {
    let server = Server::start(|_| Reply::label("east"));
    let made = Made::with(&server.url);
    let bench = made.bench();
    let known = measure(&bench, "cloud", 5, 0);
    assert_eq!(known.worth(), Worth::NotBetter);
    bench.node.keep_measure(&known, None).expect("kept");
    assert_eq!(bench.run("a note").run.reason, Reason::NotBetter);
    let directory = std::sync::Arc::clone(&bench.directory);
    drop(bench);
    // It is heeded by the next node, unless that asks another model.
    let again = Bench::open(&made, std::sync::Arc::clone(&directory));
    assert_eq!(again.run("another").run.reason, Reason::NotBetter);
    drop(again);
    let other = Made {
        upstreams: made.upstreams.replace("'large'", "'larger'"),
        ..Made::with("")
    };
    let bench = Bench::open(&other, directory);
    assert_eq!(bench.run("a third").run.route, Route::Cloud);
}

#[test]
fn examples_take_the_way_that_all_takes() {
    let server = Server::start(|asked| match asked.last().contains("odd") {
        true => Reply::says("no"),
        false => Reply::label("east"),
    });
    let bench = Made::with(&server.url).bench();
    let consult = |bench: &Bench, text: &str| {
        let run = bench.node.preview("kind", text).expect("a run");
        bench
            .node
            .consult("kind", "cloud", text, run)
            .expect("it is asked")
    };
    let Consulted::Answered(run) = consult(&bench, "Juan Pérez hears it") else {
        panic!("it is answered");
    };
    assert_eq!(run.answer, "east");
    assert!(!String::from_utf8_lossy(&server.asked()[0].bytes).contains("Juan"));
    assert_eq!(consult(&bench, "odd"), Consulted::Unfit);
    assert!(
        bench
            .node
            .consult("kind", "nobody", "a", (*run).clone())
            .is_err()
    );
    // Nothing is kept of it but the rows of the log.
    assert_eq!(bench.node.counts().expect("counts").records, 0);
    let before = server.count();
    let closed = Made::with(&server.url).policy("").bench();
    let Consulted::Closed(reason, _) = consult(&closed, "a note") else {
        panic!("the policy keeps it");
    };
    assert_eq!(reason, Reason::PolicyDenied);
    let poor = Made {
        upstreams: upstream("cloud", &server.url, "budget_day = 0.000001"),
        ..Made::with("")
    };
    let Consulted::Closed(reason, _) = consult(&poor.bench(), "a note") else {
        panic!("there is nothing left to spend");
    };
    assert_eq!(reason, Reason::Budget);
    assert_eq!(server.count(), before);
}
