use crate::digest::Digest;
use crate::plant::Plant;
use crate::task::Task;

use super::*;

fn task(instructions: &str, labels: &str) -> Task {
    let task = format!(
        "name = \"kind\"\nkind = \"decide\"\ninstructions = \"{instructions}\"\nlabels = \"l.csv\"\n"
    );
    let files = [("tasks/kind.toml", task.as_str()), ("l.csv", labels)];
    let files = files
        .into_iter()
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .collect();
    Plant::parse(&files).expect("a plant").tasks["kind"].clone()
}

fn adapter(temperature: f64) -> TaskAdapter {
    let task = task("Which?", "label\na\nb\n");
    TaskAdapter::new(&task, Digest::of(b"file"), Digest::of(b"m"), temperature)
}

#[test]
fn what_was_written_is_read() {
    let adapter = adapter(1.37);
    let read = TaskAdapter::parse(&adapter.bytes()).expect("it is whole");
    assert_eq!(read, adapter);
    assert_eq!(read.digest(), adapter.digest());
}

#[test]
fn another_temperature_is_another_adapter() {
    assert_ne!(adapter(1.0).digest(), adapter(1.1).digest());
}

#[test]
fn what_it_was_not_trained_for_is_refused_by_name() {
    let refused = |task: &Task, model: &[u8]| {
        let fits = adapter(1.0).fits(task, Digest::of(model));
        fits.map_err(|error| error.to_string())
    };
    let (question, labels) = ("Which?", "label\na\nb\n");
    assert_eq!(refused(&task(question, labels), b"m"), Ok(()));
    let model = refused(&task(question, labels), b"other").unwrap_err();
    assert!(model.contains(&Digest::of(b"other").short()), "{model}");
    let others = refused(&task(question, "label\na\nc\n"), b"m").unwrap_err();
    assert!(others.contains("other labels"), "{others}");
    let asked = refused(&task("What?", labels), b"m").unwrap_err();
    assert!(asked.contains("another prompt"), "{asked}");
}

#[test]
fn bytes_that_are_no_adapter_are_refused() {
    assert!(TaskAdapter::parse(b"{").is_err());
    for temperature in ["0.0", "-1.0", "1e999"] {
        let written = String::from_utf8(adapter(1.5).bytes()).expect("JSON");
        let written = written.replace("1.5", temperature);
        assert!(TaskAdapter::parse(written.as_bytes()).is_err());
    }
}

#[test]
fn a_temperature_keeps_the_order_and_the_sum() {
    let shares = [0.7, 0.3, 0.0];
    for temperature in [0.5, 1.0, 3.0] {
        let given = adapter(temperature).probabilities(&shares);
        assert!((given.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(given[0] > given[1] && given[1] > given[2]);
    }
    let same = adapter(1.0).probabilities(&shares);
    assert!((same[0] - 0.7).abs() < 1e-6);
}
