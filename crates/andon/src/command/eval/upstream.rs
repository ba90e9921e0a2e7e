//! Measures upstreams beside what answers here, on the same examples: by the way that all
//! takes, with policy, redaction, audit log and budgets. What is found is kept, and routing
//! heeds it: an upstream that is not right more often is not asked.

mod case;

use std::fmt;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use andon_learn::interval::{Estimate, wilson};
use andon_learn::paired::mcnemar;
use andon_runtime::{Consulted, Node};
use andon_task::digest::Digest;
use andon_task::plant::Plant;
use andon_task::route::Reason;
use andon_task::run::{Evidence, Run};
use andon_task::task::{Escalation, Task};
use andon_task::worth::{Measure, Paired, Worth};
use anyhow::{anyhow, bail};
use serde::Serialize;

use crate::cli::Eval;
use crate::node::{self, Needs};
use crate::output;
use crate::progress::Progress;
use crate::settings::Settings;
use case::{Case, Expected, answer_here, expected, held_out, is_right};

/// So many are asked at once.
const AT_ONCE: usize = 8;

/// Whom to measure, as it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// All upstreams of the plant.
    All,
    /// The one of this name.
    One(String),
}

impl FromStr for Whom {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        match typed.split_once(':') {
            None if typed == "upstream" => Ok(Self::All),
            Some(("upstream", name)) if !name.is_empty() => Ok(Self::One(name.to_owned())),
            _ => Err(format!("'{typed}' is neither upstream nor upstream:NAME")),
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("upstream"),
            Self::One(name) => write!(f, "upstream:{name}"),
        }
    }
}

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    task: String,
    examples: Source,
    edge: Side,
    upstreams: Vec<Standing>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Source {
    source: String,
    n: usize,
}

/// What answers here.
#[derive(Debug, Serialize)]
struct Side {
    name: String,
    /// How it was measured, in a sentence.
    how: &'static str,
    accuracy: Option<Estimate>,
    /// How many of the examples were not accepted: what an upstream would be asked.
    uncertain: usize,
}

/// An upstream beside it.
#[derive(Debug, Serialize)]
struct Standing {
    upstream: String,
    model: String,
    accuracy: Option<Estimate>,
    /// Both on all examples that the upstream had.
    all: Compared,
    /// Both on those that would be asked.
    uncertain: Compared,
    /// Whether it is asked from now on: `better`, `not_better` or `unknown`.
    worth: Worth,
    /// Answers that did not hold, twice.
    unfit: usize,
    p50_ms: f64,
    p99_ms: f64,
    /// What its answers cost, in the plant's currency.
    cost: f64,
    /// Why it was not asked all examples.
    stopped: Option<String>,
}

/// Both on the same examples, with McNemar's exact test.
#[derive(Debug, Serialize)]
struct Compared {
    #[serde(flatten)]
    paired: Paired,
    p_value: f64,
}

impl From<Paired> for Compared {
    fn from(paired: Paired) -> Self {
        Self {
            paired,
            p_value: mcnemar(paired.edge_alone, paired.upstream_alone),
        }
    }
}

