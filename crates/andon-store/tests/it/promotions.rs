use andon_store::{AuditFilter, Candidate, Error, Kind, Page};
use andon_task::digest::Digest;
use andon_task::run::Timestamp;
use serde_json::json;

use crate::Fixture;

const TASK: &str = "failure-code";

#[derive(Clone, Copy)]
enum Step {
    Promote(&'static str),
    RollBack,
}
use Step::{Promote, RollBack};

/// Takes the steps, then expects `current` to serve after a restart.
fn check(steps: &[Step], current: &str) {
    let fixture = Fixture::new();
    for (step, at) in steps.iter().zip(1..) {
        let taken = match step {
            Promote(head) => fixture.store.promote(
                TASK,
                Digest::of(head.as_bytes()),
                Timestamp(at),
                json!({ "accuracy": 0.87, "head": head }),
            ),
            RollBack => fixture.store.rollback(TASK, Timestamp(at), None),
        };
        let taken = taken.expect("a step that is possible");
        assert_eq!(taken.at, Timestamp(at));
        assert_eq!(fixture.store.promoted(TASK).expect("a read"), Some(taken));
    }
    let fixture = fixture.reopen();
    let promotions = fixture.store.promotions(TASK).expect("a listing");
    assert_eq!(promotions.len(), steps.len());
    assert_eq!(promotions[0].digest, Digest::of(current.as_bytes()));
    assert_eq!(promotions[0].figures["head"], current);
    for (promotion, step) in promotions.iter().rev().zip(steps) {
        assert_eq!(promotion.restores.is_some(), matches!(step, RollBack));
    }
    assert_eq!(fixture.store.promoted("team").expect("a read"), None);
}

#[test]
fn a_rollback_goes_to_what_was_current_before() {
    check(&[Promote("a")], "a");
    check(&[Promote("a"), Promote("b")], "b");
    check(&[Promote("a"), Promote("b"), RollBack], "a");
    check(
        &[Promote("a"), Promote("b"), Promote("c"), RollBack, RollBack],
        "a",
    );
    // What was rolled back from does not come again.
    check(
        &[Promote("a"), Promote("b"), RollBack, Promote("c"), RollBack],
        "a",
    );
}

#[test]
fn the_first_promotion_cannot_be_rolled_back() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let refuse = || {
        let error = store
            .rollback(TASK, Timestamp(9), None)
            .expect_err("nothing is there");
        assert!(matches!(error, Error::NothingToRollBack(task) if task == TASK));
    };
    refuse();
    let head = Digest::of(b"a");
    store
        .promote(TASK, head, Timestamp(1), json!({}))
        .expect("a promotion");
    refuse();
    store
        .promote(TASK, Digest::of(b"b"), Timestamp(2), json!({}))
        .expect("a promotion");
    let back = store
        .rollback(TASK, Timestamp(3), Some("ana"))
        .expect("the first");
    assert_eq!((back.digest, back.restores), (head, Some(1)));
    assert_eq!(back.by.as_deref(), Some("ana"));
    refuse();
}

/// What is left of these candidates of a task, oldest first, when two are kept.
#[track_caller]
fn left(candidates: &[&str], promoted: &[&str], left: &[&str]) {
    let fixture = Fixture::new();
    let store = &fixture.store;
    for (name, at) in candidates.iter().zip(1..) {
        let candidate = |task: &str| Candidate {
            task: task.to_owned(),
            kind: Kind::Head,
            digest: Digest::of(name.as_bytes()),
            at: Timestamp(at),
            figures: json!({}),
        };
        store.insert_candidate(&candidate(TASK)).expect("kept");
        if *name == "shared" {
            store.insert_candidate(&candidate("team")).expect("kept");
        }
    }
    for (name, at) in promoted.iter().zip(20..) {
        let head = Digest::of(name.as_bytes());
        store
            .promote(TASK, head, Timestamp(at), json!({}))
            .expect("promoted");
    }
    let forgotten = store
        .forget_candidates(TASK, 2, Timestamp(30), Some("ana"))
        .expect("done");
    let kept: Vec<Digest> = store
        .candidates(TASK)
        .expect("read")
        .iter()
        .map(|c| c.digest)
        .collect();
    let names = |names: &[&str]| -> Vec<Digest> {
        names
            .iter()
            .rev()
            .map(|name| Digest::of(name.as_bytes()))
            .collect()
    };
    assert_eq!(kept, names(left));
    let gone = candidates
        .iter()
        .filter(|name| !left.contains(name) && **name != "shared");
    assert_eq!(
        forgotten.len(),
        gone.count(),
        "what another task has keeps its files"
    );
    let again = store
        .forget_candidates(TASK, 2, Timestamp(31), Some("ana"))
        .expect("done");
    assert_eq!(again, []);
    let rows = store
        .audit(&AuditFilter::default(), Page::default())
        .expect("read");
    let told = rows
        .iter()
        .filter(|row| row.act == "candidates_forgotten")
        .count();
    assert_eq!(told, usize::from(left.len() < candidates.len()));
}

#[test]
fn candidates_that_nothing_leads_to_are_forgotten() {
    left(&["a", "b"], &[], &["a", "b"]);
    left(&["a", "b", "c", "d"], &[], &["c", "d"]);
    left(&["a", "b", "c", "d"], &["a"], &["a", "c", "d"]);
    // One serves, and two rollbacks are possible.
    left(
        &["a", "b", "c", "d", "e", "f"],
        &["a", "b", "c", "d"],
        &["b", "c", "d", "e", "f"],
    );
    left(&["shared", "b", "c"], &[], &["b", "c"]);
}
