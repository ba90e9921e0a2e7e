use andon_task::plant::{Files, Plant};
use andon_task::policy::{Permit, Principal, Question, Verdict};
use andon_task::redact::Field;
use andon_task::task::DataClass;

use crate::{CedarPolicy, check, run_tests};

fn plant(files: &[(&str, &str)]) -> Plant {
    let fixed = [
        (
            "plant.toml",
            "[[upstream]]\nname = 'cloud'\nurl = 'https://c.example/v1'\nmodel = 'm'\n\
             [[upstream]]\nname = 'centre'\nurl = 'https://d.example/v1'\nmodel = 'm'\n",
        ),
        (
            "tasks/kind.toml",
            "name = 'kind'\nkind = 'decide'\ninstructions = 'Which?'\nlabels = 'l.csv'\n",
        ),
        ("l.csv", "label\nnorth\neast\n"),
    ];
    let files: Files = fixed
        .iter()
        .chain(files)
        .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
        .collect();
    Plant::parse(&files).expect("a plant")
}

fn ask(policy: &CedarPolicy, task: &str, field: Field, upstream: &str) -> Verdict {
    policy.decide(&Question {
        principal: &Principal::Task(task.to_owned()),
        field,
        class: DataClass::Internal,
        upstream,
    })
}

const NOTES: &str = r#"
@id("notes")
permit (principal == Task::"kind", action == Action::"send", resource)
when { context.upstream == "cloud" && resource.class != "confidential" };
forbid (principal, action, resource == Field::"labels");
"#;

#[test]
fn what_nobody_permits_is_denied() {
    let policy = CedarPolicy::new(&plant(&[]));
    assert_eq!(policy.closed(), None);
    assert_eq!(
        ask(&policy, "kind", Field::Input, "cloud"),
        Verdict::Denied(vec![])
    );
}

#[test]
fn a_policy_speaks_of_tasks_fields_classes_and_upstreams() {
    let policy = CedarPolicy::new(&plant(&[("policy/a.cedar", NOTES)]));
    assert_eq!(policy.closed(), None);
    let by = |name: &str| vec![name.to_owned()];
    assert_eq!(
        ask(&policy, "kind", Field::Input, "cloud"),
        Verdict::Permitted(by("notes"))
    );
    assert_eq!(
        ask(&policy, "kind", Field::Input, "centre"),
        Verdict::Denied(vec![])
    );
    assert_eq!(
        ask(&policy, "other", Field::Input, "cloud"),
        Verdict::Denied(vec![])
    );
    assert_eq!(
        ask(&policy, "kind", Field::Labels, "cloud"),
        Verdict::Denied(by("a#2"))
    );
    let confidential = policy.decide(&Question {
        principal: &Principal::Task("kind".to_owned()),
        field: Field::Input,
        class: DataClass::Confidential,
        upstream: "cloud",
    });
    assert!(!confidential.permits());
}

#[test]
fn what_cannot_be_understood_closes_everything() {
    for wrong in [
        "permit (principal, action",
        "permit (principal, action, resource) when { resource.klass == \"x\" };",
        "permit (principal, action, resource) when { context.upstream == 3 };",
        "permit (principal == Person::\"x\", action, resource);",
    ] {
        let files = [("policy/a.cedar", NOTES), ("policy/b.cedar", wrong)];
        let policy = CedarPolicy::new(&plant(&files));
        let reason = policy.closed().expect(wrong);
        assert!(!reason.is_empty() && !reason.contains('\n'), "{reason}");
        let verdict = ask(&policy, "kind", Field::Input, "cloud");
        assert!(matches!(verdict, Verdict::Closed(_)), "{wrong}");
    }
}

#[test]
fn policies_that_can_never_apply_are_found() {
    let odd = r#"
        permit (principal == Task::"knid", action, resource);
        permit (principal, action, resource == Field::"inptu");
        permit (principal, action, resource) when { context.upstream == "clod" };
        permit (principal, action, resource) when { ["internl"].contains(resource.class) };
        permit (principal == Task::"kind", action, resource == Field::"messages.user");
        forbid (principal == Caller::"mes", action, resource);
    "#;
    let plant = plant(&[("policy/a.cedar", NOTES), ("policy/odd.cedar", odd)]);
    let policy = CedarPolicy::new(&plant);
    let found = check(&plant, &policy);
    let told = |policy: &str| {
        let found = found.iter().filter(|finding| finding.policy == policy);
        let found: Vec<&str> = found.map(|finding| finding.problem.as_str()).collect();
        found.join("; ")
    };
    let never = "it can never apply to what this plant could send";
    assert_eq!(told("odd#1"), format!("{never}; there is no task 'knid'"));
    assert_eq!(told("odd#2"), format!("{never}; there is no field 'inptu'"));
    assert_eq!(
        told("odd#3"),
        format!("{never}; there is no upstream 'clod'")
    );
    assert_eq!(
        told("odd#4"),
        format!("{never}; there is no data class 'internl'")
    );
    assert_eq!(told("odd#5"), never);
    assert_eq!(told("odd#6"), "");
    assert_eq!(told("notes"), "");
}

#[test]
fn a_plant_tests_its_policies() {
    let tests = r#"
        [[test]]
        name = "notes leave"
        task = "kind"
        field = "input"
        upstream = "cloud"
        expect = "permit"

        [[test]]
        name = "notes stay"
        task = "kind"
        field = "input"
        upstream = "cloud"
        expect = "deny"

        [[test]]
        name = "callers stay"
        caller = "mes"
        field = "messages.user"
        upstream = "cloud"
        expect = "deny"
    "#;
    let files = [("policy/a.cedar", NOTES), ("policy/tests/a.toml", tests)];
    let plant = plant(&files);
    let outcomes = run_tests(&plant, &CedarPolicy::new(&plant));
    let problems: Vec<Option<&str>> = outcomes
        .iter()
        .map(|outcome| outcome.problem.as_deref())
        .collect();
    assert_eq!(problems, [None, Some("it is permitted, by notes"), None]);
    assert_eq!(outcomes[0].name, "policy/tests/a.toml: notes leave");
}
