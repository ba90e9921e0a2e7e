use proptest::prelude::*;

use super::super::distance;
use super::Wanted;

fn letters(text: &str) -> Vec<char> {
    text.chars().collect()
}

/// The fewest edits to any place of a text, by trying all of them.
fn fewest(value: &[char], text: &[char]) -> usize {
    let mut least = value.len();
    for first in 0..text.len() {
        for last in first..text.len() {
            let longer = value.len().max(last - first + 1);
            let share = distance(value, &text[first..=last]);
            least = least.min((share * longer as f64).round() as usize);
        }
    }
    least
}

proptest! {
    #[test]
    fn no_place_has_fewer_edits(value in "[ab]{1,9}", text in "[abc]{0,24}") {
        let (value, text) = (letters(&value), letters(&text));
        let found = Wanted::new(value.clone(), value.len() - 1).find(&text);
        let expected = fewest(&value, &text);
        match found {
            None => prop_assert!(expected == value.len()),
            Some(found) => {
                prop_assert_eq!(found.edits, expected);
                let place = &text[found.first..=found.last];
                let longer = value.len().max(place.len());
                let edits = (distance(&value, place) * longer as f64).round() as usize;
                prop_assert_eq!(edits, expected);
            }
        }
    }

    #[test]
    fn values_of_more_than_a_word_are_found(
        before in "[0-9]{0,40}", value in "[A-Z]{61,150}", after in "[0-9]{0,40}", at in 0usize..60
    ) {
        let wanted = Wanted::new(letters(&value), 3);
        let mut written = letters(&value);
        written[at] = '#';
        let text: Vec<char> =
            letters(&before).into_iter().chain(written).chain(letters(&after)).collect();
        let found = wanted.find(&text).expect("one edit is within three");
        prop_assert_eq!(found.edits, 1);
        prop_assert_eq!(found.last + 1, before.len() + value.len());
    }
}

#[test]
fn nothing_alike_is_found_nowhere() {
    assert_eq!(
        Wanted::new(letters("PUMP"), 1).find(&letters("VALVE 7")),
        None
    );
    assert_eq!(Wanted::new(letters("PUMP"), 1).find(&[]), None);
}
