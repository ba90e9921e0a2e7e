use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const TEXT: &str = "Slip S-41, seen by S-99\nseal kit\t3\nv-belt\t8\nTotal 52.25";

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "number": {"type": "string"},
            "total": {"type": ["number", "null"]},
            "order": {"type": "string"},
            "positions": {"type": "array", "items": {
                "type": "object",
                "properties": {"part": {"type": "string"}, "quantity": {"type": "integer"}},
                "required": ["part", "quantity"]
            }}
        },
        "required": ["number", "total", "positions"]
    })
}

fn fields() -> Fields {
    Fields::of(&schema()).expect("a schema")
}

/// A reading with these values, each with its probability.
fn reading(values: &[(&str, Value, f64)], confidence: f64) -> Reading {
    let fields = fields();
    let mut filled = Filled::new(&fields);
    for (path, value, confidence) in values {
        let template = path.replace("[0]", "[]").replace("[1]", "[]");
        let field = fields.position(&template).expect("a field");
        let value = Some(value.clone()).filter(|value| !value.is_null());
        let (value, span) = place(TEXT, value);
        let pointed = Pointed {
            path: (*path).to_owned(),
            field,
            value,
            span,
            verbatim: span.is_some(),
            confidence: *confidence,
            agreed: None,
        };
        match fields.all()[field].list {
            None => filled.values[field] = Some(pointed),
            Some(list) if path.ends_with("part") => filled.items[list].push(vec![pointed]),
            Some(list) => filled.items[list]
                .last_mut()
                .expect("an item")
                .push(pointed),
        }
    }
    let (value, fields) = assemble::object(&fields, filled).expect("an object");
    Reading {
        value,
        fields,
        confidence,
        doubt: 0.0,
    }
}

fn slip(number: f64, total: f64, positions: f64) -> Reading {
    let values = [
        ("number", json!("S-99"), number),
        ("total", json!(52.25), total),
        ("positions[0].part", json!("seal kit"), positions),
        ("positions[0].quantity", json!(3), positions),
    ];
    reading(&values, 0.5)
}

/// What agreement adds, and a value that the text says, and nothing else.
fn fusion() -> Fusion {
    Fusion {
        opinion: Opinion {
            model: Digest::of(b"model"),
            prompt: Digest::of(b"prompt"),
            adapter: None,
        },
        shown: Vec::new(),
        ask_below: 0.8,
        given_from: 0.97,
        most_tokens: 100,
        mean_ms: 10.0,
        habits: vec![Habit::default(); fields().all().len()],
        balance: Balance {
            agreed: vec![3.0, 1.0, 0.0, 0.0, 0.0, 0.0],
            read: vec![0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
            written: vec![0.0, 1.0, 0.0, 2.0, 0.0, 0.0],
            record: Vec::new(),
        },
    }
}

fn fused(reading: &Reading, object: Value) -> Reading {
    let written = Written::of(&object.to_string(), &[]).expect("JSON");
    let found = fusion().fuse(&fields(), TEXT, reading, &written);
    found.expect("an object of the schema").reading
}

fn of<'r>(reading: &'r Reading, path: &str) -> &'r Pointed {
    let found = reading.fields.iter().find(|one| one.path == path);
    found.unwrap_or_else(|| panic!("no '{path}' in {reading:?}"))
}

#[test]
fn it_is_asked_for_where_the_reader_is_not_sure() {
    let asks =
        |confidence, values: &[(&str, Value, f64)]| fusion().asks(&reading(values, confidence));
    let some = [("number", json!("S-99"), 0.5), ("total", json!(1.5), 0.9)];
    assert!(asks(0.79, &some));
    assert!(!asks(0.8, &some));
    // A text of another kind is for a person.
    assert!(!asks(0.0, &some));
}

#[test]
fn what_the_reader_is_sure_of_is_given() {
    let reading = slip(0.5, 0.99, 0.98);
    let open = fusion().open(&fields(), &reading);
    let question = Fusion::question(&schema(), &fields(), &reading, &open);
    let properties = &question["properties"];
    assert_eq!(properties["number"], json!({"type": "string"}));
    assert_eq!(properties["total"], json!({"const": 52.25}));
    let positions = json!([{"part": "seal kit", "quantity": 3}]);
    assert_eq!(properties["positions"], json!({"const": positions}));
    // It has no order, and is sure of that: there is nothing to write.
    assert_eq!(properties.get("order"), None);

    // Where it is sure of everything, the least sure is asked.
    let open = fusion().open(&fields(), &slip(0.99, 0.98, 0.999));
    let asked: Vec<&str> = (fields().all().iter().zip(&open))
        .filter(|(_, open)| **open)
        .map(|(field, _)| match field.path.as_str() {
            "total" => "total",
            other => panic!("{other} is asked"),
        })
        .collect();
    assert_eq!(asked, ["total"]);
    // A list is asked as a whole.
    let mut doubtful = slip(0.99, 0.98, 0.999);
    doubtful.doubt = 0.5f64.ln();
    let open = fusion().open(&fields(), &doubtful);
    let count = open.iter().filter(|open| **open).count();
    assert_eq!(count, 2, "part and quantity");
}

