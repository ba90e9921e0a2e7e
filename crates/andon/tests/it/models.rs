//! Commands that answer, with the default models in `ANDON_HOME`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::node::{Ended, Home};

const TASK: &str = "name = \"failure\"\nkind = \"decide\"\ninstructions = \"What has failed?\"\nlabels = \"codes/failures.csv\"\n";
const LABELS: &str = "label,description,procedure\nleak,Liquid comes out,leak.md\nnoise,It is loud,\nheat,It is too hot,\n";
const PROCEDURE: &str = "---\nid: PR-1\nrevision: C\n---\n# Mend a leak\n\nTighten to 40 Nm.\n";

/// A small plant with five notes a label, which is learned in a second.
fn plant(home: &Home) -> String {
    let plant = home.beside("plant");
    let mut examples = String::new();
    for (label, notes) in [
        (
            "leak",
            [
                "oil drips from pump",
                "water on the floor",
                "seal leaks",
                "valve dripping",
                "puddle under the tank",
            ],
        ),
        (
            "noise",
            [
                "bearing squeals",
                "loud banging",
                "gearbox howls",
                "rattling guard",
                "fan whines",
            ],
        ),
        (
            "heat",
            [
                "motor too hot",
                "bearing at 95 degrees",
                "smell of burning",
                "oil overheats",
                "cabinet is hot",
            ],
        ),
    ] {
        for note in notes {
            examples.push_str(&format!(
                "{{\"input\": \"{note}\", \"expected\": \"{label}\"}}\n"
            ));
        }
    }
    for (path, content) in [
        ("tasks/failure.toml", TASK),
        ("codes/failures.csv", LABELS),
        ("procedures/leak.md", PROCEDURE),
        ("examples/failure.jsonl", &examples),
    ] {
        let path = plant.join(path);
        fs::create_dir_all(path.parent().expect("below the plant")).expect("writable");
        fs::write(path, content).expect("writable");
    }
    plant.to_str().expect("UTF-8").to_owned()
}

/// A command on that plant with the real models and a state of its own.
pub(crate) fn command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = home.command(arguments);
    match std::env::var_os("ANDON_HOME") {
        Some(models) => command.env("ANDON_HOME", models),
        None => command.env_remove("ANDON_HOME"),
    };
    command
        .env("ANDON_PLANT", plant(home))
        .env("ANDON_STATE", home.beside("state"));
    command
}

