use proptest::prelude::*;

use super::binomial::{at_most, fewest, most_wrong, needed, upper_bound};
use super::sequence::{Sequence, counted, planned, rungs, steps};
use super::*;

/// SplitMix64: tests need chance that is the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A system whose answers are wrong with a chance of (1 − confidence)^2, confidence
/// being uniform: accepting from t on, the share (1 − t)^2 / 3 is wrong.
fn answers(chance: &mut Chance, n: usize) -> Vec<Judged> {
    let one = |chance: &mut Chance| {
        let confidence = chance.next();
        Judged {
            confidence,
            right: chance.next() > (1.0 - confidence).powi(2),
            said: Severity::Ordinary,
            meant: Severity::Ordinary,
        }
    };
    (0..n).map(|_| one(chance)).collect()
}

const TERMS: Terms = Terms {
    alpha: 0.05,
    critical_alpha: 0.02,
    delta: 0.1,
};

#[test]
fn probabilities_are_those_of_tables() {
    let check = |found: f64, expected: f64| {
        assert!((found - expected).abs() < 5e-5, "{found} is not {expected}");
    };
    check(at_most(0, 10, 0.1), 0.348_678);
    check(at_most(2, 10, 0.1), 0.929_809);
    check(at_most(12, 100, 0.1), 0.801_821);
    check(at_most(5, 5, 0.3), 1.0);
    // Clopper and Pearson: 3 of 30, one-sided at 2.5 %.
    check(upper_bound(3, 30, 0.025), 0.265_288);
    check(upper_bound(0, 59, 0.05), 0.049_5);
    // FIELD: at δ = 5 %, α = 2 % takes 149 with no error, or 386 with 3.
    assert_eq!(fewest(0.02, 0.05), 149);
    assert_eq!(most_wrong(386, 0.02, 0.05), Some(3));
    assert_eq!(most_wrong(385, 0.02, 0.05), Some(2));
    assert_eq!(most_wrong(148, 0.02, 0.05), None);
    assert_eq!(needed(0.0, 0.02, 0.05), Some(149));
    assert_eq!(needed(0.02, 0.02, 0.05), None);
}

proptest! {
    #[test]
    fn the_bound_is_what_could_just_be_shown(n in 1usize..2000, share in 0.0f64..0.3) {
        let wrong = (share * n as f64) as usize;
        let bound = upper_bound(wrong, n, 0.05);
        prop_assert!(at_most(wrong, n, bound) <= 0.05 + 1e-9);
        prop_assert!(at_most(wrong, n, bound - 1e-6) >= 0.05 - 1e-9);
        prop_assert!(most_wrong(n, bound + 1e-9, 0.05).is_some_and(|most| most >= wrong));
    }
}

/// How often of `times` the true share of wrong answers is above α, and the mean
/// coverage.
fn broken(times: usize, n: usize, plan: impl Fn(&mut Chance) -> Vec<Judged>) -> (usize, f64) {
    let mut chance = Chance(7);
    let (mut broken, mut coverage) = (0, 0.0);
    for _ in 0..times {
        let earlier = plan(&mut chance);
        let finding = certify(&answers(&mut chance, n), &earlier, TERMS);
        coverage += finding.coverage;
        if let Some(threshold) = finding.thresholds.ordinary {
            broken += usize::from((1.0 - threshold).powi(2) / 3.0 > TERMS.alpha);
        }
    }
    (broken, coverage / times as f64)
}

#[test]
fn the_promise_is_broken_no_more_often_than_delta() {
    // Of 1,000, 100 may break it; 130 would be three standard errors too many.
    for n in [150, 500] {
        let (planned, _) = broken(1_000, n, |chance| answers(chance, 300));
        assert!(planned < 130, "{planned} of plans at {n}");
        let (counted, _) = broken(1_000, n, |_| Vec::new());
        assert!(counted < 130, "{counted} without plans at {n}");
    }
}

