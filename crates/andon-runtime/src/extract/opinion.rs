//! The second opinion: whether the language model is asked beside a reader, and its answer.

use std::time::{Duration, Instant};

use andon_task::engine::{EngineError, Terms};
use andon_task::extract::{Fusion, Reader, Reading};
use andon_task::schema::Schema;
use andon_task::task::Task;

use super::writer::{Tokens, WriteError, Writer, grammar};
use crate::node::Node;
use crate::run::Asked;

/// What is left of a deadline for all that follows the second opinion.
const SPARE: Duration = Duration::from_millis(50);

impl Node {
    /// What gives a reader a second opinion, if it was learnt with one.
    ///
    /// # Errors
    /// Why the reader answers alone all the same.
    pub(crate) fn second_opinion<'r>(
        &self,
        task: &Task,
        schema: &Schema,
        reader: &'r Reader,
    ) -> Option<Result<(&'r Fusion, Writer<'_>), String>> {
        let fusion = reader.fusion()?;
        let standing = || {
            let late = |patience: &Duration| fusion.mean_ms > 1000.0 * patience.as_secs_f64();
            if task.deadline.patience().as_ref().is_some_and(late) {
                return Err(format!(
                    "the language model takes {:.0} ms, which the task's deadline does not allow",
                    fusion.mean_ms
                ));
            }
            let writer = self
                .writer(task)
                .ok_or("no language model is loaded: load the one that it was learnt with")?;
            match writer.opinion(task, schema, &fusion.shown) == fusion.opinion {
                true => Ok(writer),
                false => Err(
                    "the second opinion was learnt with another language model or prompt: learn again"
                        .to_owned(),
                ),
            }
        };
        Some(standing().map(|writer| (fusion, writer)))
    }

    /// Whether a task's reader is given a second opinion by this language model, once there
    /// is one.
    pub fn is_fused(&self, task: &str) -> bool {
        self.readers
            .serving(task)
            .is_some_and(|serving| serving.reader.fusion().is_some())
    }
}

/// What a reader and the language model say of a text together.
pub(super) fn fused(
    writer: &Writer<'_>,
    (schema, reader, fusion): (&Schema, &Reader, &Fusion),
    reading: &Reading,
    asked: &Asked<'_>,
) -> Result<Reading, WriteError> {
    let terms = in_time(fusion, asked.terms)?;
    let fields = reader.fields();
    let open = fusion.open(fields, reading);
    let question = Fusion::question(schema.value(), fields, reading, &open);
    let prompt = writer.asked((asked.task, schema), &fusion.shown, asked.text);
    let held_to = (grammar(&question), fusion.most_tokens, Tokens::Told);
    // What is told of a run is its answer, and this is only one of two.
    let written = writer.write(prompt, held_to, &terms, &mut |_| ())?;
    let fused = fusion.fuse(fields, asked.text, reading, &written);
    let reason = || EngineError::Invalid("the written object is none of the schema".to_owned());
    Ok(fused.ok_or_else(reason)?.reading)
}

/// The terms for the second opinion, which leave time for what follows it.
fn in_time(fusion: &Fusion, terms: &Terms) -> Result<Terms, EngineError> {
    let Some(deadline) = terms.deadline else {
        return Ok(terms.clone());
    };
    let deadline = deadline
        .checked_sub(SPARE)
        .ok_or(EngineError::DeadlinePassed)?;
    let left = deadline.saturating_duration_since(Instant::now());
    let needed = Duration::from_secs_f64(fusion.mean_ms.max(0.0) / 1000.0);
    match left < needed {
        true => Err(EngineError::Late {
            needed,
            left,
            retry_after: Duration::ZERO,
        }),
        false => Ok(Terms {
            deadline: Some(deadline),
            ..terms.clone()
        }),
    }
}
