use andon_task::digest::Digest;
use andon_task::glossary::Glossary;
use andon_task::head::{Head, Recipe, Unit, Vocabulary};

use super::*;

fn scored(label: usize) -> Scored {
    Scored {
        logits: vec![0.0, 0.1],
        label,
    }
}

#[test]
fn a_classifier_that_is_right_is_heard_and_one_that_guesses_is_not() {
    let answers: Vec<Scored> = (0..40).map(|index| scored(index % 2)).collect();
    let right = [[2.0, -2.0], [-2.0, 2.0]];
    let heard = answers.iter().enumerate();
    // Right but for one in ten.
    let heard = heard.map(|(index, answer)| {
        let says = answer.label ^ usize::from(index % 10 == 0);
        (answer, Some(right[says].as_slice()))
    });
    assert!(share(heard) > 0.0);
    let guessed = answers.iter().enumerate();
    let guessed = guessed.map(|(index, answer)| (answer, Some(right[index / 2 % 2].as_slice())));
    assert_eq!(share(guessed), 0.0);
    assert_eq!(share(answers.iter().map(|answer| (answer, None))), 0.0);
}

#[test]
fn the_head_over_both_vectors_says_what_both_say() {
    let glossary = Glossary::default();
    let reading = glossary.read("the pump leaks");
    let characters = Vocabulary::of(Unit::Characters, [&reading], 1, 1_000);
    let words = Vocabulary::of(Unit::Words, [&reading], 1, 1_000);
    let rows = characters.len() + words.len() + 2 + 1;
    let mut parts = Parts {
        labels: vec!["a".to_owned(), "b".to_owned()],
        label_set: Digest::of(b"labels"),
        encoder: Digest::of(b"plain"),
        glossary: glossary.digest(),
        dimensions: 2,
        characters,
        words,
        weights: (0..2 * rows).map(|index| (index as f32).sin()).collect(),
        temperature: 1.0,
        recipe: Recipe {
            words: 1.0,
            vector: 1.0,
            looseness: 1.0,
        },
        also: None,
    };
    let tuned = TunedView {
        view: View {
            encoder: Digest::of(b"tuned"),
            dimensions: 5,
            vectors: vec![vec![0.6, 0.8, 0.1, 0.2, 0.3]],
            took: Vec::new(),
            described: Vec::new(),
        },
        classifier: vec![1.0, -1.0, 0.5, 2.0, 3.0, 1.0, 0.25, -0.5],
        bytes: Vec::new(),
    };
    let vector = &tuned.view.vectors[0];
    let plain = Head::new(parts.clone()).unwrap();
    let of_head = plain.logits(&reading, &vector[..2]).unwrap();
    let expected = blend(&of_head, Some(&tuned.logits(0, 2)), 0.4);

    tuned.join(&mut parts, 0.4);
    let joined = Head::new(parts).unwrap();
    assert_eq!(joined.encoder(), Digest::of(b"tuned"));
    for (one, other) in joined
        .logits(&reading, vector)
        .unwrap()
        .iter()
        .zip(&expected)
    {
        assert!((one - other).abs() < 1e-5, "{one} and {other}");
    }
}
