//! Why a model was not loaded.

/// Why a model file was not loaded. The message names the file's part that is
/// wrong; the path is added by whoever read the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("the file could not be read")]
    Io(#[from] std::io::Error),
    /// The file is damaged, cut short or was made wrongly.
    #[error("the file is damaged: {0}; fetch it again")]
    Damaged(String),
    /// The file is sound but holds something that this version does not run.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The file is sound, but an adapter of another model, or tuned from another encoder.
    #[error("the file is for another model: {0}")]
    Foreign(String),
    /// There is an adapter of this name already.
    #[error("there is an adapter '{0}' already: give this one another name")]
    NameTaken(String),
}

/// A [`LoadError::Damaged`] with a formatted reason.
macro_rules! damaged {
    ($($arg:tt)*) => { $crate::error::LoadError::Damaged(format!($($arg)*)) };
}
pub(crate) use damaged;

/// A [`LoadError::Unsupported`] with a formatted reason.
macro_rules! unsupported {
    ($($arg:tt)*) => { $crate::error::LoadError::Unsupported(format!($($arg)*)) };
}
pub(crate) use unsupported;

/// A [`LoadError::Foreign`] with a formatted reason.
macro_rules! foreign {
    ($($arg:tt)*) => { $crate::error::LoadError::Foreign(format!($($arg)*)) };
}
pub(crate) use foreign;
