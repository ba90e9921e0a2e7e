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
