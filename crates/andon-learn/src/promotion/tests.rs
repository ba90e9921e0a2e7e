use super::*;

/// One letter an example: `+` right, `-` wrong, `.` not measured.
fn outcomes(letters: &str) -> Vec<Outcome> {
    let measured = letters
        .bytes()
        .enumerate()
        .filter(|&(_, letter)| letter != b'.');
    measured
        .map(|(index, letter)| Outcome {
            example: Digest::of(&index.to_le_bytes()),
            right: letter == b'+',
        })
        .collect()
}

#[test]
fn the_first_candidate_is_promoted() {
    assert_eq!(not_worse(&outcomes("-"), None), Verdict::First);
    assert!(Verdict::First.promotes());
}

#[test]
fn a_later_one_only_if_it_loses_no_more_than_chance() {
    let check = |candidate: &str, current: &str, promotes: bool, counts: (usize, usize, usize)| {
        let verdict = not_worse(&outcomes(candidate), Some(&outcomes(current)));
        assert_eq!(verdict.promotes(), promotes, "{verdict:?}");
        let (Verdict::Worse(found) | Verdict::NotWorse(found)) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!((found.common, found.wins, found.losses), counts);
    };
    check("++--", "++--", true, (4, 0, 0));
    check("-----+", "++++-+", true, (6, 0, 4));
    check("------", "+++++-", false, (6, 0, 5));
    check("++++++", "------", true, (6, 6, 0));
    check("+-+-+-", "-+-+-+", true, (6, 3, 3));
    check("+.--", "+-.-", true, (2, 0, 0));
}

#[test]
fn different_examples_say_nothing() {
    let verdict = not_worse(&outcomes("..++"), Some(&outcomes("++..")));
    assert_eq!(verdict, Verdict::NothingInCommon);
    assert!(!verdict.promotes());
}

#[test]
fn the_sign_test_is_exact() {
    let check = |hits, tosses, expected: f64| {
        let found = at_least(hits, tosses);
        assert!(
            (found - expected).abs() < 1e-9,
            "{found} for {hits} of {tosses}"
        );
    };
    check(0, 0, 1.0);
    check(5, 5, 1.0 / 32.0);
    check(2, 3, 0.5);
    check(1501, 3000, 0.492_716_950_742);
}
