//! FMC-MWO2KG: maintenance notes and 22 failure modes. Not part of the
//! repository; the folder of data sets is `ANDON_DATA`, or `../shared/data`
//! beside the checkout.

use std::path::PathBuf;
use std::time::Duration;

use andon_learn::{Lesson, cross_validate};
use andon_task::example::LabelledText;
use andon_task::glossary::Glossary;
use andon_task::label::{Label, LabelSet};
use andon_task::task::TaskFile;

use crate::encoder::Trigrams;

fn folder() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let data = std::env::var_os("ANDON_DATA").map_or_else(|| beside.into(), PathBuf::from);
    data.join("fmc_mwo2kg")
}

#[test]
fn characters_alone_reach_the_published_floor() {
    let read = |file: &str| std::fs::read_to_string(folder().join(file));
    let (Ok(train), Ok(dev)) = (read("train.txt"), read("dev.txt")) else {
        eprintln!("skipped: characters_alone_reach_the_published_floor needs fmc_mwo2kg");
        return;
    };
    let rows: Vec<(&str, &str)> = train
        .lines()
        .chain(dev.lines())
        .filter_map(|line| line.rsplit_once(','))
        .collect();
    assert_eq!(rows.len(), 570);
    let mut names: Vec<&str> = rows.iter().map(|&(_, label)| label).collect();
    names.sort_unstable();
    names.dedup();
    let label = |name: &&str| Label {
        label: (*name).to_owned(),
        description: None,
        procedure: None,
        critical: false,
        none: false,
    };
    let labels = LabelSet::new(names.iter().map(label).collect()).unwrap();
    let examples: Vec<LabelledText> = rows
        .iter()
        .map(|&(text, label)| LabelledText {
            text: text.trim_matches('"').to_owned(),
            label: labels.position(label).unwrap(),
            also: None,
            language: None,
        })
        .collect();
    let toml = "name = 'fmc'\nkind = 'decide'\ninstructions = 'Which?'\nlabels = 'l.csv'";
    let task = TaskFile::parse("fmc", toml).unwrap().resolve(labels);
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
