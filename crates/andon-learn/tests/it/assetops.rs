//! Equipment weeks with facts that machines can check. Not part of the repository; see
//! `data`.

use andon_task::summarise::{Facts, Period, findings, support};
use serde_json::Value;

use crate::data;

#[test]
fn every_fact_is_found_and_no_sentence_says_more() {
    let Some(weeks) = data::weeks() else {
        eprintln!("skipped: every_fact_is_found_and_no_sentence_says_more needs assetops_weeks");
        return;
    };
    assert_eq!(weeks.len(), 42);
    for week in weeks {
        let period = Period::read(&week).unwrap();
        let facts = Facts::of(&period);
        let facts_value = serde_json::to_value(&facts).unwrap();
        let gold: Value = serde_json::from_str(&week).unwrap();
        let (found, all) = Facts::recalled(&facts_value, &gold["gold_facts"]);
        assert_eq!(found, all, "{}", gold["id"]);
        let told = findings(&period, &facts);
        for order in &facts.corrective_work_orders {
            assert!(told.iter().any(|finding| finding.text.contains(order)));
        }
        for finding in told {
            let records: Vec<_> = period
                .events
                .iter()
                .filter(|event| finding.records.contains(&event.id))
                .collect();
            let about: Vec<String> = period
                .about
                .iter()
                .flat_map(|(_, value)| support::values(value))
                .collect();
            let mut unsupported = support::unsupported(&finding.text, &records, &facts_value);
            unsupported.retain(|value| !about.contains(value));
            assert!(unsupported.is_empty(), "{}: {unsupported:?}", finding.text);
        }
    }
}
