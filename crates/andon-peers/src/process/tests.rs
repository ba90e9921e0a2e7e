use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::{Guarded, children, command, output};

fn arguments(script: &str) -> Vec<String> {
    vec!["-c".to_owned(), script.to_owned()]
}

#[test]
fn what_a_program_prints_is_returned() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let run = |script: &str, patience: u64| {
        let patience = Duration::from_secs(patience);
        output(Path::new("sh"), &arguments(script), &log, patience)
    };
    assert_eq!(run("echo fine", 20).expect("it ends well"), "fine\n");
    let failure = run("echo broken >&2; exit 3", 20).expect_err("it fails");
    assert!(failure.to_string().contains("broken"), "{failure}");
    let failure = run("exec sleep 60", 0).expect_err("it is too slow");
    assert!(failure.to_string().contains("did not end"), "{failure}");
}

#[test]
fn a_dropped_program_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let program = Path::new("sleep");
    let guarded = Guarded::start(program, &["600".to_owned()], Stdio::null(), &log)
        .expect("sleep is everywhere");
    let sleeping = || {
        let children = children(guarded.id()).expect("the guard runs");
        children
            .into_iter()
            .find(|id| command(*id).is_some_and(|name| name == "sleep"))
    };
    let id = loop {
        match sleeping() {
            Some(id) => break id,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    drop(guarded);
    assert_eq!(command(id), None, "process {id} is left behind");
}
