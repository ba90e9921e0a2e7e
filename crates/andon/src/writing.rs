//! Objects that a language model writes for examples, beside what was expected.

use std::time::Instant;

use andon_learn::extract::{Graded, grade_written};
use andon_runtime::{WriteError, Writer};
use andon_task::engine::{EngineError, Terms};
use andon_task::example::Example;
use andon_task::extract::Fields;
use andon_task::schema::Schema;
use andon_task::task::Task;
use anyhow::Context;

use crate::progress::Progress;

/// Has an object written for each example, one after the other as documents come in.
pub(crate) fn grade(
    writer: &Writer<'_>,
    (task, schema): (&Task, &Schema),
    fields: &Fields,
    examples: &[Example],
) -> anyhow::Result<Vec<Graded>> {
    let what = format!(
        "{}: writing objects for {} examples",
        task.name,
        examples.len()
    );
    let bar = Progress::of_parts(&what, examples.len());
    let grade = |(index, example): (usize, &Example)| {
        let began = Instant::now();
        let (text, terms) = (example.input.as_str(), Terms::default());
        let written = match writer.write_whole((task, schema), text, &terms, &mut |_| ()) {
            Ok(written) => Some(written.value),
            // A text that is too long for the model is one for which it writes nothing.
            Err(
                WriteError::Unfinished(_)
                | WriteError::Engine(EngineError::DoesNotFit { .. } | EngineError::TooLong { .. }),
            ) => None,
            Err(error) => {
                let example = index + 1;
                return Err(error)
                    .with_context(|| format!("the language model did not take example {example}"));
            }
        };
        let took = began.elapsed();
        bar.reach(index as u64 + 1);
        let example = (index, text, &example.expected);
        Ok(grade_written(fields, example, written, took)?)
    };
    examples.iter().enumerate().map(grade).collect()
}
