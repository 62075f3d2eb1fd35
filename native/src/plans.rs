//! Building a validated [`Plan`] from command-line flags.

use std::path::Path;

use lm::device::DeviceSpec;
use method::distill::contexts::{self, Seed};
use record::plan::{Paraphrase, Plan, Source, Summary};
use record::presets::{Preset, Role};
use record::{Error, Result};

use crate::args::{PlanFlags, Thresholds};
use crate::fs::{hash_file, regular};
use crate::language;
use crate::run::jsonl::read_seeds;
use crate::run::planfile::flag;
use crate::run::read_plan;

/// Overrides thresholds by those that flags set.
pub fn apply_thresholds(t: &Thresholds, paraphrase: &mut Paraphrase, summary: &mut Summary) {
    fn set(target: &mut f32, value: Option<f32>) {
        if let Some(v) = value {
            *target = v;
        }
    }
    fn set_floor(target: &mut Option<f32>, value: Option<f32>) {
        if let Some(floor) = value {
            *target = (floor > -1.0).then_some(floor);
        }
    }
    set(&mut paraphrase.rouge_min, t.rouge_min);
    set(&mut paraphrase.rouge_max, t.rouge_max);
    if t.rouge_min.is_none() && paraphrase.rouge_min > paraphrase.rouge_max {
        // A maximum below the preset's minimum switches the minimum off.
        paraphrase.rouge_min = 0.0;
    }
    set_floor(&mut paraphrase.cosine_min, t.cosine_min);
    set(&mut paraphrase.entailment_min, t.entailment_min);
    set(&mut summary.entailment_min, t.summary_entailment_min);
    set_floor(&mut summary.cosine_min, t.summary_cosine_min);
    set(&mut summary.length_max, t.summary_length_max);
    if let Some(on) = t.modality {
        (paraphrase.modality, summary.modality) = (on, on);
    }
    if let Some(rule) = t.diversity {
        (paraphrase.diversity, summary.diversity) = (rule, rule);
    }
}

/// The plan of a preset or a plan file, modified by flags and validated.
///
/// # Errors
/// [`Error::Input`] for values out of range; errors of reading the plan file and the seed file.
pub fn plan(flags: &PlanFlags, device: DeviceSpec) -> Result<Plan> {
    let mut plan = match &flags.plan {
        Some(file) => read_plan(file)?,
        None => flags.preset().plan(device),
    };
    if let Some(critics) = flags.critics {
        plan.paraphrase = Paraphrase::preset(critics);
        plan.summary = Summary::preset(critics);
    }
    apply_thresholds(&flags.thresholds, &mut plan.paraphrase, &mut plan.summary);
    if let Some(most) = plan.paraphrase.nll_max {
        let expected = "nothing, as no reworder scores the siblings of a run";
        return Err(Error::input("paraphrase.nll_max", expected, most));
    }
    let m = &mut plan.models;
    for (target, flag) in
        [(&mut m.teacher, &flags.teacher), (&mut m.critic, &flags.critic), (&mut m.encoder, &flags.encoder)]
    {
        if let Some(name) = flag {
            target.clone_from(name);
        }
    }
    plan.seed = flags.seed.unwrap_or(plan.seed);
    plan.siblings.k = flags.k.unwrap_or(plan.siblings.k);
    plan.siblings.temperature = flags.temperature.unwrap_or(plan.siblings.temperature);
    plan.siblings.top_p = flags.top_p.unwrap_or(plan.siblings.top_p);
    plan.siblings.batch = flags.batch.unwrap_or(plan.siblings.batch);
    if let Some(file) = &flags.seeds {
        plan.contexts.source = Source::Seeds;
        plan.contexts.seeds = file.display().to_string();
    }
    if plan.contexts.source == Source::Seeds {
        let file = Path::new(&plan.contexts.seeds);
        regular(file, "--seeds")?;
        plan.contexts.seeds_sha256 = hash_file(file)?.1;
        plan.contexts.max_sentences = plan.contexts.max_sentences.max(plan.contexts.min_sentences);
    }
    if let Some(count) = flags.contexts {
        plan.contexts.count = count;
    }
    if plan.needs_encoder() && plan.models.encoder.is_empty() {
        plan.models.encoder = Preset::Small.model(Role::Encoder).to_owned();
    }
    plan.validate().map_err(by_flag)?;
    Ok(plan)
}

