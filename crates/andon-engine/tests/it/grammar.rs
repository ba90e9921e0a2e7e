//! Grammars on the default model's vocabulary.

mod bench;
mod calls;
mod hostile;
mod laws;
mod suite;

use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use andon_engine::gguf::Gguf;
use andon_engine::grammar::{Constraint, Grammars, Mask};
use andon_engine::tokenizer::{Controls, Tokenizer};
use andon_task::engine::Grammar;
use serde_json::{Value, json};

use crate::models;

static TOKENIZER: LazyLock<Arc<Tokenizer>> = LazyLock::new(|| {
    let file = std::fs::read(models::smollm2_path()).expect("the model is there");
    let gguf = Gguf::parse(&file).expect("the model is sound");
    Arc::new(Tokenizer::from_gguf(&gguf).expect("the vocabulary is sound"))
});

static GRAMMARS: LazyLock<Grammars> =
    LazyLock::new(|| Grammars::new(Arc::clone(&TOKENIZER)).expect("the vocabulary is walked"));

/// The lines of a compressed data set, or `None` where the data is not there.
fn data(name: &str) -> Option<Vec<Value>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let folder = std::env::var_os("ANDON_DATA").map_or_else(|| beside.into(), PathBuf::from);
    let file = std::fs::File::open(folder.join(name)).ok()?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("the data set is sound");
    let lines = text.lines();
    Some(
        lines
            .map(|line| serde_json::from_str(line).expect("JSON lines"))
            .collect(),
    )
}

/// Whether the constraint takes this text as an answer. Leaves it where it was.
fn accepts(constraint: &mut Constraint, text: &str) -> bool {
    let tokens = TOKENIZER.encode(text, Controls::Text);
    let taken = constraint.accept_all(&tokens).expect("a bounded grammar");
    let whole = taken == tokens.len() && constraint.may_end();
    constraint.roll_back(taken).expect("they were taken");
    whole
}

/// The most spellings of a value that are tried.
const MOST: usize = 720;

/// The ways to write a value: with the properties of its objects in every order, as
/// far as there are few.
fn spellings(value: &Value) -> Vec<String> {
    match value {
        Value::Object(entries) => {
            let entries: Vec<(String, Vec<String>)> = entries
                .iter()
                .map(|(name, value)| (json!(name).to_string(), spellings(value)))
                .collect();
            let mut all = Vec::new();
            for order in orders(entries.len(), MOST) {
                let pieces = order
                    .iter()
                    .map(|&at| {
                        let (name, values) = &entries[at];
                        values
                            .iter()
                            .map(|value| format!("{name}:{value}"))
                            .collect()
                    })
                    .collect::<Vec<Vec<String>>>();
                all.extend(joined(&pieces, MOST).map(|inner| format!("{{{inner}}}")));
                if all.len() >= MOST {
                    break;
                }
            }
            all
        }
        Value::Array(items) => {
            let pieces: Vec<Vec<String>> = items.iter().map(spellings).collect();
            joined(&pieces, MOST)
                .map(|inner| format!("[{inner}]"))
                .collect()
        }
        other => vec![other.to_string()],
    }
}

/// The first orders of so many things, the given one first.
fn orders(count: usize, most: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..count {
        let mut longer = Vec::new();
        for order in &all {
            for next in (0..count).filter(|next| !order.contains(next)) {
                if longer.len() < most {
                    longer.push([order.as_slice(), &[next]].concat());
                }
            }
        }
        all = longer;
    }
    all
}

/// One spelling of each piece, in every combination, as far as there are few.
fn joined(pieces: &[Vec<String>], most: usize) -> impl Iterator<Item = String> {
    let mut all = vec![String::new()];
    for (at, piece) in pieces.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        all = all
            .iter()
            .flat_map(|before| piece.iter().map(move |one| format!("{before}{comma}{one}")))
            .take(most)
            .collect();
    }
    all.into_iter()
}

fn compile(grammar: Grammar) -> Constraint {
    GRAMMARS.compile(&grammar).expect("it compiles")
}

