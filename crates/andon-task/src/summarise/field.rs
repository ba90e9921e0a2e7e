//! The names that the fields of records go by.

use serde_json::{Map, Value};

/// Names of a field, the most specific first; case, `_`, `-` and blanks do not matter.
pub(super) type Names = &'static [&'static str];

pub(super) const ID: Names = &[
    "eventid",
    "recordid",
    "alarmid",
    "workorderid",
    "workorder",
    "wo",
    "ordernumber",
    "order",
    "runid",
    "noteid",
    "id",
    "number",
    "uuid",
];
pub(super) const TIME: Names = &[
    "eventtime",
    "time",
    "timestamp",
    "datetime",
    "at",
    "receivedat",
    "createdat",
    "raisedat",
    "start",
    "starttime",
    "startedat",
    "from",
    "begin",
    "date",
    "ts",
    "hora",
    "fecha",
];
pub(super) const END: Names = &[
    "end",
    "endtime",
    "endedat",
    "until",
    "to",
    "finish",
    "finishedat",
    "clearedat",
    "closedat",
    "returnedat",
    "fin",
];
pub(super) const MINUTES: Names = &["durationmin", "durationminutes", "minutes", "downtimemin"];
pub(super) const SECONDS: Names = &["durations", "durationseconds", "seconds", "downtimes"];
pub(super) const GROUP: Names = &[
    "eventgroup",
    "group",
    "kind",
    "recordtype",
    "class",
    "type",
    "eventtype",
    "source",
    "tipo",
];
pub(super) const CATEGORY: Names = &[
    "eventcategory",
    "category",
    "maintenancetype",
    "workordertype",
    "ordertype",
    "worktype",
    "activitytype",
    "type",
    "categoria",
];
pub(super) const DESCRIPTION: Names = &[
    "description",
    "message",
    "text",
    "note",
    "input",
    "title",
    "summary",
    "name",
    "tag",
    "signal",
    "parameter",
    "alarm",
    "eventtype",
    "code",
    "descripcion",
    "nota",
];
pub(super) const NAME: Names = &[
    "tag",
    "signal",
    "parameter",
    "sensor",
    "name",
    "metric",
    "variable",
];
pub(super) const PRIORITY: Names = &[
    "priority",
    "prioridad",
    "urgency",
    "criticality",
    "critical",
];
pub(super) const SEVERITY: Names = &["severity", "gravedad"];
pub(super) const STATUS: Names = &["status", "state", "estado", "orderstatus"];
pub(super) const ASSET: Names = &[
    "asset",
    "assetid",
    "equipmentid",
    "equipment",
    "machine",
    "line",
    "equipo",
];
pub(super) const VALUE: Names = &["value", "reading", "measurement", "val", "valor"];
pub(super) const UNIT: Names = &["unit", "units", "uom", "unidad"];
pub(super) const LOW: Names = &[
    "low",
    "lowlimit",
    "lowerlimit",
    "lower",
    "lo",
    "min",
    "minimum",
    "lsl",
];
pub(super) const HIGH: Names = &[
    "high",
    "highlimit",
    "upperlimit",
    "upper",
    "hi",
    "max",
    "maximum",
    "usl",
    "limit",
];

/// Lists of records within an object, and the group of records that name none.
pub(super) const LISTS: [(&str, &str); 14] = [
    ("events", "EVENT"),
    ("records", "RECORD"),
    ("alarms", "ALARM"),
    ("alerts", "ALERT"),
    ("anomalies", "ANOMALY"),
    ("readings", "READING"),
    ("measurements", "READING"),
    ("notes", "NOTE"),
    ("workorders", "WORK_ORDER"),
    ("orders", "WORK_ORDER"),
    ("runs", "RUN"),
    ("stops", "STOP"),
    ("downtime", "STOP"),
    ("items", "RECORD"),
];

/// A name without case and what stands between its words.
pub(super) fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The fields of one record by their plain names.
pub(super) struct Fields<'a>(Vec<(String, &'a Value)>);

impl<'a> Fields<'a> {
    pub(super) fn of(object: &'a Map<String, Value>) -> Self {
        Self(
            object
                .iter()
                .map(|(name, value)| (plain(name), value))
                .collect(),
        )
    }

    /// The first of these names that is there and not null.
    pub(super) fn find(&self, names: Names) -> Option<&'a Value> {
        names.iter().find_map(|name| {
            let field = self.0.iter().find(|(own, _)| own == name);
            field
                .map(|(_, value)| *value)
                .filter(|value| !value.is_null())
        })
    }

    /// Whether a field of one of these names is there, be it null.
    pub(super) fn has(&self, names: Names) -> bool {
        self.0.iter().any(|(own, _)| names.contains(&own.as_str()))
    }

    /// A field as text; nothing where it is empty.
    pub(super) fn text(&self, names: Names) -> Option<String> {
        self.find(names).and_then(text)
    }

    /// A field as a number.
    pub(super) fn number(&self, names: Names) -> Option<f64> {
        match self.find(names)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
        .filter(|number: &f64| number.is_finite())
    }
}

/// A scalar as it is written.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