#[test]
fn agreement_makes_sure() {
    let before = slip(0.6, 0.99, 0.99);
    let after = fused(&before, before.value.clone());
    assert_eq!(after.value, before.value);
    let number = of(&after, "number");
    assert_eq!((number.agreed, number.span), (Some(true), Some((19, 23))));
    assert!(number.confidence > 0.95, "{number:?}");
    // What was given is no second opinion.
    let total = of(&after, "total");
    assert_eq!((total.agreed, total.confidence), (None, 0.99));
    assert!(after.confidence > before.confidence);
}

#[test]
fn the_more_probable_value_is_taken_with_its_place() {
    let other = |number: &str| {
        json!({"number": number, "total": 52.25,
        "positions": [{"part": "seal kit", "quantity": 3}]})
    };
    let doubtful = slip(0.3, 0.99, 0.99);
    let after = fused(&doubtful, other("S-41"));
    assert_eq!(after.value["number"], "S-41");
    let number = of(&after, "number");
    assert_eq!((number.agreed, number.span), (Some(false), Some((5, 9))));

    // What the text does not say weighs less, and a sure reader more.
    assert_eq!(fused(&doubtful, other("S-77")).value["number"], "S-99");
    let after = fused(&slip(0.9, 0.99, 0.99), other("S-41"));
    assert_eq!(after.value["number"], "S-99");
    assert_eq!(of(&after, "number").agreed, Some(false));
    assert!(of(&after, "number").confidence < 0.9);
}

#[test]
fn a_list_is_taken_as_a_whole() {
    let before = slip(0.99, 0.99, 0.2);
    let positions = json!([{"part": "seal kit", "quantity": 3}, {"part": "v-belt", "quantity": 8}]);
    let object = json!({"number": "S-99", "total": 52.25, "positions": positions});
    let after = fused(&before, object.clone());
    assert_eq!(after.value["positions"], positions);
    assert_eq!(of(&after, "positions[1].quantity").span, Some((42, 43)));

    let before = slip(0.99, 0.99, 0.9);
    let after = fused(&before, object);
    assert_eq!(after.value, before.value);
    // Both have this item, though not the same list.
    assert_eq!(of(&after, "positions[0].part").agreed, Some(true));
}

#[test]
fn what_is_no_object_of_the_schema_is_no_opinion() {
    let written = Written::of("{\"number\": 7}", &[]).expect("JSON");
    let before = slip(0.5, 0.5, 0.5);
    assert_eq!(fusion().fuse(&fields(), TEXT, &before, &written), None);
}

proptest! {
    /// Whatever is written and weighed, a value is one of the two, and probabilities are such.
    #[test]
    fn a_fused_value_is_one_of_the_two(
        sure in prop::collection::vec(0.0..1.0f64, 3),
        weights in prop::collection::vec(-9.0..9.0f64, 18),
        number in prop::sample::select(vec!["S-41", "S-99", "none"]),
        total in prop::option::of(-5.0..5.0f64),
        quantities in prop::collection::vec(0..9i64, 0..3),
    ) {
        let before = slip(sure[0], sure[1], sure[2]);
        let items = quantities.iter().map(|q| json!({"part": "v-belt", "quantity": q}));
        let items: Vec<Value> = items.collect();
        let object = json!({"number": number, "total": total, "positions": items});
        let written = Written::of(&object.to_string(), &[]).expect("JSON");
        let mut fusion = fusion();
        fusion.balance.agreed = weights[..6].to_vec();
        fusion.balance.read = weights[6..12].to_vec();
        fusion.balance.written = weights[12..].to_vec();
        let after = fusion.fuse(&fields(), TEXT, &before, &written).expect("an object").reading;
        prop_assert!(Gold::of(&fields(), &after.value).is_ok());
        for name in ["number", "total", "positions"] {
            let value = &after.value[name];
            prop_assert!(*value == before.value[name] || *value == object[name], "{value}");
        }
        for one in &after.fields {
            prop_assert!((0.0..=1.0).contains(&one.confidence), "{one:?}");
        }
        prop_assert!((0.0..=1.0).contains(&after.confidence));
    }
}
