//! Rotary position embeddings (Su et al., 2021) and the ways to scale them to longer texts. Reference implementation:
//! `modeling_rope_utils` of transformers.

use std::f64::consts::PI;

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Map, Value};

use super::config::{Config, POSITIONS};
use super::decoder::Rotation;
use super::layers::to;
use crate::Result;

/// Rotary position embeddings of some layers of a model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rope {
    /// Angle per position of each pair of values.
    frequencies: Vec<f64>,
    /// Factor of cos and sin.
    scale: f64,
    /// Largest number of positions for which the embeddings are those of the reference, if they have such a limit.
    pub limit: Option<usize>,
}

/// The length that positions are scaled from.
const ORIGINAL: &str = "original_max_position_embeddings";

/// The entries that describe rotary embeddings: those of transformers 5 in `rope_parameters`, or the older `rope_theta`
/// and `rope_scaling`.
struct Entries<'a> {
    config: &'a Config,
    /// Name of the entry, for messages.
    name: &'static str,
    values: Map<String, Value>,
}

impl<'a> Entries<'a> {
    fn read(config: &'a Config, kind: Option<&str>) -> Result<Self> {
        let object = |name: &'static str| match config.get(name) {
            None => Ok(None),
            Some(Value::Object(entries)) => Ok(Some(entries)),
            Some(other) => Err(config.wrong(name, "an object with the type of rotary embeddings", other)),
        };
        // As in the reference, where the older entry replaces the newer one.
        let (name, found) = match object("rope_scaling")? {
            Some(entries) => ("rope_scaling", Some(entries)),
            None => ("rope_parameters", object("rope_parameters")?),
        };
        let found = found.map(|entries| match kind.and_then(|kind| entries.get(kind)) {
            Some(Value::Object(of_kind)) => of_kind,
            _ => entries,
        });
        Ok(Self { config, name, values: found.cloned().unwrap_or_default() })
    }

    fn number(&self, field: &str) -> Result<Option<f64>> {
        let Some(value) = self.values.get(field).filter(|value| !value.is_null()) else { return Ok(None) };
        let number = value.as_f64().filter(|number| number.is_finite() && *number > 0.0);
        number.map(Some).ok_or_else(|| self.wrong(field, "a positive number", value))
    }

    fn needed(&self, field: &str) -> Result<f64> {
        self.number(field)?.ok_or_else(|| self.wrong(field, "a positive number", "nothing"))
    }

    fn wrong(&self, field: &str, expected: &str, found: impl std::fmt::Display) -> crate::Error {
        self.config.wrong(&format!("{}.{field}", self.name), expected, found)
    }

    fn kind(&self) -> &str {
        let named = |field: &str| self.values.get(field).and_then(Value::as_str);
        match named("rope_type").or_else(|| named("type")).unwrap_or("default") {
            // Old names of LongRoPE in Phi 3.
            "su" => "longrope",
            "yarn" if self.values.contains_key("short_factor") => "longrope",
            kind => kind,
        }
    }

    fn factors(&self, field: &str, pairs: usize) -> Result<Vec<f64>> {
        let list = self.values.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
        let numbers: Vec<f64> = list.iter().filter_map(Value::as_f64).filter(|f| f.is_finite() && *f > 0.0).collect();
        if numbers.len() == pairs && list.len() == pairs {
            return Ok(numbers);
        }
        Err(self.wrong(field, &format!("{pairs} positive numbers"), format!("{} of them", numbers.len())))
    }
}

impl Rope {
    /// Embeddings of heads of this width, with the base `theta` if the configuration has none. `kind` is the kind of
    /// layer whose entries are read, where layers differ.
    pub(super) fn read(config: &Config, head_dim: usize, theta: f64, kind: Option<&str>) -> Result<Self> {
        Self::of_part(config, head_dim, theta, kind, false)
    }

