//! The rotary position embeddings of a model in a GGUF file, as entries of a `config.json`.

use std::f64::consts::PI;

use serde_json::{Map, Value as Json, json};

use super::file::{Gguf, unsupported};
use super::reader::Value;
use super::settings::{Settings, Sizes};
use crate::{Error, Result};

/// Tensors with the divisors of frequencies: of Llama 3.1, and of Phi 3 for long and for short texts.
const FREQUENCIES: &str = "rope_freqs.weight";
const LONG: &str = "rope_factors_long.weight";
const SHORT: &str = "rope_factors_short.weight";

/// The divisors that the converter computes in single precision differ from exact ones by less than this.
const ROUNDING: f64 = 1e-5;

/// Whether this tensor describes rotary embeddings of the architecture, and is not a weight.
pub(super) fn is_rotary(architecture: &str, tensor: &str) -> bool {
    match architecture {
        "llama" => tensor == FREQUENCIES,
        "phi3" => tensor == LONG || tensor == SHORT,
        _ => false,
    }
}

/// Entries for the base of the frequencies, their scaling, and the share of a head that is rotated.
///
/// # Errors
/// [`Error::Unsupported`] names what cannot be presented; [`Error::Config`] and [`Error::Tensor`] for invalid entries.
pub(super) fn rotary(settings: &Settings<'_>, sizes: &Sizes) -> Result<Map<String, Json>> {
    let mut entries = Map::new();
    let base = settings.positive("rope.freq_base")?.unwrap_or(10_000.0);
    entries.insert("rope_theta".to_owned(), base.into());
    if sizes.rotated != sizes.head {
        entries.insert("partial_rotary_factor".to_owned(), share(sizes.rotated, sizes.head).into());
    }
    if settings.architecture.name == "phi3" {
        let original = settings.whole_or("rope.scaling.original_context_length", sizes.context)?;
        entries.insert("original_max_position_embeddings".to_owned(), original.into());
    }
    let scaling = match settings.architecture.name {
        "llama" if settings.gguf.info(FREQUENCIES).is_some() => divided(settings, sizes, base)?,
        "phi3" if [LONG, SHORT].iter().any(|name| settings.gguf.info(name).is_some()) => longrope(settings, sizes)?,
        _ => scaling(settings)?,
    };
    entries.insert("rope_scaling".to_owned(), scaling);
    Ok(entries)
}

/// The share of the values of a head that are rotated, from which a reader computes their number by rounding down.
#[allow(clippy::cast_precision_loss)]
fn share(rotated: usize, head: usize) -> f64 {
    let (rotated, head) = (rotated as f64, head as f64);
    let share = rotated / head;
    if share * head < rotated { (rotated + 0.25) / head } else { share }
}

/// `rope.scaling.type`; `None` for embeddings that are not scaled.
fn kind<'a>(settings: &Settings<'a>) -> Result<Option<&'a str>> {
    match settings.get("rope.scaling.type") {
        None => {
            // As llama.cpp reads older files.
            let factor = settings.optional_positive("rope.scaling.factor")?.is_some_and(|factor| factor != 1.0);
            Ok(factor.then_some("linear"))
        }
        Some(Value::String(kind)) => Ok(Some(kind.as_str()).filter(|kind| *kind != "none")),
        Some(_) => Err(settings.wrong("rope.scaling.type", "none, linear, yarn or longrope")),
    }
}

fn needed(settings: &Settings<'_>, key: &str) -> Result<f64> {
    settings.positive(key)?.ok_or_else(|| settings.wrong(key, "a number above 0"))
}

fn scaling(settings: &Settings<'_>) -> Result<Json> {
    let kind = kind(settings)?;
    if settings.get("rope.scaling.attn_factor").is_some() {
        let found = "`rope.scaling.attn_factor` without factors of frequencies";
        return Err(unsupported(settings.gguf, found, "this entry with the tensors of LongRoPE"));
    }
    match kind {
        None => Ok(Json::Null),
        Some("linear") => Ok(json!({ "rope_type": "linear", "factor": needed(settings, "rope.scaling.factor")? })),
        Some("yarn") => {
            let mut yarn = json!({
                "rope_type": "yarn",
                "factor": needed(settings, "rope.scaling.factor")?,
                "original_max_position_embeddings": settings.whole("rope.scaling.original_context_length")?,
            });
            for beta in ["beta_fast", "beta_slow"] {
                if let Some(value) = settings.positive(&format!("rope.scaling.yarn_{beta}"))? {
                    yarn[beta] = value.into();
                }
            }
            Ok(yarn)
        }
        Some(other) => {
            let found =
                format!("the scaling {other:?} of rotary embeddings in a model of {}", settings.architecture.name);
            Err(unsupported(settings.gguf, found, "none, linear, yarn, and longrope in models of phi3"))
        }
    }
}

