//! A node with a scripted engine, and ways to ask it.

use std::sync::Arc;

use andon_runtime::{AdapterFiles, HeadFiles, Node, Parts};
use andon_server::Limits;
use andon_store::Store;
use andon_task::plant::Plant;
use andon_task::run::Timestamp;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::scripted::{Scripted, Seen};

pub(crate) const MODEL: &str = "scripted:1m";
pub(crate) const ENCODER: &str = "letters:4";
/// A node on its own database.
pub(crate) struct Bench {
    pub(crate) node: Arc<Node>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) limits: Limits,
    directory: tempfile::TempDir,
}

pub(crate) fn plant() -> Plant {
    let files = [
        (
            "plant.toml",
            "name = \"test\"\nlanguage_model = \"scripted:1m\"\nencoder = \"letters:4\"\n",
        ),
        (
            "tasks/failure-code.toml",
            "name = \"failure-code\"\nkind = \"decide\"\ninstructions = \"Which failure?\"\ndeadline = \"machine\"\nlabels = \"codes/modes.csv\"\n",
        ),
        (
            "codes/modes.csv",
            "label,description,procedure,critical\nleak,Fluid escapes,leak.md,true\nnoise,Unusual sound,,\njam,Product stuck,,\n",
        ),
        (
            "procedures/leak.md",
            "---\nid: P-7\ntitle: Stop a leak\nrevision: C\n---\n# Stop a leak\n\n1. Lock out.\n2. Tighten to 25 N·m.\n",
        ),
        (
            "assets.csv",
            "id,path,name\nF1,filling/line-1/filler,Filler 1\nC2,packing/line-1/conveyor,Conveyor 2\n",
        ),
    ];
    let files = files
        .into_iter()
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .collect();
    Plant::parse(&files).expect("a plant")
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = Arc::new(Scripted::new(MODEL));
        let seen = Arc::clone(&engine.seen);
        let node = Node::new(Parts {
            plant: plant(),
            encoder: Some(Arc::new(Scripted::new(ENCODER))),
            language_model: Some(engine),
            store: Store::open(directory.path().join("andon.db")).expect("a store"),
            heads: HeadFiles::new(directory.path().join("heads")),
            adapters: AdapterFiles::new(directory.path().join("adapters")),
            readers: andon_runtime::ReaderFiles::new(directory.path().join("readers")),
            clock: Box::new(|| Timestamp(1_767_225_600_000)),
        });
        Self {
            node: Arc::new(node.expect("a node")),
            seen,
            limits,
            directory,
        }
    }

    /// Another handle on the node's database, as a command beside the node has it.
    pub(crate) fn store(&self) -> Store {
        Store::open(self.directory.path().join("andon.db")).expect("the store")
    }

    pub(crate) fn router(&self) -> Router {
        andon_server::router(Arc::clone(&self.node), self.limits)
    }
}

/// Asks with a JSON body and shows the answer: status, `Retry-After`, body.
pub(crate) async fn post(router: &Router, path: &str, body: impl Into<Body>) -> String {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.into())
        .expect("a request");
    ask(router, request).await
}

pub(crate) async fn get(router: &Router, path: &str) -> String {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    ask(router, request).await
}

pub(crate) async fn ask(router: &Router, request: Request<Body>) -> String {
    let response = router.clone().oneshot(request).await.expect("an answer");
    let mut shown = response.status().to_string();
    if let Some(wait) = response.headers().get(header::RETRY_AFTER) {
        shown.push_str(&format!("\nretry-after: {}", wait.to_str().expect("text")));
    }
    let bytes = to_bytes(response.into_body(), usize::MAX)
        .await
        .expect("a body");
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    shown.push('\n');
    match serde_json::from_str::<Value>(&text) {
        Ok(mut json) => {
            hide_times(&mut json);
            shown.push_str(&serde_json::to_string_pretty(&json).expect("JSON"));
        }
        Err(_) => shown.push_str(&text),
    }
    shown
}

fn hide_times(json: &mut Value) {
    match json {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| {
            if name == "took_ms" {
                *value = Value::from("[ms]");
            }
            hide_times(value);
        }),
        Value::Array(items) => items.iter_mut().for_each(hide_times),
        _ => {}
    }
}
