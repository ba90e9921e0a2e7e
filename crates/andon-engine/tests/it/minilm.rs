use andon_task::engine::{Embed, EngineError};
use serde::Deserialize;

use crate::models::MINILM;

/// What `scripts/reference/minilm.py` prints.
#[derive(Deserialize)]
struct Reference {
    text: String,
    tokens: Vec<u32>,
    vector: Vec<f64>,
}

#[test]
fn vectors_agree_with_float32() {
    let reference: Vec<Reference> =
        serde_json::from_str(include_str!("reference/minilm.json")).expect("the reference is JSON");
    let mut worst = 1.0f64;
    for reference in &reference {
        let tokens = MINILM
            .tokenize(&reference.text)
            .expect("the text has tokens");
        assert_eq!(tokens, reference.tokens, "{}", reference.text);
        let vector = &MINILM
            .embed(&[&reference.text])
            .expect("the text is embedded")[0];
        let length: f64 = reference.vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        let products = vector.iter().zip(&reference.vector);
        let cosine: f64 = products.map(|(&x, y)| f64::from(x) * y).sum::<f64>() / length;
        assert!(cosine >= 0.999, "{cosine} for '{}'", reference.text);
        worst = worst.min(cosine);
    }
    println!("cosine {worst:.6} at worst of {}", reference.len());
}

#[test]
fn a_text_that_does_not_fit_is_refused_with_both_counts() {
    let text = "leak ".repeat(600);
    match MINILM.embed(&["short", &text]) {
        Err(EngineError::DoesNotFit {
            prompt_tokens,
            context_tokens,
            ..
        }) => assert_eq!((prompt_tokens, context_tokens), (602, 512)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_word_of_a_text_has_states_of_its_own() {
    let text = "Ölpumpe leaks; seal kit replaced";
    let states = MINILM
        .states(text)
        .expect("it is tokenized")
        .expect("it fits");
    assert_eq!(states.states.len(), states.spans.len() * states.width);
    assert_eq!(states.width, MINILM.dimensions());
    for word in ["Ölpumpe", "leaks", ";", "seal", "kit", "replaced"] {
        let start = text.find(word).expect("it is there");
        let covered: usize = (states.spans.iter())
            .filter(|(from, to)| *from >= start && *to <= start + word.len())
            .map(|(from, to)| to - from)
            .sum();
        assert_eq!(covered, word.len(), "{word}");
    }
    assert_eq!(MINILM.states(&"leak ".repeat(600)).expect("no error"), None);
}