#[track_caller]
fn check(grammar: Grammar, accepted: &[&str], refused: &[&str]) {
    let mut constraint = compile(grammar);
    for text in accepted {
        assert!(accepts(&mut constraint, text), "{text:?} is refused");
    }
    for text in refused {
        assert!(!accepts(&mut constraint, text), "{text:?} is accepted");
    }
}

#[test]
fn a_choice_is_one_of_its_texts() {
    let texts = [
        "bearing worn",
        "bearing",
        "a/b \"c\" [d] (e)\n<|im_end|>",
        "",
    ];
    let refused = ["bear", "bearing wor", " bearing", "bearingbearing", "a"];
    check(
        Grammar::Choice(texts.map(str::to_owned).to_vec()),
        &texts,
        &refused,
    );
}

#[test]
fn an_expression_describes_the_text_from_end_to_end() {
    let expression = |expression: &str| Grammar::Regex(expression.to_owned());
    check(
        expression(r"[A-Z]{2}-\d{4}"),
        &["PU-0815"],
        &["PU-081", "PU-08155", "pu-0815", "xPU-0815"],
    );
    check(expression(r"^a|b/c$"), &["a", "b/c"], &["", "ab/c", "b"]);
    check(expression("é+"), &["é", "éé"], &["e", ""]);
}

#[test]
fn a_grammar_is_followed() {
    let lark =
        "start: sum\nsum: term (\"+\" term)*\nterm: NUMBER | \"(\" sum \")\"\nNUMBER: /[0-9]+/";
    let refused = ["1+", "(1", "1 + 2", "1+(2+3"];
    check(Grammar::Lark(lark.to_owned()), &["1", "1+(2+34)"], &refused);
}

#[test]
fn json_is_written_without_blanks_and_in_the_order_of_the_schema() {
    let schema = json!({
        "type": "object",
        "properties": {
            "asset": {"type": "string", "pattern": "^P-\\d+$"},
            "hours": {"type": "integer", "minimum": 0, "maximum": 24},
            "parts": {"type": "array", "items": {"enum": ["seal", "bearing"]}, "maxItems": 2},
        },
        "required": ["asset", "hours"],
        "additionalProperties": false,
    });
    let accepted = [
        r#"{"asset":"P-7","hours":24}"#,
        r#"{"asset":"P-7","hours":0,"parts":[]}"#,
        r#"{"asset":"P-7","hours":3,"parts":["seal","seal"]}"#,
    ];
    let refused = [
        r#"{"asset": "P-7","hours":24}"#,
        r#"{"hours":24,"asset":"P-7"}"#,
        r#"{"asset":"P-7","hours":25}"#,
        r#"{"asset":"P-7x","hours":2}"#,
        r#"{"asset":"P-7","hours":3,"parts":["seal","seal","seal"]}"#,
        r#"{"asset":"P-7","hours":3,"more":1}"#,
        r#"{"asset":"P-7"}"#,
        r#"{"asset":"P-7","hours":24}{"#,
    ];
    check(Grammar::Json(schema), &accepted, &refused);
}

