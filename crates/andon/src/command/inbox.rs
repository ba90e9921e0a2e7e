//! `andon inbox`

use std::process::ExitCode;

use andon_runtime::Order;
use andon_server::{InboxItem, InboxView};
use andon_store::InboxFilter;

use crate::cli::Inbox;
use crate::output;
use crate::settings::Settings;
use crate::{node, plant};

/// Lists what waits for a person.
pub(super) fn run(settings: &Settings, typed: &Inbox) -> anyhow::Result<ExitCode> {
    let plant = plant::load(settings.plant.as_deref())?;
    if let Some(task) = &typed.task {
        super::task(&plant, task)?;
    }
    let node = node::without_models(settings, plant)?;
    let filter = InboxFilter {
        tasks: typed.task.clone().map(|task| vec![task]),
        before: None,
    };
    let order = match typed.newest {
        true => Order::Newest,
        false => Order::Urgent,
    };
    let inbox = InboxView::from(node.inbox(&filter, order, typed.n)?);
    settings.output.print(&inbox, table)?;
    Ok(ExitCode::SUCCESS)
}

fn table(inbox: &InboxView) -> String {
    if inbox.items.is_empty() {
        return "nothing waits for a person".to_owned();
    }
    let row = |item: &InboxItem| {
        let run = &item.run;
        let text: String = item.text.chars().take(60).collect();
        let likely: Vec<String> = run
            .probabilities
            .iter()
            .take(3)
            .filter_map(|(label, share)| Some(format!("{label} {:.0} %", 100.0 * share.as_f64()?)))
            .collect();
        let critical = match item.critical >= 0.005 {
            true => format!("{:.0} %", 100.0 * item.critical),
            false => String::new(),
        };
        [
            run.id.to_string(),
            run.task.clone(),
            super::word(&run.reason),
            critical,
            text.replace(char::is_control, " "),
            likely.join(", "),
        ]
    };
    let rows = output::table(
        ["RUN", "TASK", "REASON", "CRITICAL", "TEXT", "LIKELIEST"],
        inbox.items.iter().map(row).collect(),
    );
    format!(
        "{rows}\n{} wait; `andon label TASK --run RUN --answer LABEL` settles one",
        inbox.waiting
    )
}
