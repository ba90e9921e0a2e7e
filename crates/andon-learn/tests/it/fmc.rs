//! FMC-MWO2KG: maintenance notes and 22 failure modes. Not part of the
//! repository; the folder of data sets is `ANDON_DATA`, or `../shared/data`
//! beside the checkout.

use std::time::Duration;

use andon_learn::{Lesson, cross_validate};
use andon_task::glossary::Glossary;

use crate::data;
use crate::encoder::Trigrams;

#[test]
fn characters_alone_reach_the_published_floor() {
    let Some(rows) = data::fmc() else {
        eprintln!("skipped: characters_alone_reach_the_published_floor needs fmc_mwo2kg");
        return;
    };
    assert_eq!(rows.len(), 570);
    let (task, examples) = data::task(&rows);
    let still = || Duration::ZERO;
    let (encoder, glossary) = (Trigrams::new(), Glossary::default());
    let lesson = Lesson {
        task: &task,
        examples: &examples,
        encoder: &encoder,
        tune: None,
        glossary: &glossary,
    };
    let found = cross_validate(&lesson, &still, &mut |_| {}).unwrap();
    assert!(found.accuracy.value >= 0.70, "{:?}", found.accuracy);
    assert!(found.ece.value <= 0.06, "{:?}", found.ece);
}
