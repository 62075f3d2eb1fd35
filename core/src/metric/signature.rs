//! What a score was made with, as a string in the form of sacrebleu's signatures: `name:value` joined by `|`.

use std::fmt;

/// Version entry of a signature.
pub(super) const VERSION: &str = concat!("version:impossible-", env!("CARGO_PKG_VERSION"));

/// How many references the rows of a corpus have; prints as the number, or `var` where rows differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceCount {
    /// Every row has this many.
    Same(usize),
    /// Rows differ.
    Varying,
}

impl ReferenceCount {
    /// From the count of each row. No row gives `Same(0)`.
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
