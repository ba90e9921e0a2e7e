//! Documents and periods as input of tasks, by the command line and over HTTP, and requests
//! to `andon:auto`.

use std::fs;

use serde_json::{Value, json};

use crate::answers::pdf;
use crate::models::{command, run};
use crate::node::{Ended, Home};
use crate::reading::{example, lines, plant};
use crate::up::Up;

fn parsed(ended: &Ended) -> Value {
    ended.succeeded();
    serde_json::from_str(ended.stdout.trim()).expect("JSON")
}

/// A file beside the home, by its path.
fn file(home: &Home, name: &str, bytes: &[u8]) -> String {
    let path = home.beside(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
    fs::write(&path, bytes).expect("writable");
    path.to_str().expect("UTF-8").to_owned()
}

fn up(home: &Home, plant: &str) -> Up {
    let arguments = ["up", "--listen", "127.0.0.1:0", "--plant", plant, "--json"];
    Up::start(home, command(home, &arguments))
}

/// The bytes in base64.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |all, at| {
            all << 8 | u32::from(*group.get(at).unwrap_or(&0))
        });
        for digit in 0..4 {
            let place = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(match digit <= group.len() {
                true => DIGITS[place] as char,
                false => '=',
            });
        }
    }
    text
}

#[test]
fn documents_tables_and_folders_are_extracted() {
    let home = Home::new();
    let plant = plant(&home, &lines(0..40));
    let slip = |arguments: &[&str]| {
        run(
            &home,
            &[&["run", "slip", "--plant", &plant], arguments].concat(),
            b"",
        )
    };
    run(&home, &["learn", "slip", "--plant", &plant], b"").succeeded();

    // Lines and tabs of a text are kept.
    let (text, expected) = example(77);
    let one = file(&home, "one.txt", text.as_bytes());
    let found = parsed(&slip(&["--in", &one, "--json"]));
    assert_eq!(
        (&found["answer"], &found["answered_by"]),
        (&expected, &json!("reader"))
    );

    // A PDF is read; one that cannot be is told by name.
    let read = file(
        &home,
        "read.pdf",
        &pdf(Some("Slip no: S-9001 Total: 88.50 EUR")),
    );
    let found = parsed(&slip(&["--in", &read, "--json"]));
    let says = found["evidence"].to_string();
    assert!(says.contains("S-9001") || says.contains("88.5"), "{found}");
    let scanned = file(&home, "scanned.pdf", &pdf(None));
    slip(&["--in", &scanned]).failed(&["scanned.pdf' has no text", "OCR"]);
    let broken = file(&home, "broken.pdf", b"%PDF-1.4 nothing");
    slip(&["--in", &broken]).failed(&["broken.pdf' is damaged"]);

    // Rows of a table, with and without a table for the answers.
    let mut table = "id;slip\n".to_owned();
    for number in [50, 51] {
        table.push_str(&format!("{number};\"{}\"\n", example(number).0));
    }
    let table = file(&home, "slips.csv", table.as_bytes());
    let printed = slip(&["--in", &table, "--text", "slip", "--json"]);
    printed.succeeded();
    let answers: Vec<Value> = printed
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(answers[1]["answer"], example(51).1);

    // A folder: a row for each document, and what is wrong with one stands in its row.
    for (name, bytes) in [
        ("in/a.txt", example(60).0.into_bytes()),
        ("in/deep/b.md", example(61).0.into_bytes()),
        ("in/c.pdf", pdf(None)),
        ("in/notes.docx", b"PK".to_vec()),
    ] {
        file(&home, name, &bytes);
    }
    let folder = home.beside("in").to_str().expect("UTF-8").to_owned();
    let out = home.beside("out.jsonl").to_str().expect("UTF-8").to_owned();
    let ended = slip(&["--in", &folder, "--out", &out]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 files"), "{}", ended.stderr);
    let rows: Vec<Value> = fs::read_to_string(&out)
        .expect("results")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(
        (&rows[0]["file"], &rows[0]["answer.number"]),
        (&json!("a.txt"), &json!("S-4520"))
    );
    assert!(
        rows[1]["error"]
            .as_str()
            .is_some_and(|e| e.contains("has no text")),
        "{}",
        rows[1]
    );
    assert_eq!(rows[2]["answer.number"], "S-4527");
    slip(&["--in", &folder]).failed(&["is a folder", "--out"]);
    let empty = home.beside("empty");
    fs::create_dir_all(&empty).expect("writable");
    slip(&["--in", empty.to_str().expect("UTF-8"), "--out", &out]).failed(&["has no documents"]);
}

#[test]
fn a_period_is_a_file_and_a_run_is_told_as_it_is_made() {
    let home = Home::new();
    let plant = plant(&home, &lines(0..40));
    let task = "name = \"shift\"\nkind = \"summarise\"\ninstructions = \"Summarise.\"\n";
    fs::write(home.beside("forms/tasks/shift.toml"), task).expect("writable");
    let rows = "id;time;group;message;priority;status\nA1;2026-01-01 06:00;ALARM;Door open;high;open\nA2;2026-01-01 05:00;ALARM;Jam;low;closed\nA3;2026-01-01 07:00;ALARM;Jam;low;closed\n";
    let file = file(&home, "shift.csv", rows.as_bytes());
    let found = parsed(&run(
        &home,
        &["run", "shift", "--plant", &plant, "--in", &file, "--json"],
        b"",
    ));
    assert_eq!(found["answer"]["facts"]["high_priority"], json!(["A1"]));

    run(&home, &["learn", "slip", "--plant", &plant], b"").succeeded();
    let node = up(&home, &plant);
    let body = json!({"input": rows, "stream": true});
    let (head, events) = node.stream("/api/tasks/shift/runs", &body);
    assert!(
        head.contains("200 OK") && head.contains("text/event-stream"),
        "{head}"
    );
    let named = |name: &str| events.iter().filter(|(own, _)| own == name).count();
    assert_eq!(
        (events[0].0.as_str(), named("run"), named("error")),
        ("record", 1, 0)
    );
    let (last, told) = events.last().expect("a run");
    assert_eq!(last, "run");
    // What was told is what the run says, and each sentence once.
    let evidence = told["evidence"].as_array().expect("a list");
    assert_eq!(named("sentence"), evidence.len());
    for (_, sentence) in events.iter().filter(|(name, _)| name == "sentence") {
        let same =
            |own: &&Value| own["text"] == sentence["text"] && own["records"] == sentence["records"];
        assert!(
            evidence.iter().any(|own| same(&own)),
            "{sentence} in {told}"
        );
    }
    assert!(
        told["evidence"]
            .to_string()
            .contains("High priority: ALARM A1"),
        "{told}"
    );

    // What cannot begin is an ordinary error; what cannot end is an event.
    let empty = node.post(
        "/api/tasks/shift/runs",
        &json!({"input": " ", "stream": true}),
    );
    assert_eq!((empty.status, empty.code()), (400, "empty_text"));
    let (_, events) = node.stream(
        "/api/tasks/shift/runs",
        &json!({"input": "no period", "stream": true}),
    );
    assert_eq!(events.last().expect("an event").0, "error");
    assert_eq!(events[1].1["error"]["code"], "invalid_period");

    // A document over HTTP.
    let (text, expected) = example(90);
    let send = |name: &str, bytes: &[u8]| {
        let document = json!({"name": name, "content": base64(bytes)});
        node.post("/api/tasks/slip/runs", &json!({ "document": document }))
    };
    let read = send("slip.txt", text.as_bytes());
    assert_eq!((read.status, &read.body["answer"]), (200, &expected));
    let read = send("slip.pdf", &pdf(Some("Slip no: S-9001")));
    assert_eq!(read.status, 200, "{read:?}");
    for (name, bytes, said) in [
        ("scan.pdf", pdf(None), "has no text"),
        ("slip.docx", b"PK".to_vec(), "save it as one of them"),
        ("slip.txt", b"a\xff".to_vec(), "not UTF-8"),
    ] {
        let refused = send(name, &bytes);
        assert_eq!(
            (refused.status, refused.code()),
            (400, "unreadable_document")
        );
        assert!(refused.message().contains(said), "{}", refused.message());
    }
    let wrong = json!({"document": {"name": "a.txt", "content": "§"}});
    let wrong = node.post("/api/tasks/slip/runs", &wrong);
    assert_eq!((wrong.status, wrong.code()), (400, "invalid_value"));
}

#[test]
fn auto_answers_what_is_within_reach_and_declines_the_rest_with_its_reason() {
    let home = Home::new();
    let node = up(&home, &plant(&home, &lines(0..3)));
    let ask = |text: &str| {
        let messages = json!([{"role": "user", "content": text}]);
        let body = json!({"model": "andon:auto", "messages": messages, "max_tokens": 4});
        node.post("/v1/chat/completions", &body)
    };
    for bounded in [
        "Which code fits: belt slips off the tail pulley?",
        "Just the serial, thanks: Type NX4 Ser.No 7719-K 1998",
        "clean this up for the log: 'swpd blt cvr lh side, tstd ok'",
    ] {
        let answer = ask(bounded);
        assert_eq!(answer.status, 200, "{bounded}: {answer:?}");
        assert!(answer.body["choices"][0]["message"]["content"].is_string());
    }
    for (beyond, kind) in [
        (
            "Write a funny poem about a night shift in a bottling hall, ten verses.",
            "creative",
        ),
        (
            "Who won the football match last night and what is the price of copper today?",
            "knowledge",
        ),
        (
            "Three lines share two fitters; line A loses 40 units an hour, B 25, C 60. Repairs take 2, 1 and 3 hours and C needs both fitters. Work out step by step the order that loses least and prove that it is optimal.",
            "reasoning",
        ),
    ] {
        let answer = ask(beyond);
        assert_eq!(answer.code(), "beyond_small_model", "{beyond}: {answer:?}");
        assert!(answer.message().contains(kind), "{beyond}: {answer:?}");
    }
}
