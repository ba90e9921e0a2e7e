use serde_json::{Value, json};

use super::{format, lark, pattern, schema};

#[track_caller]
fn check_pattern(ecma: &str, expected: Result<&str, &str>) {
    let written = pattern::translate(ecma);
    assert_eq!(written.as_deref().map_err(String::as_str), expected);
}

#[test]
fn patterns_are_written_anew() {
    check_pattern("^a+?(b|c)*$", Ok("^a+(?:b|c)*$"));
    check_pattern(r"\d\D", Ok("[0-9][[^0-9]]"));
    check_pattern(".", Ok(r"[^\n\r\x{2028}\x{2029}]"));
    check_pattern(r"a/b\/c", Ok(r"a\x{2F}b\x{2F}c"));
    check_pattern("[[&&b-]", Ok(r"[\x{5B}\x{26}\x{26}b\x{2D}]"));
    check_pattern(r"[\w-.]", Ok(r"[0-9A-Za-z_\x{2D}\x{2E}]"));
    check_pattern(r"[^\Wa-f\b]", Ok(r"[^[^0-9A-Za-z_]a-f\x{8}]"));
    check_pattern(r"\uD83D\uDE00\u{41}\x41\cJ\0", Ok(r"😀AA\x{A}\x{0}"));
    check_pattern("(?<name>a){2,}", Ok("(?:a){2,}"));
    check_pattern("x{,5}{", Ok(r"x\x{7B}\x{2C}5\x{7D}\x{7B}"));
    check_pattern(r"\p{Letter}", Ok(r"[\p{Letter}]"));
}

#[test]
fn patterns_that_mean_more_are_refused() {
    check_pattern("a(?=b)", Err("look-around"));
    check_pattern("(?<!a)b", Err("look-around"));
    check_pattern(r"(a)\1", Err("back-references"));
    check_pattern(r"\bword", Err("word boundaries"));
    check_pattern("(?i)a", Err("a group that begins with '(?'"));
    check_pattern("a**", Err("a '*' that repeats nothing"));
    check_pattern("^*", Err("a '*' that repeats nothing"));
    check_pattern("(a", Err("a '(' that is never closed"));
    check_pattern("a)", Err("a ')' that closes nothing"));
    check_pattern("[a", Err("a class of characters that is never closed"));
    check_pattern("[]", Err("an empty class of characters"));
    check_pattern("[z-a]", Err("the range 'z-a'"));
    check_pattern("a{3,2}", Err("the repetition '{3,2}'"));
    check_pattern("a\\", Err("a '\\' at the end of the pattern"));
    check_pattern(r"\Z", Err(r"the escape '\Z'"));
    check_pattern(r"\uD83D", Err("half of a surrogate pair"));
}

#[test]
fn a_literal_stands_for_itself() {
    assert_eq!(pattern::literal("a.b é/"), r"a\x{2E}b é\x{2F}");
}

#[test]
fn only_formats_that_are_enforced_are_known() {
    assert_eq!(format::lookup("email"), Some(format::Format::Known));
    assert_eq!(format::lookup("colour"), None);
}

#[test]
fn a_grammar_of_plain_rules_passes() {
    assert_eq!(lark::check("start: A // <b>\nA: /<@>/ \"<\""), Ok(()));
}

#[track_caller]
fn check_schema(given: Value, expected: Value) {
    let restated = schema::restate(&given).map(Value::Object);
    assert_eq!(restated, Ok(expected));
}

#[test]
fn schemas_are_restated_in_one_dialect() {
    check_schema(
        json!({"title": "x", "minLength": 2.0, "type": "string", "x-more": {"not": {}}}),
        json!({"type": "string", "minLength": 2, "$defs": {}}),
    );
    check_schema(
        json!({"items": [true], "additionalItems": false}),
        json!({"prefixItems": [true], "items": false, "$defs": {}}),
    );
    check_schema(
        json!({"minimum": 1, "exclusiveMinimum": true, "maximum": -0.0, "exclusiveMaximum": false}),
        json!({"exclusiveMinimum": 1, "maximum": 0, "$defs": {}}),
    );
    check_schema(
        json!({"$ref": "#/definitions/a%20b", "definitions": {"a b": {"type": "null", "default": 1}}}),
        json!({"$ref": "#/$defs/0", "$defs": {"0": {"type": "null"}}}),
    );
    // Up to draft 7, what stands beside a reference counts for nothing.
    check_schema(
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/a", "not": {}, "a": true}),
        json!({"$ref": "#/$defs/0", "$defs": {"0": true}}),
    );
    check_schema(
        json!({"type": "integer", "format": "int32"}),
        json!({"type": "integer", "$defs": {}}),
    );
}

#[test]
fn refusals_name_the_place() {
    let check = |given: Value, expected: &str| {
        let refusal = schema::restate(&given).map(Value::Object).unwrap_err();
        assert_eq!(refusal, expected);
    };
    check(
        json!({"properties": {"a/b": {"items": {"not": {}}}}}),
        "'/properties/a~1b/items/not' of the schema: 'not' is not supported",
    );
    check(
        json!({"uniqueItems": true}),
        "'/uniqueItems' of the schema: 'uniqueItems' is not supported",
    );
    check(
        json!({"format": "colour"}),
        "'/format' of the schema: the format '\"colour\"' is not supported",
    );
    check(
        json!({"anyOf": [true, {"pattern": "(?=a)"}]}),
        "'/anyOf/1/pattern' of the schema: look-around is not supported",
    );
    check(
        json!({"type": "dict"}),
        "'/type' of the schema: '\"dict\"' is no type",
    );
    check(
        json!({"const": 9_007_199_254_740_993_u64}),
        "'/const' of the schema: 9007199254740993 is too large to be enforced exactly",
    );
    check(
        json!({"allOf": [{"multipleOf": 65_537}]}),
        "'/allOf/0/multipleOf' of the schema: multiples of 65537 cannot be enforced exactly",
    );
    check(
        json!({"minProperties": 2, "required": []}),
        "'/minProperties' of the schema: more than one property beyond those in 'required' cannot be enforced",
    );
    check(
        json!({"$ref": "other.json"}),
        "'/$ref' of the schema: '\"other.json\"' is not a JSON pointer into this schema ('#/…'); no other reference is supported",
    );
    check(
        json!({"$schema": "https://example.org/own"}),
        "'/$schema' of the schema: the dialect \"https://example.org/own\" is not supported",
    );
    check(json!(false), "the schema: no value satisfies it");
    check(json!(7), "the schema: a schema is an object, true or false");
}
