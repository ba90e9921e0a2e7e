//! What the plant's normaliser masks does not leave; and normalising itself, where an
//! upstream is asked.

use andon_runtime::HeadFiles;
use andon_store::Kind;
use andon_task::engine::Terms;
use andon_task::normalise::{Calibration, Memory, Normaliser, Ranker, tokens};
use andon_task::route::{Reason, Route};
use andon_task::run::{Answerer, Evidence};
use serde_json::json;

use crate::bench::{Bench, Made};
use crate::server::{Reply, Server};

/// A normaliser that masks two words, promoted.
fn promote(bench: &Bench) -> std::path::PathBuf {
    let text = "bodkin says zqx9 rep pmp";
    let targets = ["<sensitive>", "says", "<id>", "replace", "pump"].map(str::to_owned);
    let read = tokens(text);
    let memory = Memory::of([(read.as_slice(), targets.as_slice())]);
    let normaliser = Normaliser::new(&memory, &Ranker::default(), Calibration::NONE);
    let folder = bench.directory.path().join("heads");
    HeadFiles::new(&folder)
        .save_normaliser(&normaliser)
        .expect("kept");
    let artefact = (Kind::Normaliser, normaliser.digest());
    let now = bench.node.now();
    bench
        .store
        .promote_as("plain", artefact, now, None, json!({}))
        .expect("promoted");
    bench.node.refresh().expect("refreshed");
    folder.join(format!("{}.normaliser", normaliser.digest()))
}

#[test]
fn words_that_the_normaliser_masks_do_not_leave() {
    let server = Server::start(|_| Reply::label("east"));
    let made = Made::with(&server.url);
    let bench = made.bench();
    let note = "Bodkin says ZQX9 rep";
    bench.run(note);
    let sent = |at: usize| String::from_utf8_lossy(&server.asked()[at].bytes).into_owned();
    assert!(sent(0).contains("Bodkin"), "nobody said that it is a name");
    let file = promote(&bench);
    let run = bench.run(note).run;
    assert_eq!(run.route, Route::Cloud);
    let sent = sent(1);
    assert!(!sent.contains("Bodkin") && !sent.contains("ZQX9"), "{sent}");
    assert!(sent.contains("says"), "{sent}");
    let left = run.evidence.iter().find_map(|evidence| match evidence {
        Evidence::Egress(left) => Some(left.redactions.clone()),
        _ => None,
    });
    let left = left.expect("what left");
    assert_eq!((left["SENSITIVE"], left["ID"]), (1, 1));
    // One that cannot be read closes the way.
    let directory = std::sync::Arc::clone(&bench.directory);
    drop(bench);
    std::fs::write(&file, "rubbish").expect("written");
    let bench = Bench::open(&made, directory);
    let run = bench.run(note).run;
    assert_eq!(
        (run.route, run.reason),
        (Route::Human, Reason::RedactionFailed)
    );
    assert_eq!(server.count(), 2);
}

#[test]
fn an_uncertain_text_is_put_into_plain_words_upstream() {
    let server = Server::start(|asked| {
        let words = asked.last().replace("rep pmp", "replace pump");
        match asked.last().contains("odd") {
            true => Reply::says(&json!({"text": "replace 7 pumps"}).to_string()),
            false => Reply::says(&json!({ "text": words }).to_string()),
        }
    });
    let bench = Made::with(&server.url).task("accept = 1.0").bench();
    promote(&bench);
    let run = bench
        .run_task("plain", "Juan Pérez: rep pmp 3", &Terms::default())
        .run;
    assert_eq!(run.answer, "Juan Pérez: replace pump 3");
    assert_eq!(
        (run.route, run.answered_by),
        (Route::Cloud, Answerer::Upstream)
    );
    assert!(
        run.evidence
            .iter()
            .any(|one| matches!(one, Evidence::Edge { .. }))
    );
    let asked = &server.asked()[0];
    assert!(!String::from_utf8_lossy(&asked.bytes).contains("Juan"));
    // Numbers that the text does not have are no plain words of it.
    let run = bench.run_task("plain", "odd 3", &Terms::default()).run;
    assert_eq!(
        (run.route, run.reason),
        (Route::Human, Reason::UpstreamInvalid)
    );
    assert_eq!(server.count(), 3);
}