    /// As [`Rope::read`] of a model that rotates `partial_rotary_factor` of each head also without scaling, where
    /// `partial` says so; the reference of the others reads this entry only if positions are scaled.
    pub(super) fn of_part(
        config: &Config,
        head_dim: usize,
        theta: f64,
        kind: Option<&str>,
        partial: bool,
    ) -> Result<Self> {
        let entries = Entries::read(config, kind)?;
        let theta = match entries.number("rope_theta")? {
            Some(theta) => theta,
            None => config.positive_or("rope_theta", theta)?,
        };
        let share = match entries.number("partial_rotary_factor")? {
            Some(share) => share,
            None => config.positive_or("partial_rotary_factor", 1.0)?,
        };
        let share = if partial || entries.kind() != "default" { share } else { 1.0 };
        Self::scaled(&entries, Self::dimensions(config, head_dim, share)?, theta)
    }

    /// Unscaled embeddings of the first `share` of each head.
    pub(super) fn plain(config: &Config, head_dim: usize, theta: f64, share: f64) -> Result<Self> {
        Ok(Self {
            frequencies: frequencies(Self::dimensions(config, head_dim, share)?, theta),
            scale: 1.0,
            limit: None,
        })
    }

    /// Number of values of a head that are rotated.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    fn dimensions(config: &Config, head_dim: usize, share: f64) -> Result<usize> {
        let dim = (head_dim as f64 * share.min(1.0)) as usize;
        if dim >= 2 && dim.is_multiple_of(2) {
            return Ok(dim);
        }
        let found = format!("{dim} of the {head_dim} values of a head");
        Err(config.wrong("head_dim", "an even number of values that rotary positions turn", found))
    }

    #[allow(clippy::cast_precision_loss)]
    fn scaled(entries: &Entries<'_>, dim: usize, theta: f64) -> Result<Self> {
        let plain = frequencies(dim, theta);
        let longest = entries.config.size_or("max_position_embeddings", POSITIONS, 2048)? as f64;
        let original = || -> Result<f64> {
            if entries.config.get(ORIGINAL).is_some() {
                return Ok(entries.config.size(ORIGINAL, POSITIONS)? as f64);
            }
            Ok(entries.number(ORIGINAL)?.unwrap_or(longest))
        };
        let of = |frequencies| Ok(Self { frequencies, scale: 1.0, limit: None });
        match entries.kind() {
            "default" | "none" => of(plain),
            "linear" => {
                let factor = entries.needed("factor")?;
                of(plain.into_iter().map(|f| f / factor).collect())
            }
            // Its base changes beyond `max_position_embeddings` only, which is the longest text here.
            "dynamic" => entries.needed("factor").and_then(|_| of(plain)),
            "llama3" => {
                let bounds = [entries.needed("low_freq_factor")?, entries.needed("high_freq_factor")?];
                let (factor, found) = (entries.needed("factor")?, original()?);
                let original = if entries.config.get(ORIGINAL).is_some() { found } else { entries.needed(ORIGINAL)? };
                of(plain.into_iter().map(|f| llama3(f, factor, bounds, original)).collect())
            }
            "yarn" => yarn(entries, &plain, theta, (longest, original()?)),
            "longrope" => longrope(entries, &plain, (longest, original()?)),
            other => {
                let expected = "default, linear, dynamic, llama3, yarn or longrope";
                Err(entries.wrong("rope_type", expected, format!("\"{other}\"")))
            }
        }
    }

    /// cos and sin of positions, listed row by row: `[rows, 1, new, dimensions]`; both halves have the same values.
    pub(super) fn rotation(&self, rows: usize, positions: &[u32], device: &Device) -> Rotation {
        let dim = 2 * self.frequencies.len();
        let (mut cos, mut sin) = (Vec::with_capacity(positions.len() * dim), Vec::with_capacity(positions.len() * dim));
        for &p in positions {
            for _ in 0..2 {
                for f in &self.frequencies {
                    let angle = f64::from(p) * f;
                    #[allow(clippy::cast_possible_truncation)]
                    {
                        cos.push((angle.cos() * self.scale) as f32);
                        sin.push((angle.sin() * self.scale) as f32);
                    }
                }
            }
        }
        let shape = [rows, 1, positions.len() / rows, dim];
        (Tensor::from_data(TensorData::new(cos, shape), device), Tensor::from_data(TensorData::new(sin, shape), device))
    }
}

