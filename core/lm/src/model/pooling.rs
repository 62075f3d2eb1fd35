//! From the hidden states of a text to one vector, as sentence-transformers does (Reimers and Gurevych, 2019).

use burn::tensor::{Tensor, TensorData};
use serde_json::Value;

use super::config::Config;
use super::encoder::Batch;
use super::layers::{HIDDEN_SCORE, to};
use crate::{Error, Result};

/// How the states of a text's tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The state of the first token.
    First,
    /// The largest value of each dimension.
    Max,
    /// The mean of the states.
    Mean,
    /// The sum of the states divided by the square root of their number.
    MeanSqrt,
}

/// The entries of `1_Pooling/config.json`, in the order in which several are joined.
const MODES: [(&str, &str, Pooling); 4] = [
    ("pooling_mode_cls_token", "cls", Pooling::First),
    ("pooling_mode_max_tokens", "max", Pooling::Max),
    ("pooling_mode_mean_tokens", "mean", Pooling::Mean),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", Pooling::MeanSqrt),
];

impl Pooling {
    /// The kinds of pooling of a configuration, whose vectors are joined.
    ///
    /// # Errors
    /// [`Error::Config`] for a kind that is not supported, and for none.
    pub fn read(config: &Config) -> Result<Vec<Self>> {
        for entry in ["pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"] {
            config.only(entry, &["false"])?;
        }
        config.only("include_prompt", &["true"])?;
        let expected = "cls, max, mean or mean_sqrt_len_tokens";
        if let Some(mode) = config.get("pooling_mode") {
            let named = match mode {
                Value::Array(list) => list.clone(),
                one => vec![one.clone()],
            };
            let of = |name: &Value| MODES.iter().find(|(_, mode, _)| name == mode).map(|(.., pooling)| *pooling);
            let found: Option<Vec<Self>> = named.iter().take(MODES.len() + 1).map(of).collect();
            return found
                .filter(|f| (1..=MODES.len()).contains(&f.len()))
                .ok_or_else(|| config.wrong("pooling_mode", expected, mode));
        }
        let found: Vec<Self> = MODES
            .iter()
            .filter_map(|(entry, _, pooling)| {
                // As in the reference, the mean is off only if the file says so.
                let on = config.flag_or(entry, *pooling == Self::Mean);
                on.map(|on| on.then_some(*pooling)).transpose()
            })
            .collect::<Result<_>>()?;
        if found.is_empty() {
            return Err(Error::broken(config.file(), format!("it names no kind of pooling: {expected}")));
        }
        Ok(found)
    }

    /// `[rows * length, hidden] -> [rows, hidden]`
    pub(super) fn apply(self, states: Tensor<2>, batch: &Batch) -> Tensor<2> {
        match self {
            Self::Mean => mean(states, batch),
            Self::MeanSqrt => weighted(states, batch, |n| (0..n).map(move |_| 1.0 / (n as f32).sqrt())),
            Self::First => weighted(states, batch, |n| (0..n).map(|i| if i == 0 { 1.0 } else { 0.0 })),
            Self::Max => {
                let (rows, hidden) = (batch.rows(), states.dims()[1]);
                let states = states.reshape([rows, batch.length, hidden]);
                let padding = (batch.mask(&states.device()) - 1.0) * -HIDDEN_SCORE;
                (states + padding.reshape([rows, batch.length, 1])).max_dim(1).reshape([rows, hidden])
            }
        }
    }
}

/// The mean of the states of the real tokens, `[rows * length, hidden] -> [rows, hidden]`.
pub(super) fn mean(states: Tensor<2>, batch: &Batch) -> Tensor<2> {
    weighted(states, batch, |n| (0..n).map(move |_| 1.0 / n as f32))
}

/// Sums of states with the weights of the real tokens of a row.
fn weighted<I: Iterator<Item = f32>>(states: Tensor<2>, batch: &Batch, weights: impl Fn(usize) -> I) -> Tensor<2> {
    let (rows, hidden, device) = (batch.rows(), states.dims()[1], states.device());
    let mut values = vec![0.0; rows * batch.length];
    for (row, n) in values.chunks_mut(batch.length.max(1)).zip(&batch.lengths) {
        row.iter_mut().zip(weights(*n)).for_each(|(value, weight)| *value = weight);
    }
    let weights = Tensor::<3>::from_data(TensorData::new(values, [rows, batch.length, 1]), &device);
    let weights = to(weights, states.dtype());
    (states.reshape([rows, batch.length, hidden]) * weights).sum_dim(1).reshape([rows, hidden])
}
