use serde_json::{Value, json};

use super::locate;

fn check(text: &str, value: Value, says: Option<&str>) {
    let found = locate(text, &value).map(|(start, end)| &text[start..end]);
    assert_eq!(found, says, "{value} in {text:?}");
}

#[test]
fn finds_where_a_text_says_a_value() {
    check("Total: 1.234,50 EUR", json!(1234.5), Some("1.234,50"));
    check("Total: 1,234.50 EUR", json!(1234.5), Some("1,234.50"));
    check(
        "fecha 3 de marzo de 2026",
        json!("2026-03-03"),
        Some("3 de marzo de 2026"),
    );
    check(
        "12,JALAN TAMPOI\n81200 JOHOR",
        json!("12, Jalan Tampoi 81200 Johor"),
        Some("12,JALAN TAMPOI\n81200 JOHOR"),
    );
    check(
        "café Ñandú S.L.",
        json!("CAFÉ ÑANDÚ SL"),
        Some("café Ñandú S.L"),
    );
}

#[test]
fn finds_nothing_where_the_text_does_not_say_it() {
    check("pumps", json!("pump"), None);
    check("125", json!(12), None);
    check("yes", json!(true), None);
    check("x", json!(""), None);
    check("", json!("x"), None);
}
