//! What waits for a person, and runs counted as they come.

use andon_store::{InboxFilter, NewAnswer};
use andon_task::audit::Act;
use andon_task::route::Route;
use andon_task::run::Timestamp;
use serde_json::json;

use crate::Fixture;
use crate::runs::sample;

const DAY: i64 = 86_400_000;

#[test]
fn the_inbox_holds_the_newest_run_of_what_nobody_answered() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let [first, second, third] = ["one", "two", "three"].map(|text| fixture.note(text).id);
    let keep = |record, route| {
        let run = sample("t", route);
        store
            .insert_run(record, Timestamp(1), &run)
            .expect("a run")
            .id
    };
    keep(first, Route::Human);
    let again = keep(first, Route::Human);
    keep(second, Route::Edge);
    keep(third, Route::Human);
    let overtaken = keep(third, Route::Edge);
    assert!(overtaken > again);
    let waiting = || {
        let runs = store.inbox(&InboxFilter::default(), 10).expect("runs");
        let size = store.inbox_size(&InboxFilter::default()).expect("a size");
        assert_eq!(size, runs.len() as u64);
        runs.into_iter()
            .map(|waiting| (waiting.run.id, waiting.text))
            .collect::<Vec<_>>()
    };
    assert_eq!(waiting(), [(again, "one".to_owned())]);
    let others = InboxFilter {
        tasks: Some(vec!["u".to_owned()]),
        before: None,
    };
    assert!(store.inbox(&others, 10).expect("runs").is_empty());
    let answer = NewAnswer {
        task: "t".to_owned(),
        record: first,
        run: Some(again),
        answer: Some("leak".into()),
        by: None,
    };
    store
        .insert_answer(answer, Timestamp(2))
        .expect("an answer");
    assert!(waiting().is_empty());
}

#[test]
fn runs_are_counted_by_day() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let record = fixture.note("four").id;
    for (route, day) in [
        (Route::Edge, 0),
        (Route::Edge, 1),
        (Route::Edge, 1),
        (Route::Human, 2),
    ] {
        let run = sample("t", route);
        store
            .insert_run(record, Timestamp(day * DAY + 5), &run)
            .expect("a run");
    }
    let counted = |since: Option<i64>| {
        let tallies = store.tallies(since.map(Timestamp)).expect("tallies");
        tallies
            .into_iter()
            .map(|tally| (tally.route, tally.runs, tally.input_bytes))
            .collect::<Vec<_>>()
    };
    let of = |route: &str, runs| (route.to_owned(), runs, 4 * runs);
    assert_eq!(counted(None), [of("edge", 3), of("human", 1)]);
    assert_eq!(counted(Some(DAY + 7)), [of("edge", 2), of("human", 1)]);
    assert_eq!(counted(Some(2 * DAY)), [of("human", 1)]);
}

#[test]
fn what_upstreams_settled_is_added_up() {
    let fixture = Fixture::new();
    let settled = |day: i64, detail| {
        let at = Timestamp(day * DAY);
        let added = fixture
            .store
            .append_audit(Act::EgressSettled, "node", at, detail);
        added.expect("a row");
    };
    settled(0, json!({ "upstream": "big", "tokens": 100, "cost": 0.25 }));
    settled(1, json!({ "upstream": "big", "tokens": 50, "cost": 0.5 }));
    // An upstream that counts nothing.
    settled(1, json!({ "upstream": "own" }));
    let spent = |since| {
        let spent = fixture.store.spent(since).expect("what was spent");
        spent
            .into_iter()
            .map(|one| (one.upstream, one.calls, one.tokens, one.cost))
            .collect::<Vec<_>>()
    };
    let own = ("own".to_owned(), 1, 0, 0.0);
    assert_eq!(spent(None), [("big".to_owned(), 2, 150, 0.75), own.clone()]);
    assert_eq!(
        spent(Some(Timestamp(DAY + 1))),
        [("big".to_owned(), 1, 50, 0.5), own]
    );
}
