//! The second opinion of a reader: the plant's language model, asked while it is learnt and
//! measured as it is asked when it serves.

use std::time::Instant;

use andon_learn::extract::{
    Asking, Graded, LearntReader, Question, SecondReader, Verdict, ask_again, fuse,
};
use andon_runtime::{Tokens, Writer, grammar};
use andon_task::engine::Terms;
use andon_task::example::Example;
use andon_task::extract::{Opinion, Reader, Shown, Written};
use andon_task::plant::Plant;
use andon_task::schema::Schema;
use andon_task::task::{Class, Task};
use anyhow::Context;
use serde_json::Value;

use crate::engine::Loader;
use crate::node;
use crate::progress::{Progress, line};
use crate::settings::Settings;

/// Where the language model is.
pub(crate) type Here<'a> = (&'a Settings, &'a Plant, &'a Loader);

/// The language model as a second reader of a task.
struct Second<'a> {
    task: &'a Task,
    schema: &'a Schema,
    writer: Writer<'a>,
}

impl SecondReader for Second<'_> {
    fn opinion(&self, shown: &[Shown]) -> Opinion {
        self.writer.opinion(self.task, self.schema, shown)
    }

    fn write(&mut self, question: &Question<'_>) -> Result<Written, String> {
        let task = (self.task, self.schema);
        let prompt = self.writer.asked(task, question.shown, question.text);
        let held_to = (grammar(question.schema), question.most_tokens, Tokens::Told);
        let terms = Terms::of(self.task.deadline);
        let written = self.writer.write(prompt, held_to, &terms, &mut |_| ());
        written.map_err(|error| error.to_string())
    }
}

/// Learns whether a second opinion helps a reader. Nothing is found where no language model is
/// here, or the task's deadline leaves no time for one.
pub(crate) fn learn(
    began: &Instant,
    (settings, plant, loader): Here<'_>,
    (task, schema): (&Task, &Schema),
    (learnt, examples): (LearntReader, &[Example]),
) -> anyhow::Result<(LearntReader, Option<Verdict>)> {
    // What a machine waits for is over before a model has read the text.
    let has_time = task.deadline != Class::Machine;
    let unsure = |graded: &&Graded| graded.probability < task.accept;
    let is_sure = learnt.held_out.iter().find(unsure).is_none();
    if !has_time || is_sure {
        return Ok((learnt, None));
    }
    let model = match node::language_model(settings, plant, (loader, &[])) {
        Ok(model) => model,
        Err(error) => {
            line(&format!(
                "{}: the reader answers alone, there is no language model to ask: {error:#}",
                task.name
            ));
            return Ok((learnt, None));
        }
    };
    let mut second = Second {
        task,
        schema,
        writer: Writer::new(&*model, None),
    };
    let pairs: Vec<(&str, &Value)> = examples
        .iter()
        .map(|example| (example.input.as_str(), &example.expected))
        .collect();
    let mut bar: Option<Progress> = None;
    let mut tell = |done: usize, total: usize| {
        let what = format!("{}: the language model reads {total} examples", task.name);
        bar.get_or_insert_with(|| Progress::of_parts(&what, total))
            .reach(done as u64);
    };
    let asking = Asking {
        below: task.accept,
        within: task.deadline.patience(),
        tell: &mut tell,
        clock: &|| began.elapsed(),
    };
    let (learnt, verdict) = fuse(learnt, (schema.value(), &pairs), asking, &mut second)
        .with_context(|| format!("cannot learn '{}'", task.name))?;
    drop(bar);
    Ok((learnt, Some(verdict)))
}

/// Gives readings the second opinion that a reader was learnt with, as a node would. Who gave
/// it; nobody, where the reader has none or answers without.
pub(crate) fn ask(
    began: &Instant,
    (settings, plant, loader): Here<'_>,
    (task, schema): (&Task, &Schema),
    (reader, examples): (&Reader, &[(&str, &Value)]),
    graded: &mut [Graded],
) -> anyhow::Result<Option<Opinion>> {
    let Some(fusion) = reader.fusion() else {
        return Ok(None);
    };
    let model = node::language_model(settings, plant, (loader, &[])).with_context(|| {
        format!(
            "the reader of '{}' is given a second opinion by the language model",
            task.name
        )
    })?;
    let mut second = Second {
        task,
        schema,
        writer: Writer::new(&*model, None),
    };
    if second.opinion(&fusion.shown) != fusion.opinion {
        line(&format!(
            "{}: the reader answers alone, its second opinion was learnt with another language model or prompt: learn again",
            task.name
        ));
        return Ok(None);
    }
    let what = format!("{}: reading {} examples", task.name, examples.len());
    let progress = Progress::of_parts(&what, examples.len());
    let mut tell = |done: usize, _: usize| progress.reach(done as u64);
    let clock = || began.elapsed();
    ask_again(
        reader,
        (schema.value(), examples),
        graded,
        (&mut tell, &clock),
        &mut second,
    )?;
    Ok(Some(fusion.opinion.clone()))
}
