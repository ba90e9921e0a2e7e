//! A task whose prefix has some 2,000 tokens.

use serde_json::{Value, json};

use super::{csv_field, letter, letter_of};

const LABELS: [(&str, &str); 10] = [
    ("mechanics", "bearings, belts, gears and guards"),
    ("electrics", "motors, cables and cabinets"),
    ("automation", "sensors, drives and programs"),
    ("hydraulics", "pumps, hoses and oil"),
    ("pneumatics", "compressed air and valves"),
    ("quality", "torque, weight, labels and codes"),
    ("cleaning", "floors, nozzles and filters"),
    ("logistics", "pallets, trucks and material"),
    ("safety", "people, guards and alarms"),
    ("building", "light, doors, heating and water"),
];

const NOTES: [&str; 4] = [
    "belt of the outfeed conveyor slips when it is wet",
    "drive of the washer trips after some minutes",
    "oil under the press again, hose looks worn",
    "date code is not readable on every third bottle",
];

const RULES: usize = 84;

/// A long list of rules, and ten teams to choose from.
#[derive(Debug)]
pub(crate) struct Restart {
    instructions: String,
}

impl Restart {
    /// The task.
    pub(crate) fn new() -> Self {
        let places = [
            "filler",
            "capper",
            "labeller",
            "washer",
            "packer",
            "palletiser",
            "mixer",
        ];
        let signs = [
            "noise",
            "heat",
            "a leak",
            "a smell",
            "an alarm",
            "slow running",
        ];
        let mut instructions =
            "Which team should take care of what the note describes? These are the rules of the plant."
                .to_owned();
        for rule in 0..RULES {
            let (team, _) = LABELS[(rule * 7) % LABELS.len()];
            instructions.push_str(&format!(
                "\nRule {}: where the {} of line {} shows {}, ask the {team} team and tell the shift leader.",
                rule + 1,
                places[rule % places.len()],
                1 + rule % 5,
                signs[rule % signs.len()],
            ));
        }
        Self { instructions }
    }

    /// What the task asks.
    pub(crate) fn instructions(&self) -> &str {
        &self.instructions
    }

    /// The labels as a plant keeps them.
    pub(crate) fn labels_csv(&self) -> String {
        let mut text = "label,description\n".to_owned();
        for (label, description) in LABELS {
            text.push_str(&format!("{label},{}\n", csv_field(description)));
        }
        text
    }

    /// For Andon's `/api/tasks/{task}/runs`.
    pub(crate) fn run(&self, number: usize) -> Value {
        json!({ "input": NOTES[number % NOTES.len()] })
    }

    /// For the peer: one letter's log-probabilities, which is its fastest way.
    pub(crate) fn letter(&self, number: usize) -> Value {
        let mut system = format!("{}\n\nAnswer with one letter:", self.instructions);
        for (index, (label, description)) in LABELS.iter().enumerate() {
            system.push_str(&format!("\n{}: {label}: {description}", letter_of(index)));
        }
        letter(&system, NOTES[number % NOTES.len()], LABELS.len())
    }
}
