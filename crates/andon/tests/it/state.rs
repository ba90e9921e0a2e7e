//! State directories that cannot be used, are used already, or fill up.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use andon_store::Store;
use serde_json::Value;

use crate::models::{command, run};
use crate::node::{Ended, Home};

/// Learns the head of the small plant into the home's state.
fn learned(home: &Home) -> PathBuf {
    run(home, &["learn", "failure"], b"").succeeded();
    home.beside("state")
}

/// Starts a node; its URL, once it is up.
fn up(home: &Home) -> (Child, String) {
    up_with(home, &[])
}

/// As `up`, with more arguments.
pub(crate) fn up_with(home: &Home, arguments: &[&str]) -> (Child, String) {
    let up = ["up", "--listen", "127.0.0.1:0", "--json"];
    let mut child = command(home, &[&up, arguments].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("it is piped"))
        .read_line(&mut first)
        .expect("a line");
    let said: Value = serde_json::from_str(&first).expect("JSON");
    let url = said["url"].as_str().expect("a URL").to_owned();
    (child, url)
}

fn post(url: &str, body: &str) -> Result<Value, ureq::Error> {
    let mut answer = ureq::post(&format!("{url}/api/tasks/failure/runs"))
        .content_type("application/json")
        .send(body)?;
    let text = answer.body_mut().read_to_string()?;
    Ok(serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let home = Home::new();
    let state = home.beside("state");
    fs::create_dir(&state).expect("writable");
    let path = state.join("andon.db");
    drop(Store::open(&path).expect("a database"));
    let mut before = fs::read(&path).expect("it is there");
    // Where the file's format keeps the version that its owner gave it.
    before[60..64].copy_from_slice(&99u32.to_be_bytes());
    fs::write(&path, &before).expect("writable");
    for arguments in [
        &["run", "failure", "oil"][..],
        &["up", "--listen", "127.0.0.1:0"],
    ] {
        run(&home, arguments, b"").failed(&["has version 99", "install a newer Andon"]);
    }
    assert_eq!(fs::read(&path).expect("it is there"), before);
}

#[test]
fn a_state_that_cannot_be_made_names_the_option() {
    let home = Home::new();
    let file = home.beside("file");
    fs::write(&file, "x").expect("writable");
    for state in [file.clone(), file.join("below")] {
        let mut command = command(&home, &["run", "failure", "oil"]);
        let ended = command.env("ANDON_STATE", &state).output();
        Ended::from(ended.expect("the binary runs")).failed(&[
            &format!("cannot create '{}'", state.display()),
            "set ANDON_STATE or `--state`",
        ]);
    }
}

#[test]
fn two_nodes_do_not_share_a_state() {
    let home = Home::new();
    learned(&home);
    let (mut first, url) = up(&home);
    run(&home, &["up", "--listen", "127.0.0.1:0"], b"")
        .failed(&["another node is up on the state", "`--state`"]);
    // Commands work beside it, and it answers.
    run(&home, &["run", "failure", "oil drips"], b"").succeeded();
    assert_eq!(
        post(&url, r#"{"input": "oil drips"}"#).expect("an answer")["answer"],
        "leak"
    );
    // A node that was killed leaves no lock behind.
    first.kill().expect("it runs");
    first.wait().expect("it ends");
    let (mut second, url) = up(&home);
    assert!(post(&url, r#"{"input": "oil drips"}"#).is_ok());
    second.kill().expect("it runs");
    second.wait().expect("it ends");
}

#[test]
fn a_damaged_head_is_named() {
    let home = Home::new();
    let heads = learned(&home).join("heads");
    let head = fs::read_dir(heads).expect("a folder").next();
    let head = head.expect("a head").expect("readable").path();
    let mut bytes = fs::read(&head).expect("a head");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&head, bytes).expect("writable");
    let ended = run(&home, &["run", "failure", "oil drips", "--json"], b"");
    ended.succeeded();
    assert!(ended.stderr.contains("does not answer"), "{}", ended.stderr);
    assert!(ended.stderr.contains("learn again"), "{}", ended.stderr);
    assert!(ended.stdout.contains("label_scoring"), "{}", ended.stdout);
}

#[test]
fn a_note_that_is_too_long_for_the_head_is_answered_all_the_same() {
    let home = Home::new();
    learned(&home);
    let ended = run(
        &home,
        &["run", "failure", &"oil drips ".repeat(400), "--json"],
        b"",
    );
    ended.succeeded();
    assert!(ended.stdout.contains("label_scoring"), "{}", ended.stdout);
}

#[test]
fn a_node_that_is_ended_while_it_writes_loses_nothing() {
    for signal in ["-TERM", "-KILL"] {
        let home = Home::new();
        let state = learned(&home);
        let (mut node, url) = up(&home);
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let url = url.clone();
                std::thread::spawn(move || -> Vec<(i64, i64)> {
                    let ask = |note: usize| {
                        let body = format!(r#"{{"input": "oil drips {client} {note}"}}"#);
                        let answer = post(&url, &body).ok()?;
                        Some((answer["record"].as_i64()?, answer["id"].as_i64()?))
                    };
                    (0..).map_while(ask).collect()
                })
            })
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(500));
        let id = node.id().to_string();
        Command::new("kill")
            .args([signal, &id])
            .status()
            .expect("kill runs");
        let status = node.wait().expect("it ends");
        assert_eq!(status.success(), signal == "-TERM", "{signal}");
        let store = Store::open(state.join("andon.db")).expect("a database");
        let mut acknowledged = 0;
        for client in clients {
            for (record, run) in client.join().expect("no panic") {
                acknowledged += 1;
                let record = store.record(record).expect("a read");
                let run = store.run(run).expect("a read");
                assert!(
                    record.is_some() && run.is_some(),
                    "{signal}: {record:?} {run:?}"
                );
            }
        }
        assert!(
            acknowledged > 8,
            "{signal}: only {acknowledged} were acknowledged"
        );
    }
}

/// Fills a small disk of its own. Skipped where the system gives no private mount.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named_and_nothing_is_lost() {
    let home = Home::new();
    let state = home.beside("state");
    fs::create_dir(&state).expect("writable");
    let script = "mount -t tmpfs -o size=2m tmpfs \"$ANDON_STATE\" || exit 77
        \"$0\" learn failure >&2 || exit 78
        head -c 1200000 /dev/zero > \"$ANDON_STATE/filler\"
        \"$0\" run failure - --json; echo \"ended $?\"
        ls \"$ANDON_STATE\"/*.part \"$ANDON_STATE\"/*/*.part 2>/dev/null
        rm \"$ANDON_STATE/filler\"
        \"$0\" run failure 'oil drips' --json; echo \"ended $?\"";
    let inner = command(&home, &[]);
    let mut outer = Command::new("unshare");
    outer.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    outer.arg(inner.get_program());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    let spawned = outer
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        return skip("there is no `unshare`");
    };
    let mut stdin = child.stdin.take().expect("it is piped");
    let writer = std::thread::spawn(move || {
        for note in 0..2_000 {
            // The reader ends when the disk is full.
            let text = format!("oil drips {note} {}\n", "x".repeat(2_000));
            if stdin.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    });
    let ended = Ended::from(child.wait_with_output().expect("it ends"));
    writer.join().expect("no panic");
    if ended.code != Some(0) {
        return skip(&ended.stderr);
    }
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let stop = lines
        .iter()
        .position(|line| *line == "ended 1")
        .expect("it fails");
    assert!(stop > 5, "{stop} notes fit");
    let said = format!("line {}", stop + 1);
    for part in [
        &said,
        "no space is left for the database",
        "free some on its disk",
    ] {
        assert!(
            ended.stderr.contains(part),
            "'{part}' is not in: {}",
            ended.stderr
        );
    }
    assert_eq!(lines.len(), stop + 3, "{:?}", &lines[stop..]);
    assert_eq!(lines[stop + 2], "ended 0");
    let record = |line: &str| -> i64 {
        let run: Value = serde_json::from_str(line).expect("JSON");
        run["record"].as_i64().expect("a number")
    };
    // What was acknowledged kept its number; the refused note may have taken one.
    assert_eq!(record(lines[stop - 1]), stop as i64);
    assert!(record(lines[stop + 1]) <= stop as i64 + 2);
}