/// Measures upstreams and keeps what they are worth.
pub(super) fn run(
    settings: &Settings,
    plant: &Plant,
    task: &Task,
    typed: &Eval,
    whom: &Whom,
) -> anyhow::Result<ExitCode> {
    let upstreams: Vec<&str> = (plant.settings.upstreams.iter())
        .map(|upstream| upstream.name.as_str())
        .filter(|name| matches!(whom, Whom::All) || *whom == Whom::One((*name).to_owned()))
        .collect();
    if upstreams.is_empty() {
        bail!(
            "the plant has no such upstream as '{whom}': plant.toml names them under [[upstream]]"
        );
    }
    if typed.with.is_some() || !typed.against.is_empty() || typed.report.is_some() {
        bail!(
            "`--on` measures upstreams beside what serves: leave out `--with`, `--against` and `--report`"
        );
    }
    let examples = expected(settings, plant, task, typed)?;
    let held_out = held_out(settings, plant, task, typed)?;
    let node = node::open(settings, plant.clone(), Needs::Tasks(&[&task.name]))?;
    let mut cases = answer_here(&node, task, examples, held_out.as_deref())?;
    // Whatever ends it early has met a fair part of them.
    cases.sort_by_key(|case| *Digest::of(case.text.as_bytes()).as_bytes());
    cases.truncate(typed.sample.unwrap_or(usize::MAX));
    let mut found = Found {
        task: task.name.clone(),
        examples: Source {
            source: match &typed.examples {
                Some(path) => path.display().to_string(),
                None => format!("the plant's examples of {}", task.name),
            },
            n: cases.len(),
        },
        edge: edge(&node, task, &cases, held_out.is_some())?,
        upstreams: Vec::new(),
        warnings: super::few(cases.len()),
    };
    if task.escalate.first() != Some(&Escalation::Cloud) {
        found.warnings.push(format!(
            "'{0}' asks no upstream: write escalate = [\"cloud\", \"human\"] in tasks/{0}.toml",
            task.name
        ));
    }
    for upstream in upstreams {
        let beside = ask(&node, task, upstream, &cases)?;
        let measure = Measure {
            task: task.name.clone(),
            upstream: upstream.to_owned(),
            basis: node.basis_of_worth(&task.name, upstream)?,
            all: beside.all.paired,
            uncertain: beside.uncertain.paired,
        };
        node.keep_measure(&measure, None)?;
        found.upstreams.push(beside);
    }
    settings.output.print(&found, human)?;
    Ok(ExitCode::SUCCESS)
}

fn edge(node: &Node, task: &Task, cases: &[Case], is_held_out: bool) -> anyhow::Result<Side> {
    let promoted = node.promotions(&task.name)?;
    Ok(Side {
        name: match promoted.first() {
            Some(promoted) => format!("{}:{}", promoted.kind, promoted.digest.short()),
            None => "nothing promoted".to_owned(),
        },
        how: match is_held_out {
            true => "cross-validated on the plant's examples",
            false => "what serves, on the file",
        },
        accuracy: wilson(cases.iter().filter(|case| case.right).count(), cases.len()),
        uncertain: cases.iter().filter(|case| case.is_uncertain).count(),
    })
}

/// Asks an upstream all of it.
fn ask(node: &Node, task: &Task, upstream: &str, cases: &[Case]) -> anyhow::Result<Standing> {
    let what = format!("{}: asking {upstream} {} examples", task.name, cases.len());
    let bar = Progress::of_parts(&what, cases.len());
    let next = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let told: Mutex<Vec<Told>> = Mutex::default();
    let work = || -> Result<(), andon_runtime::Error> {
        while !is_over.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(number) else { break };
            let began = Instant::now();
            let run = case.run.clone();
            let consulted = node.consult(&task.name, upstream, &case.text, run)?;
            let took = began.elapsed();
            if let Consulted::Closed(reason, _) = &consulted
                && *reason != Reason::RedactionFailed
            {
                is_over.store(true, Ordering::Relaxed);
            }
            let mut told = told.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            told.push(Told {
                number,
                consulted,
                took,
            });
            bar.reach(told.len() as u64);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended.collect::<Vec<_>>()
    })
    .into_iter()
    .try_for_each(|ended| match ended {
        Ok(ended) => ended.map_err(anyhow::Error::from),
        Err(_) => Err(anyhow!(
            "asking '{upstream}' failed: a fault of the program"
        )),
    })?;
    let told = told
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    settle(node, task, upstream, cases, told)
}

/// What came of one example.
struct Told {
    number: usize,
    consulted: Consulted,
    took: Duration,
}

