//! The same request on the same artefacts gives the same bits: alone or in a
//! batch, on one thread or many, cold or from a cached prefix.

use std::ops::ControlFlow;

use andon_engine::LanguageModel;
use andon_kernels::Kernels;
use andon_kernels::isa::Isa;
use andon_task::engine::{
    Embed, Generate, GenerateRequest, Message, Prompt, Role, Sampling, Score,
};

use crate::models::{MINILM, SMOLLM2, load_minilm, load_smollm2};

fn one_thread() -> Kernels {
    Kernels::new(Isa::detect(), 1)
}

fn chat(text: &str) -> Prompt {
    let system = "Name the failure mode of the operator's note. ".repeat(8);
    Prompt::Chat(vec![
        Message {
            role: Role::System,
            content: system,
        },
        Message {
            role: Role::User,
            content: text.into(),
        },
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
    let scores = model
        .score(&chat(text), &labels())
        .expect("labels are scored");
    scores
        .log_probabilities
        .iter()
        .map(|p| p.to_bits())
        .collect()
}

fn generate(model: &LanguageModel, text: &str) -> String {
    let request = GenerateRequest {
        prompt: chat(text),
        max_tokens: Some(24),
        sampling: Sampling {
            temperature: 0.8,
            top_p: 0.95,
            seed: 11,
        },
        stop: Vec::new(),
    };
    let mut streamed = String::new();
    let generation = model.generate(&request, &mut |piece| {
        streamed.push_str(piece);
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
                    assert_eq!(&scores(&SMOLLM2, note), &expected.0);
                });
            }
        }
    });
}

#[test]
fn a_label_has_the_probability_that_it_has_alone() {
    let prompt = chat("oil under the gearbox");
    let together = SMOLLM2
        .score(&prompt, &labels())
        .expect("labels are scored");
    assert!(together.usage.prompt_tokens > 64);
    for (label, expected) in labels().iter().zip(&together.log_probabilities) {
        let alone = SMOLLM2
            .score(&prompt, std::slice::from_ref(label))
            .expect("a label is scored");
        assert_eq!(
            alone.log_probabilities[0].to_bits(),
            expected.to_bits(),
            "{label}"
        );
        assert!(alone.usage.cached_tokens > 0);

        // The definition: the sum over its tokens of what the whole text's logits say.
        let mut tokens = SMOLLM2.tokenize(&prompt).expect("the prompt has tokens");
        let start = tokens.len();
        tokens.extend(
            SMOLLM2
                .tokenize(&Prompt::Text(label.clone()))
                .expect("the label has tokens"),
        );
        tokens.push(2);
        let logits = SMOLLM2.evaluate(&tokens).expect("the text is evaluated");
        let sum: f64 = (start..tokens.len())
            .map(|at| {
                let row = &logits[at - 1];
                let total: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
                f64::from(row[tokens[at] as usize]) - total.ln()
            })
            .sum();
        assert!(
            (sum - expected).abs() < 1e-5,
            "{label}: {sum} is not {expected}"
        );
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
