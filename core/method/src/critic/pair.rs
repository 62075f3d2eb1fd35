//! A pair of sentences, by their indices.

/// Indices of two siblings. x is the source, y the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// Index of x in the siblings.
    pub x: u32,
    /// Index of y in the siblings.
    pub y: u32,
}

impl Pair {
    /// The other direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { x: self.y, y: self.x }
    }

    /// The smaller index first.
    #[must_use]
    pub fn sorted(self) -> Self {
        if self.x <= self.y { self } else { self.reversed() }
    }
}
