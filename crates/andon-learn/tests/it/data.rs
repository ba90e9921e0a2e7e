//! Data sets beside the repository, as rows of text and label. `None` where they
//! are absent.

use std::io::Read as _;
use std::path::PathBuf;

use andon_task::example::LabelledText;
use andon_task::label::{Label, LabelSet};
use andon_task::task::{Task, TaskFile};

/// A task whose labels are those of the rows, and the rows as its examples.
pub(crate) fn task(rows: &[(String, String)]) -> (Task, Vec<LabelledText>) {
    let mut names: Vec<&str> = rows.iter().map(|(_, label)| label.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let label = |name: &&str| Label {
        label: (*name).to_owned(),
        description: None,
        procedure: None,
        critical: false,
        none: false,
    };
    let labels = LabelSet::new(names.iter().map(label).collect()).expect("sound labels");
    let toml = "name = 'set'\nkind = 'decide'\ninstructions = 'Which?'\nlabels = 'l.csv'";
    let task = TaskFile::parse("set", toml).expect("a sound task");
    let task = task.resolve(labels);
    let example = |(text, label): &(String, String)| LabelledText {
        text: text.clone(),
        label: task.labels().position(label).expect("a label of the rows"),
        also: None,
        language: None,
    };
    let examples = rows.iter().map(example).collect();
    (task, examples)
}

fn folder() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    std::env::var_os("ANDON_DATA").map_or_else(|| beside.into(), PathBuf::from)
}

/// Work orders of MaintNorm as texts and normalised texts: `train` or `val`.
pub(crate) fn maintnorm(part: &str) -> Option<Vec<(String, String)>> {
    let path = folder().join(format!("maintnorm/combined.{part}.norm"));
    let text = std::fs::read_to_string(path).ok()?;
    let words = |lines: &str, column: usize| {
        let cells = lines
            .lines()
            .filter_map(|line| line.split('\t').nth(column));
        let words: Vec<&str> = cells.flat_map(str::split_whitespace).collect();
        words.join(" ")
    };
    let texts = text.split("\n\n").filter(|lines| !lines.trim().is_empty());
    Some(
        texts
            .map(|lines| (words(lines, 0), words(lines, 1)))
            .collect(),
    )
}

/// The equipment weeks of AssetOps, a JSON object each.
pub(crate) fn weeks() -> Option<Vec<String>> {
    let path = folder().join("assetops_weeks/weeks_000_041.jsonl");
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().map(str::to_owned).collect())
}

/// The intents of CLINC150, training and validation.
pub(crate) fn clinc() -> Option<Vec<(String, String)>> {
    let path = folder().join("clinc150/data_full_train_val.json");
    let text = std::fs::read_to_string(path).ok()?;
    let sets: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let rows = ["train", "val"].iter().flat_map(|set| {
        let rows = sets[set].as_array().expect("rows");
        rows.iter().map(|row| {
            let cell = |at: usize| row[at].as_str().expect("a text").to_owned();
            (cell(0), cell(1))
        })
    });
    Some(rows.collect())
}

/// Texts of CLINC150 that have none of its intents, training and validation.
pub(crate) fn clinc_strangers() -> Option<Vec<String>> {
    let path = folder().join("clinc150/data_full_train_val.json");
    let text = std::fs::read_to_string(path).ok()?;
    let sets: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let rows = ["oos_train", "oos_val"].iter().flat_map(|set| {
        let rows = sets[set].as_array().expect("rows");
        rows.iter()
            .map(|row| row[0].as_str().expect("a text").to_owned())
    });
    Some(rows.collect())
}

/// The narratives of MSHA with the injured body part.
pub(crate) fn msha() -> Option<Vec<(String, String)>> {
    let path = folder().join("msha_injuries/train.csv.gz");
    let file = std::fs::File::open(path).ok()?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("UTF-8");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns = reader.headers().expect("a first line").clone();
    let column = |name: &str| columns.iter().position(|column| column == name);
    let (narrative, part) = (column("narrative")?, column("body_part")?);
    let rows = reader.records().map(|row| {
        let row = row.expect("a row");
        (row[narrative].to_owned(), row[part].to_owned())
    });
    Some(rows.collect())
}

/// FMC-MWO2KG: maintenance notes and 22 failure modes, training and development.
pub(crate) fn fmc() -> Option<Vec<(String, String)>> {
    let read = |file: &str| std::fs::read_to_string(folder().join("fmc_mwo2kg").join(file));
    let (train, dev) = (read("train.txt").ok()?, read("dev.txt").ok()?);
    let rows = train.lines().chain(dev.lines()).filter_map(|line| {
        let (text, label) = line.rsplit_once(',')?;
        Some((text.trim_matches('"').to_owned(), label.to_owned()))
    });
    Some(rows.collect())
}
