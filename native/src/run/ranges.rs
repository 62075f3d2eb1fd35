//! Ranges of contexts: how a run is split, and what is not covered yet.

use std::ops::Range;

/// Splits contexts `0..count` into ranges of `size` and returns every `parts`-th of them, starting at index `part`
/// (from 0), so that `parts` machines share the work evenly.
#[must_use]
pub fn ranges(count: u64, size: u64, part: u64, parts: u64) -> Vec<Range<u64>> {
    let size = size.max(1);
    (0..count.div_ceil(size))
        .filter(|i| i % parts.max(1) == part)
        .map(|i| i * size..((i + 1).saturating_mul(size)).min(count))
        .collect()
}

/// The parts of `0..count` that sorted ranges do not cover.
pub(super) fn gaps(covered: impl Iterator<Item = Range<u64>>, count: u64) -> Vec<Range<u64>> {
    let (mut out, mut next) = (Vec::new(), 0);
    for range in covered.chain(std::iter::once(count..count)) {
        if range.start.min(count) > next {
            out.push(next..range.start.min(count));
        }
        next = next.max(range.end);
    }
    out
}