#[allow(clippy::cast_precision_loss)]
fn frequencies(dim: usize, theta: f64) -> Vec<f64> {
    (0..dim / 2).map(|i| theta.powf(-2.0 * i as f64 / dim as f64)).collect()
}

/// Slow rotations are slowed down by the factor, fast ones kept, those between interpolated (Llama 3.1).
fn llama3(frequency: f64, factor: f64, [low, high]: [f64; 2], original: f64) -> f64 {
    let turns = original * frequency / (2.0 * PI);
    if turns < low {
        frequency / factor
    } else if turns > high {
        frequency
    } else {
        let smooth = (turns - low) / (high - low);
        (1.0 - smooth) * frequency / factor + smooth * frequency
    }
}

/// YaRN (Peng et al., 2023).
#[allow(clippy::cast_precision_loss)]
fn yarn(entries: &Entries<'_>, plain: &[f64], theta: f64, (longest, original): (f64, f64)) -> Result<Rope> {
    let dim = 2.0 * plain.len() as f64;
    let factor = entries.number("factor")?.unwrap_or(longest / original);
    let at = |turns: f64| dim * (original / (turns * 2.0 * PI)).ln() / (2.0 * theta.ln());
    let (fast, slow) = (entries.number("beta_fast")?.unwrap_or(32.0), entries.number("beta_slow")?.unwrap_or(1.0));
    let (mut low, mut high) = (at(fast), at(slow));
    if entries.values.get("truncate").and_then(Value::as_bool).unwrap_or(true) {
        (low, high) = (low.floor(), high.ceil());
    }
    (low, high) = (low.max(0.0), high.min(dim - 1.0));
    if (high - low).abs() < f64::EPSILON {
        high += 0.001;
    }
    let frequencies = plain.iter().enumerate().map(|(i, f)| {
        let slowed = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
        f / factor * slowed + f * (1.0 - slowed)
    });
    let share = |m: f64| if factor <= 1.0 { 1.0 } else { 0.1 * m * factor.ln() + 1.0 };
    let scale =
        match (entries.number("attention_factor")?, entries.number("mscale")?, entries.number("mscale_all_dim")?) {
            (Some(factor), ..) => factor,
            (None, Some(mscale), Some(all)) => share(mscale) / share(all),
            _ => share(1.0),
        };
    Ok(Rope { frequencies: frequencies.collect(), scale, limit: None })
}

/// LongRoPE (Ding et al., 2024) of texts within the original length; longer ones use other factors.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn longrope(entries: &Entries<'_>, plain: &[f64], (longest, original): (f64, f64)) -> Result<Rope> {
    let short = entries.factors("short_factor", plain.len())?;
    let factor = entries.number("factor")?.unwrap_or(longest / original);
    let scale = match entries.number("attention_factor")? {
        Some(factor) => factor,
        None if factor <= 1.0 => 1.0,
        None => (1.0 + factor.ln() / original.ln()).sqrt(),
    };
    let frequencies = plain.iter().zip(short).map(|(f, short)| f / short).collect();
    Ok(Rope { frequencies, scale, limit: Some(original as usize) })
}

/// Applies rotary position embeddings to the first values of each head, as many as cos and sin have:
/// `x cos + (-x2, x1) sin`, where x1 and x2 are the halves of these values.
pub(super) fn rotate(x: Tensor<4>, (cos, sin): &Rotation) -> Tensor<4> {
    let [rows, heads, new, head] = x.dims();
    let dim = cos.dims()[3];
    let part = |from: usize, to: usize| x.clone().slice([0..rows, 0..heads, 0..new, from..to]);
    let turned = Tensor::cat(vec![-part(dim / 2, dim), part(0, dim / 2)], 3);
    let [cos, sin] = [cos, sin].map(|t| to(t.clone(), x.dtype()));
    if dim == head {
        return x * cos + turned * sin;
    }
    Tensor::cat(vec![part(0, dim) * cos + turned * sin, part(dim, head)], 3)
}
