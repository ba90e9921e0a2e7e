use andon_store::{Error, Page, RecordFilter, Vector};
use andon_task::digest::Digest;
use andon_task::run::{NewRecord, Record, Repeat, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::Fixture;

/// Inserts a record and reads it in every way that there is.
fn check(fixture: &Fixture, new: NewRecord, repeats: Option<Repeat>, vector: Option<Vector>) {
    let store = &fixture.store;
    let inserted = store
        .insert_record(new.clone(), Timestamp(-5), repeats, vector.clone())
        .expect("a record");
    let expected = Record {
        id: inserted.id,
        received_at: Timestamp(-5),
        text: new.text,
        asset: new.asset.clone(),
        meta: new.meta,
        repeats,
        closed_at: None,
    };
    assert_eq!(inserted, expected);
    assert_eq!(store.record(inserted.id).expect("a read"), Some(expected));
    let filter = RecordFilter {
        open_only: true,
        asset: new.asset.clone(),
    };
    let listed = store.records(&filter, Page::default()).expect("a listing");
    assert_eq!(listed[0], inserted);
    let open = store
        .open_with_vectors(new.asset.as_deref(), 1)
        .expect("open records");
    assert_eq!(open[0].record, inserted);
    assert_eq!(open[0].vector, vector);
}

fn meta() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

#[test]
fn any_record_comes_back_as_it_was() {
    let fixture = Fixture::new();
    let text = prop_oneof![any::<String>(), "[\\x00-\\x20\u{feff}\u{10ffff}]{0,20}"];
    let asset = prop::option::of(any::<String>());
    let vector = prop::option::of(prop::collection::vec(-1e30f32..1e30, 0..8));
    proptest!(ProptestConfig::with_cases(100), |(text in text, asset in asset, meta in meta(), vector in vector)| {
        let vector = vector.map(|values| Vector { encoder: Digest::of(b"encoder"), values });
        check(&fixture, NewRecord { text, asset, meta }, None, vector);
    });
}

#[test]
fn awkward_texts_come_back_as_they_were() {
    let fixture = Fixture::new();
    let long = "ñ€😀\0".repeat(1_000_000);
    for text in [
        "",
        "\0",
        "a\0b\0",
        "\u{feff}x",
        "\r\n\t\u{1b}[0m",
        "'; --",
        &long,
    ] {
        let new = NewRecord {
            text: text.to_owned(),
            asset: Some(text.chars().take(9).collect()),
            meta: json!({ text.chars().take(9).collect::<String>(): text.len() }),
        };
        check(&fixture, new, None, None);
    }
}

#[test]
fn a_repeat_names_a_record_that_exists() {
    let fixture = Fixture::new();
    let first = fixture.note("first");
    let repeat = |record, likeness| Some(Repeat { record, likeness });
    check(&fixture, NewRecord::default(), repeat(first.id, 0.93), None);
    let insert = |repeats| {
        let new = NewRecord::default();
        fixture
            .store
            .insert_record(new, Timestamp(1), repeats, None)
    };
    assert!(matches!(insert(repeat(99, 0.5)), Err(Error::NoRecord(99))));
    assert!(matches!(
        insert(repeat(first.id, f64::NAN)),
        Err(Error::Unstorable("likeness"))
    ));
}

#[test]
fn metadata_that_could_not_be_read_again_is_refused() {
    let fixture = Fixture::new();
    let new = NewRecord {
        meta: (0..200).fold(Value::Null, |inner, _| json!([inner])),
        ..NewRecord::default()
    };
    let refused = fixture.store.insert_record(new, Timestamp(1), None, None);
    assert!(matches!(refused, Err(Error::Unstorable("metadata"))));
}

#[test]
fn closing_keeps_the_first_time() {
    let fixture = Fixture::new();
    let record = fixture.note("a leak");
    let closed = fixture
        .store
        .close_record(record.id, Timestamp(7))
        .expect("open");
    assert_eq!(closed.closed_at, Some(Timestamp(7)));
    let again = fixture
        .store
        .close_record(record.id, Timestamp(8))
        .expect("closed");
    assert_eq!(again.closed_at, Some(Timestamp(7)));
    let fixture = fixture.reopen();
    assert_eq!(
        fixture.store.record(record.id).expect("a read"),
        Some(again)
    );
    assert_eq!(fixture.store.open_with_vectors(None, 9).expect("none"), []);
    let missing = fixture.store.close_record(99, Timestamp(7));
    assert!(matches!(missing, Err(Error::NoRecord(99))));
}

#[test]
fn listings_are_filtered_and_paged() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    for number in 0..10 {
        let new = NewRecord {
            asset: (number % 2 == 0).then(|| "filler-1".to_owned()),
            ..NewRecord::default()
        };
        store
            .insert_record(new, Timestamp(number), None, None)
            .expect("a record");
    }
    store.close_record(9, Timestamp(99)).expect("a record");
    let list = |open_only, asset: Option<&str>, before, limit| -> Vec<i64> {
        let asset = asset.map(str::to_owned);
        let page = Page { before, limit };
        let records = store.records(&RecordFilter { open_only, asset }, page);
        records
            .expect("a listing")
            .iter()
            .map(|record| record.id)
            .collect()
    };
    assert_eq!(list(false, None, None, 3), [10, 9, 8]);
    assert_eq!(list(false, None, Some(8), 3), [7, 6, 5]);
    assert_eq!(list(true, None, None, 3), [10, 8, 7]);
    assert_eq!(list(true, Some("filler-1"), None, 2), [7, 5]);
    assert_eq!(list(false, Some("filler-1"), Some(4), 9), [3, 1]);
    assert_eq!(list(false, Some("filler-2"), None, 9), [0; 0]);
    let open = |asset, limit| -> Vec<i64> {
        let open = store.open_with_vectors(asset, limit).expect("open records");
        open.iter().map(|open| open.record.id).collect()
    };
    assert_eq!(open(Some("filler-1"), 2), [7, 5]);
    assert_eq!(open(None, 9), [10, 8, 6, 4, 2]);
}
