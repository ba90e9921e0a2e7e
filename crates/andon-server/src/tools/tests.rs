use andon_task::engine::{CallForm, Drawn, Grammar, Likelihood, Piece, Tool};
use proptest::prelude::*;
use serde_json::json;

use super::{Choice, Delta, Offer, Reader, Said};

const CALL: &str = "<tool_call>\n{\"name\": \"level\", \"arguments\": {\"a\": \"}\\\"{\", \"b\": [1, {}]}}\n</tool_call>";
const ARGUMENTS: &str = "{\"a\": \"}\\\"{\", \"b\": [1, {}]}";

fn check(form: Option<CallForm>, text: &str, words: Option<&str>, calls: &[(&str, &str)]) {
    let said = Said::read(form, text, &[]);
    assert_eq!(said.words.as_deref(), words, "{text}");
    let found: Vec<(&str, &str)> = said
        .calls
        .iter()
        .map(|(name, arguments)| (name.as_str(), arguments.as_str()))
        .collect();
    assert_eq!(found, calls, "{text}");
}

#[test]
fn words_and_calls() {
    let tagged = Some(CallForm::Tagged);
    let plain = Some(CallForm::Plain);
    check(None, CALL, Some(CALL), &[]);
    check(tagged, "", Some(""), &[]);
    check(tagged, "the <tool is", Some("the <tool is"), &[]);
    check(tagged, "<tool", Some("<tool"), &[]);
    check(tagged, CALL, None, &[("level", ARGUMENTS)]);
    let two = format!("Let me see.\n{CALL}\n{CALL}");
    let calls = [("level", ARGUMENTS), ("level", ARGUMENTS)];
    check(tagged, &two, Some("Let me see.\n"), &calls);
    check(tagged, &CALL[..60], None, &[("level", &ARGUMENTS[..17])]);
    check(tagged, "<tool_call>\n{\"name\": \"lev", Some(""), &[]);
    check(plain, "a {", Some("a {"), &[]);
    let call = "{\"name\": \"level\", \"parameters\": {}}";
    check(plain, call, None, &[("level", "{}")]);
}

#[test]
fn tokens_go_with_the_words() {
    let token = |text: &str| Drawn {
        token: Likelihood {
            bytes: text.as_bytes().to_vec(),
            log_probability: -1.0,
        },
        alternatives: Vec::new(),
    };
    let mut reader = Reader::new(Some(CallForm::Tagged));
    let mut push = |text: &str| {
        let drawn = [token(text)];
        reader.push(Piece {
            text,
            drawn: &drawn,
        })
    };
    assert_eq!(push("<"), []);
    assert_eq!(
        push("b "),
        [Delta::Words("<b ".into(), vec![token("<"), token("b ")])]
    );
    assert_eq!(push("<tool"), []);
    assert_eq!(push("_call>"), []);
    assert_eq!(
        push("\n{\"name\": \"f\", \"arguments\": {"),
        [Delta::Call(0, "f".into()), Delta::Arguments(0, "{".into())]
    );
}

proptest! {
    #[test]
    fn how_an_answer_is_cut_into_pieces_changes_nothing(
        which in 0..4_usize,
        cuts in prop::collection::vec(0..200_usize, 0..12),
    ) {
        let two = format!("Let me see é<.\n{CALL}\n{CALL}");
        let plain = "{\"name\": \"level\", \"parameters\": {\"a\": \"é\"}}";
        let (form, text) = [
            (CallForm::Tagged, two.as_str()),
            (CallForm::Tagged, "a < tool_call> é <tool_"),
            (CallForm::Plain, plain),
            (CallForm::Plain, "é {\"name\": \""),
        ][which];
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|&at| text.is_char_boundary(at)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let mut reader = Reader::new(Some(form));
        let mut deltas = Vec::new();
        for pair in cuts.windows(2) {
            deltas.extend(reader.push(Piece { text: &text[pair[0]..pair[1]], drawn: &[] }));
        }
        deltas.extend(reader.finish());
        let said = Said::read(Some(form), text, &[]);
        let (mut words, mut calls) = (String::new(), Vec::<(String, String)>::new());
        for delta in deltas {
            match delta {
                Delta::Words(more, _) => words.push_str(&more),
                Delta::Call(number, name) => {
                    prop_assert_eq!(number, calls.len());
                    calls.push((name, String::new()));
                }
                Delta::Arguments(number, more) => calls[number].1.push_str(&more),
            }
        }
        prop_assert_eq!(words, said.words.unwrap_or_default());
        prop_assert_eq!(calls, said.calls);
    }
}

#[test]
fn grammars() {
    let offer = |choice: Choice, parallel| Offer {
        tools: ["level", "close"]
            .map(|name| Tool {
                name: name.to_owned(),
                description: None,
                parameters: json!({"type": "object", "properties": {"a": {"type": "string"}}}),
            })
            .to_vec(),
        choice,
        parallel,
    };
    let check = |choice, parallel, callable: &[&str], words, most| {
        let rules = offer(choice, parallel).rules(CallForm::Tagged, None);
        let Some(Grammar::Calls(calls)) = rules.expect("rules").grammar else {
            panic!("no calls");
        };
        let names: Vec<&str> = calls.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(
            (names.as_slice(), calls.words, calls.most),
            (callable, words, most)
        );
    };
    check(Choice::Auto, false, &["level", "close"], true, 1);
    check(Choice::Required, true, &["level", "close"], false, 16);
    check(Choice::Named("close".into()), false, &["close"], false, 1);
    let none = offer(Choice::None, true).rules(CallForm::Plain, None);
    assert!(none.expect("rules").tools.is_empty());
}
