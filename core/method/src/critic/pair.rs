//! Pairs of sentences, by index.

/// Indices of two siblings in their [`super::SentenceSet`]; x is the source, y the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// Index of the source sentence.
    pub x: u32,
    /// Index of the target sentence.
    pub y: u32,
}

impl Pair {
    /// The pair with x and y exchanged.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { x: self.y, y: self.x }
    }

    /// The pair with the smaller index as x.
    #[must_use]
    pub fn sorted(self) -> Self {
        if self.x <= self.y { self } else { self.reversed() }
    }
}