pub(crate) fn run(home: &Home, arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = command(home, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A command that reads no input closes it.
    let _ = stdin.write_all(input);
    drop(stdin);
    Ended::from(child.wait_with_output().expect("it ends"))
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended.succeeded();
    let lines = ended.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn a_task_is_learned_measured_and_run() {
    let home = Home::new();
    run(&home, &["eval", "failure", "--examples", "none"], b"").failed(&["none", "No such file"]);

    // Without a head the language model scores the labels.
    let scored = &lines(&run(
        &home,
        &["run", "failure", "oil on the floor", "--json"],
        b"",
    ))[0];
    assert_eq!(scored["answered_by"], "label_scoring");
    assert_eq!(scored["probability"], Value::Null);
    assert_eq!(scored["route"], "human");

    let learned = &lines(&run(&home, &["learn", "failure", "--json"], b""))[0];
    assert_eq!(learned["promoted"], true);
    assert_eq!(learned["comparison"]["verdict"], "first");
    let again = &lines(&run(&home, &["learn", "failure", "--json"], b""))[0];
    assert_eq!(again["comparison"]["verdict"], "not_worse");
    assert_eq!(
        again["head"], learned["head"],
        "the same examples give the same head"
    );

    let measured = &lines(&run(&home, &["eval", "failure", "--json"], b""))[0];
    assert_eq!(measured["n"], 15);
    for figure in ["accuracy", "macro_f1", "ece", "coverage"] {
        let estimate = &measured[figure];
        assert!(
            estimate["low"].as_f64() <= estimate["value"].as_f64(),
            "{figure}"
        );
        assert!(
            estimate["value"].as_f64() <= estimate["high"].as_f64(),
            "{figure}"
        );
    }
    let file = home.beside("plant/examples/failure.jsonl");
    let file = file.to_str().expect("UTF-8");
    let on_file = &lines(&run(
        &home,
        &["eval", "failure", "--examples", file, "--json"],
        b"",
    ))[0];
    assert_eq!(on_file["n"], 15);

    let notes = "oil drips from pump 4\r\nbearing squeals\n";
    let runs = lines(&run(
        &home,
        &["run", "failure", "-", "--json"],
        notes.as_bytes(),
    ));
    let answers: Vec<_> = runs.iter().map(|run| &run["answer"]).collect();
    assert_eq!(answers, ["leak", "noise"]);
    assert_eq!(runs[0]["answered_by"], "head");
    assert_eq!(runs[0]["procedure"]["revision"], "C");
    for key in [
        "probability",
        "probabilities",
        "route",
        "reason",
        "evidence",
        "certificate",
        "took_ms",
    ] {
        assert!(!runs[0][key].is_null(), "{key}");
    }
    let shown = run(&home, &["run", "failure", "oil drips"], b"");
    shown.succeeded();
    assert!(
        shown.stdout.contains("procedure: PR-1 Mend a leak (C)"),
        "{}",
        shown.stdout
    );
}

#[test]
fn contenders_are_compared_on_the_same_examples() {
    let home = Home::new();
    run(&home, &["eval", "failure", "--with", "head"], b"")
        .failed(&["nothing is promoted for 'failure'", "andon learn failure"]);
    run(&home, &["learn", "failure"], b"").succeeded();

    let page = home.beside("report.html");
    let page_name = page.to_str().expect("UTF-8");
    let against = [
        "eval",
        "failure",
        "--against",
        "labels,head",
        "--json",
        "--report",
        page_name,
    ];
    let found = &lines(&run(&home, &against, b""))[0];
    assert_eq!(found["n"], 15);
    assert_eq!(found["measured"]["name"], "learn");
    let comparison = &found["comparison"];
    assert_eq!(comparison["n"], 15);
    assert_eq!(comparison["pairs"].as_array().map(Vec::len), Some(3));
    let runs = comparison["today"]["runs"].as_str().expect("a name");
    assert!(runs.starts_with("head:"), "{runs}");
    assert_eq!(comparison["today"]["contender"], runs);
    // The head's kept outcomes are those of cross-validation, so it ties with it.
    let twins = &comparison["pairs"][1];
    assert_eq!(
        (&twins["first"], &twins["verdict"]),
        (&"learn".into(), &"not_shown".into())
    );
    assert_eq!(
        (&twins["first_alone"], &twins["second_alone"]),
        (&0.into(), &0.into())
    );
    let html = fs::read_to_string(&page).expect("the report is written");
    assert!(html.starts_with("<!doctype html>") && html.contains("</html>"));
    let human = run(&home, &["eval", "failure", "--against", "labels"], b"");
    human.succeeded();
    for part in [
        "COMPARISON",
        "learn (right alone",
        "coverage at 5 % error",
        "! There are 15",
    ] {
        assert!(
            human.stdout.contains(part),
            "'{part}' is not in:\n{}",
            human.stdout
        );
    }

    // What is not fair, or nothing, is refused before any work.
    let file = home.beside("plant/examples/failure.jsonl");
    let file = file.to_str().expect("UTF-8");
    run(&home, &["eval", "failure", "--with", "head"], b"").failed(&["was trained on the plant's"]);
    run(
        &home,
        &["eval", "failure", "--examples", file, "--against", "labels"],
        b"",
    )
    .failed(&["was trained on 15 of these 15 examples", "compare 'learn'"]);
    run(&home, &["eval", "failure", "--with", "head:00000000"], b"")
        .failed(&["begins with 00000000"]);
    run(
        &home,
        &["eval", "failure", "--against", "learn,smollm2:135m,labels"],
        b"",
    )
    .failed(&["are the same, smollm2:135m"]);
    run(
        &home,
        &["eval", "failure", "--report", "no/such/folder.html"],
        b"",
    )
    .failed(&["cannot write the report"]);
}

#[test]
fn few_examples_are_measured_and_said_to_be_few() {
    let home = Home::new();
    run(&home, &["learn", "failure"], b"").succeeded();
    let check = |content: &str, arguments: &[&str]| {
        let path = home.beside("few.jsonl");
        fs::write(&path, content).expect("writable");
        let file = path.to_str().expect("UTF-8").to_owned();
        let mut all = vec!["eval", "failure", "--examples", &file, "--json"];
        all.extend(arguments);
        run(&home, &all, b"")
    };
    check("\n", &[]).failed(&["few.jsonl' has no examples"]);
    check("{\"input\": \"a\", \"expected\": \"wear\"}", &[])
        .failed(&["line 1", "the label 'wear' is not in the task's label file"]);
    let one = "{\"input\": \"the pump howls\", \"expected\": \"noise\"}";
    let found = &lines(&check(one, &[]))[0];
    assert_eq!(found["n"], 1);
    let low = found["macro_f1"]["low"].as_f64();
    assert!(low.is_some_and(|low| low < 0.1), "{found}");
    let warnings = found["warnings"].to_string();
    for part in ["one example", "All examples have the label 'noise'"] {
        assert!(warnings.contains(part), "{warnings}");
    }
    // A candidate is trained on what the file does not hold.
    let held_out = format!("{one}\n{{\"input\": \"Seal LEAKS\", \"expected\": \"leak\"}}");
    let found = &lines(&check(&held_out, &["--with", "learn"]))[0];
    let how = found["measured"]["how"].as_str().expect("a sentence");
    assert!(
        how.contains("trained on 14 of the plant's examples"),
        "{how}"
    );
    let scored = &lines(&check(&held_out, &["--with", "labels"]))[0];
    assert_eq!(scored["measured"]["name"], "smollm2:135m");
    assert!(scored["cost"]["tokens_per_request"].as_f64() > Some(10.0));
    assert!(scored["warnings"].to_string().contains("no probabilities"));
}

#[test]
fn instructions_and_tunings_are_contenders() {
    let home = Home::new();
    let (file, other) = (home.beside("held-out.jsonl"), home.beside("prompt.txt"));
    let example = |input: &str, expected: &str| {
        format!("{{\"input\": \"{input}\", \"expected\": \"{expected}\"}}\n")
    };
    let held_out = example("the pump howls", "noise") + &example("the seal drips", "leak");
    fs::write(&file, held_out).expect("writable");
    fs::write(&other, "What is wrong with the machine?\n").expect("writable");
    let prompt = format!("labels+prompt={}", other.display());
    let eval = |with: &str, against: &str| {
        let file = file.to_str().expect("UTF-8");
        let named = ["eval", "failure", "--examples", file, "--json"];
        run(
            &home,
            &[&named[..], &["--with", with, "--against", against]].concat(),
            b"",
        )
    };
    let found = &lines(&eval("labels", &prompt))[0];
    let subjects = found["comparison"]["contenders"].as_array();
    let names: Vec<_> = subjects
        .expect("two")
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names[0], "smollm2:135m", "{found}");
    assert!(
        names[1]
            .as_str()
            .is_some_and(|name| name.contains("+prompt=")),
        "{found}"
    );

    let tuned = &lines(&eval("learn+tune", "learn"))[0];
    assert_eq!(
        (&tuned["n"], &tuned["measured"]["name"]),
        (&2.into(), &"learn+tune".into())
    );

    fs::write(&other, " \n").expect("writable");
    eval(&prompt, "learn").failed(&["prompt.txt' has no instructions"]);
}

#[test]
fn bad_input_names_its_line() {
    let home = Home::new();
    run(&home, &["run", "nothing", "x"], b"").failed(&["no task 'nothing': it has failure"]);
    run(&home, &["run", "failure", "  "], b"").failed(&["the text is empty"]);
    run(&home, &["run", "failure"], b"a leak\n\xff\n").failed(&["line 2 is not UTF-8"]);
    run(&home, &["run", "failure"], b"oil\0 drips \x1b[31m\x07\n").succeeded();
    run(&home, &["run", "failure"], &vec![b'a'; 10 << 20]).failed(&["line 1 has more than"]);
    run(&home, &["run", "failure"], &vec![b'a'; 100_000]).failed(&["line 1", "shorten or split"]);
}

#[test]
fn a_node_comes_up_and_ends_when_asked() {
    let home = Home::new();
    let mut child = command(&home, &["up", "--listen", "127.0.0.1:0", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut first = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout)
        .read_line(&mut first)
        .expect("a line");
    let up: Value = serde_json::from_str(&first).expect("JSON");
    let health = format!("{}/health", up["url"].as_str().expect("a URL"));
    let health = ureq::get(&health).call().expect("it is ready");
    assert_eq!(health.status(), 200);
    if cfg!(unix) {
        let id = child.id().to_string();
        Command::new("kill").arg(&id).status().expect("kill runs");
    } else {
        child.kill().expect("it runs");
    }
    let ended = child.wait().expect("it ends");
    assert_eq!(ended.success(), cfg!(unix));
}

#[test]
fn addresses_that_cannot_be_listened_on_are_refused() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    run(&home, &["up", "--listen", &address], b"")
        .failed(&[&address, "choose another address with `--listen`"]);
    run(&home, &["up", "--listen", "0.0.0.0:0"], b"")
        .failed(&["there is no TLS", "--insecure-no-tls"]);
}

#[test]
fn a_model_that_was_changed_does_not_answer() {
    let home = Home::new();
    let real = run(&home, &["model", "list", "--json"], b"");
    let real = lines(&real).remove(0);
    let models = real.as_array().expect("a list");
    let copied = home.beside("home/models/minilm-l6");
    let minilm = models.iter().find(|model| model["name"] == "minilm:l6");
    let minilm = minilm.expect("fetched by `andon model pull minilm:l6`");
    copy(
        Path::new(minilm["folder"].as_str().expect("a path")),
        &copied,
    );
    let weights = copied.join("model.safetensors");
    let mut bytes = fs::read(&weights).expect("copied");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let learn = || {
        let mut learn = command(&home, &["learn", "failure"]);
        learn.env("ANDON_HOME", home.beside("home"));
        Ended::from(learn.output().expect("the binary runs"))
    };
    fs::write(&weights, &bytes).expect("writable");
    learn().failed(&["is not as it came", "andon model rm minilm:l6"]);
    fs::write(&weights, &bytes[..1000]).expect("writable");
    learn().failed(&["has 1000 bytes and not", "andon model pull minilm:l6"]);
}

/// Copies a folder with all that it holds.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("writable");
    for entry in fs::read_dir(from).expect("a model") {
        let path = entry.expect("readable").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("writable");
        }
    }
}
