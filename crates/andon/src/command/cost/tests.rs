use andon_store::Tally;
use andon_task::plant::{Files, Plant};

use super::{account, human};

fn plant(cost: &str) -> Plant {
    let files = [
        ("plant.toml", cost),
        (
            "tasks/code.toml",
            "name = 'code'\nkind = 'decide'\ninstructions = 'Which code?!'\nlabels = 'codes.csv'\n",
        ),
        ("codes.csv", "label\nleak\njam1\n"),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    Plant::parse(&Files::from(files)).expect("a plant")
}

fn tally(route: &str, reason: &str, runs: u64, took_ms: f64) -> Tally {
    Tally {
        task: "code".to_owned(),
        route: route.to_owned(),
        reason: reason.to_owned(),
        runs,
        took_ms,
        input_bytes: 36 * runs,
        answer_bytes: 4 * runs,
    }
}

#[test]
fn shares_and_a_thousand_requests() {
    let tallies = [
        tally("edge", "confident", 900, 9_000.0),
        tally("human", "below_threshold", 100, 1_000.0),
    ];
    let prices = "[cost]\ncurrency = 'EUR'\nkwh = 0.36\nwatts = 100\ncloud_million_tokens = 2.0\n";
    let account = account(&plant(prices), &tallies, None, Vec::new());
    let thousand = account.thousand.as_ref().expect("prices");
    // 10 s at 100 W are 1/3600 kWh.
    assert!((thousand.edge - 0.0001).abs() < 1e-12, "{thousand:?}");
    // 12 bytes of instructions, two labels of 4 and their list, 36 of text, 4 of answer.
    assert_eq!(thousand.tokens_estimated, (12.0 + 16.0 + 40.0) / 4.0);
    let cloud = thousand.cloud.expect("a price");
    assert!((cloud - 0.034).abs() < 1e-12, "{cloud}");
    insta::assert_snapshot!(human(&account), @r"
    TASK  ROUTE  REASON           RUNS  OF TASK  MEAN MS
    code  edge   confident        900   90.0 %   10.0
    code  human  below_threshold  100   10.0 %   10.0
    1000 runs so far: 90.0 % edge, 10.0 % human
    a thousand requests cost 0.0001 EUR here, at 10.0 ms each, and would cost 0.0340 EUR in the cloud, at about 17 tokens each
    ");
}

#[test]
fn without_prices_or_runs_none_is_told() {
    let none = account(&plant(""), &[], None, Vec::new());
    assert_eq!(human(&none), "no task was run so far");
    let some = account(
        &plant(""),
        &[tally("edge", "confident", 1, 1.0)],
        None,
        Vec::new(),
    );
    assert!(some.thousand.is_none());
    assert!(human(&some).contains("plant.toml has no [cost]"));
}
