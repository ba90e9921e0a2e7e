use proptest::prelude::*;

use super::*;

fn example(text: &str, label: usize) -> LabelledText {
    LabelledText {
        text: text.to_owned(),
        label,
        also: None,
        language: None,
    }
}

#[test]
fn copies_are_held_out_together() {
    let examples = [
        example("Pump 3 hot", 0),
        example("noise", 1),
        example("pump 4  HOT", 0),
        example("púmp 3 hot", 1),
    ];
    let (fold_of, folds) = assign(&examples, &Glossary::default());
    assert_eq!(folds, 2);
    assert_eq!(fold_of[0], fold_of[2]);
    assert_eq!(fold_of[0], fold_of[3]);
    assert_ne!(fold_of[0], fold_of[1]);
}

#[test]
fn translations_are_held_out_together() {
    let glossary = Glossary::parse("term,meaning\nbomba,pump\ncaliente,hot").unwrap();
    let examples = [
        example("Bomba caliente", 0),
        example("noise", 1),
        example("pump hot", 0),
    ];
    let (fold_of, folds) = assign(&examples, &glossary);
    assert_eq!(folds, 2);
    assert_eq!(fold_of[0], fold_of[2]);
}

proptest! {
    #[test]
    fn folds_are_stratified(sizes in prop::collection::vec(1usize..30, 2..8)) {
        let examples: Vec<LabelledText> = sizes
            .iter()
            .enumerate()
            .flat_map(|(label, &size)| {
                let name = move |i: usize| "x".repeat(i + 1) + &"y".repeat(label);
                (0..size).map(move |i| example(&name(i), label))
            })
            .collect();
        let (fold_of, folds) = assign(&examples, &Glossary::default());
        for (label, &size) in sizes.iter().enumerate() {
            for fold in 0..folds {
                let held = (0..examples.len())
                    .filter(|&i| examples[i].label == label && fold_of[i] == fold)
                    .count();
                prop_assert!(held.abs_diff(size / folds) <= 1);
            }
        }
    }
}
