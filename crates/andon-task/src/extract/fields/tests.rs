use serde_json::{Value, json};

use super::{Fields, SchemaError};
use crate::extract::Gold;

fn note() -> Value {
    json!({
        "type": "object",
        "properties": {
            "number": {"type": "string", "minLength": 2},
            "date": {"type": ["string", "null"], "format": "date"},
            "supplier": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            "kind": {"enum": ["in", "out", null]},
            "total": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]},
            "positions": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/position"}}
        },
        "required": ["number", "positions"],
        "$defs": {"position": {
            "type": "object",
            "properties": {"quantity": {"type": "integer"}, "text": {"type": "string"}},
            "required": ["quantity"]
        }}
    })
}

#[test]
fn finds_the_fields_of_a_schema() {
    let fields = Fields::of(&note()).unwrap();
    let paths: Vec<(&str, bool, Option<usize>)> = fields
        .all()
        .iter()
        .map(|f| (f.path.as_str(), f.may_be_absent, f.list))
        .collect();
    assert_eq!(
        paths,
        [
            ("number", false, None),
            ("date", true, None),
            ("supplier.name", true, None),
            ("kind", true, None),
            ("total", true, None),
            ("positions[].quantity", false, Some(0)),
            ("positions[].text", true, Some(0)),
        ]
    );
}

#[test]
fn says_where_an_expected_object_is_wrong() {
    let fields = Fields::of(&note()).unwrap();
    let check = |expected: Value, says: &str| {
        let error = Gold::of(&fields, &expected).expect_err(says);
        assert!(error.contains(says), "{error}");
    };
    check(json!({"positions": []}), "'number'");
    check(json!({"number": "A1"}), "'positions'");
    check(json!({"number": "A", "positions": []}), "expected.number");
    check(
        json!({"number": "A1", "positions": [{"text": "x"}]}),
        "positions[0]",
    );
    check(
        json!({"number": "A1", "positions": [{"quantity": 1.5}]}),
        "positions[0].quantity",
    );
    check(
        json!({"number": "A1", "positions": [], "colour": 1}),
        "'colour'",
    );
    check(
        json!({"number": "A1", "positions": [], "date": "1.2.2026"}),
        "expected.date",
    );
    check(
        json!({"number": "A1", "positions": [], "total": -1}),
        "expected.total",
    );
    check(
        json!({"number": "A1", "positions": [], "kind": "up"}),
        "expected.kind",
    );
    let three = json!([{"quantity": 1}, {"quantity": 2}, {"quantity": 3}]);
    check(json!({"number": "A1", "positions": three}), "3 items");
    let right =
        json!({"number": "A1", "positions": [{"quantity": 1}], "kind": null, "total": null});
    assert!(Gold::of(&fields, &right).is_ok());
}

#[test]
fn names_what_it_does_not_support() {
    let check = |property: Value, says: &str| {
        let schema = json!({"type": "object", "properties": {"a": property}});
        let error = Fields::of(&schema).expect_err(says).to_string();
        assert!(
            error.contains(says) && error.contains("#/properties/a"),
            "{error}"
        );
    };
    check(json!({"type": "string", "format": "email"}), "format");
    check(
        json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        "oneOf",
    );
    check(json!({"type": ["string", "number"]}), "type");
    check(json!({"type": "string", "not": {}}), "not");
    check(
        json!({"type": "object", "patternProperties": {}}),
        "patternProperties",
    );
    check(json!({"type": "string", "pattern": "(?<=x)y"}), "pattern");
    check(json!({}), "type is missing");
    check(json!({"type": "array"}), "items");
    check(json!({"$ref": "https://example.com/x"}), "$ref");
}

#[test]
fn takes_two_hundred_fields_and_refuses_thousands() {
    let schema = |count: usize| {
        let properties: serde_json::Map<String, Value> = (0..count)
            .map(|n| (format!("f{n}"), json!({"type": "string"})))
            .collect();
        json!({"type": "object", "properties": properties})
    };
    assert_eq!(Fields::of(&schema(200)).unwrap().all().len(), 200);
    assert!(matches!(
        Fields::of(&schema(2000)),
        Err(SchemaError::TooMany)
    ));
    assert!(matches!(Fields::of(&schema(0)), Err(SchemaError::None)));
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"$ref": "#"}},
    });
    assert!(matches!(
        Fields::of(&schema),
        Err(SchemaError::Wrong { .. })
    ));
    let schema = json!({"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}});
    assert!(matches!(
        Fields::of(&schema),
        Err(SchemaError::Keyword { .. })
    ));
}
