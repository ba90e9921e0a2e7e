use andon_learn::report::{Column, Content, Document, Section, Shown, Table};

use super::*;

#[track_caller]
fn check(typed: &str, expected: Result<&str, &str>) {
    let read: Result<Contender, String> = typed.parse();
    match expected {
        Ok(shown) => assert_eq!(read.map(|one| one.to_string()).as_deref(), Ok(shown)),
        Err(part) => {
            let error = read.expect_err("it is refused");
            assert!(error.contains(part), "'{part}' is not in: {error}");
        }
    }
}

#[test]
fn contenders_are_typed_by_name() {
    check("head", Ok("head"));
    check("learn", Ok("learn"));
    check("labels", Ok("labels"));
    check("head:0123ABCD", Ok("head:0123abcd"));
    check("adapter:0123ABCD", Ok("adapter:0123abcd"));
    check("adapter:xyz", Err("'xyz' is no digest of a head"));
    check("smollm2:135m", Ok("smollm2:135m"));
    check(
        "smollm2:135m+adapter=a/b.gguf",
        Ok("smollm2:135m+adapter=a/b.gguf"),
    );
    check("labels+adapter=x", Ok("labels+adapter=x"));
    check("head:xyz", Err("'xyz' is no digest of a head"));
    check("head:0123", Err("8 to 64 hexadecimal digits"));
    check("learn+tune", Ok("learn+tune"));
    check("labels+prompt=a/b.txt", Ok("labels+prompt=a/b.txt"));
    check(
        "smollm2:135m+prompt=p+adapter=a",
        Ok("smollm2:135m+adapter=a+prompt=p"),
    );
    check("head+adapter=x", Err("'head' has no adapters"));
    check("learn+prompt=x", Err("'learn' has no adapters or prompts"));
    check("labels+adapter=", Err("names no file"));
    check("labels+prompt=a+prompt=b", Err("two files for one thing"));
    check("labels+quick", Err("'+quick' is not known"));
    check("../etc", Err("'../etc' is neither head"));
}

fn typed(with: Option<&str>, against: &[&str]) -> Eval {
    let parse = |name: &str| name.parse().expect("a contender");
    Eval {
        task: "mode".to_owned(),
        examples: None,
        with: with.map(parse),
        against: against.iter().map(|name| parse(name)).collect(),
        report: None,
        on: None,
        sample: None,
    }
}

#[test]
fn the_first_contender_is_what_the_report_is_about() {
    let names = |typed: &Eval, on: &On| {
        let found = contenders(typed, on).map_err(|error| error.to_string());
        found.map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(
        names(&typed(None, &[]), &On::Plant),
        Ok(vec!["learn".into()])
    );
    assert_eq!(names(&typed(None, &[]), &On::File), Ok(vec!["head".into()]));
    let found = names(&typed(None, &["labels", "learn"]), &On::Plant);
    assert_eq!(found, Ok(vec!["learn".into(), "labels".into()]));
    let twice = names(&typed(Some("head"), &["head"]), &On::Plant);
    assert_eq!(
        twice,
        Err("'head' is named twice: it cannot differ from itself".into())
    );
    let alone = names(&typed(None, &["learn"]), &On::Plant);
    assert_eq!(
        alone,
        Err("'learn' is measured anyway: name another with `--against`".into())
    );
}

#[test]
fn a_report_is_whole_or_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("report.html");
    std::fs::write(&path, "before").expect("it is written");
    let entries = || {
        std::fs::read_dir(folder.path())
            .expect("it is read")
            .count()
    };
    drop(Page::reserve(&path).expect("there is room"));
    assert_eq!(
        std::fs::read_to_string(&path).expect("it is read"),
        "before"
    );
    assert_eq!(entries(), 1, "nothing is left behind");
    let page = Page::reserve(&path).expect("there is room");
    page.write("after").expect("it is written");
    assert_eq!(std::fs::read_to_string(&path).expect("it is read"), "after");
    assert_eq!(entries(), 1);
    let refused = |path: &Path| Page::reserve(path).err().map(|error| error.to_string());
    let is_folder = refused(folder.path()).expect("a folder is no file");
    assert!(is_folder.contains("is a folder"), "{is_folder}");
    let nowhere = refused(&folder.path().join("no/report.html")).expect("no such folder");
    assert!(nowhere.contains("cannot write the report"), "{nowhere}");
}

#[test]
fn a_terminal_shows_what_is_said_and_the_tables_of_everywhere() {
    let column = |name, is_number| Column { name, is_number };
    let table = Table {
        columns: vec![column("FIGURE", false), column("VALUE", true)],
        rows: vec![vec!["accuracy".into(), "90.7 %".into()]],
    };
    let section = |heading: &str, shown| Section {
        heading: heading.to_owned(),
        text: vec!["How to read it.".to_owned()],
        content: vec![Content::Table(table.clone())],
        shown,
    };
    let document = Document {
        title: "Evaluation of mode".to_owned(),
        lead: vec!["learn: cross-validated.".to_owned()],
        warnings: vec!["There is one example.".to_owned()],
        sections: vec![
            section("Figures", Shown::Everywhere),
            section("Labels", Shown::OnPage),
        ],
        facts: Vec::new(),
    };
    insta::assert_snapshot!(terminal::show(&document), @r"
    learn: cross-validated.

    ! There is one example.

    FIGURES

    FIGURE    VALUE
    accuracy  90.7 %

    How to read it.

    `--report FILE.html` shows labels.
    ");
}