fn settle(
    node: &Node,
    task: &Task,
    upstream: &str,
    cases: &[Case],
    told: Vec<Told>,
) -> anyhow::Result<Standing> {
    let (mut all, mut uncertain) = (Paired::default(), Paired::default());
    let (mut unfit, mut cost, mut stopped) = (0, 0.0, None);
    let mut times = Vec::new();
    for Told {
        number,
        consulted,
        took,
    } in told
    {
        let case = &cases[number];
        let right = match consulted {
            Consulted::Answered(run) => {
                cost += paid(&run);
                times.push(took);
                is_right(task, &case.expected, &run)
            }
            Consulted::Nothing(run) => {
                cost += paid(&run);
                times.push(took);
                matches!(&case.expected, Expected::Sources(sources) if sources.is_empty())
            }
            Consulted::Unfit => {
                unfit += 1;
                false
            }
            Consulted::Closed(reason, why) => {
                if reason == Reason::PolicyDenied {
                    bail!(
                        "'{upstream}' cannot be measured: {why} (`andon policy check --task {}`)",
                        task.name
                    );
                }
                if reason != Reason::RedactionFailed {
                    stopped = Some(why);
                }
                continue;
            }
            Consulted::NothingToAsk => continue,
        };
        all.note(case.right, right);
        if case.is_uncertain {
            uncertain.note(case.right, right);
        }
    }
    if all.n == 0 {
        match stopped {
            Some(why) => bail!("'{upstream}' cannot be measured: {why}"),
            None => bail!(
                "'{upstream}' was asked nothing: no example of '{}' can be",
                task.name
            ),
        }
    }
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        let time = times.get(place.min(times.len().saturating_sub(1)));
        time.map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    let settings = node.plant().settings.upstreams.iter();
    let model = settings.clone().find(|known| known.name == upstream);
    let measure = Measure {
        task: task.name.clone(),
        upstream: upstream.to_owned(),
        basis: node.basis_of_worth(&task.name, upstream)?,
        all,
        uncertain,
    };
    Ok(Standing {
        upstream: upstream.to_owned(),
        model: model.map(|known| known.model.clone()).unwrap_or_default(),
        accuracy: wilson(all.upstream_right, all.n),
        all: all.into(),
        uncertain: uncertain.into(),
        worth: measure.worth(),
        unfit,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        cost,
        stopped,
    })
}

fn paid(run: &Run) -> f64 {
    let cost = run.evidence.iter().map(|evidence| match evidence {
        Evidence::Egress(left) => left.cost,
        _ => 0.0,
    });
    cost.sum()
}

fn human(found: &Found) -> String {
    let percent = |estimate: &Option<Estimate>| match estimate {
        Some(of) => format!(
            "{:.1} % ({:.1} to {:.1})",
            100.0 * of.value,
            100.0 * of.low,
            100.0 * of.high
        ),
        None => "-".to_owned(),
    };
    let mut text = found
        .warnings
        .iter()
        .map(|warning| format!("! {warning}\n"))
        .collect::<String>();
    let mut rows = vec![[
        found.edge.name.clone(),
        percent(&found.edge.accuracy),
        String::new(),
        String::new(),
        String::new(),
    ]];
    for one in &found.upstreams {
        let Paired {
            n,
            edge_right,
            upstream_right,
            ..
        } = one.uncertain.paired;
        rows.push([
            format!("upstream:{}", one.upstream),
            percent(&one.accuracy),
            format!("{upstream_right} of {n}, here {edge_right}"),
            format!("{:.3}", one.uncertain.p_value),
            format!("{:.0}", one.p50_ms),
        ]);
    }
    text.push_str(&output::table(
        ["", "RIGHT", "WHERE IT WOULD BE ASKED", "P", "P50 MS"],
        rows,
    ));
    for one in &found.upstreams {
        let says = match one.worth {
            Worth::Better => "is right more often where it would be asked, and is asked",
            Worth::NotBetter => {
                "is not right more often where it would be asked, and is not asked from now on"
            }
            Worth::Unknown => {
                "has had too few cases that it would be asked, and is asked as before"
            }
        };
        text.push_str(&format!("\n{} {says}", one.upstream));
        if let Some(why) = &one.stopped {
            text.push_str(&format!(
                "; it was not asked all of {}: {why}",
                found.examples.n
            ));
        }
    }
    text
}