/// The disk fills while a head is learned: nothing is half-promoted.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_while_learning_leaves_what_served() {
    let home = Home::new();
    let state = home.beside("state");
    fs::create_dir(&state).expect("writable");
    let script = "mount -t tmpfs -o size=2m tmpfs \"$ANDON_STATE\" || exit 77
        \"$0\" learn failure --json || exit 78
        \"$0\" run failure 'pump shaft wobbles' --json >&2 || exit 79
        \"$0\" label failure --run 1 --answer noise --json >&2 || exit 80
        head -c 4000000 /dev/zero > \"$ANDON_STATE/filler\"
        \"$0\" learn failure --promote --json; echo \"ended $?\"
        ls \"$ANDON_STATE\"/heads/*.part 2>/dev/null
        rm \"$ANDON_STATE/filler\"
        \"$0\" history failure --json
        \"$0\" run failure 'oil drips' --json";
    let inner = command(&home, &[]);
    let mut outer = Command::new("unshare");
    outer.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    outer.arg(inner.get_program());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    let Ok(output) = outer.output() else {
        return skip("there is no `unshare`");
    };
    let ended = Ended::from(output);
    if ended.code == Some(77) || ended.code == Some(1) {
        return skip(&ended.stderr);
    }
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[1], "ended 1", "{}", ended.stderr);
    let json = |line: &str| -> Value { serde_json::from_str(line).expect("JSON") };
    let (learned, history, run) = (json(lines[0]), json(lines[2]), json(lines[3]));
    assert_eq!(history.as_array().expect("a list").len(), 1);
    assert_eq!(run["digests"]["head"], learned["head"]);
}

#[cfg(target_os = "linux")]
fn skip(reason: &str) {
    let said = format!(
        "skipped: no disk of a test's own can be mounted ({})\n",
        reason.trim()
    );
    let _ = std::io::stderr().write_all(said.as_bytes());
}
