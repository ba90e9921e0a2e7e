//! A node with a scripted model, and upstreams.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use andon_policy::CedarPolicy;
use andon_remote::{Trust, Upstream};
use andon_runtime::{AdapterFiles, Egress, EgressParts, HeadFiles, Node, Parts, Rules};
use andon_store::Store;
use andon_task::digest::Digest;
use andon_task::engine::{
    EngineError, Finish, Generate, GenerateRequest, Generation, Identity, Piece, Prompt, Score,
    ScoreRequest, Scores, Terms, Usage,
};
use andon_task::plant::{Files, Plant};
use andon_task::redact::{Redactor, SiteKey};
use andon_task::run::{NewRecord, StoredRun, Timestamp};
use tempfile::TempDir;

/// Scores labels by their place, and finds nothing in a text: never sure.
struct Scripted(Identity);

impl Generate for Scripted {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn generate(
        &self,
        _: &GenerateRequest,
        _: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<Generation, EngineError> {
        Ok(Generation {
            text: "{}".to_owned(),
            drawn: Vec::new(),
            finish: Finish::Stop,
            usage: Usage::default(),
        })
    }
}

impl Score for Scripted {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn score_all(&self, requests: &[ScoreRequest]) -> Result<Vec<Scores>, EngineError> {
        let answer = |request: &ScoreRequest| {
            let weights = (0..request.labels.len()).map(|place| (-(place as f64)).exp());
            let sum: f64 = weights.clone().sum();
            Scores {
                shares: weights.map(|weight| weight / sum).collect(),
                usage: Usage::default(),
            }
        };
        Ok(requests.iter().map(answer).collect())
    }

    fn pin(&self, _: &[Prompt]) -> Result<usize, EngineError> {
        Ok(0)
    }
}

pub(crate) const PERMIT: &str = "permit (principal, action, resource);";

pub(crate) const SLIP: &str = r#"{"type": "object", "properties": {
    "by": {"type": ["string", "null"]}, "amount": {"type": ["number", "null"]},
    "unit": {"enum": ["kg", "pieces"]}}}"#;

pub(crate) const MANUAL: &str = "---\ntitle: Filler\nrevision: 7\n---\n# Torque of bolts\n\n\
    Bolts take 25 N·m. Juan Pérez has the wrench.\n\n# Cleaning of nozzles\n\n\
    Nozzles are cleaned with caustic every night.\n";

pub(crate) const NAMES: &str = "value,type\nMaría García López,person\nJuan Pérez,person\n\
    Zubizarreta,person\nAcme Bebidas,customer\nCola Suprema,recipe\nPlanta Norte,site\n";

/// A plant's files.
pub(crate) struct Made {
    pub(crate) upstreams: String,
    pub(crate) task: String,
    pub(crate) policy: String,
}

impl Made {
    /// A plant with an upstream of this address, whose policy lets everything leave.
    pub(crate) fn with(url: &str) -> Self {
        Self {
            upstreams: upstream("cloud", url, ""),
            task: String::new(),
            policy: PERMIT.to_owned(),
        }
    }

    pub(crate) fn task(mut self, more: &str) -> Self {
        self.task = more.to_owned();
        self
    }

    pub(crate) fn policy(mut self, policy: &str) -> Self {
        self.policy = policy.to_owned();
        self
    }