/// A tensor of divisors, one for each pair of values.
fn divisors(gguf: &Gguf, name: &str, pairs: usize) -> Result<Vec<f64>> {
    let wrong = |found: String| Error::Tensor {
        file: gguf.place(),
        tensor: name.to_owned(),
        expected: format!("{pairs} positive numbers"),
        found,
    };
    match gguf.info(name) {
        Some(info) if info.shape == [pairs] => {}
        info => return Err(wrong(info.map_or_else(|| "no tensor".to_owned(), |info| format!("{:?}", info.shape)))),
    }
    let exact = |value: f32| Value::F32(value).as_f64().filter(|value| *value > 0.0);
    let numbers: Vec<f64> = gguf.read_f32(name)?.into_iter().filter_map(exact).collect();
    if numbers.len() == pairs { Ok(numbers) } else { Err(wrong(format!("{} of them", numbers.len()))) }
}

/// LongRoPE, which divides the frequencies by other factors in long texts.
fn longrope(settings: &Settings<'_>, sizes: &Sizes) -> Result<Json> {
    if !matches!(kind(settings)?, None | Some("longrope")) {
        return Err(settings.wrong("rope.scaling.type", "longrope, as the file has factors of frequencies"));
    }
    let factors = |name| divisors(settings.gguf, name, sizes.rotated / 2);
    Ok(json!({
        "rope_type": "longrope",
        "long_factor": factors(LONG)?,
        "short_factor": factors(SHORT)?,
        "attention_factor": needed(settings, "rope.scaling.attn_factor")?,
    }))
}

/// Frequencies that are divided by numbers from the file: Llama 3's scaling if the numbers are those that it computes.
/// Otherwise LongRoPE divides by them, with the same factors for all texts.
fn divided(settings: &Settings<'_>, sizes: &Sizes, base: f64) -> Result<Json> {
    if kind(settings)?.is_some() {
        let found = format!("`{FREQUENCIES}` and a scaling of rotary embeddings");
        return Err(unsupported(settings.gguf, found, "one of them"));
    }
    let divisors = divisors(settings.gguf, FREQUENCIES, sizes.rotated / 2)?;
    if divisors.iter().all(|divisor| *divisor == 1.0) {
        return Ok(Json::Null);
    }
    let original = settings.whole_or("rope.scaling.original_context_length", 8192)?;
    let factor = divisors.last().copied().unwrap_or(1.0);
    #[allow(clippy::cast_precision_loss)]
    let expected = (0..divisors.len()).map(|pair| {
        let turns = original as f64 * base.powf(-2.0 * pair as f64 / sizes.rotated as f64) / (2.0 * PI);
        llama_3(turns, factor)
    });
    if expected.zip(&divisors).all(|(expected, found)| (expected / found - 1.0).abs() < ROUNDING) {
        return Ok(json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": original,
        }));
    }
    Ok(json!({
        "rope_type": "longrope",
        "long_factor": divisors,
        "short_factor": divisors,
        "attention_factor": 1.0,
        "original_max_position_embeddings": sizes.context,
    }))
}

