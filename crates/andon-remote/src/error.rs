use andon_task::engine::EngineError;

/// Why a server cannot be used as an engine.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is none.
    #[error("'{0}' is no address of a server: give one as http://10.0.0.7:8000/v1#model")]
    Address(String),
    /// Plain HTTP to a place beyond the plant's network.
    #[error(
        "'{0}' is beyond loopback and private networks: use https, or an address of the plant's own network"
    )]
    Beyond(String),
    /// A file of certificates or of a key holds none.
    #[error("there is no PEM certificate {0} in its file: check the file")]
    Certificate(&'static str),
    /// The key cannot be sent.
    #[error("the key is empty or holds what no header can carry: give printable ASCII alone")]
    Key,
    /// The server has no model of this name.
    #[error("the server at {server} has no model '{wanted}': it has {found}")]
    NoSuchModel {
        /// The server.
        server: String,
        /// The model that was asked for.
        wanted: String,
        /// The models that it has.
        found: String,
    },
    /// No model was named, and the server does not have one alone.
    #[error("the server at {server} has {found}: name the model that is meant after '#'")]
    Unnamed {
        /// The server.
        server: String,
        /// The models that it has.
        found: String,
    },
    /// The server did not answer, or not as an OpenAI-compatible server does.
    #[error("the server at {server} cannot be used")]
    Server {
        /// The server.
        server: String,
        /// What happened.
        source: EngineError,
    },
}
