//! Models stored on this device, in the browser's origin private file system. Each has a folder, and a record that is
//! written last.

mod fetch;
mod listing;
mod opfs;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use gloo::timers::future::TimeoutFuture;
use lm::model::classifier::entailment_label;
use lm::model::files::{Bytes, Files, check_name, missing, past_end, read_all};
use lm::model::{LanguageModel, ModelFolder};
use method::golden::Golden;
use method::student::{Format, format};
use record::Error;
use send_wrapper::SendWrapper;
use wasm_bindgen_futures::spawn_local;
use web_sys::AbortController;

use super::desk::Desk;
use opfs::{File, Folder};
use protocol::{Begun, Part, Problem, Request, Response, Run, Shelf as Contents, Source, Speed, Stored};

/// File with the description of a complete model, written last.
const RECORD: &str = "record.json";

/// File with the source of an unfinished model.
const SOURCE: &str = "source.json";

/// File with the versions of the files of an unfinished model.
const VERSIONS: &str = "versions.json";

/// Largest accepted size of each of these files, in bytes.
const SMALL: u64 = 1 << 20;

/// Largest accepted model in bytes, a quarter of the memory that a tab can have.
const MOST_BYTES: u64 = 1 << 30;

pub(super) fn problem(what: String, step: &str) -> Problem {
    Problem { what, step: step.to_owned() }
}

/// Handles requests about stored models; holds the running downloads, to stop them.
pub(super) struct Shelf {
    desk: Desk,
    runs: Rc<RefCell<BTreeMap<Run, AbortController>>>,
}

impl Shelf {
    pub(super) fn new(desk: Desk) -> Self {
        Self { desk, runs: Rc::default() }
    }

    /// Stops a run if it is a download; returns whether it is.
    pub(super) fn interrupt(&self, run: Run) -> bool {
        self.runs.borrow().get(&run).map(AbortController::abort).is_some()
    }

    /// Handles a request concurrently with other work.
    pub(super) fn answer(&self, request: Request) {
        let (desk, runs) = (self.desk.clone(), self.runs.clone());
        spawn_local(async move {
            let failed = match request {
                Request::Keep { run, source } => {
                    let Ok(stop) = AbortController::new() else { return };
                    runs.borrow_mut().insert(run, stop.clone());
                    let kept = fetch::keep(&desk, run, &source, &stop.signal()).await;
                    runs.borrow_mut().remove(&run);
                    match kept {
                        Ok(model) => {
                            desk.say(Response::Kept { run, model });
                            None
                        }
                        Err(_) if stop.signal().aborted() => {
                            desk.say(Response::Done { run, stopped: true, speed: Speed::default() });
                            None
                        }
                        Err(problem) => Some(Response::Failed { run: Some(run), problem }),
                    }
                }
                Request::Remove { name } => remove(&name).await.err().map(Response::Notice),
                _ => None,
            };
            failed.into_iter().for_each(|failed| desk.say(failed));
            desk.say(Response::Shelf(contents().await));
        });
    }
}

async fn remove(name: &str) -> Result<(), Problem> {
    Folder::models().await?.remove(name).await
}

