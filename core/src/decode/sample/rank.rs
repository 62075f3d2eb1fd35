//! Selection among weighted tokens without sorting them: the smallest set of the likeliest that reaches a mass.

/// Sorts ascending from the likeliest token to the least likely, ties by id.
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

/// Tokens that are looked at together.
const CHUNK: usize = 16;

/// Calls with the id of a chunk's first token and its weights, padded with 0.
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

/// The last key of the smallest prefix that reaches a mass, and the prefix's mass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    pub(super) key: u64,
    pub(super) through: f64,
}

/// Candidates of one row, unsorted, with a histogram over their weights when there are many.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranked {
    pub(super) keys: Vec<u64>,
    band: Vec<u64>,
    buckets: Vec<f64>,
}

impl Ranked {
    /// More keys than this get a histogram.
    const MANY: usize = 2048;
    /// 32 buckets an octave of weight.
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

    /// Takes tokens of at least this weight, and above zero.
    pub(super) fn collect(&mut self, weights: &[f32], least: f32) {
        let least = least.max(f32::MIN_POSITIVE);
        self.keys.clear();
        for_chunks(weights, |ids, chunk| self.take(ids, chunk, least));
    }

    /// Takes the k likeliest tokens and those equal to the k-th.
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

    /// Appends those of a chunk that weigh enough. Branch-free inside, as in flat rows every second one does.
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

    /// Drops what is less likely than the k-th (from 1); the k-th weight.
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

    /// The smallest prefix with at least this mass; `None` if all keys together have less.
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
        // Halve around the median until what is left is worth sorting.
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

    /// Keeps the tokens whose surprise is nearest to the entropy until `share` of `mass`, the sum of all, is reached.
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
