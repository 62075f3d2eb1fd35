//! Rows of similar length in batches, which the CPU computes in parallel lanes.

use burn::tensor::Tensor;

use record::Monitor;

use crate::device::to_host;
use crate::{Error, Result};

/// Most tokens per batch, padding included. On the CPU a batch should fit the caches and there should be enough batches
/// for all cores; a GPU needs large batches.
const HOST_TOKENS: usize = 512;
const GPU_TOKENS: usize = 2048;

/// Most batches computed in parallel on the CPU; each needs memory for its activations.
#[cfg(not(target_family = "wasm"))]
const LANES: usize = 8;

/// What the monitor counts for a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Counted {
    Pairs,
    Nothing,
}

impl Counted {
    fn count(self, rows: usize, monitor: &mut Monitor<'_>) -> Result<()> {
        match self {
            Self::Pairs => monitor.scored(rows as u64),
            Self::Nothing => monitor.tell(),
        }
    }
}

/// Indices of rows in batches of similar length, shortest first.
pub(crate) struct Batches {
    batches: Vec<Vec<usize>>,
    #[cfg(not(target_family = "wasm"))]
    is_host: bool,
}

impl Batches {
    /// Batches of rows with these numbers of tokens; rows of length 0 are left out.
    pub(crate) fn new(lengths: impl Iterator<Item = usize>, is_host: bool) -> Self {
        let most = if is_host { HOST_TOKENS } else { GPU_TOKENS };
        let mut order: Vec<(usize, usize)> = lengths.zip(0..).filter(|&(length, _)| length > 0).collect();
        order.sort_unstable();
        let mut batches: Vec<Vec<usize>> = Vec::new();
        for (length, i) in order {
            match batches.last_mut() {
                Some(batch) if (batch.len() + 1) * length <= most => batch.push(i),
                _ => batches.push(vec![i]),
            }
        }
        Self {
            batches,
            #[cfg(not(target_family = "wasm"))]
            is_host,
        }
    }

    /// Computes every batch with `forward` and passes its rows and their values to `each`, in any order.
    ///
    /// # Errors
    /// The first error of `forward`; [`Error::Interrupted`] when the host asked to stop.
    pub(crate) async fn run<F: Future<Output = Result<Vec<f32>>>>(
        self,
        forward: impl Fn(&[usize]) -> F + Sync,
        (counted, monitor): (Counted, &mut Monitor<'_>),
        mut each: impl FnMut(&[usize], &[f32]),
    ) -> Result<()> {
        #[cfg(not(target_family = "wasm"))]
        if self.is_host && self.batches.len() > 1 {
            use crate::lanes::{cores, scatter, wait};
            let mut ended = None;
            // The longest batches first, so that all lanes finish at about the same time.
            scatter(
                cores().min(LANES),
                self.batches.iter().rev().collect(),
                |rows: &Vec<usize>, send| {
                    send((rows, wait(forward(rows))));
                },
                |(rows, values)| {
                    let counted = values.and_then(|values| {
                        each(rows, &values);
                        counted.count(rows.len(), monitor)
                    });
                    // Lanes at work when one of them failed still answer: the first error stays.
                    if let Err(error) = counted {
                        ended.get_or_insert(error);
                    }
                    ended.is_none()
                },
            )?;
            return ended.map_or(Ok(()), Err);
        }
        for rows in &self.batches {
            each(rows, &forward(rows).await?);
            counted.count(rows.len(), monitor)?;
            monitor.rest().await;
        }
        Ok(())
    }
}

/// A tensor's values.
///
/// # Errors
/// [`Error::NonFinite`] names `place` if one is NaN or infinite; errors of the device.
pub(crate) async fn values(values: Tensor<2>, place: &str) -> Result<Vec<f32>> {
    let values = to_host(values).await?;
    if values.iter().all(|v| v.is_finite()) {
        Ok(values)
    } else {
        Err(Error::NonFinite { what: "an output".into(), place: place.into() })
    }
}
