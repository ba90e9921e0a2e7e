//! Tests of each rule on small inputs, and of all on a made workspace.

use std::path::Path;

use super::{dependency, literal, sql};

#[test]
fn string_literals_are_found() {
    let check = |source: &str, expected: &[&str]| {
        let found: Vec<&str> = literal::strings(source).iter().map(|l| l.text).collect();
        assert_eq!(found, expected, "{source}");
    };
    check(r#"let a = "one"; // "two""#, &["one"]);
    check("/* \"a\" /* \"b\" */ \"c\" */ \"d\"", &["d"]);
    check(
        r##"f(r#"a"b"#, br"c", b"d", c"e")"##,
        &["a\"b", "c", "d", "e"],
    );
    check(
        r#"let q = '"'; let e = '\''; let l: &'a str = "x";"#,
        &["x"],
    );
    check(r#""a\"b\\" "c""#, &["a\\\"b\\\\", "c"]);
    check("for r in rows { bar(\"ñ\") } 'ñ' \"z\"", &["ñ", "z"]);
    check("let raw = r; \"x\" '\\u{1F600}' \"y\"", &["x", "y"]);
    check("\"not closed", &["not closed"]);
    let lines: Vec<usize> = literal::strings("\"a\"\n\n\"b\nc\"\n\"d\"")
        .iter()
        .map(|literal| literal.line)
        .collect();
    assert_eq!(lines, [1, 3, 5]);
}

#[test]
fn sql_is_told_from_english() {
    let check = |text: &str, expected: Option<&str>| {
        assert_eq!(sql::keyword(text), expected, "{text}");
    };
    check("SELECT id FROM runs", Some("SELECT"));
    check("\n  insert into runs values (1)", Some("INSERT INTO"));
    check("WITH a AS (SELECT 1)", Some("SELECT"));
    check("pragma journal_mode = WAL", Some("PRAGMA"));
    check("UPDATE runs SET x = 1", Some("UPDATE"));
    check("select a model from the list", None);
    check("update the plant and set a name", None);
    check("insert the card", None);
    check("the PRAGMATIC way", None);
    check("RESELECT it", None);
}

#[test]
fn dependencies_follow_the_table() {
    let check = |name: &str, manifest: &str, expected: &[&str]| {
        let found = dependency::faults(name, manifest).expect("TOML");
        assert_eq!(found, expected, "{name}");
    };
    check(
        "andon-store",
        "[dependencies]\nandon-task = {}\nrusqlite = '1'",
        &[],
    );
    check(
        "andon-runtime",
        "[dependencies]\nandon-engine.workspace = true",
        &["andon-runtime: may not use 'andon-engine'"],
    );
    check(
        "andon-task",
        "[target.'cfg(unix)'.dev-dependencies]\nx = { package = 'andon-kernels' }",
        &["andon-task: may not use 'andon-kernels'"],
    );
    check(
        "andon-server",
        "[dependencies]\nrusqlite = '1'",
        &["andon-server: may not use 'rusqlite': SQL is in andon-store alone"],
    );
    check(
        "andon-task",
        "[dev-dependencies]\nandon-specimen.workspace = true",
        &[],
    );
    check(
        "andon-task",
        "[dependencies]\nandon-specimen.workspace = true",
        &["andon-task: may not use 'andon-specimen'"],
    );
    let unknown = dependency::faults("andon-extra", "").expect("TOML");
    assert!(unknown[0].contains("not in the table of crates"));
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("below the root")).expect("writable");
    std::fs::write(path, text).expect("writable");
}

#[test]
fn a_workspace_is_checked_as_a_whole() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let root = root.path();
    write(root, "xtask/Cargo.toml", "");
    write(
        root,
        "xtask/src/main.rs",
        "//! Checks.\nconst A: &str = \"SELECT 1\";\n",
    );
    write(root, "crates/andon-store/Cargo.toml", "");
    write(
        root,
        "crates/andon-store/src/lib.rs",
        "//! SQL.\nconst A: &str = \"SELECT 1\";\n",
    );
    assert_eq!(super::check(root).expect("readable"), Vec::<String>::new());

    write(
        root,
        "crates/andon-task/Cargo.toml",
        "[dependencies]\nandon = {}\n",
    );
    write(root, "crates/andon-task/src/lib.rs", "// No doc.\n");
    write(
        root,
        "crates/andon-task/src/a/b.rs",
        "\n\nconst A: &str = \"DROP TABLE x\";\n",
    );
    write(
        root,
        "crates/andon-task/tests/it/main.rs",
        &"\n".repeat(601),
    );
    assert_eq!(
        super::check(root).expect("readable"),
        [
            "andon-task: may not use 'andon'",
            "crates/andon-task/src/a/b.rs:3: SQL (DROP TABLE) outside andon-store: add a method there",
            "crates/andon-task/src/lib.rs: a crate root opens with `//!`: say what the crate is for",
            "crates/andon-task/tests/it/main.rs: 601 lines, and at most 600 are readable: what is it two of?",
        ]
    );
}