#[test]
fn with_examples_enough_most_of_what_can_be_had_is_had() {
    // At best 38.7 % can be accepted at 5 %.
    let (_, coverage) = broken(30, 3_000, |chance| answers(chance, 1_000));
    assert!(coverage > 0.30, "{coverage}");
    let (_, coverage) = broken(30, 3_000, |_| Vec::new());
    assert!(coverage > 0.30, "{coverage}");
}

/// Of 1,500 examples one more wrong answer is allowed every 4 %: what can be shown between
/// is not given away.
#[test]
fn what_is_accepted_does_not_stop_at_a_rung() {
    let coverages = |seed: u64| {
        let mut chance = Chance(seed);
        let earlier = answers(&mut chance, 1_000);
        let sample = answers(&mut chance, 1_500);
        let finding = certify(&sample, &earlier, TERMS);
        (finding.coverage * 1_500.0).round() as usize
    };
    let rungs = rungs(1_500, TERMS.alpha, TERMS.delta);
    let between = (0..20).filter(|&seed| !rungs.contains(&coverages(seed)));
    assert!(between.count() > 10);
}

#[test]
fn a_plan_looks_at_earlier_answers_alone() {
    let earlier = answers(&mut Chance(3), 400);
    let Sequence::Planned(thresholds) = planned(&earlier, 300, 0.05, 0.1) else {
        panic!("there are earlier answers enough");
    };
    assert!(thresholds.is_sorted_by(|a, b| a > b), "{thresholds:?}");
    assert_eq!(thresholds.last(), Some(&0.0));
    assert!(matches!(
        planned(&earlier[..10], 300, 0.05, 0.1),
        Sequence::Counted(..)
    ));
}

#[test]
fn rungs_are_where_one_more_may_be_wrong() {
    let found = rungs(400, 0.02, 0.05);
    assert_eq!(found, [149, 236, 313, 386, 400]);
    for (wrong, &rung) in found[..4].iter().enumerate() {
        assert_eq!(most_wrong(rung, 0.02, 0.05), Some(wrong));
        assert!(most_wrong(rung - 1, 0.02, 0.05).is_none_or(|most| most < wrong));
    }
    assert!(rungs(148, 0.02, 0.05).is_empty());
    assert_eq!(rungs(149, 0.02, 0.05), [149]);
    assert_eq!(counted(148, 0.02, 0.05), Sequence::Counted(Vec::new()));
    let Sequence::Counted(counts) = counted(50_000, 0.02, 0.05) else {
        panic!("there is no plan");
    };
    assert!(counts.is_sorted_by(|a, b| a < b));
    assert_eq!(counts.last(), Some(&50_000));
    assert!(counts.len() < 500, "{}", counts.len());
    // Between rungs the number of wrong answers that is allowed stays.
    assert_eq!(steps(400, 0.02, 0.05)[..3], [149, 151, 153]);
    assert_eq!(steps(400, 0.02, 0.05).last(), Some(&400));
    assert_eq!(steps(149, 0.02, 0.05), [149]);
}

#[test]
fn what_cannot_be_had_is_told_with_what_it_takes() {
    let check = |n: usize, wrong: usize, more: std::ops::RangeInclusive<usize>| {
        let answers: Vec<Judged> = (0..n)
            .map(|index| Judged {
                confidence: 0.9,
                right: index >= wrong,
                said: Severity::Ordinary,
                meant: Severity::Ordinary,
            })
            .collect();
        let finding = certify(&answers, &[], TERMS);
        assert!(!finding.accepts());
        let refusal = &finding.refusals[0];
        assert_eq!((refusal.n, refusal.wrong), (n, wrong));
        assert!(refusal.bound > TERMS.alpha);
        let found = refusal.more_examples.expect("a number");
        assert!(more.contains(&found), "{found}");
    };
    // None wrong of 30: 45 are needed at least.
    check(30, 0, 15..=120);
    check(100, 3, 10..=300);
    let hopeless = vec![
        Judged {
            confidence: 0.9,
            right: false,
            said: Severity::Ordinary,
            meant: Severity::Ordinary,
        };
        200
    ];
    assert_eq!(
        certify(&hopeless, &[], TERMS).refusals[0].more_examples,
        None
    );
}

