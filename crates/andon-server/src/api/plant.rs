//! `GET /api/tasks` and `GET /api/assets`: what the plant holds.

use andon_runtime::HeadStatus;
use andon_task::task::{Class, DataClass, Escalation, Task};
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;
use crate::extract::Reply;

/// The tasks of the plant.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TaskList {
    tasks: Vec<TaskView>,
}

/// A task.
#[derive(Debug, Serialize, JsonSchema)]
struct TaskView {
    name: String,
    /// `decide`.
    kind: &'static str,
    /// What it asks.
    instructions: String,
    labels: Vec<LabelView>,
    /// `machine` (50 ms), `person` (1 s) or `batch`.
    #[schemars(with = "String")]
    deadline: Class,
    /// `public`, `internal` or `confidential`.
    #[schemars(with = "String")]
    data_class: DataClass,
    /// Where an uncertain case may go, first choice first.
    #[schemars(with = "Vec<String>")]
    escalate: Vec<Escalation>,
    /// An answer is accepted at the edge from this probability on.
    accept: f64,
    /// The head that is promoted for it.
    head: Option<HeadView>,
}

/// One label of a task.
#[derive(Debug, Serialize, JsonSchema)]
struct LabelView {
    label: String,
    description: Option<String>,
    /// The procedure that it leads to.
    procedure: Option<String>,
    critical: bool,
}

/// The head that is promoted for a task.
#[derive(Debug, Serialize, JsonSchema)]
struct HeadView {
    digest: String,
    /// Whether it answers; if not, the reason.
    serves: bool,
    reason: Option<String>,
}

/// The assets of the plant's register.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AssetList {
    assets: Vec<AssetView>,
}

/// An asset.
#[derive(Debug, Serialize, JsonSchema)]
struct AssetView {
    id: String,
    name: String,
    /// Where it stands: `area/line/cell`.
    path: String,
}

fn show(task: &Task, head: Option<HeadStatus>) -> TaskView {
    TaskView {
        name: task.name.clone(),
        kind: "decide",
        instructions: task.instructions.clone(),
        labels: task
            .labels()
            .labels()
            .iter()
            .map(|label| LabelView {
                label: label.label.clone(),
                description: label.description.clone(),
                procedure: label.procedure.clone(),
                critical: label.critical,
            })
            .collect(),
        deadline: task.deadline,
        data_class: task.data_class,
        escalate: task.escalate.clone(),
        accept: task.accept,
        head: head.map(|head| HeadView {
            digest: head.digest.to_string(),
            serves: head.refused.is_none(),
            reason: head.refused,
        }),
    }
}

/// Lists the plant's tasks.
pub(crate) async fn tasks(State(app): State<App>) -> Reply<TaskList> {
    let node = &app.node;
    let tasks = node.plant().tasks.values();
    Reply(TaskList {
        tasks: tasks
            .map(|task| show(task, node.head_status(&task.name)))
            .collect(),
    })
}

/// Lists the plant's assets.
pub(crate) async fn assets(State(app): State<App>) -> Reply<AssetList> {
    let assets = app.node.plant().assets.values();
    Reply(AssetList {
        assets: assets
            .map(|asset| AssetView {
                id: asset.id.clone(),
                name: asset.name.clone(),
                path: asset.path.clone(),
            })
            .collect(),
    })
}
