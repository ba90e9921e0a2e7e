use super::*;
use crate::certificate::{Basis, Terms, Thresholds};
use crate::drift::Profile;
use crate::label::LabelSet;
use crate::run::{Digests, Timestamp};
use crate::task::TaskFile;

fn task(spot_check: f64) -> Task {
    let toml = format!(
        "name = 't'\nkind = 'decide'\ninstructions = '?'\nlabels = 'l'\naccept = 0.6\nspot_check = {spot_check:?}"
    );
    let labels = LabelSet::parse("label,critical\na,\nb,true").unwrap();
    TaskFile::parse("t", &toml).unwrap().resolve(labels)
}

fn certificate() -> Certificate {
    Certificate {
        task: "t".to_owned(),
        terms: Terms {
            alpha: 0.05,
            critical_alpha: 0.02,
            delta: 0.1,
        },
        basis: Basis::Fresh,
        artefacts: Digests::default(),
        examples: Digest::of(b""),
        n: 10,
        thresholds: Thresholds {
            ordinary: Some(0.5),
            critical: Some(0.9),
        },
        promises: Vec::new(),
        coverage: 1.0,
        profile: Profile::of([]),
        issued_at: Timestamp(0),
    }
}

fn answered(confidence: f64, said: Severity) -> Answered<'static> {
    Answered {
        text: "a note",
        confidence,
        calibrated: true,
        said,
    }
}

#[test]
fn who_decides_depends_on_the_standing() {
    let certificate = certificate();
    let certified = Standing::Certified(&certificate, certificate.id());
    let suspended = Standing::Suspended(&certificate);
    let (task, checked) = (task(0.0), task(1.0));
    let check = |task: &Task, standing, confidence, said, expected: (Route, Reason)| {
        let (route, reason, guarantee) = decide(task, answered(confidence, said), standing);
        assert_eq!((route, reason), expected, "{confidence} {said:?}");
        match standing {
            Standing::Uncertified => assert_eq!(guarantee, Guarantee::Uncertified),
            Standing::Suspended(_) => assert_eq!(guarantee, Guarantee::Suspended),
            Standing::Certified(..) => assert!(matches!(guarantee, Guarantee::Certified(_))),
        }
    };
    let (edge, human) = (
        (Route::Edge, Reason::Confident),
        (Route::Human, Reason::BelowThreshold),
    );
    use Severity::{Critical, Ordinary};
    check(&task, Standing::Uncertified, 0.6, Critical, edge);
    check(&task, Standing::Uncertified, 0.59, Ordinary, human);
    check(&task, certified, 0.5, Ordinary, edge);
    check(&task, certified, 0.49, Ordinary, human);
    check(&task, certified, 0.89, Critical, human);
    check(&task, certified, 0.9, Critical, edge);
    // Both the task and the certificate have to accept.
    check(&task, suspended, 0.55, Ordinary, human);
    check(&task, suspended, 0.6, Ordinary, edge);
    check(&task, suspended, 0.8, Critical, human);
    let spot_check = (Route::Human, Reason::SpotCheck);
    check(&checked, certified, 0.5, Ordinary, spot_check);
    check(&checked, certified, 0.4, Ordinary, human);
    check(&checked, Standing::Uncertified, 0.7, Ordinary, edge);
}

#[test]
fn scores_are_accepted_by_a_certificate_alone() {
    let certificate = certificate();
    let score = Answered {
        calibrated: false,
        ..answered(0.99, Severity::Ordinary)
    };
    let (route, reason, _) = decide(&task(0.0), score, Standing::Uncertified);
    assert_eq!((route, reason), (Route::Human, Reason::NotCalibrated));
    let standing = Standing::Certified(&certificate, certificate.id());
    let (route, reason, _) = decide(&task(0.0), score, standing);
    assert_eq!((route, reason), (Route::Edge, Reason::Confident));
}

#[test]
fn guarantees_read_as_they_were_written() {
    let certificate = certificate();
    let mark = Mark::of(&certificate, certificate.id(), Severity::Critical);
    assert_eq!(mark.threshold, Some(0.9));
    let check = |guarantee: Guarantee, json: &str| {
        let written = serde_json::to_string(&guarantee).unwrap();
        assert!(written.starts_with(json), "{written}");
        let read: Guarantee = serde_json::from_str(&written).unwrap();
        assert_eq!(read, guarantee);
    };
    check(Guarantee::Uncertified, "\"uncertified\"");
    check(Guarantee::Suspended, "\"suspended\"");
    check(Guarantee::Certified(mark), "{\"id\":\"");
}
