//! A task with labelled notes.

use andon_task::example::LabelledText;
use andon_task::label::LabelSet;
use andon_task::task::{Task, TaskFile};

/// 'safety' has a description and no example, 'other' has one.
const LABELS: &str = "\
label,description
leak,\"product, oil or water escapes\"
noise,\"squeal, knock, grinding\"
heat,too hot
other,
safety,\"guard, interlock or emergency stop does not work\"
";

const NOTES: &[(&str, usize, &str)] = &[
    ("oil leak at the gearbox", 0, "en"),
    ("water leaking from pump seal", 0, "en"),
    ("leak under the filler", 0, "en"),
    ("fuga de aceite en la bomba", 0, "es"),
    ("fuga de agua en la lavadora", 0, "es"),
    ("syrup leak on pump 3", 0, "en"),
    ("squealing noise from conveyor", 1, "en"),
    ("loud knocking noise, gearbox", 1, "en"),
    ("ruido raro en la cinta", 1, "es"),
    ("ruido fuerte en el motor", 1, "es"),
    ("grinding noise at capper", 1, "en"),
    ("noise from the fan", 1, "en"),
    ("motor very hot", 2, "en"),
    ("bearing hot, 92 degrees", 2, "en"),
    ("motor muy caliente", 2, "es"),
    ("reductor caliente, 80 grados", 2, "es"),
    ("cabinet too hot", 2, "en"),
    ("gearbox hot to the touch", 2, "en"),
    ("pallet of bottles arrived", 3, "en"),
];

pub(crate) fn task() -> Task {
    let toml =
        "name = 'mode'\nkind = 'decide'\ninstructions = 'Which?'\nlabels = 'l.csv'\naccept = 0.5";
    let labels = LabelSet::parse(LABELS).expect("the labels above are sound");
    let file = TaskFile::parse("mode", toml).expect("the task above is sound");
    file.resolve(labels)
}

pub(crate) fn examples() -> Vec<LabelledText> {
    let example = |&(text, label, language): &(&str, usize, &str)| LabelledText {
        text: text.to_owned(),
        label,
        also: None,
        language: Some(language.to_owned()),
    };
    NOTES.iter().map(example).collect()
}
