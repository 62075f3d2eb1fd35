//! Selection among weighted tokens without sorting them all: the smallest set of most likely tokens that reaches a
//! mass.

/// A sort key whose ascending order runs from the most to the least likely token, ties by id.
pub(super) fn key(weight: f32, id: u32) -> u64 {
    u64::from(!weight.to_bits()) << 32 | u64::from(id)
}

pub(super) fn weight(key: u64) -> f32 {
    f32::from_bits(!((key >> 32) as u32))
}

pub(super) fn token(key: u64) -> u32 {
    key as u32
}

fn mass_of(keys: &[u64]) -> f64 {
    keys.iter().map(|&key| f64::from(weight(key))).sum()
}

/// Number of tokens that are processed together.
const CHUNK: usize = 16;

/// Calls `call` for each chunk with the id of its first token and its weights, padded with 0.
fn for_chunks(weights: &[f32], mut call: impl FnMut(u32, &[f32; CHUNK])) {
    let (chunks, rest) = weights.as_chunks::<CHUNK>();
    let mut first = 0;
    for chunk in chunks {
        call(first, chunk);
        first += CHUNK as u32;
    }
    let mut last = [0.0; CHUNK];
    last[..rest.len()].copy_from_slice(rest);
    call(first, &last);
}

/// The last key of the smallest prefix that reaches a mass, and the mass of that prefix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    pub(super) key: u64,
    pub(super) through: f64,
}

/// The unsorted candidates of one row, with a histogram of their weights if there are many.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranked {
    pub(super) keys: Vec<u64>,
    band: Vec<u64>,
    buckets: Vec<f64>,
}

impl Ranked {
    /// The histogram is built for more keys than this.
    const MANY: usize = 2048;
    /// Bits of the weight below the bucket number: leaves 32 buckets per octave.
    const SHIFT: u32 = 18;

    pub(super) fn mass(&self) -> f64 {
        mass_of(&self.keys)
    }

    pub(super) fn least_likely(&self) -> u32 {
        token(self.keys.iter().copied().max().unwrap_or_default())
    }

    fn bucket(key: u64) -> usize {
        const ONE: u32 = !1.0_f32.to_bits();
        (((key >> 32) as u32).saturating_sub(ONE) >> Self::SHIFT) as usize
    }

    /// Collects the tokens whose weight is positive and at least `least`.
    pub(super) fn collect(&mut self, weights: &[f32], least: f32) {
        let least = least.max(f32::MIN_POSITIVE);
        self.keys.clear();
        for_chunks(weights, |ids, chunk| self.take(ids, chunk, least));
    }

    /// Collects the k most likely tokens and those equal to the k-th.
    pub(super) fn collect_top(&mut self, weights: &[f32], k: usize) {
        let (mut least, mut limit) = (f32::MIN_POSITIVE, 2 * k + 1024);
        self.keys.clear();
        for_chunks(weights, |ids, chunk| {
            self.take(ids, chunk, least);
            if self.keys.len() > limit {
                least = self.truncate(k);
                limit = 2 * self.keys.len() + 1024;
            }
        });
        self.truncate(k);
    }

    /// Appends the tokens of a chunk with sufficient weight. The loop is branch-free, since in flat rows about half of
    /// them have it.
    fn take(&mut self, first: u32, chunk: &[f32; CHUNK], least: f32) {
        let mut any = 0;
        for w in chunk {
            any |= u32::from(*w >= least);
        }
        if any == 0 {
            return;
        }
        let (mut found, mut n) = ([0; CHUNK], 0);
        for (id, &w) in (first..).zip(chunk) {
            found[n % CHUNK] = key(w, id);
            n += usize::from(w >= least);
        }
        self.keys.extend_from_slice(&found[..n]);
    }

    /// Drops tokens less likely than the k-th (from 1), and returns the k-th weight.
    pub(super) fn truncate(&mut self, k: usize) -> f32 {
        if k == 0 || self.keys.len() <= k {
            return f32::MIN_POSITIVE;
        }
        let (_, &mut kth, _) = self.keys.select_nth_unstable(k - 1);
        self.keys.retain(|&key| weight(key) >= weight(kth));
        weight(kth)
    }

    /// Must be called after `keys` changed and before `locate`.
    pub(super) fn prepare(&mut self) {
        self.buckets.clear();
        if self.keys.len() > Self::MANY {
            self.buckets.resize(Self::bucket(key(f32::MIN_POSITIVE, 0)) + 2, 0.0);
            for &key in &self.keys {
                if let Some(bucket) = self.buckets.get_mut(Self::bucket(key)) {
                    *bucket += f64::from(weight(key));
                }
            }
        }
    }

    /// The end of the smallest prefix with at least this mass; `None` if all keys together have less.
    pub(super) fn locate(&mut self, target: f64) -> Option<Cut> {
        let Self { keys, band, buckets } = self;
        band.clear();
        let mut before = 0.0;
        if buckets.is_empty() {
            band.extend_from_slice(keys);
        } else {
            let wanted = buckets.iter().position(|mass| {
                let reached = *mass > 0.0 && before + mass >= target;
                before += if reached { 0.0 } else { *mass };
                reached
            })?;
            band.extend(keys.iter().filter(|&&key| Self::bucket(key) == wanted));
        }
        // Bisect around the median until the remainder is small enough to sort.
        let (mut low, mut high) = (0, band.len());
        while high - low > 48 {
            let middle = low.midpoint(high);
            band[low..high].select_nth_unstable(middle - low);
            let half = mass_of(&band[low..middle]);
            if before + half >= target {
                high = middle;
            } else {
                (low, before) = (middle, before + half);
            }
        }
        band[low..high].sort_unstable();
        for &key in &band[low..high] {
            before += f64::from(weight(key));
            if before >= target {
                return Some(Cut { key, through: before });
            }
        }
        None
    }

    /// Keeps the tokens whose surprisal is closest to the entropy until the fraction `share` of `mass`, the sum over
    /// all, is reached.
    pub(super) fn keep_typical(&mut self, share: f64, mass: f64, away: &mut Vec<(f64, u64)>) {
        let surprise = |key: u64| -(f64::from(weight(key)) / mass).ln();
        let entropy: f64 = self.keys.iter().map(|&key| f64::from(weight(key)) / mass * surprise(key)).sum();
        away.clear();
        away.extend(self.keys.iter().map(|&key| ((surprise(key) - entropy).abs(), key)));
        away.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut sum = 0.0;
        let last = away.iter().find(|(_, key)| {
            sum += f64::from(weight(*key));
            sum >= share * mass
        });
        let most = last.map_or(f64::INFINITY, |&(away, _)| away);
        self.keys.clear();
        self.keys.extend(away.iter().take_while(|(away, _)| *away <= most).map(|&(_, key)| key));
    }
}
