use super::*;
use crate::answer::document::Form;

fn index() -> Index {
    let text =
        "# Filler\n\n## Torque\n\nBolts take 25 N·m.\n\n## Lock-out\n\n### Air\n\nVent it.\n";
    let documents = [("manuals/filler.md", text), ("manuals/capper.md", text)];
    let documents = documents.map(|(path, text)| {
        let document = Document::parse(path, text.to_owned(), Form::Markdown);
        (document, Vectors::default())
    });
    Index::new(documents.into(), &Glossary::default())
}

#[test]
fn a_source_names_sections_in_many_ways() {
    let index = index();
    let check =
        |source: &str, expected: &[usize]| assert_eq!(index.find(source), expected, "{source}");
    check("manuals/filler.md#torque", &[0]);
    check("filler.md#Torque", &[0]);
    check("capper#Filler > Torque", &[2]);
    check("Torque", &[0, 2]);
    check("manuals/capper.md", &[2, 3]);
    check("filler#lock-out", &[1]);
    check("filler#Lock-out>Air", &[1]);
    check("filler#Filler>Torque>Values", &[0]);
    check("filler#nothing", &[]);
}

#[test]
fn words_that_few_sections_have_weigh_more() {
    let index = index();
    let bolts = index.term("bolt");
    assert!(bolts.is_some());
    assert!(index.rarity(None) > index.rarity(bolts));
    let scores = index.weigh(&[(bolts, index.rarity(bolts))]);
    assert_eq!(scores.len(), 2);
}
