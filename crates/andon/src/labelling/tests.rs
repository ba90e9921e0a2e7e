use super::*;

fn proposal(record: i64) -> Proposal {
    let likely = |label: &str, probability| Likely {
        label: label.to_owned(),
        probability,
    };
    Proposal {
        record,
        text: format!("note {record}\u{1b}[31m"),
        uncertainty: 0.5,
        candidates: vec![likely("leak", 0.6), likely("noise", 0.3)],
    }
}

fn answers(keys: &str) -> Vec<(i64, Said)> {
    let proposals: Vec<Proposal> = (1..=4).map(proposal).collect();
    let mut keys = keys.chars();
    let mut kept = Vec::new();
    let answered = ask(
        &proposals,
        &[],
        |shown| {
            assert!(!shown.contains('\u{1b}'));
            Ok(())
        },
        || Ok(keys.next()),
        |proposal, said| {
            kept.push((proposal.record, said.clone()));
            Ok(())
        },
    );
    assert_eq!(answered.unwrap(), kept.len());
    kept
}

#[test]
fn one_key_answers() {
    let label = |name: &str| Said::Label(name.to_owned());
    assert_eq!(
        answers("12ns"),
        [(1, label("leak")), (2, label("noise")), (3, Said::None)]
    );
    // What is no choice is passed over; a skipped note is not answered.
    assert_eq!(answers("s9x02q1"), [(2, label("noise"))]);
    assert_eq!(answers(""), []);
}

#[test]
fn without_a_head_the_first_labels_are_offered() {
    let mut kept = Vec::new();
    let proposal = Proposal {
        candidates: Vec::new(),
        ..proposal(7)
    };
    let labels = ["a".to_owned(), "b".to_owned()];
    let mut keys = "2".chars();
    ask(
        &[proposal],
        &labels,
        |_| Ok(()),
        || Ok(keys.next()),
        |_, said| {
            kept.push(said.clone());
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(kept, [Said::Label("b".to_owned())]);
}
