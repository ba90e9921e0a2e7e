//! Keys, the audit log, the inbox and the account of costs, by the command line.

use std::time::Duration;

use serde_json::{Value, json};

use crate::models::{command, run};
use crate::node::{Ended, Home};
use crate::up::Up;

fn object(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("JSON")
}

#[test]
fn a_key_is_shown_once_and_its_acts_are_in_the_log() {
    let home = Home::new();
    let add = ["key", "add", "panel-3", "--role", "operator", "--by", "ana"];
    let options = [
        "--scope",
        "task:failure",
        "--requests-per-minute",
        "60",
        "--expires",
        "90d",
    ];
    let made = object(&run(
        &home,
        &[&add[..], &options, &["--json"]].concat(),
        b"",
    ));
    let key = made["key"].as_str().expect("a key");
    assert!(key.starts_with("andon_"), "{made}");
    run(&home, &add, b"").failed(&["there is a key 'panel-3' in use", "revoke it first"]);
    let listed = run(&home, &["key", "list", "--json"], b"");
    let secret = key.rsplit('_').next().expect("a secret");
    assert!(!listed.stdout.contains(secret), "{}", listed.stdout);
    let first = &object(&listed)[0];
    assert_eq!(
        (&first["name"], &first["state"]),
        (&json!("panel-3"), &json!("in use"))
    );
    assert_eq!(first["scopes"], json!(["task:failure"]));
    run(&home, &["key", "revoke", "panel-3"], b"").succeeded();
    run(&home, &["key", "revoke", "panel-3"], b"").failed(&["no key 'panel-3' in use"]);
    run(&home, &["key", "add", "two words", "--role", "viewer"], b"").failed(&["'two words'"]);
    for wrong in [
        ["--role", "root"],
        ["--expires", "soon"],
        ["--scope", "everything"],
    ] {
        let mistyped = run(
            &home,
            &[&["key", "add", "x", "--role", "viewer"][..], &wrong].concat(),
            b"",
        );
        assert_eq!(mistyped.code, Some(2), "{wrong:?}");
    }
    let found = object(&run(&home, &["audit", "verify", "--json"], b""));
    assert_eq!(
        (&found["rows"], &found["findings"]),
        (&json!(2), &json!([]))
    );
    let exported = run(
        &home,
        &["audit", "export", "--format", "csv", "--since", "1d"],
        b"",
    );
    let mut lines = exported.stdout.lines();
    assert_eq!(
        lines.next(),
        Some(
            "id,at,who,act,task,record,upstream,policy,fields,redactions,payload_sha256,bytes,tokens,cost,detail"
        )
    );
    assert!(
        lines
            .next()
            .is_some_and(|line| line.contains(",ana,key_added,"))
    );
    assert_eq!(lines.count(), 1);
    assert!(!exported.stdout.contains(secret));
    let exported = run(
        &home,
        &[
            "audit",
            "export",
            "--format",
            "json",
            "--act",
            "key_revoked",
        ],
        b"",
    );
    assert_eq!(object(&exported)["detail"]["key"], "panel-3");
    // A checkpoint that was kept elsewhere, and one that somebody forged.
    let kept = home.beside("kept.json");
    let signed = run(&home, &["audit", "checkpoint"], b"");
    std::fs::write(&kept, &signed.stdout).expect("written");
    let verify = [
        "audit",
        "verify",
        "--checkpoint",
        kept.to_str().expect("UTF-8"),
    ];
    run(&home, &verify, b"").succeeded();
    std::fs::write(&kept, signed.stdout.replace("\"rows\":2", "\"rows\":9")).expect("written");
    let forged = run(&home, &verify, b"");
    assert_eq!(forged.code, Some(1));
    assert!(
        forged.stdout.contains("its signature is wrong"),
        "{}",
        forged.stdout
    );
}

#[test]
fn beyond_loopback_there_must_be_keys_and_tls_or_the_word() {
    let home = Home::new();
    let anywhere = ["up", "--listen", "0.0.0.0:0"];
    run(&home, &anywhere, b"").failed(&["there is no TLS"]);
    let insecure = [&anywhere[..], &["--insecure-no-tls"]].concat();
    run(&home, &insecure, b"").failed(&["there is no key", "andon key add"]);
    run(&home, &[&insecure[..], &["--open-loopback"]].concat(), b"")
        .failed(&["--open-loopback is for a node that listens on loopback"]);
    let key = home.beside("key.pem");
    std::fs::write(&key, "x").expect("written");
    let key = key.to_str().expect("UTF-8");
    run(
        &home,
        &[&anywhere[..], &["--tls-cert", key, "--tls-key", key]].concat(),
        b"",
    )
    .failed(&["everybody on this machine may read the key", "chmod 600"]);
}

#[cfg(unix)]
#[test]
fn a_person_settles_what_waits_and_the_log_has_the_shift() {
    let home = Home::new();
    let made = object(&run(
        &home,
        &["key", "add", "panel", "--role", "admin", "--json"],
        b"",
    ));
    let bearer = format!("Bearer {}", made["key"].as_str().expect("a key"));
    let mut up = Up::start(
        &home,
        command(&home, &["up", "--listen", "127.0.0.1:0", "--json"]),
    );
    let note = json!({"text": "oil drips from the pump"});
    let refused = up.try_post("/api/records", &[], &note).expect("an answer");
    assert_eq!((refused.status, refused.code()), (401, "invalid_api_key"));
    let key = [("authorization", bearer.as_str())];
    let taken = up.try_post("/api/records", &key, &note).expect("an answer");
    assert_eq!(taken.status, 200, "{taken:?}");
    let route = taken.body["runs"][0]["route"].as_str().expect("a route");
    assert_eq!(route, "human", "nothing is learned yet");
    let inbox = object(&run(&home, &["inbox", "--json"], b""));
    assert_eq!(inbox["waiting"], 1);
    assert_eq!(inbox["items"][0]["text"], note["text"]);
    let shown = run(&home, &["inbox"], b"");
    assert!(
        shown.stdout.contains("oil drips from the pump"),
        "{}",
        shown.stdout
    );
    let answer = up.try_post("/api/runs/1/answer", &key, &json!({"answer": "leak"}));
    assert_eq!(answer.expect("an answer").body["settled"]["by"], "panel");
    assert_eq!(object(&run(&home, &["inbox", "--json"], b""))["waiting"], 0);
    let cost = object(&run(&home, &["cost", "--since", "1d", "--json"], b""));
    assert_eq!(
        (&cost["runs"], &cost["routes"]["human"]),
        (&json!(1), &json!(1.0))
    );
    up.ask_to_end();
    let ended = up.ended_within(Duration::from_secs(20)).expect("it ends");
    assert!(ended.success());
    let listed = object(&run(&home, &["audit", "list", "--json"], b""));
    let acts: Vec<&str> = listed
        .as_array()
        .expect("rows")
        .iter()
        .rev()
        .map(|row| row["act"].as_str().expect("an act"))
        .collect();
    assert_eq!(
        acts,
        ["key_added", "node_started", "settlement", "node_stopped"]
    );
    let found = object(&run(&home, &["audit", "verify", "--json"], b""));
    assert_eq!((&found["rows"], &found["sealed"]), (&json!(4), &json!(4)));
    let example = run(&home, &["label", "failure", "--export"], b"");
    assert!(example.stdout.contains("\"leak\""), "{}", example.stdout);
}
