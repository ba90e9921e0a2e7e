//! What learning would make of the plant's examples.

use std::collections::BTreeSet;
use std::sync::Arc;

use andon_learn::report::Subject;
use andon_learn::{Lesson, Tune, cross_validate, learn};
use andon_runtime::Serving;
use andon_task::engine::Embed;
use andon_task::example::LabelledText;
use andon_task::head;

use super::Contender;
use super::measure::{Bench, Measured, On, answered};
use crate::learning::{Shown, all_examples};
use crate::node;

impl Bench<'_> {
    /// What `andon learn` would make of the plant's examples, tuning an encoder or not.
    pub(super) fn measure_learning(
        &self,
        contender: &Contender,
        tune: Option<&dyn Tune>,
    ) -> anyhow::Result<Measured> {
        let encoder = self.encoder()?;
        let mut shown = Shown::new(&self.task.name);
        let clock = || self.began.elapsed();
        // Whatever else is measured on must not be learned from.
        let folded: BTreeSet<String> = self.examples.iter().map(|e| fold(&e.text)).collect();
        let others: Vec<LabelledText> = match self.on {
            On::Plant => Vec::new(),
            On::File => {
                let store = node::store(&self.settings.state)?;
                let mut others = all_examples(&store, self.plant, self.task)?;
                others.retain(|example| !folded.contains(&fold(&example.text)));
                others
            }
        };
        let lesson = |examples| Lesson {
            task: self.task,
            examples,
            encoder: &**encoder,
            tune,
            glossary: &self.plant.glossary,
        };
        let (how, evaluation) = if others.is_empty() {
            let how = match self.on {
                On::Plant => "cross-validated on the plant's examples",
                On::File => "cross-validated on the file's own examples",
            };
            let mut progress = |progress| shown.show(progress);
            let lesson = lesson(self.examples);
            let evaluation = cross_validate(&lesson, &clock, &mut progress)?;
            (how.to_owned(), evaluation)
        } else {
            let how = format!(
                "trained on {} of the plant's examples, those without a text of the file",
                others.len()
            );
            let mut progress = |progress| shown.show(progress);
            let candidate = learn(&lesson(&others), &clock, &mut progress)?;
            drop(shown);
            let tuned = candidate
                .tuned
                .map(|file| encoder.tuned(&file))
                .transpose()?;
            let serving = Serving {
                head: Arc::new(candidate.head),
                tuned: tuned.map(|pair| Arc::new(pair) as Arc<dyn Embed>),
            };
            (how, self.evaluate(&serving)?)
        };
        let subject = Subject {
            name: contender.to_string(),
            how,
            calibrated: true,
            digests: self.digests(Some(encoder)),
        };
        Ok(answered(subject, evaluation))
    }
}

fn fold(text: &str) -> String {
    let folded = head::fold(text);
    let words: Vec<&str> = folded.split_whitespace().collect();
    words.join(" ")
}
