//! The settings behind a score, as a string in the form of sacrebleu's signatures: `name:value` pairs joined by `|`.

use std::fmt;

/// The version entry of every signature.
pub(super) const VERSION: &str = concat!("version:impossible-", env!("CARGO_PKG_VERSION"));

/// The number of references per row of a corpus; displayed as the number, or as `var` if rows differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceCount {
    /// Every row has this many references.
    Same(usize),
    /// The number differs between rows.
    Varying,
}

impl ReferenceCount {
    /// Summarises the number of references of each row; no rows give `Same(0)`.
    pub fn of(rows: impl IntoIterator<Item = usize>) -> Self {
        let mut rows = rows.into_iter();
        let first = rows.next().unwrap_or(0);
        if rows.all(|count| count == first) { Self::Same(first) } else { Self::Varying }
    }
}

impl fmt::Display for ReferenceCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(count) => write!(f, "{count}"),
            Self::Varying => f.write_str("var"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        assert_eq!(ReferenceCount::of([3, 3]).to_string(), "3");
        assert_eq!(ReferenceCount::of([3, 1]).to_string(), "var");
        assert_eq!(ReferenceCount::of([]), ReferenceCount::Same(0));
    }
}
