//! The state of the web app's worker, with the models of the site: a distillation, other thresholds, and a training.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use impossible_tests::{folder, wait};
use impossible_worker::distilled::{self, Distilled, Memory, Shared};
use impossible_worker::training::{self, Base, LOOKS};
use lm::decode::TextModel;
use lm::device::{Compute, DeviceSpec};
use lm::model::ModelFolder;
use lm::scoring::PairModel;
use method::critic::{Critics, Panel};
use method::distill::contexts::Seed;
use method::distill::pipeline::Pipeline;
use method::student::{Format, format};
use protocol::{Distill, Filtered, Response, Thresholds};
use record::monitor::Unwatched;
use record::{Error, Monitor, Preset};

const CONTEXTS: usize = 3;

fn model(name: &str) -> Result<ModelFolder> {
    folder(Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/tiny").join(name))
}

fn defaults() -> Thresholds {
    let plan = Preset::Tiny.plan(DeviceSpec::Flex);
    Thresholds { paraphrase: plan.paraphrase, summary: plan.summary }
}

fn settings() -> Distill {
    Distill { contexts: CONTEXTS, k: 48, temperature: 1.0, seeds: Vec::new(), thresholds: None, seed: 5 }
}

/// Distils and returns the state with the responses to the page.
fn distil(settings: &Distill, compute: &Compute) -> Result<(Shared, Vec<Response>)> {
    let fresh = Distilled::new(settings, compute, &defaults());
    let plan = fresh.plan.clone();
    let shared = Shared::default();
    shared.replace(Some(fresh));
    let teacher = TextModel::load(&model("teacher")?, compute)?;
    let entailment = Box::new(PairModel::load(&model("critic")?, compute)?);
    let mut critics = Critics { panel: Panel::new(&plan.paraphrase, &plan.summary), entailment, encoder: None };
    let seeds: [Seed; 0] = [];
    let mut pipeline = Pipeline { plan: &plan, teacher: &teacher, critics: &mut critics, seeds: &seeds };
    let responses = RefCell::new(Vec::new());
    let of = plan.contexts.count;
    let ranges: Vec<Range<u64>> = (0..of as u64).map(|id| id..id + 1).collect();
    let say = |response| responses.borrow_mut().push(response);
    let mut memory = Memory { say, shared: &shared, run: 1, of };
    wait(pipeline.run(&ranges, &mut memory, &mut Monitor::new(&mut Unwatched, 0, of as u64)))?;
    Ok((shared, responses.into_inner()))
}

fn pairs(filtered: &Filtered) -> Vec<(&str, &str)> {
    filtered.kept.iter().map(|k| (k.text.as_str(), k.target.as_str())).collect()
}

#[test]
fn a_distillation_reports_every_context_and_applies_other_thresholds() -> Result<()> {
    let compute = Compute::open(DeviceSpec::Flex)?;
    let (shared, responses) = distil(&settings(), &compute)?;
    let contexts = responses.iter().filter(|r| matches!(r, Response::Context { .. })).count();
    let reports: Vec<&Filtered> =
        responses.iter().filter_map(|r| if let Response::Pairs(pairs) = r { Some(pairs) } else { None }).collect();
    ensure!(contexts == CONTEXTS && reports.len() == CONTEXTS, "{contexts} contexts, {} reports", reports.len());
    for (i, report) in reports.iter().enumerate() {
        ensure!(report.contexts == i + 1, "report {i} counts {} contexts", report.contexts);
    }
    let last = *reports.last().context("no report")?;
    ensure!(last.missing == 0, "{} pairs lack a score", last.missing);
    ensure!(!last.kept.is_empty(), "no pair was kept");
    ensure!(last.kept.iter().all(|k| !k.text.is_empty() && !k.target.is_empty()), "a kept pair lacks a text");

    // The thresholds of before give the pairs of before; looser ones keep them all and more.
    let again = distilled::refilter(&shared, defaults())?.context("no distillation")?;
    ensure!(again == *last, "the same thresholds gave other pairs");
    let mut loose = defaults();
    loose.summary.entailment_min = 0.3;
    loose.summary.max_per_summary = 0;
    let more = distilled::refilter(&shared, loose)?.context("no distillation")?;
    ensure!(more.kept.len() > last.kept.len(), "{} pairs of {}", more.kept.len(), last.kept.len());
    ensure!(more.missing == 0, "{} pairs lack a score", more.missing);
    let mut none = defaults();
    none.paraphrase.entailment_min = 1.0;
    none.summary.entailment_min = 1.0;
    ensure!(distilled::refilter(&shared, none)?.context("no distillation")?.kept.is_empty());
    let mut wrong = defaults();
    wrong.summary.entailment_min = f32::NAN;
    ensure!(distilled::refilter(&shared, wrong).is_err(), "a threshold that is not a number was accepted");

    // Without a distillation there is nothing to filter.
    ensure!(distilled::refilter(&Shared::default(), defaults())?.is_none());
    Ok(())
}

#[test]
fn settings_out_of_range_are_set_to_the_nearest_end() -> Result<()> {
    let compute = Compute::open(DeviceSpec::Flex)?;
    let wild = Distill { contexts: 0, k: 1 << 40, temperature: f32::INFINITY, seed: u64::MAX, ..settings() };
    let plan = Distilled::new(&wild, &compute, &defaults()).plan;
    ensure!((plan.contexts.count, plan.siblings.k, plan.siblings.temperature, plan.seed) == (1, 512, 2.0, 1 << 52));
    plan.validate()?;
    Ok(())
}

#[test]
fn a_training_goes_on_with_the_same_pairs_only() -> Result<()> {
    let compute = Compute::open(DeviceSpec::Flex)?;
    let student = model("student")?;
    let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/tiny/student").join(format::FILE))?;
    let format = Format::parse(format::FILE, &bytes)?;
    let base = Base { folder: &student, format: &format, compute: &compute };
    let absent = training::training(base, &Shared::default(), None, 1).err().context("trained on nothing")?;
    ensure!(absent.to_string().contains("pairs of a distillation"), "{absent}");

    let (shared, _) = distil(&settings(), &compute)?;
    let mut first = training::training(base, &shared, None, 2)?;
    ensure!(first.lesson.trainer.state.step == 0 && first.lesson.trainer.total() > 1);
    let kept = distilled::refilter(&shared, defaults())?.context("no distillation")?;
    let trained_on: Vec<(&str, &str)> = first.pairs.iter().map(|(x, y)| (x.as_str(), y.as_str())).collect();
    ensure!(trained_on == pairs(&kept));
    ensure!(!first.unseen.is_empty() && first.unseen.len() <= LOOKS, "{} unseen sentences", first.unseen.len());
    for sentence in &first.unseen {
        ensure!(!trained_on.iter().any(|(x, y)| x == sentence || y == sentence), "{sentence} is in a training pair");
    }

    wait(first.lesson.trainer.step())?;
    let second = training::training(base, &shared, Some(first), 2)?;
    ensure!(second.lesson.trainer.state.step == 1, "an interrupted training began anew");
    let mut loose = defaults();
    loose.summary.entailment_min = 0.3;
    distilled::refilter(&shared, loose)?;
    let third = training::training(base, &shared, Some(second), 2)?;
    ensure!(third.lesson.trainer.state.step == 0, "a training went on with other pairs");
    let mut none = defaults();
    none.paraphrase.entailment_min = 1.0;
    none.summary.entailment_min = 1.0;
    distilled::refilter(&shared, none)?;
    let empty = training::training(base, &shared, Some(third), 2).err().context("trained without pairs")?;
    ensure!(matches!(empty, Error::Input { .. }) && empty.to_string().contains("loosen the thresholds"), "{empty}");
    Ok(())
}
