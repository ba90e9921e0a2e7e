use super::{Schema, SchemaError};

#[test]
fn reads_a_schema_of_an_object() {
    let schema = Schema::parse(r#"{"type": "object", "properties": {"date": {"type": "string"}}}"#);
    let schema = schema.unwrap();
    let spaced = "{ \"type\": \"object\",\n\"properties\": {\"date\": {\"type\": \"string\"}}}";
    assert_eq!(schema.digest(), Schema::parse(spaced).unwrap().digest());
    assert_eq!(schema.value()["properties"]["date"]["type"], "string");
}

#[test]
fn refuses_what_describes_no_object() {
    assert!(matches!(Schema::parse("{"), Err(SchemaError::Json(_))));
    for text in [
        "true",
        r#"{"type": "string"}"#,
        r#"{"type": "object"}"#,
        r#"{"type": "object", "properties": {}}"#,
    ] {
        let error = Schema::parse(text).expect_err(text);
        assert!(matches!(error, SchemaError::NotAnObject), "{text}");
    }
}

#[test]
fn properties_stand_as_the_schema_names_them() {
    let schema = r##"{"type": "object", "properties": {
        "date": {"type": "string"},
        "positions": {"type": "array", "items": {"$ref": "#/$defs/position"}},
        "supplier": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"name": {}, "town": {}}}]}
    }, "$defs": {"position": {"type": "object", "properties": {"article": {}, "quantity": {}}}}}"##;
    let schema = Schema::parse(schema).unwrap();
    let written = r#"{"more":1,"supplier":{"town":"A","name":"B"},"positions":[{"quantity":2,"article":"x"}],"date":"d"}"#;
    let ordered = schema.ordered(&serde_json::from_str(written).unwrap());
    assert_eq!(
        ordered.to_string(),
        r#"{"date":"d","positions":[{"article":"x","quantity":2}],"supplier":{"name":"B","town":"A"},"more":1}"#
    );
}
