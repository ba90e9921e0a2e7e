//! The same request on the same artefacts gives the same bits: alone or in a
//! batch, on one thread or many, cold or from a cached prefix.

use std::ops::ControlFlow;

use andon_engine::LanguageModel;
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_task::engine::{
    Embed, Generate, GenerateRequest, Message, Prompt, Role, Sampling, Score, ScoreRequest,
};
use andon_task::task::Class;

use crate::models::{MINILM, SMOLLM2, load_minilm, load_smollm2};

fn one_thread() -> Kernels {
    Kernels::new(Isa::detect(), 1)
}

fn chat(text: &str) -> Prompt {
    let system = "Name the failure mode of the operator's note. ".repeat(8);
    Prompt::chat(vec![
        Message::new(Role::System, system),
        Message::new(Role::User, text),
    ])
}

fn labels() -> Vec<String> {
    [
        "leak",
        "external leakage of product",
        "noise",
        "no failure",
        "leak ",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn scores(model: &LanguageModel, text: &str) -> Vec<u64> {
    scores_for(model, text, Class::Person)
}

fn scores_for(model: &LanguageModel, text: &str, class: Class) -> Vec<u64> {
    let mut request = ScoreRequest::new(chat(text), labels());
    request.terms.class = class;
    let scores = model.score(&request).expect("labels are scored");
    scores.shares.iter().map(|share| share.to_bits()).collect()
}

fn generate(model: &LanguageModel, text: &str) -> String {
    let request = GenerateRequest {
        max_tokens: Some(24),
        sampling: Sampling {
            temperature: 0.8,
            top_p: 0.95,
            seed: 11,
        },
        ..GenerateRequest::new(chat(text))
    };
    let mut streamed = String::new();
    let generation = model.generate(&request, &mut |piece| {
        streamed.push_str(piece.text);
        ControlFlow::Continue(())
    });
    let generation = generation.expect("text is generated");
    assert_eq!(generation.text, streamed);
    generation.text
}

#[test]
fn threads_cache_and_company_change_no_bit() {
    let notes = [
        "oil under the gearbox",
        "bearing squeals",
        "capper head 7 loose",
        "all fine",
    ];
    let fresh = load_smollm2(one_thread());
    let alone: Vec<_> = notes
        .map(|note| (scores(&fresh, note), generate(&fresh, note)))
        .to_vec();
    // Again, with the prefix in the cache; then on two threads, together.
    for (note, expected) in notes.iter().zip(&alone) {
        assert_eq!(&(scores(&fresh, note), generate(&fresh, note)), expected);
    }
    std::thread::scope(|scope| {
        for (note, expected) in notes.iter().zip(&alone) {
            for _ in 0..3 {
                scope.spawn(move || {
                    assert_eq!(&generate(&SMOLLM2, note), &expected.1);
                    // These overtake the steps of the others.
                    assert_eq!(&scores_for(&SMOLLM2, note, Class::Machine), &expected.0);
                });
            }
        }
    });
}

/// Texts that copy from their prompt are drafted from it; what is said is what the
/// logits say all the same.
#[test]
fn drafts_change_no_text() {
    for (system, question) in [
        ("Answer in one word.", "The capital of France?"),
        (
            "Repeat the text.",
            "gate valve DN50, gate valve DN65, gate ball DN50, gate valve",
        ),
    ] {
        let prompt = Prompt::chat(vec![
            Message::new(Role::System, system),
            Message::new(Role::User, question),
        ]);
        let request = GenerateRequest {
            max_tokens: Some(24),
            ..GenerateRequest::new(prompt.clone())
        };
        let generation = SMOLLM2.generate(&request, &mut |_| ControlFlow::Continue(()));
        let text = generation.expect("text is generated").text;
        let start = SMOLLM2.tokenize(&prompt).expect("the prompt has tokens");
        let said = SMOLLM2.tokenize(&Prompt::Text(text)).expect("tokens");
        let logits = SMOLLM2
            .evaluate(&[start.clone(), said.clone()].concat())
            .expect("the text is evaluated");
        for (at, &token) in said.iter().enumerate() {
            let row = &logits[start.len() + at - 1];
            let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(row[token as usize], best, "token {at} after {question}");
        }
    }
}

#[test]
fn labels_have_the_shares_that_full_enumeration_gives() {
    let prompt = chat("oil under the gearbox");
    let request = ScoreRequest::new(prompt.clone(), labels());
    let found = SMOLLM2.score(&request).expect("labels are scored");
    assert!(found.usage.prompt_tokens > 64);
    let start = SMOLLM2.tokenize(&prompt).expect("the prompt has tokens");
    // The definition: what the model says that is held to the labels.
    let tokens: Vec<Vec<u32>> = labels()
        .into_iter()
        .map(|label| {
            let label = SMOLLM2.tokenize(&Prompt::Text(label));
            let mut tokens = label.expect("the label has tokens");
            tokens.push(2);
            tokens
        })
        .collect();
    for (label, share) in tokens.iter().zip(found.shares) {
        let text = [start.clone(), label.clone()].concat();
        let logits = SMOLLM2.evaluate(&text).expect("the text is evaluated");
        let steps = (0..label.len()).map(|at| {
            let row = &logits[start.len() + at - 1];
            let mut next: Vec<u32> = tokens
                .iter()
                .filter(|other| other.len() > at && other[..at] == label[..at])
                .map(|other| other[at])
                .collect();
            next.sort_unstable();
            next.dedup();
            let weight = |token: u32| f64::from(row[token as usize]).exp();
            let total: f64 = next.into_iter().map(weight).sum();
            weight(label[at]) / total
        });
        let expected: f64 = steps.product();
        let difference = (share - expected).abs();
        assert!(difference < 1e-4, "{label:?}: {share} is not {expected}");
    }
}

#[test]
fn every_form_of_the_kernels_gives_the_same_scores() {
    let expected = scores(&SMOLLM2, "oil under the gearbox");
    for isa in Isa::supported() {
        let model = load_smollm2(Kernels::new(isa, 2));
        assert_eq!(scores(&model, "oil under the gearbox"), expected, "{isa}");
    }
}

#[test]
fn a_vector_is_the_same_alone_and_in_a_batch() {
    let texts = [
        "oil under the gearbox",
        "fuga de aceite",
        "a much longer note ".repeat(40).leak(),
    ];
    let one = load_minilm(one_thread());
    let batch = MINILM.embed(&texts).expect("texts are embedded");
    for (text, expected) in texts.iter().zip(&batch) {
        assert_eq!(
            &one.embed(&[text]).expect("a text is embedded")[0],
            expected
        );
    }
}
