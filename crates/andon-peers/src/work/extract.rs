//! Six fields of a work order.

use serde_json::{Value, json};

use super::{bound, chat, object};

const SYSTEM: &str = "Extract the work order as JSON.";

/// More than an answer needs: what a model that does not come to an end may cost.
const MAX_TOKENS: usize = 160;

/// Work orders; each is different.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extract;

impl Extract {
    /// For `/v1/chat/completions` of either side.
    pub(crate) fn chat(self, number: usize) -> Value {
        let assets = [
            "Filler 2",
            "Capper 1",
            "Labeller 3",
            "Palletiser 1",
            "Washer 4",
        ];
        let people = ["Ines Alvarez", "Tom Berger", "Mei Chen", "Anna Novak"];
        let parts = [
            "bearing 6204",
            "drive belt B52",
            "seal kit SK-11",
            "sensor IS-30",
        ];
        let user = format!(
            "Work order WO-{} of 2026-{:02}-{:02}. {} stopped in the early shift. {} found that the {} was worn and replaced {} of them. The machine was released after a test run of ten minutes.",
            4000 + number,
            1 + number % 12,
            1 + number % 28,
            assets[number % assets.len()],
            people[number % people.len()],
            parts[number % parts.len()],
            1 + number % 4,
        );
        let schema = object(json!({
            "order": { "type": "string" },
            "date": { "type": "string" },
            "asset": { "type": "string" },
            "technician": { "type": "string" },
            "part": { "type": "string" },
            "quantity": { "type": "integer" },
        }));
        bound(chat(SYSTEM, &user, MAX_TOKENS), "work_order", schema)
    }
}
