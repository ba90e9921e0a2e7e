//! The sets of maskbench: schemas as people write them. Not part of the repository;
//! the folder of data sets is `ANDON_DATA`, or `../shared/data` beside the checkout.

use super::*;

/// Every so many schemas are taken, unless `ANDON_WHOLE_BENCH` is set.
const STEP: usize = 16;
/// What llguidance itself refuses of this many instances, by the figures of its makers.
const ITS_MISSES: (usize, usize) = (20, 11_306);

#[test]
fn schemas_of_the_field_are_obeyed() {
    let step = match std::env::var_os("ANDON_WHOLE_BENCH") {
        None => STEP,
        Some(_) => 1,
    };
    let (mut schemas, mut compiled, mut instances, mut missed) = (0, 0, 0, 0);
    for set in ["Github_trivial", "Glaiveai2K", "Github_easy"] {
        let Some(lines) = data(&format!("jsonschemabench/maskbench_{set}.jsonl.gz")) else {
            eprintln!("skipped: schemas_of_the_field_are_obeyed needs jsonschemabench");
            return;
        };
        for line in lines.into_iter().step_by(step) {
            schemas += 1;
            let Ok(mut constraint) = GRAMMARS.compile(&Grammar::Json(line["schema"].clone()))
            else {
                continue;
            };
            compiled += 1;
            for test in line["tests"].as_array().expect("tests") {
                instances += 1;
                let mut written = spellings(&test["data"]).into_iter().take(24);
                let is_accepted = written.any(|text| accepts(&mut constraint, &text));
                let is_valid = test["valid"] == true;
                assert!(is_valid || !is_accepted, "{}: {}", line["id"], test["data"]);
                missed += usize::from(is_valid && !is_accepted);
            }
        }
    }
    println!(
        "{compiled} of {schemas} schemas compile; {missed} of {instances} instances are missed"
    );
    assert!(
        compiled * 100 >= schemas * 93,
        "{compiled} of {schemas} compile"
    );
    let (its, of) = ITS_MISSES;
    assert!(
        missed * of <= its * instances,
        "{missed} of {instances} are missed"
    );
}
