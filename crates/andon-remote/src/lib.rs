//! A language model that runs elsewhere on the plant's network, behind any
//! server that speaks OpenAI's API.
//!
//! The server is an engine like the one in this process: it gets the same
//! requests, keeps the same deadlines, and what it answers is checked before it
//! is passed on. It is no upstream: nothing is redacted for it, no policy is
//! asked, and nothing escalates to it, so it has to stand inside the plant.
//! An [`Upstream`] may stand anywhere: it is given bytes that were redacted, allowed
//! and recorded before, and sends these. This crate reads no settings and no
//! environment; only an upstream is asked again after it failed.
//!
//! Start at [`RemoteModel::connect`] and [`Upstream::new`]. `line` holds the connections and says when
//! they end; `exchange` is one request and its answer; `generate` and `score`
//! are the two traits.

mod answer;
mod endpoint;
mod error;
mod events;
mod exchange;
mod generate;
mod grammar;
mod key;
mod line;
mod model;
mod score;
mod upstream;
mod wire;

pub use endpoint::Endpoint;
pub use error::ConnectError;
pub use key::Key;
pub use line::Patience;
pub use model::RemoteModel;
pub use upstream::{Trust, Upstream};
