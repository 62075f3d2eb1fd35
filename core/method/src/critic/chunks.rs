//! Scoring pairs in chunks on all cores.

use super::pair::Pair;

/// Applies `scores` to chunks of pairs, on all cores unless on the web. Chunks are large, so that work that the pairs
/// of a chunk share is done once.
pub(super) fn by_chunk(pairs: &[Pair], scores: impl Fn(&[Pair]) -> Vec<f32> + Sync) -> Vec<f32> {
    const CHUNK: usize = 1 << 14;
    #[cfg(not(target_family = "wasm"))]
    if pairs.len() > CHUNK {
        use rayon::prelude::*;
        return pairs.par_chunks(CHUNK).map(&scores).collect::<Vec<_>>().concat();
    }
    pairs.chunks(CHUNK).flat_map(scores).collect()
}
