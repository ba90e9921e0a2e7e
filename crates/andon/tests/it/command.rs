//! The command line itself: exit codes, help, output.

use crate::models::run;
use crate::node::Home;

#[test]
fn exit_codes_tell_mistyped_from_failed() {
    let home = Home::new();
    let check = |arguments: &[&str], code: i32| {
        assert_eq!(home.run(arguments).code, Some(code), "{arguments:?}");
    };
    check(&["--version"], 0);
    check(&["model", "list"], 0);
    check(&["model", "rm", "nothing"], 1);
    check(&["model", "pull", "no-such-model"], 1);
    check(&["no-such-verb"], 2);
    check(&["model", "rm", "../../etc"], 2);
    check(&["up", "--adapter", "no-path"], 2);
    check(&["model", "import", "x", "--sha256", "abc"], 2);
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_not_utf_8_is_mistyped() {
    use std::os::unix::ffi::OsStrExt;
    let mut command = Home::new().command(&["run", "team"]);
    command.arg(std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    let output = command.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("invalid UTF-8"));
}

#[cfg(not(feature = "llama"))]
#[test]
fn an_engine_that_was_not_built_is_named() {
    let home = Home::new();
    let ended = run(&home, &["run", "failure", "oil", "--engine", "llama"], b"");
    ended.failed(&["was built without llama.cpp", "--features llama"]);
}

#[test]
fn an_unknown_source_names_the_ways() {
    let home = Home::new();
    home.run(&["model", "pull", "no-such-model"])
        .failed(&["smollm2:135m, minilm:l6", "hf:owner/repository/file"]);
    home.run(&["model", "pull", "hf:owner/../x", "--trust-on-first-use"])
        .failed(&["is no file of the hub"]);
}

#[test]
fn doctor_says_what_mends_an_empty_home() {
    let home = Home::new();
    let ended = home.run(&["doctor"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .contains("mend it: andon model pull smollm2:135m")
    );
    assert!(ended.stdout.contains("mend it: andon model pull minilm:l6"));
}
