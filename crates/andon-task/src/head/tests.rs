use proptest::prelude::*;

use super::*;
use crate::label::Label;

fn labels(names: &[&str]) -> LabelSet {
    let label = |name: &&str| Label {
        label: (*name).to_owned(),
        description: None,
        procedure: None,
        critical: false,
        none: false,
    };
    LabelSet::new(names.iter().map(label).collect()).unwrap()
}

fn encoder(content: &[u8]) -> Identity {
    Identity {
        name: "tiny".into(),
        digest: Digest::of(content),
        context_tokens: 8,
    }
}

/// Two labels: 'hot' in the text speaks for the first, the vector for the second.
fn parts() -> Parts {
    let labels = labels(&["overheating", "noise"]);
    let characters = Vocabulary::of(
        Unit::Characters,
        [&Glossary::default().read("hot")],
        1,
        usize::MAX,
    );
    let mut weights = vec![0.0; (characters.len() + 2 + 1) * 2];
    let of_grams = characters.len() * 2;
    weights[..of_grams]
        .iter_mut()
        .step_by(2)
        .for_each(|weight| *weight = 1.0);
    weights[of_grams + 1] = 3.0;
    weights[of_grams + 4] = 0.5;
    Parts {
        labels: labels.names(),
        label_set: labels.digest(),
        encoder: encoder(b"e").digest,
        glossary: Glossary::default().digest(),
        dimensions: 2,
        characters,
        words: Vocabulary::empty(Unit::Words),
        weights,
        temperature: 2.0,
        recipe: Recipe {
            words: 0.0,
            vector: 0.85,
            looseness: 10.0,
        },
        also: Some(0.25),
    }
}

#[test]
fn logits_are_features_times_weights() {
    let head = Head::new(parts()).unwrap();
    // Nine n-grams of equal weight in a vector of unit length: their sum is 3.
    let check = |text: &str, vector: &[f32], expected: [f32; 2]| {
        let logits = head
            .logits(&Glossary::default().read(text), vector)
            .unwrap();
        for (logit, expected) in logits.iter().zip(expected) {
            assert!((logit - expected).abs() < 1e-5, "{text}: {logits:?}");
        }
    };
    check("HOT", &[0.0, 0.0], [3.5, 0.0]);
    check("?", &[1.0, 0.0], [0.5, 3.0]);
    check("", &[0.0, 1.0], [0.5, 0.0]);
    let probabilities = head
        .decide(&Glossary::default().read("hot"), &[0.0, 0.0])
        .unwrap();
    assert!((probabilities[0] - 1.0 / (1.0 + (-1.75f64).exp())).abs() < 1e-5);
}

#[test]
fn a_file_gives_the_same_head() {
    let head = Head::new(parts()).unwrap();
    let read = Head::parse(head.bytes()).unwrap();
    assert_eq!(read, head);
    assert_eq!(read.digest(), head.digest());
}

#[test]
fn files_of_earlier_formats_are_read() {
    let head = Head::new(Parts {
        also: None,
        ..parts()
    })
    .unwrap();
    // Each format is the next without its end: the first has no words and no recipe, the
    // second no threshold of a second label.
    let recipe = postcard::to_allocvec(&head.parts().recipe).unwrap().len();
    for (format, end) in [(1, 2 + recipe + 1), (2, 1)] {
        let bytes = head.bytes();
        let mut old = bytes[..bytes.len() - 32 - end].to_vec();
        old[8] = format;
        let digest = Digest::of(&old);
        old.extend(digest.as_bytes());
        assert_eq!(Head::parse(&old).unwrap().parts(), head.parts());
    }
}

#[test]
fn each_reason_to_refuse_names_its_remedy() {
    let head = Head::new(parts()).unwrap();
    let check = |error: HeadError, expected: &str| assert_eq!(error.to_string(), expected);
    check(
        Head::parse(b"GGUF").unwrap_err(),
        "this is no head: give a file that 'andon learn' wrote",
    );
    let mut newer = head.bytes().to_vec();
    newer[8] = 9;
    check(
        Head::parse(&newer).unwrap_err(),
        "the head has format 9, this version reads up to 3: update Andon or learn again",
    );
    check(
        Head::parse(&head.bytes()[..head.bytes().len() - 1]).unwrap_err(),
        "the head is damaged (its digest is another): learn again or restore the file",
    );
    check(
        Head::parse(&head.bytes()[..10]).unwrap_err(),
        "the head is damaged (it ends early): learn again or restore the file",
    );
    check(
        head.logits(&Glossary::default().read("hot"), &[1.0])
            .unwrap_err(),
        "the vector has 1 dimensions, the head expects 2: use its own encoder",
    );
}

#[test]
fn other_labels_encoders_and_glossaries_are_refused() {
    let head = Head::new(parts()).unwrap();
    let (own, other) = (
        labels(&["overheating", "noise"]),
        labels(&["noise", "overheating"]),
    );
    let glossary = Glossary::default();
    let another = Glossary::parse("term,meaning\nheiss,hot").unwrap();
    assert_eq!(head.fits(&own, &encoder(b"e"), &glossary), Ok(()));
    assert!(matches!(
        head.fits(&other, &encoder(b"e"), &glossary),
        Err(HeadError::OtherLabels { .. })
    ));
    assert!(matches!(
        head.fits(&own, &encoder(b"f"), &glossary),
        Err(HeadError::OtherEncoder { .. })
    ));
    let error = head.fits(&own, &encoder(b"e"), &another).unwrap_err();
    let (trained, serving) = (glossary.digest().short(), another.digest().short());
    assert_eq!(
        error.to_string(),
        format!(
            "the head was trained with another glossary ({trained}, now {serving}): learn again"
        )
    );
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let check = |change: fn(&mut Parts)| {
        let mut parts = parts();
        change(&mut parts);
        assert!(matches!(Head::new(parts), Err(HeadError::Damaged(_))));
    };
    check(|parts| parts.labels.truncate(1));
    check(|parts| parts.dimensions = 3);
    check(|parts| parts.dimensions = usize::MAX);
    check(|parts| parts.weights[0] = f32::NAN);
    check(|parts| parts.temperature = 0.0);
    check(|parts| parts.recipe.looseness = 0.0);
    check(|parts| parts.recipe.words = f32::NAN);
    check(|parts| parts.also = Some(0.6));
}

proptest! {
    #[test]
    fn no_damage_goes_unseen(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let head = Head::new(parts()).unwrap();
        let mut bytes = head.bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Head::parse(&bytes).is_err());
    }

    #[test]
    fn arbitrary_content_behind_a_right_seal_is_no_panic(content in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = b"ANDONHED\x03\0\0\0".to_vec();
        bytes.extend(content);
        let digest = Digest::of(&bytes);
        bytes.extend(digest.as_bytes());
        let _ = Head::parse(&bytes);
    }
}
