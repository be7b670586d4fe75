//! Why a command did not end well, and so what the exit status is.

/// A command's end other than success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command did its work and found something: exit status 1.
    Finding(String),
    /// The command could not do its work: exit status 2.
    Error(String),
    /// The user stopped it.
    Interrupted(String),
}

impl<E: core::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(error.to_string())
    }
}
