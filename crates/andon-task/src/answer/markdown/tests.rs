use super::*;

const MANUAL: &str = "---\ntitle: Filler\nrevision: 7\n---\nRead all of it.\n\n# Torques\n\nUse the\ntable. It is short.\n\n| bolt | torque |\n|---|---|\n| M8 | 25 N·m |\n\n## Lock-out\n\n1. Q1 to 0.\n2. Tag it. Try\n   to start.\n- 7 -\n\nLock-out\n--------\n\n* Again.\n";

fn quotes(document: &Document) -> Vec<(String, Vec<String>)> {
    let of = |section: &Section| {
        let lines = document.quote(&section.sentences);
        (
            section.id.clone(),
            lines.lines().map(str::to_owned).collect(),
        )
    };
    document.sections.iter().map(of).collect()
}

#[test]
fn sections_follow_the_headings() {
    let document = parse("manuals/f.md", MANUAL.to_owned(), Form::Markdown);
    assert_eq!(document.title, "Filler");
    assert_eq!(document.revision.as_deref(), Some("7"));
    let expected = [
        ("manuals/f.md", vec!["Read all of it."]),
        (
            "manuals/f.md#torques",
            vec![
                "Use the table. It is short.",
                "bolt | torque",
                "M8 | 25 N·m",
            ],
        ),
        (
            "manuals/f.md#lock-out",
            vec!["1. Q1 to 0.", "2. Tag it. Try to start."],
        ),
        ("manuals/f.md#lock-out-1", vec!["Again."]),
    ];
    let expected: Vec<(String, Vec<String>)> = expected
        .into_iter()
        .map(|(id, lines)| {
            (
                id.to_owned(),
                lines.into_iter().map(str::to_owned).collect(),
            )
        })
        .collect();
    assert_eq!(quotes(&document), expected);
    assert_eq!(
        document.sections[2].headings,
        ["Filler", "Torques", "Lock-out"]
    );
}

#[test]
fn places_are_bytes_of_the_text() {
    let document = parse("manuals/f.md", MANUAL.to_owned(), Form::Markdown);
    let section = &document.sections[1];
    let citation = document.cite(section, 0..1);
    assert_eq!(
        &document.text[citation.start..citation.end],
        "Use the\ntable."
    );
    assert_eq!(citation.page, None);
}

#[test]
fn plain_text_has_pages_and_headings_by_their_look() {
    let text = "PUMP MANUAL\n\nFirst words.\n\u{c}2.1 Tightening torques\nM8 bolts take 25 N·m.\n1. Close it.\n";
    let document = parse("manuals/p.pdf", text.to_owned(), Form::Plain);
    let ids: Vec<&str> = document.sections.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "manuals/p.pdf#pump-manual",
            "manuals/p.pdf#21-tightening-torques"
        ]
    );
    assert_eq!(document.sections[0].sentences[0].page, Some(1));
    assert_eq!(document.sections[1].sentences[1].page, Some(2));
    assert_eq!(document.title, "PUMP MANUAL");
}

#[test]
fn anything_can_be_read() {
    for text in [
        "",
        "---",
        "#",
        "| |",
        "\u{feff}",
        "\u{c}\u{c}",
        "1.",
        "-",
        "```\n# no\n```",
    ] {
        parse("manuals/x.md", text.to_owned(), Form::Markdown);
        parse("manuals/x.txt", text.to_owned(), Form::Plain);
    }
}
