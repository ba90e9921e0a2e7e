use andon_store::Error;
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
