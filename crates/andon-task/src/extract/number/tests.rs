use serde_json::json;

use super::{Decimal, find, json as as_json, read};

fn check(text: &str, numbers: &[&str]) {
    let found: Vec<&str> = find(text)
        .into_iter()
        .map(|found| &text[found.start..found.end])
        .collect();
    assert_eq!(found, numbers, "{text:?}");
}

#[test]
fn finds_numbers() {
    check(
        "TOTAL RM33.90, 2 x 1,234.50 and 1.234,5.",
        &["33.90", "2", "1,234.50", "1.234,5"],
    );
    check("-5.59 or 07-350", &["-5.59", "07", "350"]);
}

#[test]
fn finds_the_currency() {
    for (text, whole) in [
        ("RM 9.00", "RM 9.00"),
        ("€12", "€12"),
        ("FORM 9.00", "9.00"),
    ] {
        let found = find(text)[0];
        assert_eq!(&text[found.outer..found.end], whole);
    }
}

#[test]
fn reads_both_marks() {
    assert_eq!(read("1,234.50", Decimal::Point), Some(1234.5));
    assert_eq!(read("1.234,50", Decimal::Comma), Some(1234.5));
    assert_eq!(read("1.234,50", Decimal::Point), None);
    assert_eq!(read("1.234", Decimal::Comma), Some(1234.0));
    assert_eq!(read("1.234", Decimal::Point), Some(1.234));
    assert_eq!(read("-0.5", Decimal::Point), Some(-0.5));
    assert_eq!(read("12,34", Decimal::Point), None);
}

#[test]
fn writes_whole_numbers_without_a_point() {
    assert_eq!(as_json(40.0), Some(json!(40)));
    assert_eq!(as_json(0.5), Some(json!(0.5)));
    assert_eq!(as_json(f64::NAN), None);
}
