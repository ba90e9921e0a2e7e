use super::*;

/// Ten answers: the logit of the first label is `right`, and that label is right
/// nine times.
fn trial(looseness: f64, without: usize, right: f32) -> Trial {
    let answer = |number: usize| Scored {
        logits: vec![right, 0.0],
        label: usize::from(number == 0),
    };
    Trial {
        recipe: Recipe {
            looseness,
            ..usual(8.0)
        },
        without,
        answers: (0..10).map(answer).collect(),
    }
}

#[test]
fn what_answers_best_is_chosen_for_each_fold_by_itself() {
    let trials = [
        trial(3.0, 0, 2.0),
        trial(3.0, 1, -1.0),
        trial(10.0, 0, -1.0),
        trial(10.0, 1, -1.0),
        trial(30.0, 0, -1.0),
        trial(30.0, 1, 1.0),
    ];
    let chosen = |held_out| choose(usual(8.0), &trials, held_out).looseness;
    assert_eq!(chosen(Some(0)), 3.0);
    assert_eq!(chosen(Some(1)), 30.0);
}

#[test]
fn nothing_tried_or_shown_is_the_usual_way() {
    assert_eq!(choose(usual(8.0), &[], Some(3)), usual(8.0));
    let alike = [3.0, 10.0, 30.0].map(|looseness| trial(looseness, 0, 1.0));
    assert_eq!(choose(usual(8.0), &alike, None), usual(8.0));
}

#[test]
fn longer_texts_want_their_words() {
    let check = |words, expected: f32| assert!((usual(words).words - expected).abs() < 1e-6);
    check(2.0, 0.0);
    check(8.0, 0.5);
    check(35.0, 1.0);
}
