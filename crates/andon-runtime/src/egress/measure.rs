//! What an upstream says to examples, to learn what it is worth: by the way that all
//! takes, and without keeping a run. And what was learnt, which routing heeds.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use andon_task::digest::Digest;
use andon_task::policy::Principal;
use andon_task::route::Reason;
use andon_task::run::Run;
use andon_task::task::Task;
use andon_task::upstream::{Delivery, Link};
use andon_task::worth::{Measure, Worth, basis};

use super::Egress;
use super::escalate::fields;
use super::passage::Order;
use super::question::Said;
use crate::error::Error;
use crate::intake::check_text;
use crate::node::Node;

/// What came of asking.
#[derive(Clone, Debug, PartialEq)]
pub enum Consulted {
    /// The run with its answer.
    Answered(Box<Run>),
    /// It says that what was sent does not hold the answer; the run with what left.
    Nothing(Box<Run>),
    /// Its answer was not what was asked for, twice.
    Unfit,
    /// Nothing was sent, or nothing came back.
    Closed(Reason, String),
    /// There is nothing to ask: the answer was computed.
    NothingToAsk,
}

/// By task and upstream what it is worth.
pub(super) type Worths = BTreeMap<(String, String), Worth>;

impl Egress {
    /// What an upstream is worth for a task.
    pub(super) fn worth(&self, task: &str, upstream: &str) -> Worth {
        let worths = self.worths.read().unwrap_or_else(PoisonError::into_inner);
        let known = worths.get(&(task.to_owned(), upstream.to_owned()));
        known.copied().unwrap_or_default()
    }
}

impl Node {
    /// What an upstream makes of a text that was answered here by `run`.
    ///
    /// # Errors
    /// If there is no such task or upstream, or the text is none.
    pub fn consult(
        &self,
        task: &str,
        upstream: &str,
        text: &str,
        run: Run,
    ) -> Result<Consulted, Error> {
        let task = self.task(task)?;
        check_text(text)?;
        let unknown = || Error::UnknownUpstream(upstream.to_owned());
        let egress = self.egress.as_ref().ok_or_else(unknown)?;
        let line = (egress.lines.iter())
            .find(|line| line.name() == upstream)
            .ok_or_else(unknown)?;
        let Some(question) = self.question(task, (None, text), &run) else {
            return Ok(Consulted::NothingToAsk);
        };
        let principal = Principal::Task(task.name.clone());
        let fields = fields(task);
        let order = Order {
            principal: &principal,
            fields: &fields,
            record: None,
            delivery: Delivery::Whole,
        };
        let closed = |reason, why: &str| Ok(Consulted::Closed(reason, why.to_owned()));
        if !egress.affords(line, question.bytes() / 3 + 1, question.tokens()) {
            return closed(Reason::Budget, "what may be spent on it is spent");
        }
        if line.upstream.link() == Link::Down {
            return closed(Reason::LinkDown, "it failed lately and is left alone");
        }
        // No record has this number.
        match egress.try_once(line, &order, task, 0, &question) {
            Ok((said, left)) => {
                let is_nothing = matches!(said, Said::Nothing);
                let run = Box::new(self.answered(task, run, said, left));
                Ok(match is_nothing {
                    true => Consulted::Nothing(run),
                    false => Consulted::Answered(run),
                })
            }
            Err(None) => closed(Reason::Busy, "as many requests wait as may"),
            Err(Some(error)) if error.is_of_answer() => Ok(Consulted::Unfit),
            Err(Some(error)) => closed(error.reason(), &error.to_string()),
        }
    }

    /// What a measure of an upstream for a task rests on today.
    ///
    /// # Errors
    /// If there is no such task, or the store fails.
    pub fn basis_of_worth(&self, task: &str, upstream: &str) -> Result<Digest, Error> {
        let task = self.task(task)?;
        let basis = self.basis_today(task, upstream)?;
        basis.ok_or_else(|| Error::UnknownUpstream(upstream.to_owned()))
    }

    fn basis_today(&self, task: &Task, upstream: &str) -> Result<Option<Digest>, Error> {
        let mut known = self.plant.settings.upstreams.iter();
        let Some(settings) = known.find(|settings| settings.name == upstream) else {
            return Ok(None);
        };
        let promoted = self.store.promoted(&task.name)?;
        let promoted = promoted.map(|promoted| promoted.digest);
        Ok(Some(basis(task, promoted, settings)))
    }

    /// Keeps a measure; it is heeded from now on.
    ///
    /// # Errors
    /// If the store fails.
    pub fn keep_measure(&self, measure: &Measure, by: Option<&str>) -> Result<(), Error> {
        self.store.insert_measure(measure, self.now(), by)?;
        self.refresh_worths()
    }

    /// Looks for what was measured since, and for what it rested on.
    pub(crate) fn refresh_worths(&self) -> Result<(), Error> {
        let Some(egress) = &self.egress else {
            return Ok(());
        };
        let mut worths = Worths::new();
        for measure in self.store.measures()? {
            let Some(task) = self.plant.tasks.get(&measure.task) else {
                continue;
            };
            if self.basis_today(task, &measure.upstream)? == Some(measure.basis) {
                let worth = measure.worth();
                worths.insert((measure.task, measure.upstream), worth);
            }
        }
        *egress
            .worths
            .write()
            .unwrap_or_else(PoisonError::into_inner) = worths;
        Ok(())
    }
}