#[test]
fn no_name_is_spelled_in_two_ways() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let refused = [
        r#"{"\u0061":"x"}"#,
        r#"{"a":1,"\u0061":"x"}"#,
        r#"{"a":1,"a":2}"#,
    ];
    check(Grammar::Json(schema), &[r#"{"a":1,"b":"x"}"#], &refused);
}

/// What is forced is what the tokenizer makes of the text, token for token.
#[test]
fn forced_tokens_are_those_of_the_model() {
    let schema = json!({
        "type": "object",
        "properties": {"failure mode": {"const": "bearing worn"}, "running hours": {"type": "integer"}},
        "required": ["failure mode", "running hours"],
        "additionalProperties": false,
    });
    let mut constraint = compile(Grammar::Json(schema));
    let mut answer = Vec::new();
    loop {
        let forced = constraint.forced();
        if forced.is_empty() {
            break;
        }
        for token in forced {
            constraint.accept(token).expect("forced tokens are allowed");
            answer.push(token);
        }
    }
    let text = r#"{"failure mode":"bearing worn","running hours":"#;
    let whole = TOKENIZER.encode(text, Controls::Text);
    // The last token may go on otherwise, and is not forced then.
    assert!(
        answer.len() + 2 >= whole.len(),
        "{} of {}",
        answer.len(),
        whole.len()
    );
    assert_eq!(answer, whole[..answer.len()]);
}

#[test]
fn the_mask_allows_what_is_accepted_and_nothing_else() {
    let schema = json!({
        "type": "object",
        "properties": {"note": {"type": "string", "maxLength": 20}, "n": {"type": "number"}},
        "required": ["note"],
    });
    let mut constraint = compile(Grammar::Json(schema));
    let mut mask = Mask::default();
    let answer = TOKENIZER.encode(
        r#"{"note":"Dichtung müde ☕","n":-1.5e3,"x":[{}]}"#,
        Controls::Text,
    );
    for &next in &answer {
        constraint.mask(&mut mask).expect("something may come");
        assert!(mask.allows(next));
        assert_eq!(mask.count(), mask.iter().count());
        let may_end = constraint.may_end();
        for token in (0..TOKENIZER.size() as u32)
            .step_by(7)
            .chain([next])
            .chain(TOKENIZER.ends().iter().copied())
        {
            let forced = constraint.forced();
            let accepted = constraint.check(&[token]).expect("it is bounded") == 1;
            // A forced token shuts out other ways to write the same text.
            let allowed = mask.allows(token);
            assert!(accepted || !allowed, "token {token}");
            assert!(allowed || !accepted || !forced.is_empty(), "token {token}");
            if TOKENIZER.bytes(token).is_empty() {
                let is_end = TOKENIZER.ends().contains(&token);
                assert_eq!(allowed, may_end && is_end, "control token {token}");
            }
        }
        constraint.accept(next).expect("it is allowed");
    }
    assert!(constraint.may_end() && constraint.is_finished());
    assert!(constraint.forced().is_empty());
    constraint.mask(&mut mask).expect("the end may come");
    assert_eq!(mask, {
        let mut ends = Mask::default();
        let mut done = compile(Grammar::Choice(vec![String::new()]));
        done.mask(&mut ends).expect("the end may come");
        ends
    });
}

#[test]
fn drafts_are_taken_as_far_as_they_go_and_taken_back() {
    let end = TOKENIZER.ends()[0];
    let mut constraint = compile(Grammar::Json(
        json!({"type": "array", "items": {"type": "integer"}}),
    ));
    let mut tokens = TOKENIZER.encode("[12,3", Controls::Text);
    let good = tokens.len();
    tokens.extend(TOKENIZER.encode("x,4]", Controls::Text));
    assert_eq!(constraint.check(&tokens).ok(), Some(good));
    assert_eq!(constraint.accept_all(&tokens).ok(), Some(good));
    assert!(!constraint.may_end());
    assert_eq!(constraint.check(&[end]).ok(), Some(0));
    let mut rest = TOKENIZER.encode("]", Controls::Text);
    rest.push(end);
    rest.push(end);
    assert_eq!(constraint.check(&rest).ok(), Some(2));
    assert_eq!(constraint.accept_all(&rest).ok(), Some(2));
    assert!(constraint.is_finished());
    constraint.roll_back(2).expect("two were taken");
    assert!(!constraint.is_finished() && !constraint.may_end());
    constraint.roll_back(good).expect("they were taken");
    assert!(accepts(&mut constraint, "[]"));
    assert!(constraint.roll_back(1).is_err());
    assert!(constraint.accept(end).is_err());
}

#[test]
fn answers_of_one_grammar_do_not_touch_each_other() {
    let schema = || Grammar::Json(json!({"enum": ["open", "closed", "waiting"]}));
    let (mut first, mut second) = (compile(schema()), compile(schema()));
    let tokens = TOKENIZER.encode("\"open\"", Controls::Text);
    assert_eq!(first.accept_all(&tokens).ok(), Some(tokens.len()));
    assert!(first.is_finished() && !second.is_finished());
    assert!(accepts(&mut second, "\"closed\""));
    let on_its_own_thread = std::thread::spawn(move || accepts(&mut second, "\"waiting\""));
    assert!(on_its_own_thread.join().expect("it does not panic"));
}
