use andon_task::engine::Prompt;
use serde::Deserialize;

use crate::models::SMOLLM2;

/// What `scripts/reference/llama.py` prints.
#[derive(Deserialize)]
struct Reference {
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    tokens: Vec<u32>,
    mean_negative_log_likelihood: f64,
    most_probable: Vec<Vec<u32>>,
    log_probabilities: Vec<Vec<f64>>,
}

fn reference() -> Vec<Text> {
    let reference: Reference =
        serde_json::from_str(include_str!("reference/llama.json")).expect("the reference is JSON");
    reference.texts
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let total: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
    logits.iter().map(|&x| f64::from(x) - total.ln()).collect()
}

#[test]
fn tokens_are_those_of_llama_cpp() {
    for text in reference() {
        let tokens = SMOLLM2
            .tokenize(&Prompt::Text(text.text))
            .expect("the text has tokens");
        assert_eq!(tokens, text.tokens);
    }
}

#[test]
fn logits_agree_with_llama_cpp() {
    for text in reference() {
        let logits = SMOLLM2
            .evaluate(&text.tokens)
            .expect("the text is evaluated");
        let log_probabilities: Vec<Vec<f64>> = logits.iter().map(|row| log_softmax(row)).collect();
        let count = text.tokens.len() as f64;

        let mut divergence = 0.0;
        let mut agreements = 0.0;
        for (ours, (ids, theirs)) in log_probabilities
            .iter()
            .zip(text.most_probable.iter().zip(&text.log_probabilities))
        {
            // Kullback-Leibler, the improbable tokens taken together.
            let (mut their_rest, mut our_rest) = (1.0, 1.0);
            for (&id, &p) in ids.iter().zip(theirs) {
                let q = ours[id as usize];
                divergence += p.exp() * (p - q);
                their_rest -= p.exp();
                our_rest -= q.exp();
            }
            if their_rest > 1e-6 {
                divergence += their_rest * (their_rest / our_rest.max(1e-12)).ln();
            }
            let best = (0..ours.len()).max_by(|&a, &b| ours[a].total_cmp(&ours[b]));
            agreements += f64::from(u8::from(best == Some(ids[0] as usize)));
        }
        let likelihood: f64 = text.tokens[1..]
            .iter()
            .zip(&log_probabilities)
            .map(|(&next, row)| row[next as usize])
            .sum();
        let perplexity = (-likelihood / (count - 1.0)).exp();
        let expected = text.mean_negative_log_likelihood.exp();
        println!(
            "KL {:.5}, top-1 agreement {:.4}, perplexity {perplexity:.4} ({expected:.4})",
            divergence / count,
            agreements / count
        );
        assert!(divergence / count <= 0.012);
        assert!(agreements / count >= 0.95);
        assert!((perplexity / expected - 1.0).abs() <= 0.01);
    }
}