/// What Llama 3 divides a frequency by that makes so many turns in a text of the original length.
fn llama_3(turns: f64, factor: f64) -> f64 {
    if turns < 1.0 {
        factor
    } else if turns > 4.0 {
        1.0
    } else {
        let smooth = (turns - 1.0) / 3.0;
        1.0 / ((1.0 - smooth) / factor + smooth)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::fixture::{Writer, memory, tiny};
    use super::*;

    fn read(file: &Writer) -> Result<Json> {
        let gguf = Gguf::open(memory(file.bytes()), "m.gguf")?;
        let settings = Settings::read(&gguf)?;
        rotary(&settings, &Sizes::read(&settings)?).map(Json::from)
    }

    fn refused(file: &Writer, word: &str) {
        match read(file).unwrap_err() {
            Error::Unsupported { found, .. } => assert!(found.contains(word), "{found}"),
            Error::Config { field, .. } => assert!(field.contains(word), "{field}"),
            Error::Tensor { tensor, .. } => assert!(tensor.contains(word), "{tensor}"),
            error => panic!("{word}: {error}"),
        }
    }

    #[test]
    fn scaling_by_metadata() {
        assert_eq!(read(&tiny("qwen2")).unwrap(), json!({ "rope_theta": 10_000.0, "rope_scaling": null }));
        let kind = "qwen2.rope.scaling.type";
        let scaled = || {
            let mut file = tiny("qwen2");
            file.f32("qwen2.rope.scaling.factor", 4.0).u32("qwen2.rope.scaling.original_context_length", 16);
            file
        };
        assert!(read(scaled().text(kind, "none")).unwrap()["rope_scaling"].is_null());
        let linear = json!({ "rope_type": "linear", "factor": 4.0 });
        assert_eq!(read(scaled().text(kind, "linear")).unwrap()["rope_scaling"], linear);
        assert_eq!(read(&scaled()).unwrap()["rope_scaling"], linear);
        let mut yarn = json!({ "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16 });
        assert_eq!(read(scaled().text(kind, "yarn")).unwrap()["rope_scaling"], yarn);
        yarn["beta_fast"] = 20.0.into();
        let fast = read(scaled().text(kind, "yarn").f32("qwen2.rope.scaling.yarn_beta_fast", 20.0)).unwrap();
        assert_eq!(fast["rope_scaling"], yarn);

        refused(scaled().text(kind, "ntk"), "ntk");
        refused(scaled().text(kind, "longrope"), "longrope");
        refused(scaled().u32(kind, 1), "rope.scaling.type");
        refused(scaled().text(kind, "yarn").f32("qwen2.rope.scaling.yarn_attn_factor", 2.0), "yarn_attn_factor");
        refused(tiny("qwen2").text(kind, "linear"), "rope.scaling.factor");
        refused(tiny("qwen2").text(kind, "yarn").f32("qwen2.rope.scaling.factor", 2.0), "original_context_length");
    }

    #[test]
    fn long_and_short_factors_of_phi3() {
        let scaled = || {
            let mut file = tiny("phi3");
            file.f32s(LONG, &[2], &[2.0, 4.0]).f32s(SHORT, &[2], &[1.0, 1.1]);
            file.f32("phi3.rope.scaling.attn_factor", 1.25).u32("phi3.rope.scaling.original_context_length", 16);
            file
        };
        let config = read(&scaled()).unwrap();
        let expected = json!({ "rope_type": "longrope", "long_factor": [2.0, 4.0], "short_factor": [1.0, 1.1],
                               "attention_factor": 1.25 });
        assert_eq!((&config["rope_scaling"], &config["original_max_position_embeddings"]), (&expected, &json!(16)));
        refused(scaled().text("phi3.rope.scaling.type", "linear"), "rope.scaling.type");
        refused(scaled().u32("phi3.attention.key_length", 6), "rope_factors");
        let mut one = tiny("phi3");
        refused(one.f32s(SHORT, &[2], &[1.0; 2]), "rope_factors_long");
        refused(tiny("phi3").f32("phi3.rope.scaling.attn_factor", 1.25), "attn_factor");
        let mut zero = tiny("phi3");
        zero.f32s(SHORT, &[2], &[1.0; 2]).f32s(LONG, &[2], &[1.0, 0.0]);
        refused(&zero, "rope_factors_long");
    }

    #[test]
    fn a_part_of_each_head_is_rotated() {
        for (head, rotated) in [(128, 96), (80, 32), (100, 58), (4096, 4094), (6, 2)] {
            let share = share(rotated, head);
            assert_eq!((head as f64 * share) as usize, rotated);
        }
        let config = read(tiny("phi3").u32("phi3.rope.dimension_count", 2)).unwrap();
        assert_eq!(config["partial_rotary_factor"], 0.5);
        refused(tiny("phi3").u32("phi3.rope.dimension_count", 3), "dimension_count");
        refused(tiny("llama").u32("llama.rope.dimension_count", 2), "dimension_count");
    }

    /// The factors of Llama 3.2 as the converter computes them, in single precision, for heads of width 16.
    #[test]
    fn divisors_of_llama_3_are_recognised_and_others_kept() {
        let with = |divisors: &[f32]| {
            let mut file = tiny("llama");
            file.u32("llama.attention.key_length", 16).f32("llama.rope.freq_base", 500_000.0);
            file.f32s(FREQUENCIES, &[divisors.len()], divisors);
            file
        };
        let known = [1.0, 1.0, 1.0, 1.0, 3.292_262, 32.0, 32.0, 32.0];
        let llama_3 = json!({ "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                              "original_max_position_embeddings": 8192 });
        assert_eq!(read(&with(&known)).unwrap()["rope_scaling"], llama_3);
        assert!(read(&with(&[1.0; 8])).unwrap()["rope_scaling"].is_null());
        let mut other = known;
        other[3] = 1.5;
        let other = read(&with(&other)).unwrap();
        let scaling = &other["rope_scaling"];
        assert_eq!((&scaling["rope_type"], &scaling["short_factor"][3]), (&json!("longrope"), &json!(1.5)));
        assert_eq!(scaling["original_max_position_embeddings"], 64);
        refused(&with(&known[1..]), FREQUENCIES);
        refused(with(&known).text("llama.rope.scaling.type", "yarn"), FREQUENCIES);
    }
}
