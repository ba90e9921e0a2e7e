use super::{Row, Target, Unit, render};
use crate::series::Series;

fn series(values: &[f64]) -> Vec<Series> {
    let one = |value: &f64| Series::new(format!("flags {value}"), vec![*value]);
    values.iter().filter_map(one).collect()
}

fn row(unit: Unit, target: Option<Target>, peer: &[f64], andon: Option<f64>) -> Row {
    let own = andon.and_then(|value| Series::new("andon", vec![value]));
    Row {
        work: "work".to_owned(),
        model: "model".to_owned(),
        unit,
        target,
        peer: series(peer),
        andon: own.ok_or_else(|| "400: not yet".to_owned()),
    }
}

#[test]
fn ratios_are_to_the_first_and_to_the_best() {
    let check = |row: Row, expected: (Option<f64>, Option<f64>, Option<bool>)| {
        let found = (
            row.ratio(row.peer.first()),
            row.ratio(row.best()),
            row.is_reached(),
        );
        assert_eq!(found, expected, "{row:?}");
    };
    let (ms, rate) = (Unit::Milliseconds, Unit::TokensPerSecond);
    let times = |times| Some(Target::Times(times));
    let share = Some(Target::ShareAtMost(0.4));
    check(
        row(ms, times(4.0), &[100.0, 80.0], Some(20.0)),
        (Some(5.0), Some(4.0), Some(true)),
    );
    check(
        row(ms, times(5.0), &[100.0, 80.0], Some(20.0)),
        (Some(5.0), Some(4.0), Some(false)),
    );
    check(
        row(rate, times(2.0), &[100.0, 200.0], Some(300.0)),
        (Some(3.0), Some(1.5), Some(false)),
    );
    check(
        row(Unit::Megabytes, share, &[1000.0], Some(300.0)),
        (Some(0.3), Some(0.3), Some(true)),
    );
    check(
        row(ms, Some(Target::AtMost(50.0)), &[], Some(40.0)),
        (None, None, Some(true)),
    );
    check(
        row(ms, None, &[10.0], Some(5.0)),
        (Some(2.0), Some(2.0), None),
    );
    check(
        row(ms, times(1.0), &[10.0], None),
        (None, None, Some(false)),
    );
}

#[test]
fn a_refusal_is_shown_as_one() {
    let refused = row(Unit::Milliseconds, Some(Target::Times(8.0)), &[927.0], None);
    assert_eq!(
        render(std::slice::from_ref(&refused)),
        "\
WORK  MODEL  UNIT  PEER  BEST  ANDON    RATIO  TO BEST  TARGET
work  model  ms    927   927   refused  –      –        ≥ 8×    no
"
    );
    let json = refused.to_json();
    assert_eq!(json["refused"], "400: not yet");
    assert_eq!(json["andon"], serde_json::Value::Null);
}
