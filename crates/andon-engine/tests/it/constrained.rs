//! Answers that are held to something, by the real model.

use std::ops::ControlFlow;

use andon_task::engine::{
    EngineError, Finish, Generate, GenerateRequest, Generation, Grammar, Message, Prompt, Role,
    Sampling,
};
use serde_json::{Value, json};

use crate::models::SMOLLM2;

const NOTE: &str = "Delivery note 4711-A of 2026-03-14 from Kessler Valves GmbH: 12 pieces of \
                    gate valve DN50, article GV-50-16, for the filling line.";

fn request(question: &str, grammar: Grammar) -> GenerateRequest {
    GenerateRequest {
        max_tokens: Some(200),
        grammar: Some(grammar),
        ..GenerateRequest::new(Prompt::chat(vec![
            Message::new(Role::System, question),
            Message::new(Role::User, NOTE),
        ]))
    }
}

fn answer(request: &GenerateRequest) -> Generation {
    let mut streamed = String::new();
    let generation = SMOLLM2.generate(request, &mut |piece| {
        streamed.push_str(piece.text);
        ControlFlow::Continue(())
    });
    let generation = generation.expect("an answer");
    assert_eq!(generation.text, streamed);
    generation
}

fn delivery() -> Value {
    let text = json!({"type": "string", "maxLength": 40});
    json!({
        "type": "object",
        "properties": {
            "number": text,
            "date": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
            "supplier": text,
            "quantity": {"type": "integer", "minimum": 1, "maximum": 999},
            "article": text,
        },
        "required": ["number", "date", "supplier", "quantity", "article"],
        "additionalProperties": false,
    })
}

#[test]
fn an_answer_satisfies_its_schema() {
    let generation = answer(&request(
        "Extract the delivery note.",
        Grammar::Json(delivery()),
    ));
    assert_eq!(generation.finish, Finish::Stop);
    let value: Value = serde_json::from_str(&generation.text).expect("JSON");
    let keys: Vec<&String> = value.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["number", "date", "supplier", "quantity", "article"]);
    assert!(
        (1..=999).contains(&value["quantity"].as_i64().expect("a number")),
        "{value}"
    );
    assert_eq!(generation.text, value.to_string(), "no blanks");
}

#[test]
fn a_choice_and_an_expression_hold_at_any_temperature() {
    for seed in 0..8 {
        let sampling = Sampling {
            temperature: 2.0,
            seed,
            ..Sampling::default()
        };
        let choice = ["Leaking", "Leaking badly", "No failure"].map(str::to_owned);
        let chosen = answer(&GenerateRequest {
            sampling,
            ..request("What is it?", Grammar::Choice(choice.to_vec()))
        });
        assert!(choice.contains(&chosen.text), "{chosen:?}");
        let code = answer(&GenerateRequest {
            sampling,
            ..request("Which code?", Grammar::Regex("[A-Z]{2}-[0-9]{3}".into()))
        });
        let bytes = code.text.as_bytes();
        assert_eq!(bytes.len(), 6, "{code:?}");
        assert!(bytes[..2].iter().all(u8::is_ascii_uppercase) && bytes[2] == b'-');
    }
}

#[test]
fn told_tokens_make_the_text_and_company_changes_nothing() {
    let plain = request("Extract the delivery note.", Grammar::Json(delivery()));
    let generation = answer(&plain);
    let told = answer(&GenerateRequest {
        alternatives: Some(2),
        ..plain.clone()
    });
    assert_eq!(
        told.drawn.len(),
        told.usage.completion_tokens.min(told.drawn.len())
    );
    let joined: Vec<u8> = told
        .drawn
        .iter()
        .flat_map(|drawn| drawn.token.bytes.clone())
        .collect();
    assert_eq!(joined, told.text.as_bytes());
    assert!(told.drawn.iter().all(|drawn| drawn.alternatives.len() == 2));
    // In company, and again: the same.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(answer(&plain).text, generation.text));
        }
    });
}

#[test]
fn what_cannot_be_held_is_refused_before_anything_is_said() {
    for grammar in [
        Grammar::Json(json!({"type": "array", "uniqueItems": true, "items": {"type": "integer"}})),
        Grammar::Regex("(unclosed".into()),
        Grammar::Choice(Vec::new()),
    ] {
        let refused = SMOLLM2.generate(&request("?", grammar), &mut |_| panic!("nothing is said"));
        assert!(
            matches!(refused, Err(EngineError::Grammar(_))),
            "{refused:?}"
        );
    }
}

#[test]
fn an_answer_that_is_cut_says_so() {
    let cut = answer(&GenerateRequest {
        max_tokens: Some(5),
        ..request("Extract the delivery note.", Grammar::Json(delivery()))
    });
    assert_eq!(cut.finish, Finish::Length);
    assert_eq!(cut.usage.completion_tokens, 5);
}
