use proptest::prelude::*;

use super::*;

use Class::{Batch, Machine, Person};

fn demands(of: &[(Class, usize)]) -> Vec<Demand> {
    let demand = |(arrival, &(class, left)): (usize, &(Class, usize))| Demand {
        rank: Rank::new(class, None, arrival as u64),
        left,
    };
    of.iter().enumerate().map(demand).collect()
}

fn budget(tokens: usize, quick: usize) -> Budget {
    Budget {
        tokens,
        quick,
        kept: [0; CLASSES],
    }
}

fn check(of: &[(Class, usize)], (tokens, quick): (usize, usize), expected: &[usize]) {
    let counts = plan(&demands(of), budget(tokens, quick));
    assert_eq!(counts, expected, "{of:?} within {tokens}, {quick}");
}

#[test]
fn next_tokens_come_first_and_prompts_share_the_rest() {
    check(&[], (8, 8), &[]);
    check(&[(Person, 1), (Person, 1)], (8, 8), &[1, 1]);
    check(&[(Person, 20)], (8, 8), &[8]);
    check(&[(Person, 20), (Person, 1)], (8, 8), &[7, 1]);
    check(
        &[(Person, 3), (Person, 20), (Person, 1)],
        (8, 8),
        &[3, 4, 1],
    );
    check(&[(Person, 5), (Person, 5), (Person, 5)], (8, 8), &[5, 3, 0]);
}

#[test]
fn machines_come_first_and_batches_get_what_is_left() {
    check(
        &[(Machine, 20), (Person, 1), (Batch, 1)],
        (32, 8),
        &[20, 0, 0],
    );
    check(
        &[(Machine, 5), (Person, 1), (Batch, 9)],
        (32, 8),
        &[5, 1, 2],
    );
    check(
        &[(Machine, 1), (Person, 9), (Batch, 1)],
        (32, 8),
        &[1, 7, 0],
    );
    check(&[(Person, 40)], (32, 8), &[8]);
    check(&[(Batch, 40)], (32, 1), &[1]);
}

#[test]
fn a_class_gets_what_is_kept_for_it() {
    let check = |of: &[(Class, usize)], kept: [usize; CLASSES], expected: &[usize]| {
        let counts = plan(
            &demands(of),
            Budget {
                kept,
                ..budget(32, 8)
            },
        );
        assert_eq!(counts, expected, "{of:?} with {kept:?}");
    };
    let all = [(Machine, 90), (Person, 90), (Batch, 90)];
    check(&all, [0, 0, 0], &[32, 0, 0]);
    check(&all, [0, 0, 8], &[24, 0, 8]);
    check(&all, [0, 8, 8], &[16, 8, 8]);
    // No more than is wanted, and nothing for who asks for nothing.
    check(&[(Machine, 90), (Batch, 3)], [0, 8, 8], &[29, 3]);
    // While machines are about, the others share what they have.
    check(&[(Person, 90), (Batch, 90)], [0, 0, 4], &[4, 4]);
    check(&[(Machine, 4), (Batch, 90)], [0, 0, 8], &[4, 8]);
}

/// What each class gets of `steps` steps in which everybody wants more than there is.
fn shares(of: &[Class], quick: usize, steps: usize) -> Vec<usize> {
    let wanted: Vec<_> = of.iter().map(|&class| (class, 1000)).collect();
    let demands = demands(&wanted);
    let mut fairness = Fairness::default();
    let mut got = vec![0; of.len()];
    for _ in 0..steps {
        let kept = fairness.kept();
        let counts = plan(
            &demands,
            Budget {
                kept,
                ..budget(STEP_TOKENS, quick)
            },
        );
        fairness.note(&demands, &counts);
        got.iter_mut()
            .zip(counts)
            .for_each(|(sum, count)| *sum += count);
    }
    got
}

#[test]
fn nobody_starves_however_much_those_before_ask_for() {
    for quick in [12, STEP_TOKENS] {
        let got = shares(&[Machine, Person, Batch], quick, 80);
        assert_eq!(&got[1..], [80, 80], "within {quick}");
        // The price is small.
        assert!(got[0] >= 80 * STEP_TOKENS * 98 / 100, "{got:?}");
        assert_eq!(shares(&[Person, Batch], quick, 80)[1], 80);
    }
}

#[test]
fn classes_deadlines_and_arrivals_make_the_order() {
    let now = Instant::now();
    let soon = Some(now + Duration::from_secs(1));
    let later = Some(now + Duration::from_secs(2));
    let ordered = [
        Rank::new(Machine, soon, 9),
        Rank::new(Machine, later, 1),
        Rank::new(Machine, None, 0),
        Rank::new(Person, soon, 3),
        Rank::new(Person, soon, 4),
        Rank::new(Batch, soon, 0),
    ];
    assert!(ordered.is_sorted());
}

#[test]
fn steps_are_short_while_machines_are_about() {
    let now = Instant::now();
    let check = |steps: [u64; 2], is_run: bool, ago: Option<u64>, quick: usize| {
        let mut speed = Speed::default();
        speed.note(1, Duration::from_micros(steps[0]));
        speed.note(128, Duration::from_micros(steps[1]));
        let machines = Machines {
            is_run,
            last: ago.map(|ago| now - Duration::from_secs(ago)),
            layers: 4,
        };
        let budget = Budget::new(&speed, machines, now, &Fairness::default());
        assert_eq!(
            (budget.tokens, budget.quick),
            (STEP_TOKENS, quick),
            "{steps:?} {machines:?}"
        );
    };
    // Every step takes 2 ms, each of its tokens 0.4 ms more.
    let fast = [2400, 53_200];
    check(fast, false, None, STEP_TOKENS);
    check(fast, true, Some(0), 12);
    // Four layers of 7 ms.
    check(fast, false, Some(0), 65);
    check(fast, false, Some(61), STEP_TOKENS);
    // Every step takes 5.1 ms, each of its tokens one more: three times 5.1 ms have ten.
    check([6100, 133_100], true, Some(0), 10);
}

proptest! {
    #[test]
    fn a_plan_keeps_its_budget_and_moves(
        classes in prop::collection::vec((0usize..3, 1usize..200), 1..40),
        tokens in 1usize..64,
        quick in 1usize..64,
        kept in prop::array::uniform3(0usize..12),
    ) {
        let mut of: Vec<_> = classes
            .into_iter()
            .map(|(class, left)| ([Machine, Person, Batch][class], left))
            .collect();
        of.sort_by_key(|&(class, _)| Rank::new(class, None, 0));
        let demands = demands(&of);
        let counts = plan(&demands, Budget { kept, ..budget(tokens, quick.min(tokens)) });
        prop_assert!(counts[0] > 0 || counts.iter().sum::<usize>() > 0);
        prop_assert!(counts.iter().sum::<usize>() <= tokens);
        for (count, demand) in counts.iter().zip(&demands) {
            prop_assert!(*count <= demand.left);
        }
    }
}
