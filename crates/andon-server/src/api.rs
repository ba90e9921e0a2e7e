//! Andon's own resources: tasks, runs, records and assets.

pub(crate) mod audit;
pub(crate) mod certificates;
pub(crate) mod inbox;
mod live;
pub(crate) mod plant;
pub(crate) mod promotions;
pub(crate) mod queue;
pub(crate) mod records;
pub(crate) mod runs;
pub(crate) mod view;
