//! Opening students: their folders, prompt formats and critics.

use std::path::{Path, PathBuf};

use lm::decode::TextModel;
use lm::device::{Compute, DeviceSpec};
use method::student::{Format, format};
use record::plan::{Paraphrase, Plan, Summary};
use record::presets::TINY_STUDENT;
use record::{Error, Preset, Result};
use serde::{Deserialize, Serialize};

use super::place::Place;
use super::store::Store;
use crate::fs::read_small;
use crate::run::card::public_plan;
use crate::run::{PLAN, read_plan};

/// File of a student's folder that names its critics.
pub const JUDGES: &str = "critics.toml";

/// The critics that accepted a student's training pairs, with their thresholds: they suit its versions too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judges {
    /// Entailment critic: a name in the model folder, or a path.
    pub critic: String,
    /// Sentence encoder; empty if no cosine threshold is set.
    #[serde(default)]
    pub encoder: String,
    /// Thresholds of paraphrases.
    pub paraphrase: Paraphrase,
    /// Thresholds of summaries.
    pub summary: Summary,
}

impl Judges {
    /// The critics of a run. Paths are made absolute, so that they are the same from every folder.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let absolute = |name: &str| match std::fs::canonicalize(name) {
            Ok(path) if path.is_dir() => path.display().to_string(),
            _ => name.to_owned(),
        };
        Self {
            critic: absolute(&plan.models.critic),
            encoder: if plan.needs_encoder() { absolute(&plan.models.encoder) } else { String::new() },
            paraphrase: plan.paraphrase.clone(),
            summary: plan.summary.clone(),
        }
    }

    /// The critics without folders of this machine: paths are reduced to their last component.
    #[must_use]
    pub fn public(&self) -> Self {
        let mut plan = self.apply(Preset::Tiny.plan(DeviceSpec::Flex));
        plan = public_plan(&plan);
        Self { critic: plan.models.critic, encoder: plan.models.encoder, ..self.clone() }
    }

    /// As the content of [`JUDGES`].
    ///
    /// # Errors
    /// [`Error::Input`] for values that TOML cannot represent.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let text = toml::to_string(self).map_err(|e| Error::input(JUDGES, "values that TOML can hold", e))?;
        Ok(text.into_bytes())
    }

    fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let broken = |reason: String| Error::broken(file, reason);
        let text = std::str::from_utf8(bytes).map_err(|e| broken(e.to_string()))?;
        let judges: Self = toml::from_str(text).map_err(|e| broken(e.message().to_owned()))?;
        judges.paraphrase.validate()?;
        judges.summary.validate()?;
        Ok(judges)
    }

    /// A plan with these critics.
    fn apply(&self, mut plan: Plan) -> Plan {
        plan.models.critic.clone_from(&self.critic);
        plan.models.encoder.clone_from(&self.encoder);
        (plan.paraphrase, plan.summary) = (self.paraphrase.clone(), self.summary.clone());
        plan
    }
}

/// The model folder for a path: its subfolder `model` if that has a model (a training folder), else the path itself.
#[must_use]
pub fn model_folder(given: &Path) -> PathBuf {
    let inner = given.join("model");
    if inner.join("config.json").is_file() { inner } else { given.to_owned() }
}

/// Where a model is that is given as a training folder, a model folder, a `.gguf` file or a name in the store.
///
/// # Errors
/// As [`Store::resolve`].
pub fn locate(store: &Store, given: &Path) -> Result<Place> {
    if given.is_dir() {
        return Ok(Place::Disk(model_folder(given)));
    }
    match given.to_str() {
        Some(name) => store.resolve(name),
        None => Err(Error::input(given.display(), "a folder, or a name of letters", "a name that is not UTF-8")),
    }
}

/// The prompt format of a student; `None` for a model that is not one.
///
/// # Errors
/// [`Error::Broken`] for an invalid file; [`Error::Io`] when reading fails.
pub fn format_of(place: &Place) -> Result<Option<Format>> {
    let Some(bytes) = place.read(format::FILE, 1 << 20)? else { return Ok(None) };
    Format::parse(&format!("{place}/{}", format::FILE), &bytes).map(Some)
}

/// The critics that a student's folder names; `None` if it names none.
///
/// # Errors
/// [`Error::Broken`] for an invalid file; [`Error::Io`] when reading fails.
pub fn judges_of(place: &Place) -> Result<Option<Judges>> {
    let Some(bytes) = place.read(JUDGES, 1 << 20)? else { return Ok(None) };
    Judges::parse(&format!("{place}/{JUDGES}"), &bytes).map(Some)
}

