//! The error type of all crates. Messages name the file or setting, what was expected and what was found.

use std::fmt;

/// `Result` with [`Error`] as the default error type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the user's terms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value that the user supplied (a flag, a plan entry, a seed text) cannot be used.
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
    /// An invalid entry of a model's `config.json`.
    #[error("{file}: `{field}` must be {expected}, found {found}")]
    Config {
        /// Name of the configuration file.
        file: String,
        /// Name of the entry.
        field: String,
        /// What would have been accepted.
        expected: String,
        /// The value in the file.
        found: String,
    },
    /// An architecture, file format or feature that this project does not support.
    #[error("{file}: {found} is not supported; supported: {expected}")]
    Unsupported {
        /// Name of the file.
        file: String,
        /// The unsupported kind, as the file names it.
        found: String,
        /// What is supported.
        expected: String,
    },
    /// A file whose content does not follow its format.
    #[error("{file} is damaged or not what its name says: {reason}")]
    Broken {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor whose shape or type does not fit the model.
    #[error("{file}: tensor `{tensor}`: expected {expected}, found {found}")]
    Tensor {
        /// The file.
        file: String,
        /// Name of the tensor in the file.
        tensor: String,
        /// Shape or type that the configuration requires.
        expected: String,
        /// Shape or type in the file.
        found: String,
    },
    /// NaN or infinity in weights or in computed values.
    #[error(
        "{place}: {what} is not finite. The weights are damaged, or the device computes them wrongly; try --device flex"
    )]
    NonFinite {
        /// The tensor or quantity.
        what: String,
        /// The file, stage or training step.
        place: String,
    },
    /// An invalid line of a JSONL or text file.
    #[error("{file}, line {line}: {reason}")]
    Line {
        /// The file.
        file: String,
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The compute device is not available, or it failed.
    #[error("device {device}: {reason}")]
    Device {
        /// The requested device.
        device: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// Reading or writing failed; trying again may help.
    #[error("{action} {path}: {reason}")]
    Io {
        /// The operation: "reading", "writing", "removing".
        action: &'static str,
        /// The file or folder.
        path: String,
        /// The operating system's message.
        reason: String,
    },
    /// The user asked to stop; finished work has been saved.
    #[error("interrupted")]
    Interrupted,
}

/// Kinds of failure, each with an exit code of the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Exit code 1: the same command may succeed later (network, disk, device).
    Retry,
    /// Exit code 2: the input is wrong, and the same command will fail again.
    WrongInput,
    /// Exit code 3: a file is damaged, or its values are not finite.
    BrokenData,
    /// Exit code 130: the user stopped the command.
    Interrupted,
}

impl ErrorKind {
    /// The exit code of the process.
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
    /// The kind of failure, which decides the exit code.
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

    /// An [`Error::Input`].
    pub fn input(name: impl fmt::Display, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::Input { name: name.to_string(), expected: expected.to_string(), found: found.to_string() }
    }

    /// An [`Error::Broken`].
    pub fn broken(file: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::Broken { file: file.to_string(), reason: reason.to_string() }
    }

    /// An [`Error::Io`]; `reason` is usually the [`std::io::Error`].
    pub fn io(action: &'static str, path: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::Io { action, path: path.to_string(), reason: reason.to_string() }
    }
}
