use super::{BEGINNING, Checkpoint, Entry, Finding, Inspection};
use crate::digest::Digest;
use crate::run::Timestamp;

type Row = (Entry, Option<Digest>);

fn log(rows: i64) -> Vec<Row> {
    let mut previous = BEGINNING;
    (1..=rows)
        .map(|id| {
            let entry = Entry {
                id,
                at: Timestamp(1000 * id),
                who: "ana".to_owned(),
                act: "promotion".to_owned(),
                detail: format!("{{\"n\":{id}}}"),
            };
            previous = entry.hash(previous);
            (entry, Some(previous))
        })
        .collect()
}

fn checkpoint(log: &[Row], rows: i64) -> Checkpoint {
    let place = usize::try_from(rows).expect("a place") - 1;
    Checkpoint {
        rows,
        hash: log[place].1.expect("a hash"),
        at: Timestamp(0),
        key: String::new(),
        signature: String::new(),
    }
}

/// What is found after `spoil`, where rows 4 and 8 of ten were signed.
fn after(spoil: impl FnOnce(&mut Vec<Row>)) -> Vec<String> {
    let mut rows = log(10);
    let signed = vec![checkpoint(&rows, 8), checkpoint(&rows, 4)];
    spoil(&mut rows);
    let mut inspection = Inspection::new(signed);
    for (entry, hash) in &rows {
        inspection.see(entry, *hash);
    }
    let (_, findings) = inspection.end();
    findings.iter().map(Finding::to_string).collect()
}

/// Computes all hashes from row `from` on, as one would who hides a change.
fn chain_anew(rows: &mut [Row], from: usize) {
    for place in from - 1..rows.len() {
        let previous = match place.checked_sub(1) {
            Some(before) => rows[before].1.expect("a hash"),
            None => BEGINNING,
        };
        rows[place].1 = Some(rows[place].0.hash(previous));
    }
}

#[test]
fn what_is_whole_has_no_findings() {
    assert!(after(|_| ()).is_empty());
}

#[test]
fn each_change_is_found_where_it_is() {
    let check = |spoil: &dyn Fn(&mut Vec<Row>), expected: &[&str]| {
        assert_eq!(after(spoil), expected);
    };
    check(
        &|rows| rows[2].0.detail.push(' '),
        &["row 3 was changed or moved"],
    );
    check(
        &|rows| rows[2].0.who = "bo".to_owned(),
        &["row 3 was changed or moved"],
    );
    check(&|rows| rows[2].0.at.0 += 1, &["row 3 was changed or moved"]);
    check(&|rows| drop(rows.remove(2)), &["row 3 is missing"]);
    check(&|rows| rows.truncate(5), &["rows 6 to 8 are missing"]);
    check(&|rows| rows.clear(), &["rows 1 to 8 are missing"]);
    let swap = |rows: &mut Vec<Row>| {
        rows.swap(1, 5);
        rows[1].0.id = 2;
        rows[5].0.id = 6;
    };
    check(
        &swap,
        &[
            "row 2 was changed or moved",
            "row 3 was changed or moved",
            "row 6 was changed or moved",
            "row 7 was changed or moved",
        ],
    );
}

#[test]
fn who_hashes_anew_does_not_hide_a_change() {
    let edited = after(|rows| {
        rows[5].0.who = "bo".to_owned();
        chain_anew(rows, 6);
    });
    assert_eq!(
        edited,
        ["rows 5 to 8 were written anew: the hash of row 8 is not the one that was signed"]
    );
    let dropped = after(|rows| {
        rows.remove(2);
        for (place, row) in rows.iter_mut().enumerate() {
            row.0.id = i64::try_from(place).expect("a number") + 1;
        }
        chain_anew(rows, 1);
    });
    assert_eq!(dropped.len(), 2, "{dropped:?}");
}
