use super::*;

/// A number that looks random, for step `step` of a stream.
fn lot(stream: u64, step: u64) -> f64 {
    uniform([stream.to_le_bytes().as_slice(), &step.to_le_bytes()])
}

const DELTA: f64 = 0.1;
const ALPHA: f64 = 0.05;

#[test]
fn the_same_text_is_always_or_never_checked() {
    let checked = |share| {
        let texts = (0..20_000).map(|number| format!("note {number}"));
        texts
            .filter(|text| is_spot_check("kind", text, share))
            .count()
    };
    assert_eq!(checked(0.0), 0);
    assert_eq!(checked(1.0), 20_000);
    let found = checked(0.02);
    assert!((340..460).contains(&found), "{found}");
    assert_eq!(
        is_spot_check("kind", "a note", 0.5),
        is_spot_check("kind", "a note", 0.5)
    );
}

/// In how many of `streams` the evidence reaches the limit within `steps` spot
/// checks, and the median step at which it does.
fn alarms(streams: u64, steps: u64, rate: f64) -> (usize, Option<usize>) {
    let mut found: Vec<usize> = (0..streams)
        .filter_map(|stream| {
            let mut wealth_reached = None;
            let checks = (0..steps).map(|step| (ALPHA, lot(stream, step) < rate));
            let checks: Vec<(f64, bool)> = checks.collect();
            // The whole first: most streams never reach it.
            if evidence_of_errors(checks.iter().copied()).peak >= limit(DELTA) {
                let reached =
                    |n: usize| evidence_of_errors(checks[..n].iter().copied()).peak >= limit(DELTA);
                let (mut low, mut high) = (0, checks.len());
                while high - low > 1 {
                    let middle = usize::midpoint(low, high);
                    if reached(middle) {
                        high = middle;
                    } else {
                        low = middle;
                    }
                }
                wealth_reached = Some(high);
            }
            wealth_reached
        })
        .collect();
    found.sort_unstable();
    (found.len(), found.get(found.len() / 2).copied())
}

#[test]
fn a_promise_that_holds_raises_few_false_alarms() {
    // Just as many wrong as promised, 20,000 spot checks: δ/2 of 200 is 10; 20
    // would be three standard errors too many.
    let (found, _) = alarms(200, 20_000, ALPHA);
    assert!(found < 20, "{found}");
    // Half as many wrong as promised.
    let (found, _) = alarms(200, 20_000, ALPHA / 2.0);
    assert_eq!(found, 0);
}

#[test]
fn a_broken_promise_is_found_within_some_labels() {
    let check = |rate, within: usize| {
        let (found, median) = alarms(200, 4 * within as u64, rate);
        assert!(found >= 190, "{found} of 200 at {rate}");
        assert!(
            median.is_some_and(|median| median <= within),
            "{median:?} at {rate}"
        );
    };
    // Twice, three times and six times the promised share.
    check(0.10, 250);
    check(0.15, 90);
    check(0.30, 30);
}

fn watch() -> InputWatch {
    let profile = Profile::of((0..500).map(|step| lot(999, step).sqrt()));
    InputWatch::new(Digest::of(b"certificate"), &profile)
}

/// The evidence after `steps` answers whose confidence is `of` a random number.
fn watched(stream: u64, steps: u64, of: impl Fn(f64) -> f64) -> Evidence {
    let profile = Profile::of((0..500).map(|step| lot(stream + 500_000, step).sqrt()));
    let certificate = Digest::of(&stream.to_le_bytes());
    let mut watch = InputWatch::new(certificate, &profile);
    for step in 0..steps {
        watch.see(of(lot(stream, step)));
    }
    watch.evidence()
}

#[test]
fn inputs_that_stay_the_same_raise_few_false_alarms() {
    let found = (0..200)
        .filter(|&stream| watched(stream, 20_000, f64::sqrt).peak >= limit(DELTA))
        .count();
    assert!(found < 20, "{found}");
}

#[test]
fn inputs_that_change_are_found() {
    let alarms = |steps, of: &dyn Fn(f64) -> f64| {
        (0..100)
            .filter(|&stream| watched(stream, steps, of).peak >= limit(DELTA))
            .count()
    };
    // Confidence falls from a mean of 2/3 to one of 1/2.
    let found = alarms(200, &|lot| lot);
    assert!(found >= 95, "{found}");
    // To 1/3: notes of another kind.
    let found = alarms(50, &|lot| lot * lot);
    assert!(found >= 95, "{found}");
}

#[test]
fn a_watch_survives_its_json() {
    let mut one = watch();
    for step in 0..100 {
        one.see(lot(5, step));
    }
    let json = serde_json::to_string(&one).unwrap();
    let mut other: InputWatch = serde_json::from_str(&json).unwrap();
    assert_eq!(one, other);
    one.see(0.3);
    other.see(0.3);
    assert_eq!(one, other);
    assert_eq!(one.evidence().n, 101);
}

#[test]
fn strange_confidences_have_a_place() {
    for confidence in [0.0, 1.0, -1.0, 2.0, f64::NAN] {
        assert!(bin(confidence) < BINS);
    }
}
