//! Grammars that were made to hurt: each ends at once, refused for a reason or
//! compiled into something small. That these tests end is half of what they say.

use serde_json::Map;

use super::*;

fn reason(grammar: &Grammar) -> String {
    let compiled = GRAMMARS.compile(grammar);
    compiled.map_or_else(|error| error.to_string(), |_| "it compiles".to_owned())
}

#[track_caller]
fn check_schema(schema: Value, expected: &str) {
    let reason = reason(&Grammar::Json(schema));
    assert!(reason.contains(expected), "{reason}");
}

#[track_caller]
fn check_lark(grammar: &str, expected: &str) {
    let reason = reason(&Grammar::Lark(grammar.to_owned()));
    assert!(reason.contains(expected), "{reason}");
}

#[track_caller]
fn check_expression(expression: &str, expected: &str) {
    let reason = reason(&Grammar::Regex(expression.to_owned()));
    assert!(reason.contains(expected), "{reason}");
}

#[test]
fn schemas_nest_only_so_deep() {
    let mut schema = json!({"type": "string"});
    for _ in 0..60 {
        schema = json!({"type": "array", "items": schema});
    }
    check_schema(schema.clone(), "it compiles");
    for _ in 0..10 {
        schema = json!({"properties": {"a": schema}});
    }
    check_schema(schema, "it is nested deeper than 64 levels");
    // So deep by reference.
    let chain: Map<String, Value> = (0..100)
        .map(|n| {
            (
                n.to_string(),
                json!({"items": {"$ref": format!("#/$defs/{}", n + 1)}}),
            )
        })
        .chain([("100".to_owned(), json!(true))])
        .collect();
    check_schema(
        json!({"$ref": "#/$defs/0", "$defs": chain}),
        "it is nested deeper than 64 levels",
    );
}

#[test]
fn what_doubles_at_every_level_is_refused() {
    let double = |of: fn(Value) -> Value| {
        let doubled = (0..25).map(|n| {
            let next = json!({"$ref": format!("#/$defs/{}", n + 1)});
            (n.to_string(), of(next))
        });
        let last = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let all: Map<String, Value> = doubled.chain([("25".to_owned(), last)]).collect();
        json!({"$ref": "#/$defs/0", "$defs": all})
    };
    check_schema(double(|next| json!({"allOf": [next, next]})), "it compiles");
    let enumeration: Vec<String> = (0..5000).map(|n| format!("value {n}")).collect();
    check_schema(json!({"enum": enumeration}), "it compiles");
    let twice = json!({"allOf": [{"enum": enumeration}, {"enum": enumeration}]});
    check_schema(twice, "schema too large");
    let two = json!({"anyOf": [{"minLength": 2}, {"maxLength": 9}]});
    check_schema(
        json!({"allOf": vec![two; 20], "type": "string"}),
        "schema too large",
    );
}

#[test]
fn what_is_large_is_refused() {
    let many: Vec<String> = (0..30_000).map(|n| format!("value {n}")).collect();
    check_schema(json!({"enum": many}), "at most 262144 are compiled");
    let names: Map<String, Value> = (0..1001).map(|n| (n.to_string(), json!(true))).collect();
    check_schema(json!({"properties": names}), "more than 1000 properties");
    assert!(reason(&Grammar::Choice(many)).contains("at most 4096 are offered"));
    assert!(reason(&Grammar::Choice(Vec::new())).contains("needs at least one text"));
}

#[test]
fn schemas_that_mean_themselves_are_refused() {
    check_schema(json!({"$ref": "#"}), "nothing satisfies it");
    check_schema(
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}),
        "nothing satisfies it",
    );
    check_schema(
        json!({"allOf": [{"$ref": "#"}], "type": "string"}),
        "circular",
    );
    let endless = json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]});
    // What must come never ends: an error before the first token.
    let mut constraint = compile(Grammar::Json(endless));
    let object = TOKENIZER.encode("{", Controls::Text);
    assert!(
        constraint.accept_all(&object).is_err() || constraint.mask(&mut Mask::default()).is_err()
    );
}

#[test]
fn expressions_that_explode_elsewhere_do_not_here() {
    for expression in [
        "(a+)+$",
        "(x+x+)+y",
        "(.*a){200}",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "((((a{1,100}){1,100}){1,100}){1,100})",
        "[ab]*a[ab]{500}",
        "(?:a{0,9999}b{0,9999}){0,9999}",
    ] {
        check_expression(expression, "it compiles");
        check_schema(json!({"pattern": expression}), "it compiles");
        check_schema(
            json!({"pattern": expression, "minLength": 9000}),
            "Unable to determine",
        );
    }
    check_expression("a{1,1000000}", "a repetition of 1000000, more than 10000");
    check_expression(
        &"(".repeat(100_000),
        "more than 64 groups within each other",
    );
    check_schema(
        json!({"pattern": "a{1,1000000}"}),
        "'/pattern' of the schema: a repetition of 1000000",
    );
}

/// An automaton with a state for every set of places: following it is bounded too.
#[test]
fn what_explodes_while_it_is_followed_ends_in_an_error() {
    let mut constraint = compile(Grammar::Regex("(?:[ab]*a[ab]{400}){3}".to_owned()));
    let mut mask = Mask::default();
    let letters = TOKENIZER.encode("a", Controls::Text)[0];
    for _ in 0..4000 {
        if constraint
            .mask(&mut mask)
            .and_then(|()| constraint.accept(letters))
            .is_err()
        {
            return;
        }
    }
    assert!(!constraint.is_finished());
}

#[test]
fn grammars_stay_within_their_texts() {
    check_lark("start: <[5]>", "line 1: tokens by name or number");
    check_lark(
        "start: \"a\"\n  | <|im_end|>",
        "line 2: tokens by name or number",
    );
    check_lark(
        "# \"\nstart: <[5]>\n# \"",
        "line 2: tokens by name or number",
    );
    check_lark(
        "start: /a\n/ <[5]> /\n/",
        "line 2: tokens by name or number",
    );
    check_lark("start: %json {}", "'%json'");
    check_lark(
        "%llguidance {\"no_forcing\": true}\nstart: \"a\"",
        "'%llguidance'",
    );
    check_lark("start: @other", "other grammars");
    check_lark(
        "start: a\na[temperature = 0.5]: \"x\"",
        "a temperature of its own",
    );
    check_lark("start: start", "nothing satisfies it");
    check_lark("", "no start rule found");
    check_lark("start: \"<\" /[<@]/ // <x>", "it compiles");
    check_lark(
        &format!("start: {}\"a\"{}", "(".repeat(50_000), ")".repeat(50_000)),
        "too deeply nested",
    );
}
