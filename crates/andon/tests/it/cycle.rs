//! The loop: learn, certify, answer, correct, learn again, promote, roll back.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use andon_store::{Kind, Store};
use andon_task::head::Head;
use serde_json::Value;

use crate::models::{command, run};
use crate::node::{Ended, Home};

fn json(ended: &Ended) -> Value {
    let text = ended.stdout.trim();
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text} {}", ended.stderr))
}

fn succeed(home: &Home, arguments: &[&str]) -> Value {
    let ended = run(home, &[arguments, &["--json"]].concat(), b"");
    ended.succeeded();
    json(&ended)
}

/// Notes that the head has not seen, of which it gets all but the last few right.
fn fresh(home: &Home, count: usize) -> String {
    let mut lines = String::new();
    for number in 0..count {
        let (note, label) = match number % 3 {
            0 => (format!("oil drips from pump {number}"), "leak"),
            1 => (format!("bearing squeals loud {number}"), "noise"),
            _ => (format!("motor too hot {number}"), "heat"),
        };
        lines.push_str(&format!(
            "{{\"input\": \"{note}\", \"expected\": \"{label}\"}}\n"
        ));
    }
    let path = home.beside("fresh.jsonl");
    fs::write(&path, lines).expect("writable");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_certificate_is_issued_routes_and_is_voided() {
    let home = Home::new();
    succeed(&home, &["learn", "failure"]);
    let status = run(&home, &["certify", "failure", "--status"], b"");
    status.failed(&["has no certificate", "--examples FILE"]);
    // Ten examples show nothing.
    let few = fresh(&home, 10);
    let refused = run(
        &home,
        &["certify", "failure", "--examples", &few, "--json"],
        b"",
    );
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let refused = json(&refused);
    assert_eq!(refused["certificate"], Value::Null);
    assert!(
        refused["refusals"][0]["more_examples"]
            .as_u64()
            .expect("a number")
            > 10
    );
    // Digits are folded in heads, so these are all well known to it.
    let file = fresh(&home, 150);
    let arguments = [
        "certify",
        "failure",
        "--alpha",
        "0.1",
        "--by",
        "ana",
        "--examples",
        &file,
    ];
    let certified = succeed(&home, &arguments);
    assert_eq!(certified["basis"], "fresh");
    assert_eq!(certified["n"], 150);
    assert!(
        certified["coverage"].as_f64().expect("a share") > 0.5,
        "{certified}"
    );
    assert_eq!(certified["at"].as_array().expect("rows").len(), 4);
    let answered = succeed(&home, &["run", "failure", "oil drips from pump 3"]);
    assert_eq!(answered["certificate"]["id"], certified["certificate"]);
    assert_eq!(answered["certificate"]["n"], 150);
    assert_eq!(
        answered["certificate"]["threshold"],
        certified["thresholds"]["ordinary"]
    );
    let status = succeed(&home, &["certify", "failure", "--status"]);
    assert_eq!(
        (&status["status"], &status["by"]),
        (&"in_force".into(), &"ana".into())
    );
    assert_eq!(status["inputs"]["n"], 1);
    run(&home, &["certify", "failure"], b"").failed(&["rests on fresh examples", "--examples"]);
    // The examples of training are no fresh ones.
    let seen = home.beside("plant/examples/failure.jsonl");
    let seen = seen.to_str().expect("UTF-8");
    run(&home, &["certify", "failure", "--examples", seen], b"").failed(&["knows them already"]);
    // A correction, another head: what was certified is not what answers.
    let run_id = answered["id"].to_string();
    let settled = succeed(
        &home,
        &["label", "failure", "--run", &run_id, "--answer", "noise"],
    );
    assert_eq!(settled["settled"]["answer"], "noise");
    succeed(&home, &["learn", "failure", "--promote"]);
    let answered = succeed(&home, &["run", "failure", "oil drips from pump 3"]);
    assert_eq!(answered["certificate"], "uncertified");
    let status = run(&home, &["certify", "failure", "--status", "--json"], b"");
    assert_eq!(status.code, Some(1));
    assert_eq!(json(&status)["status"], "void");
    // Back to the head that was certified.
    let back = succeed(&home, &["rollback", "failure", "--by", "luis"]);
    assert_eq!(back["by"], "luis");
    let answered = succeed(&home, &["run", "failure", "oil drips from pump 3"]);
    assert_eq!(answered["certificate"]["id"], certified["certificate"]);
    let history = succeed(&home, &["history", "failure"]);
    let restored: Vec<bool> = history
        .as_array()
        .expect("a list")
        .iter()
        .map(|line| line["restored"].as_bool().expect("a word"))
        .collect();
    assert_eq!(restored, [true, false, false]);
    run(&home, &["rollback", "failure"], b"").failed(&["no earlier promotion"]);
}

#[test]
fn answers_become_examples_and_candidates_are_promoted_by_name() {
    let home = Home::new();
    let first = succeed(&home, &["learn", "failure"]);
    for note in [
        "pump shaft wobbles",
        "steam from the flange",
        "pump shaft wobbles badly",
    ] {
        succeed(&home, &["run", "failure", note]);
    }
    let proposed = succeed(&home, &["label", "failure", "--n", "2"]);
    let proposed = proposed["proposals"].as_array().expect("a list").clone();
    assert_eq!(proposed.len(), 2);
    assert_eq!(
        proposed[0]["candidates"].as_array().expect("labels").len(),
        3
    );
    let record = proposed[0]["record"].to_string();
    run(&home, &["label", "failure", "--record", &record], b"").failed(&["--answer LABEL"]);
    let unknown = ["label", "failure", "--record", &record, "--answer", "fire"];
    run(&home, &unknown, b"").failed(&["no label 'fire'"]);
    succeed(
        &home,
        &["label", "failure", "--record", &record, "--answer", "noise"],
    );
    let rest = succeed(&home, &["label", "failure"]);
    assert_eq!(rest["proposals"].as_array().expect("a list").len(), 2);
    let exported = run(&home, &["label", "failure", "--export"], b"");
    exported.succeeded();
    let example = json(&exported);
    assert_eq!(example["input"], proposed[0]["text"]);
    assert_eq!(example["expected"], "noise");
    // It is learned from: the candidate is another one, of sixteen examples.
    let second = succeed(&home, &["learn", "failure", "--promote"]);
    assert_eq!(second["evaluation"]["n"], 16);
    assert_ne!(first["head"], second["head"]);
    let candidates = succeed(&home, &["promote", "failure", "--list"]);
    assert_eq!(candidates.as_array().expect("a list").len(), 2);
    run(&home, &["promote", "failure", "ffff"], b"").failed(&["no candidate 'ffff'", "--list"]);
    let prefix = &first["head"].as_str().expect("a digest")[..12];
    let promoted = succeed(
        &home,
        &["promote", "failure", prefix, "--by", "ana", "--anyway"],
    );
    assert_eq!(promoted["digest"], first["head"]);
    let answered = succeed(&home, &["run", "failure", "seal leaks"]);
    assert_eq!(answered["digests"]["head"], first["head"]);
}

/// Ends `andon learn` at many points, and looks at what is left each time.
#[test]
fn a_training_that_is_killed_leaves_what_served_before() {
    let home = Home::new();
    let first = succeed(&home, &["learn", "failure"]);
    let state = home.beside("state");
    let store = Store::open(state.join("andon.db")).expect("a database");
    let mut killed = 0;
    for step in 0..12u64 {
        // One more example each time, so that each candidate is another.
        let note = format!("note {} of a person", "x".repeat(step as usize + 1));
        let answered = succeed(&home, &["run", "failure", &note]);
        let run_id = answered["id"].to_string();
        succeed(
            &home,
            &["label", "failure", "--run", &run_id, "--answer", "noise"],
        );
        let mut learning = command(&home, &["learn", "failure", "--promote"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        std::thread::sleep(Duration::from_millis(25 + 60 * step));
        killed += usize::from(learning.try_wait().expect("it is there").is_none());
        // It may have ended by itself.
        let _ = learning.kill();
        learning.wait().expect("it ends");
        let promotion = store
            .promoted("failure")
            .expect("a read")
            .expect("the first");
        assert_eq!(promotion.kind, Kind::Head);
        let file = state.join(format!("heads/{}.head", promotion.digest));
        let head = Head::parse(&fs::read(file).expect("the promoted head is there"));
        assert_eq!(head.expect("it is whole").digest(), promotion.digest);
        let answered = succeed(&home, &["run", "failure", "oil drips from pump"]);
        assert_eq!(answered["digests"]["head"], promotion.digest.to_string());
    }
    assert!(killed > 0, "every training ended before it was killed");
    assert!(first["promoted"].as_bool().expect("a word"));
}

#[test]
fn an_adapter_and_a_tuned_encoder_answer_until_they_are_rolled_back() {
    let home = Home::new();
    let note = ["run", "failure", "oil drips from the gearbox"];

    // The shortest training that there is: whether it taught anything is not looked at.
    let learned = succeed(&home, &["learn", "failure", "--adapter", "--epochs", "1"]);
    assert_eq!(learned["promoted"], true, "{learned}");
    let answer = succeed(&home, &note);
    assert_eq!(answer["answered_by"], "label_scoring");
    assert_eq!(answer["calibrated"], true);
    assert_eq!(answer["digests"]["adapter"], learned["adapter"]);

    let tuned = ["learn", "failure", "--tune", "--epochs", "1", "--promote"];
    let learned = succeed(&home, &tuned);
    let answer = succeed(&home, &note);
    assert_eq!(answer["answered_by"], "head");
    assert_eq!(answer["digests"]["head"], learned["head"]);
    assert_eq!(answer["digests"]["adapter"], Value::Null);

    succeed(&home, &["rollback", "failure"]);
    let answer = succeed(&home, &note);
    assert_eq!(answer["answered_by"], "label_scoring");

    // An adapter whose file is spoilt answers nothing: the model does without it.
    let weights = fs::read_dir(home.beside("state/adapters"))
        .expect("adapters were kept")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|kind| kind == "gguf"))
        .expect("the weights");
    let mut bytes = fs::read(&weights).expect("readable");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&weights, bytes).expect("writable");
    let answer = succeed(&home, &note);
    assert_eq!(answer["calibrated"], false);
    assert_eq!(answer["digests"]["adapter"], Value::Null);
}
