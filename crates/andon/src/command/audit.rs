//! `andon audit verify|checkpoint|list|export`

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use andon_server::AuditView;
use andon_store::{AuditFilter, Inspected, Page, Store};
use andon_task::audit::egress;
use anyhow::Context;
use serde_json::Value;

use crate::cli::{Audit, ExportFormat};
use crate::output::{self, Output};
use crate::settings::Settings;
use crate::{clock, node};

/// Rows that are read at once for an export.
const CHUNK: usize = 1_000;

/// The columns of an export that come from the detail of a row, in this order.
const COLUMNS: [&str; 10] = [
    egress::TASK,
    egress::RECORD,
    egress::UPSTREAM,
    egress::POLICY,
    egress::FIELDS,
    egress::REDACTIONS,
    egress::PAYLOAD,
    egress::BYTES,
    egress::TOKENS,
    egress::COST,
];

/// Does what was asked for with the log.
pub(super) fn run(settings: &Settings, typed: Audit) -> anyhow::Result<ExitCode> {
    let store = node::store(&settings.state)?;
    match typed {
        Audit::Verify { checkpoint } => verify(settings, &store, checkpoint.as_deref()),
        Audit::Checkpoint => {
            let signed = store.checkpoint_audit()?;
            let signed = signed.context("the audit log is empty: there is nothing to sign")?;
            Output::Json.print(&signed, |_| String::new())?;
            Ok(ExitCode::SUCCESS)
        }
        Audit::List { act, n } => {
            let filter = AuditFilter { act, since: None };
            let page = Page {
                before: None,
                limit: n,
            };
            let rows = store.audit(&filter, page).context("cannot read the log")?;
            let rows: Vec<AuditView> = rows.into_iter().map(AuditView::from).collect();
            settings.output.print(&rows, |rows| table(rows))?;
            Ok(ExitCode::SUCCESS)
        }
        Audit::Export { format, since, act } => {
            let filter = AuditFilter {
                act,
                since: since.map(|since| since.at(clock::now())),
            };
            let out = io::stdout().lock();
            match format {
                ExportFormat::Csv => export_csv(&store, &filter, out)?,
                ExportFormat::Json => export_json(&store, &filter, out)?,
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn verify(settings: &Settings, store: &Store, kept: Option<&Path>) -> anyhow::Result<ExitCode> {
    let kept = kept.map(|path| {
        std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the checkpoints '{}'", path.display()))
    });
    let found = store
        .inspect_audit(kept.transpose()?.as_deref())
        .context("the audit log cannot be read")?;
    settings.output.print(&found, human)?;
    Ok(match found.findings.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn human(found: &Inspected) -> String {
    let Inspected {
        rows,
        checkpoints,
        sealed,
        findings,
    } = found;
    if !findings.is_empty() {
        let findings: Vec<String> = findings
            .iter()
            .map(|finding| format!("  {finding}"))
            .collect();
        return format!(
            "the audit log is not as it was written:\n{}",
            findings.join("\n")
        );
    }
    let mut text = format!("{rows} rows are as they were written, by {checkpoints} checkpoints");
    if sealed < rows {
        text.push_str(&format!(
            "; nothing signed yet speaks for rows {} to {rows}",
            sealed + 1
        ));
    }
    text
}

fn table(rows: &[AuditView]) -> String {
    let row = |row: &AuditView| {
        let detail = row.detail.to_string().replace(char::is_control, " ");
        let mut shown: String = detail.chars().take(100).collect();
        if shown.len() < detail.len() {
            shown.push('…');
        }
        [
            row.id.to_string(),
            row.at.clone(),
            row.who.replace(char::is_control, " "),
            row.act.replace(char::is_control, " "),
            shown,
        ]
    };
    output::table(
        ["ROW", "AT", "WHO", "ACT", "DETAIL"],
        rows.iter().map(row).collect(),
    )
}

/// Gives all rows of a filter, the oldest first.
fn each(
    store: &Store,
    filter: &AuditFilter,
    mut give: impl FnMut(AuditView) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // Listings go backwards; numbers are kept until the oldest is reached.
    let mut pages = Vec::new();
    let mut before = None;
    loop {
        let page = Page {
            before,
            limit: CHUNK,
        };
        let rows = store.audit(filter, page).context("cannot read the log")?;
        let Some(last) = rows.last() else { break };
        pages.push((before, last.id));
        before = Some(last.id);
    }
    for (before, _) in pages.into_iter().rev() {
        let page = Page {
            before,
            limit: CHUNK,
        };
        let rows = store.audit(filter, page).context("cannot read the log")?;
        for row in rows.into_iter().rev() {
            give(AuditView::from(row))?;
        }
    }
    Ok(())
}

fn export_json(store: &Store, filter: &AuditFilter, mut out: impl Write) -> anyhow::Result<()> {
    each(store, filter, |row| {
        serde_json::to_writer(&mut out, &row).map_err(io::Error::from)?;
        out.write_all(b"\n")?;
        Ok(())
    })?;
    Ok(out.flush()?)
}

fn export_csv(store: &Store, filter: &AuditFilter, out: impl Write) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    let fail = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => anyhow::Error::new(error),
        kind => anyhow::anyhow!("a row cannot be written: {kind:?}"),
    };
    let heading = ["id", "at", "who", "act"];
    csv.write_record(heading.into_iter().chain(COLUMNS).chain(["detail"]))
        .map_err(fail)?;
    each(store, filter, |row| {
        let cell = |name: &str| match row.detail.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let first = [row.id.to_string(), row.at.clone(), row.who, row.act];
        let from_detail = COLUMNS.into_iter().map(cell);
        let record = first
            .into_iter()
            .chain(from_detail)
            .chain([row.detail.to_string()]);
        csv.write_record(record).map_err(fail)
    })?;
    Ok(csv.flush()?)
}
