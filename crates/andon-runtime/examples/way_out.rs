//! Measures what routing, policy, redaction and the audit log add to a request that leaves
//! the plant, and how long after its time a silent upstream is given up, as JSON: `make
//! bench-hybrid`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::net::TcpListener;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use andon_policy::CedarPolicy;
use andon_remote::{Trust, Upstream};
use andon_store::{Paid, Store};
use andon_task::audit::Act;
use andon_task::engine::{GenerateRequest, Message, Prompt, Role};
use andon_task::plant::{Files, Plant};
use andon_task::policy::{Permit as _, Principal, Question};
use andon_task::redact::{Field, Redactor, SiteKey};
use andon_task::route::{self, Escalated, Outlook, Reason};
use andon_task::run::Timestamp;
use andon_task::task::DataClass;
use andon_task::upstream::{Delivery, Letter, Link, Upstream as _, UpstreamError};
use andon_task::worth::Worth;

/// A note of about 2 kB with twenty names and numbers.
fn note() -> String {
    let mut text = String::new();
    while text.len() < 2_000 {
        text.push_str(
            "Juan Pérez found the feed pump P-101 leaking at 12.5 bar, seal worn, called \
             +34 600 123 456; the spare S/N QX-99812 is at Planta Norte (10.0.3.7). ",
        );
    }
    text
}

fn measure(repetitions: usize, mut work: impl FnMut()) -> (Duration, Duration) {
    let mut times: Vec<Duration> = (0..repetitions)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    times.sort();
    (times[0], times[repetitions * 99 / 100])
}

fn plant() -> Plant {
    let files = [
        (
            "plant.toml",
            "[[upstream]]\nname = 'cloud'\nurl = 'http://127.0.0.1:9/v1'\nmodel = 'large'\n",
        ),
        (
            "tasks/kind.toml",
            "name = 'kind'\nkind = 'decide'\ninstructions = 'Which way?'\nlabels = 'l.csv'\n\
             escalate = ['cloud', 'human']\n",
        ),
        ("l.csv", "label\nnorth\neast\n"),
        ("assets.csv", "id,path,name\nP-101,a/b,Feed pump\n"),
        (
            "gazetteer.csv",
            "value,type\nJuan Pérez,person\nPlanta Norte,site\n",
        ),
        ("policy/main.cedar", "permit (principal, action, resource);"),
    ];
    let files: Files = files
        .into_iter()
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .collect();
    Plant::parse(&files).unwrap()
}

/// How much longer than its time to a first token a silent upstream is waited for.
fn silence(plant: &Plant) -> (Duration, Duration) {
    // Connections are made and nobody answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = plant.settings.upstreams[0].clone();
    settings.url = format!("http://{}/v1", listener.local_addr().unwrap());
    settings.timeouts.first_token = Duration::from_millis(300);
    let message = Message::new(Role::User, "a note");
    let request = GenerateRequest::new(Prompt::chat(vec![message]));
    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            // A new one each time: after three failures it would be left alone.
            let upstream = Upstream::new(settings.clone(), None, &Trust::default()).unwrap();
            let body = upstream.compose(&request, Delivery::Whole).unwrap();
            let letter = Letter {
                request: &request,
                body: &body,
                key: "one",
            };
            let began = Instant::now();
            let sent = upstream.send(&letter, &mut |_| ControlFlow::Continue(()));
            assert!(matches!(sent, Err(UpstreamError::Silent(_))), "{sent:?}");
            began.elapsed() - settings.timeouts.first_token
        })
        .collect();
    times.sort();
    (times[0], times[19])
}

/// The decision where to, with all that it asks for: the policy for each field, and what
/// was paid today and this month.
fn route(plant: &Plant, store: &Store) {
    let policy = CedarPolicy::new(plant);
    let task = &plant.tasks["kind"];
    let principal = Principal::Task("kind".to_owned());
    let now = Timestamp(1_767_225_600_000);
    for number in 0..1_000 {
        let paid = Paid {
            upstream: "cloud".to_owned(),
            at: Timestamp(now.0 + number),
            prompt_tokens: 100,
            completion_tokens: 10,
            cost: 0.001,
        };
        store
            .settle_egress(paid, "node", serde_json::json!({}))
            .unwrap();
    }
    let (least, p99) = measure(2_000, || {
        let permits = |field: &Field| {
            let question = Question {
                principal: &principal,
                field: *field,
                class: DataClass::Internal,
                upstream: "cloud",
            };
            policy.decide(&question).permits()
        };
        let paid = |since| store.paid("cloud", since).unwrap() < 1e6;
        let outlook = Outlook {
            data_class: DataClass::Internal,
            permitted: task.fields().iter().all(permits),
            worth: Worth::Better,
            link: Link::Up,
            expected: Duration::from_millis(500),
            affordable: paid(now.day_began()) && paid(now.month_began()),
            has_room: true,
        };
        let to = route::escalate(task, Reason::BelowThreshold, None, &[outlook]);
        assert_eq!(to, Escalated::To(0));
    });
    println!(
        "{{\"routing_and_policy\": 3, \"min_ms\": {:.3}, \"p99_ms\": {:.3}}}",
        least.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3
    );
    let (least, p99) = measure(300, || {
        let detail = serde_json::json!({"upstream": "cloud", "fields": ["input"]});
        store
            .append_audit(Act::Egress, "node", now, detail)
            .unwrap();
    });
    println!(
        "{{\"audit_row_on_disk_and_signed\": 1, \"min_ms\": {:.3}, \"p99_ms\": {:.3}}}",
        least.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3
    );
}

fn main() {
    let plant = plant();
    let directory = tempfile::tempdir().unwrap();
    route(
        &plant,
        &Store::open(directory.path().join("andon.db")).unwrap(),
    );
    let redactor = Redactor::new(SiteKey::new([3; 32]), &plant.gazetteer).unwrap();
    let text = note();
    let (least, p99) = measure(300, || {
        redactor.session().redact_alone(&text).unwrap();
    });
    println!(
        "{{\"redact_bytes\": {}, \"min_ms\": {:.3}, \"p99_ms\": {:.3}}}",
        text.len(),
        least.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3
    );
    let policy = CedarPolicy::new(&plant);
    let principal = Principal::Task("kind".to_owned());
    let (least, p99) = measure(1_000, || {
        for field in [Field::Input, Field::Instructions, Field::Labels] {
            let question = Question {
                principal: &principal,
                field,
                class: DataClass::Internal,
                upstream: "cloud",
            };
            assert!(policy.decide(&question).permits());
        }
    });
    println!(
        "{{\"policy_fields\": 3, \"min_ms\": {:.3}, \"p99_ms\": {:.3}}}",
        least.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3
    );
    let (least, most) = silence(&plant);
    println!(
        "{{\"silent_upstreams\": 20, \"min_ms_after_its_time\": {:.1}, \"max_ms\": {:.1}}}",
        least.as_secs_f64() * 1e3,
        most.as_secs_f64() * 1e3
    );
}
