//! Grammars of any kind, compiled and followed for some tokens.

use std::sync::{Arc, LazyLock};

use andon_engine::gguf::Gguf;
use andon_engine::grammar::{Constraint, Grammars, Mask};
use andon_engine::tokenizer::Tokenizer;
use andon_specimen::{Family, Kind, Mix, Specimen};
use andon_task::engine::Grammar;

/// Tokens that an answer is followed for.
const STEPS: usize = 12;
/// More than this is refused before it is read.
const MOST_BYTES: usize = 8_192;

static GRAMMARS: LazyLock<Grammars> = LazyLock::new(|| {
    let file = Specimen::tiny(Family::Llama, Mix::InTurn(vec![Kind::Q8_0]));
    let file = file.file().bytes();
    let gguf = Gguf::parse(&file).expect("a specimen is sound");
    let tokenizer = Tokenizer::from_gguf(&gguf).expect("a specimen is sound");
    Grammars::new(Arc::new(tokenizer)).expect("its vocabulary is sound")
});

/// A kind and a text of each.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const TEXTS: [(u8, &str); 11] = [
        (
            0,
            r#"{"type":"object","properties":{"code":{"enum":["leak","jam",3]},"n":{"type":"integer","minimum":-2,"maximum":40}},"required":["code"],"additionalProperties":false}"#,
        ),
        (
            0,
            r##"{"$defs":{"part":{"type":"array","items":{"$ref":"#/$defs/part"},"maxItems":3}},"$ref":"#/$defs/part"}"##,
        ),
        (
            0,
            r#"{"anyOf":[{"type":"string","pattern":"^[A-Z]{2}-\\d+$"},{"type":"null"},{"const":{"a":[1,2.5e3,true]}}]}"#,
        ),
        (
            0,
            r#"{"allOf":[{"type":"string","minLength":2},{"maxLength":9}]}"#,
        ),
        (
            0,
            r#"{"anyOf":[{"properties":{"kind":{"const":"a"}},"required":["kind"]},{"properties":{"kind":{"const":"b"}},"required":["kind"]}]}"#,
        ),
        (
            0,
            r#"{"type":"number","multipleOf":0.5,"exclusiveMinimum":1e-3,"prefixItems":[true],"items":false}"#,
        ),
        (1, r"^(?:[a-f\d]{2,5}|\u{e9}+?|\p{Lu}\x41)*$"),
        (1, r"(leak|jam) at \w+-[^\s\]]{1,40}"),
        (2, "leak\njam\nno failure\né"),
        (
            3,
            "start: item+ \"!\"\nitem: WORD | NUMBER\nWORD: /[a-z]{1,8}/\nNUMBER: /[0-9]+/",
        ),
        (3, "start: \"<\" start \">\" | \"\""),
    ];
    let seeds = TEXTS.map(|(kind, text)| [&[kind], text.as_bytes()].concat());
    seeds.into()
}

/// Compiles a grammar, and follows an answer that it allows.
pub(crate) fn read(bytes: &[u8]) -> bool {
    let Some(grammar) = grammar(bytes) else {
        return false;
    };
    let Ok(mut constraint) = GRAMMARS.compile(&grammar) else {
        return false;
    };
    follow(&mut constraint, &grammar);
    true
}

fn grammar(bytes: &[u8]) -> Option<Grammar> {
    let (kind, text) = bytes.split_first()?;
    let text = std::str::from_utf8(text).ok()?;
    if text.len() > MOST_BYTES {
        return None;
    }
    Some(match kind % 4 {
        0 => Grammar::Json(serde_json::from_str(text).ok()?),
        1 => Grammar::Regex(text.to_owned()),
        2 => Grammar::Choice(text.lines().map(str::to_owned).collect()),
        _ => Grammar::Lark(text.to_owned()),
    })
}

/// What is forced or allowed is taken; what was taken can be taken back.
fn follow(constraint: &mut Constraint, grammar: &Grammar) {
    let mut mask = Mask::default();
    for step in 0..STEPS {
        if constraint.is_finished() {
            return;
        }
        let forced = constraint.forced();
        if !forced.is_empty() {
            // Too costly to be followed, where what is forced never ends.
            let Ok(taken) = constraint.accept_all(&forced) else {
                return;
            };
            assert_eq!(taken, forced.len(), "forced by {grammar:?}");
            continue;
        }
        // Too costly to be followed: the request fails.
        if constraint.mask(&mut mask).is_err() {
            return;
        }
        let allowed = mask.count();
        if allowed == 0 {
            assert!(constraint.may_end(), "a dead end of {grammar:?}");
            return;
        }
        let token = mask.iter().nth(step * 7 % allowed).expect("as many");
        assert_eq!(
            constraint.check(&[token]).ok(),
            Some(1),
            "{token} is allowed by {grammar:?}"
        );
        assert!(
            constraint.accept(token).is_ok(),
            "{token} is allowed by {grammar:?}"
        );
    }
}
