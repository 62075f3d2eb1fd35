//! One error type. Each variant names the thing, says what was expected and what was found.

use std::fmt;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the user's terms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value the user gave (flag, plan entry, seed text) cannot be used.
    #[error("{name}: expected {expected}, found {found}")]
    Input {
        /// The flag, plan entry or file.
        name: String,
        /// What would have been accepted.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A file or folder that must exist does not.
    #[error("{what} was not found in {place}. {hint}")]
    Missing {
        /// What was looked for.
        what: String,
        /// Where it was looked for.
        place: String,
        /// What the user can do now.
        hint: String,
    },
    /// A `config.json` entry that cannot describe a model.
    #[error("{file}: `{field}` must be {expected}, found {found}")]
    Config {
        /// The file.
        file: String,
        /// The entry.
        field: String,
        /// What would have been accepted.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A kind of model or file this project does not read.
    #[error("{file}: {found} is not supported; supported: {expected}")]
    Unsupported {
        /// The file.
        file: String,
        /// What was found.
        found: String,
        /// What is supported.
        expected: String,
    },
    /// A file whose bytes are not what its format demands.
    #[error("{file} is damaged or not what its name says: {reason}")]
    Broken {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A weight that does not fit the model.
    #[error("{file}: tensor `{tensor}`: expected {expected}, found {found}")]
    Tensor {
        /// The file.
        file: String,
        /// Name of the tensor in the file.
        tensor: String,
        /// Shape or type that the config demands.
        expected: String,
        /// Shape or type in the file.
        found: String,
    },
    /// NaN or infinity where only finite numbers make sense.
    #[error(
        "{place}: {what} is not finite. The weights are damaged, or the device computes them wrongly; try --device flex"
    )]
    NonFinite {
        /// The tensor or step.
        what: String,
        /// The file or stage.
        place: String,
    },
    /// A line of a JSONL or text file.
    #[error("{file}, line {line}: {reason}")]
    Line {
        /// The file.
        file: String,
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The compute device is not there or failed.
    #[error("device {device}: {reason}")]
    Device {
        /// The device asked for.
        device: String,
        /// Why not.
        reason: String,
    },
    /// Reading or writing failed; often worth another try.
    #[error("{action} {path}: {reason}")]
    Io {
        /// What was being done ("reading", "writing").
        action: &'static str,
        /// The file.
        path: String,
        /// The system's message.
        reason: String,
    },
    /// The user asked to stop; what was finished is saved.
    #[error("interrupted")]
    Interrupted,
}

/// What kind of failure it is; the binary's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// 1: may work when tried again (network, disk, device).
    Retry,
    /// 2: the input is wrong; the same call will fail again.
    WrongInput,
    /// 3: data on disk is broken.
    BrokenData,
    /// 130: the user stopped it.
    Interrupted,
}

impl ErrorKind {
    /// Exit code of the process.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Retry => 1,
            Self::WrongInput => 2,
            Self::BrokenData => 3,
            Self::Interrupted => 130,
        }
    }
}

impl Error {
    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Input { .. }
            | Self::Missing { .. }
            | Self::Config { .. }
            | Self::Unsupported { .. }
            | Self::Line { .. } => ErrorKind::WrongInput,
            Self::Broken { .. } | Self::Tensor { .. } | Self::NonFinite { .. } => ErrorKind::BrokenData,
            Self::Device { .. } | Self::Io { .. } => ErrorKind::Retry,
            Self::Interrupted => ErrorKind::Interrupted,
        }
    }

    /// [`Error::Input`] from anything printable.
    pub fn input(name: impl fmt::Display, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::Input { name: name.to_string(), expected: expected.to_string(), found: found.to_string() }
    }

    /// [`Error::Broken`] from anything printable.
    pub fn broken(file: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::Broken { file: file.to_string(), reason: reason.to_string() }
    }

    /// [`Error::Io`] from a system error.
    pub fn io(action: &'static str, path: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::Io { action, path: path.to_string(), reason: reason.to_string() }
    }
}
