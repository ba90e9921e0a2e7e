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
            language: None,
            judged: None,
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
fn better_on_the_whole_is_not_enough() {
    // Five losses in Spanish, or on critical labels, and ten wins elsewhere.
    let check = |language: Option<&str>, meant: Severity, group: &str| {
        let outcome = |index: usize, right: bool| {
            let of_group = index < 5;
            Outcome {
                example: Digest::of(&index.to_le_bytes()),
                right,
                language: language.filter(|_| of_group).map(str::to_owned),
                judged: Some(Judged {
                    confidence: 0.9,
                    right,
                    said: Severity::Ordinary,
                    meant: if of_group { meant } else { Severity::Ordinary },
                }),
            }
        };
        let current: Vec<Outcome> = (0..15).map(|index| outcome(index, index < 5)).collect();
        let candidate: Vec<Outcome> = (0..15).map(|index| outcome(index, index >= 5)).collect();
        let verdict = not_worse(&candidate, Some(&current));
        let Verdict::Worse(found) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!((found.wins, found.losses), (10, 5));
        assert!(found.p_value > SIGNIFICANCE);
        let worse: Vec<&str> = found
            .groups
            .iter()
            .filter(|group| group.is_worse())
            .map(|group| group.group.as_str())
            .collect();
        assert_eq!(worse, [group]);
    };
    check(Some("es"), Severity::Ordinary, "language es");
    check(None, Severity::Critical, "critical");
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
        let tally = Tally {
            common: tosses,
            wins: tosses - hits,
            losses: hits,
        };
        let found = tally.p_value();
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