/// The error with the flag in place of the plan's entry, if a flag sets it.
#[must_use]
pub fn by_flag(error: Error) -> Error {
    match error {
        Error::Input { name, expected, found } => {
            let known = flag(&name);
            let name = if known.starts_with("--") { format!("{known} ({name})") } else { name };
            Error::Input { name, expected, found }
        }
        other => other,
    }
}

/// Seeds from the plan's file of the user's sentences, none for other sources. Sets the plan's number of contexts to
/// the number of seeds, or to the flag's if that is smaller.
///
/// # Errors
/// [`Error::Input`] for a file without a sentence; errors of reading the file.
pub fn seeds(plan: &mut Plan, flags: &PlanFlags) -> Result<Vec<Seed>> {
    if plan.contexts.source != Source::Seeds {
        return Ok(Vec::new());
    }
    let path = Path::new(&plan.contexts.seeds);
    let rows = read_seeds(path, flags.field.as_deref())?;
    language::tell(&path.display().to_string(), rows.iter().map(|row| row.text.as_str()));
    let name = path.file_name().map_or_else(|| plan.contexts.seeds.clone(), |n| n.to_string_lossy().into_owned());
    let texts = rows.iter().map(|r| (format!("{name}, line {}", r.line), r.text.as_str()));
    let seeds = contexts::seeds(texts, plan.contexts.max_sentences);
    if seeds.is_empty() {
        return Err(Error::input(&plan.contexts.seeds, "at least one sentence", "none"));
    }
    if let Some(asked) = flags.contexts.filter(|asked| *asked > seeds.len()) {
        note!("--contexts asks for {asked}, but {} has {} usable texts; these are used.", path.display(), seeds.len());
    }
    plan.contexts.count = flags.contexts.unwrap_or(seeds.len()).min(seeds.len());
    Ok(seeds)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn planned(flags: &[&str]) -> Result<Plan> {
        let all = ["impossible", "distill"].iter().chain(flags);
        match Args::try_parse_from(all).unwrap().command {
            Command::Distill(distill) => plan(&distill.plan, DeviceSpec::Flex),
            _ => panic!("another command"),
        }
    }

    #[test]
    fn flags_change_the_preset() {
        assert_eq!(planned(&[]).unwrap(), Preset::Tiny.plan(DeviceSpec::Flex));
        let plan = planned(&["--preset", "small", "--k", "50", "--seed", "3", "--rouge-max", "0.6"]).unwrap();
        assert_eq!((plan.siblings.k, plan.seed, plan.paraphrase.rouge_max), (50, 3, 0.6));
        // A maximum ROUGE-L below the preset's minimum switches the minimum off.
        assert_eq!(plan.paraphrase.rouge_min, 0.0);
        // A plan with a named model starts from preset `small`.
        assert_eq!(planned(&["--teacher", "gpt2"]).unwrap().models.critic, Preset::Small.model(Role::Critic));
    }

    #[test]
    fn a_floor_of_minus_one_is_off_and_a_floor_brings_its_encoder() {
        let off = planned(&["--preset", "small", "--cosine-min", "-1", "--summary-cosine-min", "-1"]).unwrap();
        assert!(!off.needs_encoder());
        let on = planned(&["--cosine-min", "0.7"]).unwrap();
        assert_eq!((on.paraphrase.cosine_min, on.models.encoder.as_str()), (Some(0.7), "all-MiniLM-L6-v2"));
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        for (flags, name) in [
            (&["--k", "1"][..], "--k (siblings.k)"),
            (&["--temperature", "0"], "--temperature (siblings.temperature)"),
            (&["--contexts", "0"], "--contexts (contexts.count)"),
            (&["--cosine-min", "1.5"], "--cosine-min (paraphrase.cosine_min)"),
            (&["--summary-length-max", "2"], "--summary-length-max (summary.length_max)"),
        ] {
            let error = planned(flags).unwrap_err().to_string();
            assert!(error.starts_with(name), "{flags:?}: {error}");
        }
    }
}
