use proptest::prelude::*;

use super::*;
use crate::glossary::Glossary;

fn vocabulary(texts: &[&str]) -> Vocabulary {
    let glossary = Glossary::default();
    let readings: Vec<Reading<'_>> = texts.iter().map(|text| glossary.read(text)).collect();
    Vocabulary::of(Unit::Characters, &readings, 1, usize::MAX)
}

fn weigh(vocabulary: &Vocabulary, text: &str) -> Vec<Weighted> {
    vocabulary.weigh(&Glossary::default().read(text))
}

#[test]
fn folding_drops_what_operators_do_not_mean() {
    let check = |text: &str, expected: &str| assert_eq!(fold(text), expected, "{text}");
    check("VÁLVULA Ñandú", "valvula nandu");
    check("PMP-313 at 4,2 bar", "pmp-000 at 0,0 bar");
    check("CO₂ ½", "co0 0⁄0");
    check("ﬁlter İ", "filter i");
    check("", "");
}

#[test]
fn grams_stay_within_words() {
    let check = |text: &str, expected: &[&str]| {
        let mut expected: Vec<u64> = expected.iter().map(|gram| hash(gram.chars())).collect();
        expected.sort_unstable();
        let vocabulary = vocabulary(&[text]);
        assert_eq!(vocabulary.parts().0, expected, "{text}");
    };
    check("a", &[" a", "a ", " a "]);
    check("ab", &[" a", "ab", "b ", " ab", "ab ", " ab "]);
    check("a\t a", &[" a", "a ", " a "]);
    check("", &[]);
}

#[test]
fn words_come_alone_and_in_pairs() {
    let check = |text: &str, expected: &[&str]| {
        let mut expected: Vec<u64> = expected.iter().map(|gram| hash(gram.chars())).collect();
        expected.sort_unstable();
        let reading = Glossary::default();
        let words = Vocabulary::of(Unit::Words, [&reading.read(text)], 1, usize::MAX);
        assert_eq!(words.parts().0, expected, "{text}");
    };
    check(
        "Seal-leaks",
        &["seal", "leaks", " seal", "seal leaks", "leaks "],
    );
    check("hot", &["hot", " hot", "hot "]);
    check("?!", &[]);
}

#[test]
fn the_most_common_are_kept_where_there_is_no_room_for_all() {
    let glossary = Glossary::default();
    let readings = ["hot pump", "hot", "hot pump leaks"].map(|text| glossary.read(text));
    let kept = |most| Vocabulary::of(Unit::Words, &readings, 1, most);
    assert_eq!(kept(100).len(), 9);
    let two = kept(2);
    assert!(two.columns.contains_key(&hash("hot".chars())));
    assert!(two.columns.contains_key(&hash(" hot".chars())));
    assert_eq!(two.len(), 2);
}

#[test]
fn rare_grams_weigh_more() {
    let vocabulary = vocabulary(&["pump hot", "pump leaks", "pump stops"]);
    let weighted = weigh(&vocabulary, "pump leaks");
    let lightest = weighted.iter().map(|&(_, value)| value).fold(1.0, f32::min);
    let heaviest = weighted.iter().map(|&(_, value)| value).fold(0.0, f32::max);
    assert!(heaviest > 1.5 * lightest, "{lightest} {heaviest}");
}

#[test]
fn a_text_of_unknown_grams_is_empty() {
    let vocabulary = vocabulary(&["pump"]);
    assert_eq!(weigh(&vocabulary, "xyz"), []);
    assert_eq!(weigh(&vocabulary, "\0\u{301} "), []);
}

#[test]
fn unsound_parts_are_refused() {
    let check = |keys: &[u64], rarity: &[f32], sound: bool| {
        let vocabulary = Vocabulary::from_parts(Unit::Words, keys.to_vec(), rarity.to_vec());
        assert_eq!(vocabulary.is_some(), sound, "{keys:?} {rarity:?}");
    };
    check(&[1, 2], &[1.0, 2.0], true);
    check(&[], &[], true);
    check(&[2, 1], &[1.0, 2.0], false);
    check(&[1, 1], &[1.0, 2.0], false);
    check(&[1], &[], false);
    check(&[1], &[f32::NAN], false);
    check(&[1], &[0.0], false);
}

proptest! {
    #[test]
    fn weighed_texts_have_unit_length(text in "\\PC{1,200}") {
        let vocabulary = vocabulary(&[text.as_str(), "pump leaks"]);
        let weighted = weigh(&vocabulary, &text);
        let squares: f32 = weighted.iter().map(|(_, value)| value * value).sum();
        prop_assert!(weighted.is_empty() || (squares - 1.0).abs() < 1e-4);
        prop_assert!(weighted.is_sorted_by(|a, b| a.0 < b.0));
    }
}
