use std::path::PathBuf;

use super::Table;

fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn read(name: &str, text: &str) -> Table {
    let (_folder, path) = file(name, text.as_bytes());
    Table::read(&path, None).unwrap()
}

fn refusal(name: &str, bytes: &[u8], sheet: Option<&str>) -> String {
    let (_folder, path) = file(name, bytes);
    let Err(error) = Table::read(&path, sheet) else {
        panic!("'{name}' is read");
    };
    format!("{error:#}").replace(&path.display().to_string(), "FILE")
}

#[test]
fn separators_are_recognised() {
    for text in [
        "id,note\n1,\"a; b\"\n2,c\n",
        "\u{feff}id;note\n1;a; b\n2;c\n"
            .replace("a; b", "\"a; b\"")
            .as_str(),
        "id\tnote\n1\ta; b\n2\tc\n",
    ] {
        let table = read("orders.CSV", text);
        assert_eq!(table.columns, ["id", "note"], "{text}");
        assert_eq!(table.rows, [["1", "a; b"], ["2", "c"]], "{text}");
    }
}

#[test]
fn lines_of_objects_and_of_text_are_tables() {
    let table = read(
        "a.jsonl",
        "{\"text\": \"leak\", \"n\": 1}\n\n{\"who\": null, \"text\": \"x\"}\n",
    );
    assert_eq!(table.columns, ["text", "n", "who"]);
    assert_eq!(table.rows, [["leak", "1", ""], ["x", "", ""]]);
    let table = read("a.txt", "one\r\n\ntwo\n");
    assert_eq!(table.rows, [["one"], ["two"]]);
}

#[test]
fn a_spreadsheet_is_a_table() {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet().set_name("Orders").unwrap();
    for (column, name) in ["Order", "Text", "Date"].into_iter().enumerate() {
        sheet.write_string(0, column as u16, name).unwrap();
    }
    sheet.write_number(1, 0, 4711.0).unwrap();
    sheet.write_string(1, 1, "oil leak").unwrap();
    let day = rust_xlsxwriter::ExcelDateTime::from_ymd(2026, 3, 9).unwrap();
    let format = rust_xlsxwriter::Format::new().set_num_format("yyyy-mm-dd");
    sheet.write_with_format(1, 2, &day, &format).unwrap();
    let bytes = book.save_to_buffer().unwrap();
    let (_folder, path) = file("orders.xlsx", &bytes);
    let table = Table::read(&path, Some("Orders")).unwrap();
    assert_eq!(table.columns, ["Order", "Text", "Date"]);
    assert_eq!(table.rows, [["4711", "oil leak", "2026-03-09"]]);
    assert_eq!(
        refusal("orders.xlsx", &bytes, Some("Other")),
        "cannot read 'FILE': there is no sheet 'Other': the sheets are Orders"
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let cases: [(&str, &[u8], &str); 5] = [
        ("a.pdf", b"x", "none of the files that are read"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"id,note\n1\n", "record 1"),
        ("a.csv", b"id\n\xff\n", "not UTF-8 at byte 3"),
        ("a.xlsx", b"PK", "no spreadsheet"),
    ];
    for (name, bytes, expected) in cases {
        let message = refusal(name, bytes, None);
        assert!(message.contains(expected), "{name}: {message}");
    }
    assert!(refusal("a.csv", b"id\n1\n", Some("x")).contains("has no sheets"));
}
