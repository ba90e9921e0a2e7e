use super::{Order, find, is_iso, read};

fn check(text: &str, dates: &[&str]) {
    let found: Vec<&str> = find(text)
        .into_iter()
        .map(|(start, end)| &text[start..end])
        .collect();
    assert_eq!(found, dates, "{text:?}");
}

#[test]
fn finds_dates_as_people_write_them() {
    check("DATE:\t25/12/2018 8:13:39 PM", &["25/12/2018"]);
    check("12-01-19 21:13 SH01", &["12-01-19"]);
    check(
        "issued 14 MAR 2018, due 3 de abril de 2018",
        &["14 MAR 2018", "3 de abril de 2018"],
    );
    check("2018-01-05 and 20180304", &["2018-01-05", "20180304"]);
    check("March 5, 2026", &["March 5, 2026"]);
    check("Fecha: 9.2.2026.", &["9.2.2026"]);
}

#[test]
fn finds_no_dates_in_other_numbers() {
    check("TEL 03-80605774 19-10/03", &[]);
    check("99/99/2018", &[]);
    check("1\t-2.37", &[]);
    check("ref 120180304567", &[]);
}

#[test]
fn reads_both_orders() {
    assert_eq!(
        read("3/4/2026", Order::DayFirst).as_deref(),
        Some("2026-04-03")
    );
    assert_eq!(
        read("3/4/2026", Order::MonthFirst).as_deref(),
        Some("2026-03-04")
    );
    assert_eq!(read("25/12/18", Order::MonthFirst), None);
    assert_eq!(read("29.2.2025", Order::DayFirst), None);
    assert_eq!(
        read("29.2.2024", Order::DayFirst).as_deref(),
        Some("2024-02-29")
    );
}

#[test]
fn knows_the_form_of_the_schema() {
    assert!(is_iso("2024-02-29"));
    for text in [
        "2023-02-29",
        "24-02-29",
        "2024-2-29",
        "2024-13-01",
        "",
        "2024-02-29x",
    ] {
        assert!(!is_iso(text), "{text}");
    }
}
