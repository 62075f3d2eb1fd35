//! Maximum likelihood: the cross-entropy of target tokens and its gradient at the logits, computed without a graph, so
//! that logits over the whole vocabulary are held for only a few tokens at a time.

use burn::tensor::{DType, Tensor, activation};

use crate::Result;
use crate::model::kernels;
use crate::model::layers::{ids, to};

use super::parameters::host;

/// Sum of the cross-entropies of `labels`, in nats, and its gradient at the logits times `scale`. With label smoothing
/// e the target distribution is `(1 - e) onehot + e / vocabulary`. Computed in f32 for logits of any precision.
///
/// # Shapes
/// `logits [n, vocabulary]`, `labels [n]` `-> gradient [n, vocabulary]`
///
/// # Errors
/// [`crate::Error::Device`] when the device fails.
pub async fn cross_entropy(logits: Tensor<2>, labels: &[u32], smoothing: f32, scale: f32) -> Result<(f64, Tensor<2>)> {
    let logits = to(logits, DType::F32);
    if crate::device::is_flex(&logits.device()) {
        return Ok(kernels::cross_entropy(logits, labels, smoothing, scale));
    }
    let [n, vocabulary] = logits.dims();
    let index = ids(labels.iter().copied(), &logits.device()).reshape([n, 1]);
    let log_p = activation::log_softmax(logits, 1);
    #[allow(clippy::cast_precision_loss)]
    let each = smoothing / vocabulary as f32;
    let picked = log_p.clone().gather(1, index.clone()) * (smoothing - 1.0);
    let losses = picked - log_p.clone().sum_dim(1) * each;
    let total = host(losses.sum()).await?;
    let gradient = (log_p.exp() - each) * scale;
    let correct = Tensor::<2>::full([n, 1], (smoothing - 1.0) * scale, &gradient.device());
    let gradient = gradient.scatter(1, index, correct, burn::tensor::IndexingUpdateOp::Add);
    Ok((total.first().copied().map_or(0.0, f64::from), gradient))
}
