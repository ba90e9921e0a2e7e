//! Tasks over the rows of a table, and a table that is interrupted.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::models::{command, run};
use crate::node::{Ended, Home};
use crate::up::Up;

/// A table of so many notes in a file of this name beside the home.
fn table(home: &Home, name: &str, rows: usize) -> String {
    let mut lines = "Order;Short text;Long text;Who\n".to_owned();
    for row in 0..rows {
        let short = [
            "oil drips from the pump",
            "bearing squeals",
            "motor too hot",
        ][row % 3];
        lines.push_str(&format!("{};{short};since shift {row};x\n", 4711 + row));
    }
    let path = home.beside(name);
    fs::write(&path, lines).expect("writable");
    path.to_str().expect("UTF-8").to_owned()
}

fn beside(home: &Home, name: &str) -> String {
    home.beside(name).to_str().expect("UTF-8").to_owned()
}

fn summary(ended: &Ended) -> Value {
    ended.succeeded();
    serde_json::from_str(ended.stdout.trim()).expect("JSON")
}

const COLUMNS: [&str; 7] = [
    "--text",
    "Short text",
    "--text",
    "long TEXT",
    "--meta",
    "Order",
    "--json",
];

#[test]
fn each_row_is_answered_once_whenever_the_batch_is_ended() {
    let home = Home::new();
    run(&home, &["learn", "failure"], b"").succeeded();
    let input = table(&home, "orders.csv", 400);
    let (out, part) = (beside(&home, "out.csv"), beside(&home, "out.csv.part"));
    let arguments = [
        &["run", "failure", "--in", &input, "--out", &out],
        &COLUMNS[..],
    ]
    .concat();
    let mut begun = command(&home, &arguments).spawn().expect("the binary runs");
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::read_to_string(&part).map_or(0, |text| text.lines().count()) < 20 {
        assert!(Instant::now() < deadline, "no row is done");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.kill().expect("killed");
    begun.wait().expect("ended");
    assert!(!fs::exists(&out).expect("known"));
    let done = summary(&run(&home, &arguments, b""));
    let before = done["done_before"].as_u64().expect("a number");
    assert!((19..400).contains(&before), "{done}");
    assert_eq!((&done["rows"], &done["failed"]), (&400.into(), &0.into()));
    assert!(!fs::exists(&part).expect("known"));
    let text = fs::read_to_string(&out).expect("results");
    let mut lines = text.lines();
    assert_eq!(
        lines.next().expect("a heading"),
        "Order,Short text,Long text,Who,answer,also,probability,route,reason,run,error"
    );
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 400);
    for (row, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("{},", 4711 + row)), "{line}");
        let label = ["leak", "noise", "heat"][row % 3];
        assert!(line.contains(&format!(",x,{label},")), "{line}");
    }
    // No row was taken in twice, those at work when the first process ended neither.
    let node = Up::start(
        &home,
        command(&home, &["up", "--listen", "127.0.0.1:0", "--json"]),
    );
    for (list, count) in [("records", 400), ("runs", 400)] {
        let listed = node.get(&format!("/api/{list}?limit=1000")).body;
        let items = listed[list].as_array().expect("a list");
        assert_eq!(items.len(), count, "{list}");
    }
    drop(node);
    // What is there is not overwritten.
    run(&home, &arguments, b"").failed(&["is there already"]);
}

#[test]
fn what_is_wrong_with_a_row_stands_in_its_place() {
    let home = Home::new();
    run(&home, &["learn", "failure"], b"").succeeded();
    let input = beside(&home, "notes.jsonl");
    fs::write(
        &input,
        "{\"note\": \"oil drips\"}\n{\"note\": \" \"}\n{\"note\": \"=1+1 motor hot\"}\n",
    )
    .expect("writable");
    for (name, form) in [("out.jsonl", "jsonl"), ("out.xlsx", "xlsx")] {
        let out = beside(&home, name);
        let ended = run(
            &home,
            &["run", "failure", "--in", &input, "--out", &out],
            b"",
        );
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stdout.contains("1 rows have no answer"), "{form}");
    }
    let text = fs::read_to_string(beside(&home, "out.jsonl")).expect("results");
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(rows[0]["answer"], "leak");
    assert_eq!(rows[1]["answer"], Value::Null);
    assert!(
        rows[1]["error"]
            .as_str()
            .expect("an error")
            .contains("empty")
    );
    assert_eq!(rows[2]["note"], "=1+1 motor hot");
    // What was written can be read again.
    let (again, out) = (beside(&home, "out.xlsx"), beside(&home, "again.csv"));
    let ended = run(
        &home,
        &[
            "run", "failure", "--in", &again, "--out", &out, "--text", "note",
        ],
        b"",
    );
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let text = fs::read_to_string(&out).expect("results");
    assert!(text.contains("=1+1 motor hot"), "{text}");
}

#[test]
fn what_does_not_fit_together_is_refused_before_anything_runs() {
    let home = Home::new();
    let input = table(&home, "orders.csv", 2);
    let out = beside(&home, "out.csv");
    let refuse = |task: &str, more: &[&str], parts: &[&str]| {
        let arguments = [&["run", task, "--in", &input, "--out", &out], more].concat();
        run(&home, &arguments, b"").failed(parts);
        assert!(!fs::exists(&out).expect("known"));
    };
    refuse("failure", &[], &["Order, Short text", "--text"]);
    refuse("failure", &["--text", "Note"], &["no column 'Note'"]);
    refuse("failure", &["--map", "sap"], &["add mappings/sap.toml"]);
    refuse("failure,failure", &["--text", "Who"], &["named twice"]);
    refuse("failure,other", &["--text", "Who"], &["no task 'other'"]);
    refuse("failure", &["--sheet", "One"], &["has no sheets"]);
}