/// The prompt format of a student, its own or that of a file.
///
/// # Errors
/// [`Error::Missing`] if there is none; errors of [`format_of`].
pub fn prompts(place: &Place, file: Option<&Path>) -> Result<Format> {
    match file {
        Some(file) if file.is_file() => Format::parse(&file.display().to_string(), &read_small(file, 1 << 20)?),
        Some(file) => {
            let hint = "Name a file like the impossible.json of a student.".to_owned();
            Err(Error::Missing { what: "--format".into(), place: file.display().to_string(), hint })
        }
        None => format_of(place)?.ok_or_else(|| Error::Missing {
            what: format::FILE.to_owned(),
            place: place.to_string(),
            hint: "Name the folder of a student (RUN/student/stage0), or give the prompt format of this model with \
                   --format."
                .into(),
        }),
    }
}

/// Loads a student with its own prompt format.
///
/// # Errors
/// Errors of [`prompts`], [`Place::open`] and [`TextModel::load`].
pub fn open_student(place: &Place, compute: &Compute) -> Result<(TextModel, Format)> {
    let format = prompts(place, None)?;
    Ok((TextModel::load(&place.open()?, compute)?, format))
}

/// The plan whose critics accepted a student's training pairs: those that its folder names, else those of the run that
/// it lies in; `None` if neither is there.
///
/// # Errors
/// Errors of [`judges_of`] and [`read_plan`].
pub fn own_judges(place: &Place) -> Result<Option<Plan>> {
    if let Some(judges) = judges_of(place)? {
        return Ok(Some(judges.apply(Preset::Small.plan(DeviceSpec::Flex))));
    }
    let path = match place {
        Place::Carried(model) => return Ok((model.name == TINY_STUDENT).then(|| Preset::Tiny.plan(DeviceSpec::Flex))),
        Place::Disk(path) => std::fs::canonicalize(path).unwrap_or_else(|_| path.clone()),
    };
    let student = path.ancestors().find(|p| p.file_name().is_some_and(|name| name == "student"));
    let plan = student.and_then(Path::parent).map(|run| run.join(PLAN)).filter(|file| file.is_file());
    plan.map(|file| read_plan(&file)).transpose()
}

/// The plan whose critics judge a student's versions: its own, else those of a preset, which is then reported on stderr.
///
/// # Errors
/// As [`own_judges`].
pub fn judged_by(place: &Place) -> Result<Plan> {
    if let Some(plan) = own_judges(place)? {
        return Ok(plan);
    }
    let plan = Preset::Small.plan(DeviceSpec::Flex);
    note!(
        "{place} does not say which critics accepted its training pairs; those of preset small judge its versions ({}). \
         --critic names another.",
        plan.models.critic
    );
    Ok(plan)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn critics_come_from_the_folder_then_from_the_run_under_any_spelling() {
        let temp = tempfile::tempdir().unwrap();
        let model = temp.path().join("run/student/stage0/model");
        std::fs::create_dir_all(&model).unwrap();
        std::fs::write(model.join("config.json"), "{}").unwrap();
        let mut plan = Preset::Tiny.plan(DeviceSpec::Flex);
        plan.models.critic = "another-critic".to_owned();
        let text = crate::run::planfile::plan_text(&plan).unwrap();
        std::fs::write(temp.path().join("run").join(PLAN), text).unwrap();
        let store = Store::at(temp.path().join("models"));
        let mut spellings = vec![model.clone(), temp.path().join("run/student/stage0"), model.join("../model")];
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&model, temp.path().join("link")).unwrap();
            spellings.push(temp.path().join("link"));
        }
        for spelled in spellings {
            let place = locate(&store, &spelled).unwrap();
            assert_eq!(judged_by(&place).unwrap().models.critic, "another-critic", "{}", spelled.display());
        }
        let judges = Judges { critic: "/home/me/third".to_owned(), ..Judges::of(&plan) };
        std::fs::write(model.join(JUDGES), judges.to_bytes().unwrap()).unwrap();
        let place = locate(&store, &model).unwrap();
        assert_eq!(judges_of(&place).unwrap().unwrap(), judges);
        let plan = judged_by(&place).unwrap();
        assert_eq!((plan.models.critic.as_str(), plan.needs_encoder()), ("/home/me/third", false));
        assert_eq!(judges.public().critic, "third");
        std::fs::write(model.join(JUDGES), "critic = 3").unwrap();
        assert!(matches!(judged_by(&place), Err(Error::Broken { .. })));
    }
}
