//! Four questions on one report of some 500 tokens.

use serde_json::{Value, json};

use super::{bound, chat, choice_of};

/// What is asked of each report, and the answers to choose from.
const ASKED: [(&str, &[&str]); 4] = [
    (
        "Which machine had the longest stop?",
        &["filler", "capper", "labeller", "palletiser"],
    ),
    (
        "Which team has to act first?",
        &[
            "mechanics",
            "electrics",
            "automation",
            "quality",
            "logistics",
        ],
    ),
    (
        "How urgent is what is still open?",
        &["can wait", "this week", "this shift", "at once"],
    ),
    ("Was a person hurt?", &["yes", "no"]),
];

const SENTENCES: [&str; 24] = [
    "The shift began with the filler down because the infeed star had jammed on a broken bottle.",
    "Two operators cleared the glass and the guard was closed again after fourteen minutes.",
    "The capper lost torque on head seven, and quality held back one pallet for inspection.",
    "A mechanic changed the clutch of head seven and the torque was back within its limits.",
    "The labeller ran with a slight offset that the camera saw on about two bottles in a hundred.",
    "Automation moved the trigger by three millimetres and the offset has not come back so far.",
    "The palletiser stopped four times because its light curtain was dirty.",
    "Cleaning the curtain helped each time, but the holder is bent and should be replaced.",
    "Compressed air fell below five bar for some minutes when the second line was started.",
    "The leak that was reported last week at the blow moulder is still there and can be heard.",
    "A hose of the hydraulic unit is sweating oil and a tray was put under it.",
    "The temperature of the washer was four degrees low until the steam valve was exercised.",
    "Chemicals were ordered, and the delivery is expected for tomorrow before noon.",
    "The conveyor after the inspector squeals when it starts, so somebody should look at its bearing.",
    "Forklift three was taken out of service because its horn does not work.",
    "One operator reported a slippery floor near the crate washer, and mats were laid out.",
    "The new recipe was loaded at ten, and the first samples were good.",
    "The laboratory asked for two more samples because the sugar was close to the upper limit.",
    "The weight of the glue roll was wrong in the system and was corrected by the office.",
    "The printer of the date code was cleaned twice, and its ink is nearly used up.",
    "Maintenance wants to have the filler for two hours on Thursday to change the main seal.",
    "The planner agreed, if the order for the export market is finished before that.",
    "No alarm is standing at the moment except the one of the cooling tower's fan.",
    "The next shift was told about everything that is written here.",
];

/// Reports; each begins differently, so that no cache knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Questions;

impl Questions {
    fn report(self, number: usize) -> String {
        let mut text = format!("Report {number} of line {}.", 1 + number % 5);
        for place in 0..SENTENCES.len() {
            text.push(' ');
            text.push_str(SENTENCES[(place + number) % SENTENCES.len()]);
        }
        text
    }

    /// Four reports as one text of some 2,000 tokens.
    pub(crate) fn long_text(self, number: usize) -> String {
        let reports = (4 * number..4 * number + 4).map(|number| self.report(10_000 + number));
        reports.collect::<Vec<_>>().join("\n\n")
    }

    /// For Andon's `/v1/decisions`: all four at once.
    pub(crate) fn decisions(self, model: &str, number: usize) -> Value {
        let questions: Vec<Value> = ASKED
            .iter()
            .map(|(question, answers)| {
                let choices: Vec<Value> = answers
                    .iter()
                    .map(|answer| json!({ "value": answer }))
                    .collect();
                json!({ "type": "choice", "instructions": question, "choices": choices })
            })
            .collect();
        json!({ "model": model, "input": self.report(number), "questions": questions })
    }

    /// For the peer: four chats, one after the other, that begin with the report.
    pub(crate) fn chats(self, number: usize) -> Vec<Value> {
        let report = self.report(number);
        ASKED
            .iter()
            .map(|(question, answers)| {
                let listed: String = answers
                    .iter()
                    .map(|answer| format!("\n- {answer}"))
                    .collect();
                let user = format!(
                    "{report}\n\n{question}\nAnswer with one of these and nothing else:{listed}"
                );
                let system = "Read the text and answer the question about it.";
                bound(chat(system, &user, 64), "answer", choice_of(answers))
            })
            .collect()
    }
}