    pub(crate) fn plant(&self) -> Plant {
        let task = format!(
            "name = 'kind'\nkind = 'decide'\ninstructions = 'Which way?'\nlabels = 'l.csv'\n\
             escalate = ['cloud', 'human']\n{}",
            self.task
        );
        let slip = format!(
            "name = 'slip'\nkind = 'extract'\ninstructions = 'What came?'\nschema = 's.json'\n\
             escalate = ['cloud', 'human']\n{}",
            self.task
        );
        let ask = format!(
            "name = 'ask'\nkind = 'answer'\ninstructions = 'Answer.'\n\
             escalate = ['cloud', 'human']\n{}",
            self.task
        );
        let plain = format!(
            "name = 'plain'\nkind = 'normalise'\ninstructions = 'In plain words.'\n\
             escalate = ['cloud', 'human']\n{}",
            self.task
        );
        let files = [
            ("tasks/plain.toml", plain.as_str()),
            ("plant.toml", self.upstreams.as_str()),
            ("tasks/kind.toml", &task),
            (
                "l.csv",
                "label,description\nnorth,up\neast,right\nP-101 trips,asset\n",
            ),
            (
                "assets.csv",
                "id,path,name\nP-101,a/b,Feed pump\nKX-7,a/b,Capper\n",
            ),
            ("tasks/slip.toml", &slip),
            ("s.json", SLIP),
            ("tasks/ask.toml", &ask),
            ("manuals/filler.md", MANUAL),
            ("gazetteer.csv", NAMES),
            ("policy/main.cedar", &self.policy),
        ];
        let files: Files = files
            .into_iter()
            .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
            .collect();
        Plant::parse(&files).expect("a plant")
    }

    pub(crate) fn bench(&self) -> Bench {
        Bench::open(self, Arc::new(tempfile::tempdir().expect("a directory")))
    }
}

/// `[[upstream]]` with short timeouts.
pub(crate) fn upstream(name: &str, url: &str, more: &str) -> String {
    format!(
        "[[upstream]]\nname = '{name}'\nurl = '{url}'\nmodel = 'large'\nprice_in = 2.0\n\
         price_out = 10.0\ntimeouts = {{ connect = '300ms', first_token = '400ms', \
         inter_token = '300ms', total = '3s' }}\n{more}\n"
    )
}

pub(crate) struct Bench {
    pub(crate) node: Node,
    pub(crate) store: Store,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) directory: Arc<TempDir>,
}

impl Bench {
    /// A node on the state in a directory.
    pub(crate) fn open(made: &Made, directory: Arc<TempDir>) -> Self {
        let plant = made.plant();
        let clock = Arc::new(AtomicI64::new(1_000_000_000_000));
        let tells = |clock: &Arc<AtomicI64>| {
            let clock = Arc::clone(clock);
            Box::new(move || Timestamp(clock.load(Ordering::Relaxed)))
        };
        let store = Store::open(directory.path().join("andon.db")).expect("a store");
        let upstreams = plant.settings.upstreams.iter().map(|settings| {
            let upstream = Upstream::new(settings.clone(), None, &Trust::default());
            Arc::new(upstream.expect("an upstream")) as _
        });
        let redactor = Redactor::new(SiteKey::new([3; 32]), &plant.gazetteer);
        let egress = Egress::new(EgressParts {
            upstreams: upstreams.collect(),
            rules: Rules {
                policy: Arc::new(CedarPolicy::new(&plant)),
                digest: plant.policy,
            },
            redactor: redactor.expect("a redactor"),
            queue_bytes: plant.settings.queue.max_bytes,
            store: store.clone(),
            clock: tells(&clock),
        });
        let scripted = Scripted(Identity {
            name: "scripted".to_owned(),
            digest: Digest::of(b"scripted"),
            context_tokens: 1_000,
        });
        let node = Node::new(Parts {
            plant,
            encoder: None,
            language_model: Some(Arc::new(scripted)),
            store: store.clone(),
            heads: HeadFiles::new(directory.path().join("heads")),
            adapters: AdapterFiles::new(directory.path().join("adapters")),
            readers: andon_runtime::ReaderFiles::new(directory.path().join("readers")),
            clock: tells(&clock),
        });
        Self {
            node: node.expect("a node").with_egress(egress),
            store,
            clock,
            directory,
        }
    }

    pub(crate) fn run(&self, text: &str) -> StoredRun {
        self.run_on(text, &Terms::default())
    }

    pub(crate) fn run_on(&self, text: &str, terms: &Terms) -> StoredRun {
        self.run_task("kind", text, terms)
    }

    pub(crate) fn run_task(&self, task: &str, text: &str, terms: &Terms) -> StoredRun {
        let record = NewRecord {
            text: text.to_owned(),
            ..NewRecord::default()
        };
        let taken = self.node.take_in(record).expect("a record");
        self.node.run(task, &taken, terms).expect("a run")
    }
}