/// Every other answer is about a critical note; of these a share is answered with
/// an ordinary label, with little confidence.
fn with_critical(chance: &mut Chance, n: usize) -> Vec<Judged> {
    let one = |chance: &mut Chance| {
        let critical = chance.next() < 0.5;
        let missed = critical && chance.next() < 0.1;
        let confidence = chance.next() * if missed { 0.8 } else { 1.0 };
        let severity = |critical| match critical {
            true => Severity::Critical,
            false => Severity::Ordinary,
        };
        Judged {
            confidence,
            right: !missed && chance.next() > (1.0 - confidence).powi(3) / 4.0,
            said: severity(critical && !missed),
            meant: severity(critical),
        }
    };
    (0..n).map(|_| one(chance)).collect()
}

#[test]
fn critical_notes_have_promises_of_their_own() {
    let mut chance = Chance(11);
    let mut both = 0;
    let mut missed_too_often = 0;
    for _ in 0..150 {
        let earlier = with_critical(&mut chance, 2_000);
        let finding = certify(&with_critical(&mut chance, 2_000), &earlier, TERMS);
        let Thresholds { ordinary, critical } = finding.thresholds;
        both += usize::from(ordinary.is_some() && critical.is_some());
        if let Some(threshold) = ordinary {
            let parts: Vec<Part> = finding.promises.iter().map(|p| p.part).collect();
            assert!(parts.contains(&Part::CriticalMissed), "{parts:?}");
            // A missed one is accepted if 0.8 u >= t.
            let missed = 0.1 * (1.0 - threshold / 0.8).max(0.0);
            missed_too_often += usize::from(missed > TERMS.critical_alpha);
        }
    }
    assert!(both > 80, "{both}");
    // δ / 3 of 150 is 5; 12 would be three standard errors too many.
    assert!(missed_too_often < 12, "{missed_too_often}");
}

#[test]
fn any_change_voids_it() {
    let digest = |text: &str| Some(Digest::of(text.as_bytes()));
    let digests = Digests {
        model: digest("model"),
        head: digest("head"),
        labels: digest("labels"),
        glossary: digest("glossary"),
        policy: digest("policy"),
        ..Digests::default()
    };
    let certificate = Certificate {
        task: "kind".to_owned(),
        terms: TERMS,
        basis: Basis::Fresh,
        artefacts: digests.artefacts(),
        examples: Digest::of(b"examples"),
        n: 100,
        thresholds: Thresholds {
            ordinary: Some(0.9),
            critical: None,
        },
        promises: Vec::new(),
        coverage: 0.5,
        profile: Profile::of([0.5, 0.99]),
        issued_at: Timestamp(1),
    };
    assert!(certificate.covers(&digests));
    // The policy shapes no answer.
    assert!(certificate.covers(&Digests {
        policy: None,
        ..digests.clone()
    }));
    let other = || digest("other");
    for changed in [
        Digests {
            model: other(),
            ..digests.clone()
        },
        Digests {
            head: other(),
            ..digests.clone()
        },
        Digests {
            adapter: other(),
            ..digests.clone()
        },
        Digests {
            prompt: other(),
            ..digests.clone()
        },
        Digests {
            labels: other(),
            ..digests.clone()
        },
        Digests {
            glossary: other(),
            ..digests.clone()
        },
    ] {
        assert!(!certificate.covers(&changed), "{changed:?}");
    }
    let json = serde_json::to_string(&certificate).unwrap();
    let read: Certificate = serde_json::from_str(&json).unwrap();
    assert_eq!(read, certificate);
    assert_eq!(read.id(), certificate.id());
    assert!(certificate.thresholds.accept(Severity::Ordinary, 0.9));
    assert!(!certificate.thresholds.accept(Severity::Critical, 1.0));
}
