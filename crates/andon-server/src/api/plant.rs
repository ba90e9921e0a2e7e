//! `GET /api/tasks` and `GET /api/assets`: what the plant holds.

use andon_runtime::Node;
use andon_task::digest::Digest;
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
    /// `decide`, `extract`, `answer`, `normalise` or `summarise`.
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
    /// The head or the normaliser that is promoted for it.
    head: Option<PromotedView>,
    /// The adapter of the language model that is promoted for it.
    adapter: Option<PromotedView>,
    /// The reader that is promoted for it.
    reader: Option<PromotedView>,
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

/// What is promoted for a task.
#[derive(Debug, Serialize, JsonSchema)]
struct PromotedView {
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

fn show(node: &Node, task: &Task) -> TaskView {
    let promoted = |digest: Digest, refused: Option<String>| PromotedView {
        digest: digest.to_string(),
        serves: refused.is_none(),
        reason: refused,
    };
    let (head, adapter) = (
        node.head_status(&task.name),
        node.adapter_status(&task.name),
    );
    let reader = node.reader_status(&task.name);
    TaskView {
        name: task.name.clone(),
        kind: task.kind.name(),
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
        head: head.map(|head| promoted(head.digest, head.refused)),
        adapter: adapter.map(|adapter| promoted(adapter.digest, adapter.refused)),
        reader: reader.map(|reader| promoted(reader.digest, reader.refused)),
    }
}

/// Lists the plant's tasks.
pub(crate) async fn tasks(State(app): State<App>) -> Reply<TaskList> {
    let node = &app.node;
    let tasks = node.plant().tasks.values();
    Reply(TaskList {
        tasks: tasks.map(|task| show(node, task)).collect(),
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
