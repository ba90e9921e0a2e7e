//! The model store: models under `ANDON_HOME/models`, each a folder that is
//! either whole or not there.
//!
//! What a user typed becomes a [`Source`]; a fetch puts its files into a staging
//! folder on the same file system, verifies them and renames the folder into
//! place. [`Store`] is where to start reading. The store knows files and
//! digests; what is in a model is the engine's business.

mod catalogue;
mod download;
mod fetch;
mod manifest;
mod name;
mod pip;

mod source;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use catalogue::CATALOGUE;
pub(crate) use manifest::{Check, Manifest};
pub(crate) use name::ModelName;
pub(crate) use pip::how_to_install as how_to_install_pip;
pub(crate) use source::{HUB, Source, Trust};
pub(crate) use store::{Kept, Located, Request, State, Store};
