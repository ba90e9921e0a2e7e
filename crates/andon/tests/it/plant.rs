//! Plants that cannot be read.

use std::path::Path;

use crate::node::Home;

const TASK: &str = "name = \"team\"\nkind = \"decide\"\ninstructions = \"Which team?\"\nlabels = \"codes/teams.csv\"\n";

fn write(plant: &Path, path: &str, content: &[u8]) {
    let path = plant.join(path);
    std::fs::create_dir_all(path.parent().expect("below the plant")).expect("writable");
    std::fs::write(path, content).expect("writable");
}

/// What `doctor` says is missing, for a plant that `build` made.
#[track_caller]
fn check(build: impl FnOnce(&Path), expected: &str) {
    let home = Home::new();
    let plant = home.beside("plant");
    write(&plant, "tasks/team.toml", TASK.as_bytes());
    write(&plant, "codes/teams.csv", b"label\nmechanics\nelectrics\n");
    build(&plant);
    let ended = home.run(&[
        "doctor",
        "--json",
        "--plant",
        plant.to_str().expect("UTF-8"),
    ]);
    let found: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let missing = found["missing"].to_string();
    if expected.is_empty() {
        assert!(!missing.contains("plant"), "{missing}");
    } else {
        assert!(
            missing.contains(expected),
            "'{expected}' is not in {missing}"
        );
    }
}

#[test]
fn a_good_plant_is_read() {
    check(|_| (), "");
}

#[test]
fn faults_are_named() {
    check(
        |p| write(p, "codes/teams.csv", b"label\na\na\n"),
        "stands twice",
    );
    check(
        |p| {
            let example = b"{\"input\": \"a fuse\", \"expected\": \"plumbers\"}\n";
            write(p, "examples/team.jsonl", example);
        },
        "examples/team.jsonl: line 1: the label 'plumbers' is not in the task's label file",
    );
    check(
        |p| {
            write(
                p,
                "tasks/team.toml",
                format!("{TASK}accpt = 1\n").as_bytes(),
            )
        },
        "unknown field `accpt`",
    );
    check(
        |p| std::fs::remove_file(p.join("codes/teams.csv")).expect("it is there"),
        "codes/teams.csv: no such file in the plant; 'tasks/team.toml' names it",
    );
    check(
        |p| write(p, "tasks/team.toml", b"\xff"),
        "not UTF-8 at byte 0",
    );
    check(|p| write(p, "a/b/c/d/e/f/g/h/i/j.md", b""), "folders deep");
    let remove = |p: &Path| std::fs::remove_dir_all(p).expect("it is there");
    check(remove, "cannot read the plant");
    let no_tasks = |p: &Path| std::fs::remove_dir_all(p.join("tasks")).expect("it is there");
    check(no_tasks, "has no tasks");
    let file = |p: &Path| {
        remove(p);
        std::fs::write(p, "x").expect("writable");
    };
    check(file, "is not a directory");
    let large = |p: &Path| {
        let file = std::fs::File::create(p.join("large.pdf")).expect("writable");
        file.set_len(65 << 20).expect("sparse");
    };
    check(large, "files of a plant have at most");
}

#[cfg(unix)]
#[test]
fn links_stay_within_the_plant() {
    use std::os::unix::fs::symlink;
    let inside = |p: &Path| symlink("teams.csv", p.join("codes/same.csv")).expect("a link");
    check(inside, "");
    let outside = |p: &Path| symlink("/etc/passwd", p.join("codes/x.csv")).expect("a link");
    check(outside, "is a link out of the plant");
    let circle = |p: &Path| symlink("..", p.join("codes/up")).expect("a link");
    check(circle, "folders deep");
    let dangling = |p: &Path| symlink("nowhere", p.join("codes/x.csv")).expect("a link");
    check(dangling, "codes/x.csv");
}
