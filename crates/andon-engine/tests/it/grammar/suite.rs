//! The JSON-Schema-Test-Suite. Not part of the repository; the folder of data sets is
//! `ANDON_DATA`, or `../shared/data` beside the checkout.

use std::fmt::Write;

use super::*;

/// Files that are about formats and contents as mere remarks; here formats are
/// enforced, and contents of strings are not looked into.
const OTHER_READING: [&str; 2] = ["/format.json", "optional/content.json"];
/// Files in which some valid instances cannot be written: leap seconds elsewhere than
/// in Greenwich, encoded host names, addresses that mix notations, control characters
/// without a short escape, whole numbers with an exponent.
const NARROWER: [&str; 4] = [
    "optional/format/",
    "optional/float-overflow",
    "optional/bignum",
    "optional/ecmascript-regex",
];

/// Cases of one file.
#[derive(Default)]
struct Tally {
    schemas: usize,
    supported: usize,
    valid: usize,
    accepted: usize,
    invalid: usize,
}

/// A refused schema is refused whole; of a supported one every valid instance can be
/// written, and no invalid one.
#[test]
fn what_is_supported_is_obeyed_to_the_letter() {
    let mut report = String::new();
    for draft in ["draft7", "draft2020-12"] {
        let Some(files) = data(&format!("json_schema_test_suite/{draft}.jsonl.gz")) else {
            eprintln!(
                "skipped: what_is_supported_is_obeyed_to_the_letter needs json_schema_test_suite"
            );
            return;
        };
        for file in files {
            let name = file["file"].as_str().expect("a name");
            if OTHER_READING.iter().any(|other| name.ends_with(other)) {
                continue;
            }
            let mut tally = Tally::default();
            for group in file["groups"].as_array().expect("groups") {
                take(&mut tally, name, draft, group);
            }
            let is_narrower = NARROWER.iter().any(|narrower| name.contains(narrower));
            assert!(
                is_narrower || tally.accepted == tally.valid,
                "{name}: a valid instance is refused"
            );
            let Tally {
                schemas,
                supported,
                valid,
                accepted,
                invalid,
            } = tally;
            let name = name.trim_start_matches("tests/");
            writeln!(report, "{name}: {supported} of {schemas} schemas, {accepted} of {valid} valid, {invalid} invalid")
                .expect("a string takes all");
        }
    }
    insta::assert_snapshot!("suite", report);
}

fn take(tally: &mut Tally, name: &str, draft: &str, group: &Value) {
    let mut schema = group["schema"].clone();
    if let (Value::Object(schema), "draft7") = (&mut schema, draft) {
        let dialect = "http://json-schema.org/draft-07/schema#";
        schema.entry("$schema").or_insert_with(|| dialect.into());
    }
    tally.schemas += 1;
    let Ok(mut constraint) = GRAMMARS.compile(&Grammar::Json(schema)) else {
        return;
    };
    tally.supported += 1;
    for test in group["tests"].as_array().expect("tests") {
        let (instance, description) = (&test["data"], &test["description"]);
        let mut written = [spellings(instance), spellings(&without_points(instance))]
            .concat()
            .into_iter();
        let is_accepted = written.any(|text| accepts(&mut constraint, &text));
        if test["valid"] == true {
            tally.valid += 1;
            tally.accepted += usize::from(is_accepted);
        } else {
            tally.invalid += 1;
            assert!(
                !is_accepted,
                "{name}: {}: {description}",
                group["description"]
            );
        }
    }
}

/// Whole numbers as such: `1` for `1.0`.
fn without_points(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number
                .as_f64()
                .filter(|x| x.fract() == 0.0 && x.abs() < 1e15);
            whole.map_or_else(|| value.clone(), |whole| json!(whole as i64))
        }
        Value::Array(items) => items.iter().map(without_points).collect(),
        Value::Object(entries) => {
            let entries = entries.iter();
            entries
                .map(|(name, value)| (name.clone(), without_points(value)))
                .collect()
        }
        other => other.clone(),
    }
}