async fn record(folder: &Folder) -> Result<Option<Stored>, Problem> {
    let bytes = folder.small(RECORD, SMALL).await?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// The stored models, and why they cannot be read if so.
async fn contents() -> Contents {
    let mut contents = Contents::default();
    // Another tab may have removed or held a file between two steps, so one failure is tried again.
    if look(&mut contents).await.is_err() {
        contents = Contents::default();
        if let Err(problem) = look(&mut contents).await {
            contents.problem = Some(problem);
        }
    }
    if let Some((used, quota)) = opfs::estimate().await {
        (contents.used, contents.quota) = (used, quota);
    }
    contents
}

async fn look(contents: &mut Contents) -> Result<(), Problem> {
    let models = Folder::models().await?;
    for name in models.names().await? {
        let Some(folder) = models.folder(&name).await? else { continue };
        if let Some(stored) = record(&folder).await? {
            contents.models.push(Stored { name, ..stored });
            continue;
        }
        let source = folder.small(SOURCE, SMALL).await.ok().flatten();
        let source = source.and_then(|bytes| serde_json::from_slice::<Source>(&bytes).ok());
        // Models from dropped files have no record of their source.
        let source = source.unwrap_or_else(|| Source::Dropped { name: name.clone(), files: Vec::new() });
        let mut bytes = 0;
        for file in folder.names().await?.iter().filter(|file| ![SOURCE, VERSIONS].contains(&file.as_str())) {
            bytes += folder.length(file).await?.unwrap_or(0);
        }
        contents.begun.push(Begun { name, source, bytes });
    }
    Ok(())
}

/// The files of a stored model, which are read from storage when needed.
pub(super) struct KeptFiles {
    model: String,
    files: BTreeMap<String, (SendWrapper<File>, u64)>,
}

impl Files for KeptFiles {
    fn size(&self, name: &str) -> record::Result<Option<u64>> {
        check_name(name)?;
        Ok(self.files.get(name).map(|(_, size)| *size))
    }

    fn range(&self, name: &str, offset: u64, len: usize) -> record::Result<Bytes> {
        check_name(name)?;
        let (file, size) = self.files.get(name).ok_or_else(|| missing(self, name))?;
        if offset.checked_add(len as u64).is_none_or(|end| end > *size) {
            return Err(past_end(&self.describe(name), offset, len, *size));
        }
        let mut bytes = vec![0; len];
        file.read_at(offset, &mut bytes).map_err(|p| Error::io("reading", self.describe(name), p.what))?;
        Ok(Box::new(bytes))
    }

    fn describe(&self, name: &str) -> String {
        format!("{}/{name}", self.model)
    }
}

async fn open(folder: &Folder, model: &str, names: impl Iterator<Item = &str>) -> Result<Arc<dyn Files>, Problem> {
    let mut files = BTreeMap::new();
    for name in names {
        let file = folder.read(name).await?;
        let file = file.ok_or_else(|| {
            problem(format!("The file {name} of {model} is missing."), "Delete it under Models, and get it again.")
        })?;
        let size = file.size()?;
        files.insert(name.to_owned(), (SendWrapper::new(file), size));
    }
    Ok(Arc::new(KeptFiles { model: model.to_owned(), files }))
}

/// The files of a stored model, after a check that their sizes have not changed.
pub(super) async fn files(name: &str) -> Result<Arc<dyn Files>, Problem> {
    let lost = || problem(format!("{name} is not on this device any more."), "Get it again under Models.");
    let folder = Folder::models().await?.folder(name).await?.ok_or_else(lost)?;
    let stored = record(&folder).await?.ok_or_else(lost)?;
    let mut tries = 0;
    let files = loop {
        match open(&folder, name, stored.files.iter().map(|f| f.name.as_str())).await {
            // A previous worker may still hold the files for a moment.
            Err(_) if tries < 20 => tries += 1,
            files => break files?,
        }
        TimeoutFuture::new(300).await;
    };
    for file in &stored.files {
        if files.size(&file.name).ok().flatten() != Some(file.bytes) {
            let what = format!("The size of {name}/{} has changed since it was stored.", file.name);
            return Err(problem(what, "Delete it under Models, and get it again."));
        }
    }
    Ok(files)
}

/// The role that a model can have. Everything but the weights themselves is parsed.
fn part(files: &Arc<dyn Files>) -> record::Result<Part> {
    let folder = ModelFolder::open(files)?;
    folder.tokenizer()?;
    Golden::beside(&**files)?;
    if files.size(format::FILE)?.is_some() {
        Format::parse(format::FILE, (*read_all(&**files, format::FILE, SMALL as usize)?).as_ref())?;
        LanguageModel::sizes_of(&folder.config)?;
        return Ok(Part::Student);
    }
    if entailment_label(&folder.config)?.is_some() {
        return Ok(Part::Critic);
    }
    let shape = LanguageModel::sizes_of(&folder.config)?;
    if shape.start.is_some() {
        return Err(Error::Missing {
            what: format::FILE.to_owned(),
            place: files.describe(format::FILE),
            hint: "A model with an encoder can only be a student, and this file has a student's prompt format."
                .to_owned(),
        });
    }
    Ok(Part::Teacher)
}
