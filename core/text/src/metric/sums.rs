//! Adding up the statistics of rows: a corpus score is computed from their sum.

/// Implements `+` and `sum()` for a type that has `+=` and whose default is zero.
macro_rules! sums {
    ($stats:ty) => {
        impl std::ops::Add for $stats {
            type Output = Self;

            fn add(mut self, other: Self) -> Self {
                self += other;
                self
            }
        }

        impl std::iter::Sum for $stats {
            fn sum<I: Iterator<Item = Self>>(rows: I) -> Self {
                rows.fold(Self::default(), |sum, row| sum + row)
            }
        }
    };
}

pub(super) use sums;
