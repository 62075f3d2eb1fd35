//! Storing a model on this device. Each file has a temporary name until it is complete and its hash has been checked.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use futures_util::future::{Either, select};
use gloo::net::http::Method;
use gloo::timers::future::TimeoutFuture;
use js_sys::{Reflect, Uint8Array};
use record::ErrorKind;
use sha2::{Digest, Sha256};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, ReadableStreamDefaultReader};
use zip::ZipArchive;

use super::listing::{Wanted, ask, host, judged, known, list, plays, version};
use super::opfs::{self, File, Folder};
use super::{MOST_BYTES, RECORD, SOURCE, VERSIONS, open, part, problem, record};
use crate::engine::desk::{Desk, now};
use protocol::{Keeping, Problem, Response, Run, Source, Stored, StoredFile};

type Result<T> = std::result::Result<T, Problem>;

/// Milliseconds without data after which a download is interrupted.
const SILENCE_MS: u32 = 45_000;

/// Number of successive attempts without data after which a download fails.
const TRIES: u32 = 3;

/// Minimum number of milliseconds between two progress messages.
const SAY_MS: f64 = 120.0;

/// Number of bytes that are hashed at a time.
const PIECE: usize = 1 << 20;

/// Largest accepted zip archive in bytes, as it is opened in memory.
const MOST_ZIP: u64 = 256 << 20;

/// Most entries of a zip archive.
const MOST_ENTRIES: usize = 1024;

const AGAIN: &str = "Press Resume to go on; what is there is kept.";

/// Name of the folder for a source, which is valid on every file system.
fn name_of(source: &Source) -> String {
    let text = match source {
        Source::Hub { repo, .. } => repo.replace('/', "--"),
        Source::Url(base) => base.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned(),
        Source::Dropped { name, .. } => name.trim_end_matches(".zip").to_owned(),
    };
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c.to_ascii_lowercase() } else { '-' };
    let text: String = text.chars().take(80).map(plain).collect();
    let text = text.trim_matches(['.', '-']);
    if text.is_empty() { "model".to_owned() } else { text.to_owned() }
}

fn origin(source: &Source) -> String {
    match source {
        Source::Hub { endpoint, repo, revision } => format!("{repo} at {revision}, from {}", host(endpoint)),
        Source::Url(base) => format!("from {}", host(base)),
        Source::Dropped { .. } => "dropped on this page".to_owned(),
    }
}

/// Progress of a download, with the connection to report it.
struct Progress<'a> {
    desk: &'a Desk,
    keeping: Keeping,
    /// Time at which the first file began to arrive; the transfer rate is measured from then on.
    began: Option<f64>,
    said: f64,
    /// Whether the folder belongs to this run.
    claimed: bool,
}

impl Progress<'_> {
    fn moved(&mut self, bytes: u64, came: bool) {
        self.keeping.file_done += bytes;
        self.keeping.done += bytes;
        if came {
            self.keeping.came += bytes;
        }
        self.say(false);
    }

    fn say(&mut self, at_once: bool) {
        if at_once || now() - self.said > SAY_MS {
            self.said = now();
            self.keeping.seconds = self.began.map_or(0.0, |began| (now() - began) / 1000.0);
            self.desk.say(Response::Keeping(self.keeping.clone()));
        }
    }
}

/// Stores a model, or resumes an unfinished download.
pub(super) async fn keep(desk: &Desk, run: Run, source: &Source, stop: &AbortSignal) -> Result<Stored> {
    let name = name_of(source);
    let keeping = Keeping { run, name: name.clone(), file: "the list of files".to_owned(), ..Keeping::default() };
    let mut progress = Progress { desk, keeping, began: None, said: 0.0, claimed: false };
    progress.say(true);
    let models = Folder::models().await?;
    if let Some(folder) = models.folder(&name).await?
        && record(&folder).await?.is_some()
    {
        let step = "Use that one, or delete it first.";
        return Err(problem(format!("A model named {name} is on this device already."), step));
    }
    let dropped = matches!(source, Source::Dropped { .. });
    let kept = match zipped(source) {
        Some(url) => unpack(&models, &name, source, url, &mut progress, stop).await,
        None => bring(&models, &name, source, &mut progress, stop).await,
    };
    // Dropped files can be dropped again, but downloaded parts are kept for resuming.
    if kept.is_err() && dropped && progress.claimed {
        drop(models.remove(&name).await);
    }
    kept
}

/// The zip archive, if a single one was dropped.
fn zipped(source: &Source) -> Option<&protocol::DroppedFile> {
    match source {
        Source::Dropped { files, .. } => match &files[..] {
            [file] if file.name.ends_with(".zip") => Some(file),
            _ => None,
        },
        _ => None,
    }
}

async fn bring(
    models: &Folder,
    name: &str,
    source: &Source,
    progress: &mut Progress<'_>,
    stop: &AbortSignal,
) -> Result<Stored> {
    let listing = list(source, stop).await?;
    let known = listing.files.iter().try_fold(0_u64, |sum, f| sum.checked_add(f.about?));
    let least = listing.files.iter().fold(0_u64, |sum, f| sum.saturating_add(f.about.unwrap_or(0)));
    fits(least)?;
    let folder = claim(models, name, source, progress).await?;
    renew(&folder, &listing.files).await?;
    room(least.saturating_sub(there(&folder, &listing.files).await?)).await?;
    progress.keeping.bytes = known;
    progress.keeping.of = listing.files.len();
    let mut files = Vec::new();
    for (nth, wanted) in listing.files.iter().enumerate() {
        progress.keeping.nth = nth;
        (progress.keeping.file, progress.keeping.file_done) = (wanted.name.clone(), 0);
        progress.keeping.file_bytes = wanted.about;
        progress.say(true);
        let file = file(&folder, wanted, progress, stop).await?;
        if file.name == super::listing::CONFIG
            && let Some(bytes) = folder.small(&file.name, super::SMALL).await?
            && let Err(error) = plays(&bytes)
        {
            // Refused before the other files are downloaded in vain.
            models.remove(name).await?;
            return Err(problem(error.to_string(), "Nothing was kept. Take another model."));
        }
        files.push(file);
    }
    finish(models, &folder, name, source, listing.licence, files).await
}

/// Creates or reopens the folder of an unfinished model. An unfinished model of the same name from another source is
/// not overwritten.
async fn claim(models: &Folder, name: &str, source: &Source, progress: &mut Progress<'_>) -> Result<Folder> {
    let ours = serde_json::to_vec(source).map_err(|e| problem(e.to_string(), "Try again."))?;
    if let Some(folder) = models.folder(name).await? {
        match folder.small(SOURCE, super::SMALL).await? {
            Some(there) if there == ours => {}
            Some(_) => {
                let what = format!("A model named {name} from elsewhere has begun to come.");
                return Err(problem(what, "Resume that one, or delete it first."));
            }
            None => models.remove(name).await?,
        }
    }
    let folder = models.make(name).await?;
    progress.claimed = true;
    if !matches!(source, Source::Dropped { .. }) && folder.length(SOURCE).await?.is_none() {
        folder.put(SOURCE, &ours).await?;
    }
    Ok(folder)
}

/// Removes files whose recorded version is missing or outdated, and records the current versions.
async fn renew(folder: &Folder, files: &[Wanted]) -> Result<()> {
    let noted = folder.small(VERSIONS, super::SMALL).await?;
    let noted: BTreeMap<String, String> = noted.and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
    let mut versions = BTreeMap::new();
    for Wanted { name, version, .. } in files {
        let Some(version) = version else { continue };
        if noted.get(name).is_none_or(|noted| noted != version) {
            folder.remove(name).await?;
            folder.remove(&format!("{name}.part")).await?;
        }
        versions.insert(name, version);
    }
    if versions.is_empty() {
        return Ok(());
    }
    folder.put(VERSIONS, &serde_json::to_vec(&versions).map_err(|e| problem(e.to_string(), "Try again."))?).await
}

/// Number of bytes of the listed files that are already stored.
async fn there(folder: &Folder, files: &[Wanted]) -> Result<u64> {
    let mut bytes = 0;
    for wanted in files {
        let part = format!("{}.part", wanted.name);
        bytes += folder.length(&wanted.name).await?.or(folder.length(&part).await?).unwrap_or(0);
    }
    Ok(bytes)
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Checks that a model of this size fits into the memory of a tab.
fn fits(bytes: u64) -> Result<()> {
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    let what = format!("The model has {:.0} MB; a tab has room for {:.0}.", mb(bytes), mb(MOST_BYTES));
    Err(problem(what, "Take a smaller one, or the native program."))
}

/// Checks that this device has room for this number of further bytes.
async fn room(bytes: u64) -> Result<()> {
    if let Some((used, quota)) = opfs::estimate().await
        && quota.saturating_sub(used) < bytes
    {
        let left = mb(quota.saturating_sub(used));
        let what = format!("The model needs {:.0} MB more, and this site may keep {left:.0}.", mb(bytes));
        return Err(problem(what, "Delete a model under Models, or free space on the disk, and try again."));
    }
    Ok(())
}

/// Opens the complete model to find its role, and writes the record, which marks it as complete.
async fn finish(
    models: &Folder,
    folder: &Folder,
    name: &str,
    source: &Source,
    licence: Option<String>,
    files: Vec<StoredFile>,
) -> Result<Stored> {
    let opened = open(folder, name, files.iter().map(|f| f.name.as_str())).await?;
    let part = match part(&opened) {
        Ok(part) => part,
        Err(error) if error.kind() == ErrorKind::Retry => return Err(problem(error.to_string(), AGAIN)),
        Err(error) => {
            drop(opened);
            // The files are complete, so resuming would not help.
            models.remove(name).await?;
            return Err(problem(
                error.to_string(),
                "Nothing was kept. Take another model, or get the files anew where they come from.",
            ));
        }
    };
    drop(opened);
    let stored = Stored { name: name.to_owned(), part, origin: origin(source), licence, files };
    let bytes = serde_json::to_vec(&stored).map_err(|e| problem(e.to_string(), "Try again."))?;
    folder.put(RECORD, &bytes).await?;
    Ok(stored)
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Yields so that messages are received; fails if the download was cancelled.
async fn rest(progress: &Progress<'_>, stop: &AbortSignal) -> Result<()> {
    progress.desk.listen().await;
    if stop.aborted() { Err(problem("It was cancelled.".to_owned(), AGAIN)) } else { Ok(()) }
}

/// Hashes the stored part of a file, yielding for messages; returns hash state and length.
async fn hashed(there: &File, progress: &mut Progress<'_>, stop: &AbortSignal) -> Result<(Sha256, u64)> {
    let (mut hash, mut at, size) = (Sha256::new(), 0, there.size()?);
    let mut piece = vec![0; PIECE];
    while at < size {
        let take = usize::try_from(size - at).map_or(PIECE, |left| left.min(PIECE));
        there.read_at(at, &mut piece[..take])?;
        hash.update(&piece[..take]);
        at += take as u64;
        progress.moved(take as u64, false);
        rest(progress, stop).await?;
    }
    Ok((hash, size))
}

/// Downloads one file and gives it its final name, reusing what is already stored.
async fn file(folder: &Folder, wanted: &Wanted, progress: &mut Progress<'_>, stop: &AbortSignal) -> Result<StoredFile> {
    let part = format!("{}.part", wanted.name);
    let name = wanted.name.clone();
    if let Some(there) = folder.read(&name).await? {
        let (hash, bytes) = hashed(&there, progress, stop).await?;
        let sha256 = hex(hash);
        drop(there);
        let same = wanted.bytes.is_none_or(|all| all == bytes) && wanted.sha256.as_ref().is_none_or(|s| *s == sha256);
        if same {
            return Ok(StoredFile { name, bytes, sha256 });
        }
        // The stored file is of another version.
        folder.remove(&name).await?;
        progress.keeping.done -= bytes;
        progress.keeping.file_done -= bytes;
    }
    let to = folder.write(&part).await?;
    if wanted.bytes.is_none_or(|all| to.size().is_ok_and(|size| size > all)) {
        // The exact size is unknown, or the stored part is of another version: start from the beginning.
        to.cut(0)?;
    }
    let (mut hash, mut bytes) = hashed(&to, progress, stop).await?;
    progress.began.get_or_insert_with(now);
    let mut tries = 0;
    loop {
        let before = bytes;
        match stream(wanted, &to, (&mut hash, &mut bytes), progress, stop).await {
            Ok(()) => break,
            Err(End::Final(problem)) => return Err(problem),
            Err(End::Broken(why)) => {
                tries = if bytes > before { 1 } else { tries + 1 };
                if stop.aborted() || tries >= TRIES {
                    let what = format!("{name} stopped after {:.1} MB: {why}.", bytes as f64 / 1e6);
                    return Err(problem(what, AGAIN));
                }
                TimeoutFuture::new(500 * tries).await;
            }
        }
    }
    to.flush()?;
    drop(to);
    let sha256 = hex(hash);
    if wanted.sha256.as_ref().is_some_and(|expected| *expected != sha256) {
        folder.remove(&part).await?;
        let what = format!("{name} is not what the hub says it is: its sha256 is {sha256}.");
        return Err(problem(what, "It was deleted; press Resume to get it anew."));
    }
    folder.rename(&part, &name).await?;
    Ok(StoredFile { name, bytes, sha256 })
}

/// Why a download ended early.
enum End {
    /// A retry may help.
    Broken(String),
    /// A retry will not help.
    Final(Problem),
}

impl From<Problem> for End {
    fn from(problem: Problem) -> Self {
        Self::Final(problem)
    }
}

/// Downloads the missing part of a file and appends it.
async fn stream(
    wanted: &Wanted,
    to: &File,
    (hash, bytes): (&mut Sha256, &mut u64),
    progress: &mut Progress<'_>,
    stop: &AbortSignal,
) -> std::result::Result<(), End> {
    if wanted.bytes == Some(*bytes) {
        return Ok(());
    }
    let from = if wanted.bytes.is_some() { *bytes } else { 0 };
    let response = ask(Method::GET, &wanted.url, from, stop).await.map_err(|p| End::Broken(p.what))?;
    match response.status() {
        206 if wanted.served && version(&response) != wanted.version => {
            let what = format!("{} has changed while it came.", wanted.name);
            return Err(problem(what, "Press Resume to get it anew.").into());
        }
        206 => {}
        200 => {
            // The server ignores the range and sends the whole file.
            progress.keeping.done -= *bytes;
            progress.keeping.file_done -= *bytes;
            (*hash, *bytes) = (Sha256::new(), 0);
            to.cut(0)?;
        }
        status @ (408 | 425 | 429 | 500..=599) => return Err(End::Broken(format!("the server answered {status}"))),
        status => return Err(judged(status, &wanted.name).into()),
    }
    let before = progress.keeping.done.saturating_sub(progress.keeping.file_done);
    let most = wanted.bytes.unwrap_or(MOST_BYTES).min(MOST_BYTES.saturating_sub(before));
    let body = response.body().ok_or_else(|| End::Broken("the answer is empty".to_owned()))?;
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let get = |of: &JsValue, field: &str| Reflect::get(of, &field.into()).unwrap_or(JsValue::UNDEFINED);
    loop {
        let next = match select(JsFuture::from(reader.read()), TimeoutFuture::new(SILENCE_MS)).await {
            Either::Left((next, _)) => next.map_err(|e| {
                let why = get(&e, "message").as_string().unwrap_or_else(|| "the connection broke".to_owned());
                End::Broken(why)
            })?,
            Either::Right(_) => {
                drop(reader.cancel());
                return Err(End::Broken(format!("nothing came for {} s", SILENCE_MS / 1000)));
            }
        };
        if get(&next, "done").is_truthy() {
            break;
        }
        let chunk = Uint8Array::from(get(&next, "value")).to_vec();
        if *bytes + chunk.len() as u64 > most {
            drop(reader.cancel());
            let what =
                format!("{} is larger than the {:.1} MB that were announced or have room.", wanted.name, mb(most));
            return Err(problem(what, "Take another model.").into());
        }
        to.write_at(*bytes, &chunk)?;
        hash.update(&chunk);
        *bytes += chunk.len() as u64;
        progress.moved(chunk.len() as u64, true);
        // Yield explicitly, because with a server faster than the disk a cancel request would never be received.
        rest(progress, stop).await?;
    }
    match wanted.bytes {
        Some(all) if *bytes < all => Err(End::Broken("the connection broke".to_owned())),
        _ => Ok(()),
    }
}

/// Stores a model from a zip archive like those of this program and this page: uncompressed, with all files in one
/// folder or none.
async fn unpack(
    models: &Folder,
    name: &str,
    source: &Source,
    dropped: &protocol::DroppedFile,
    progress: &mut Progress<'_>,
    stop: &AbortSignal,
) -> Result<Stored> {
    let step = "Unpack it and drop the folder.";
    if dropped.bytes > MOST_ZIP {
        return Err(problem(
            format!("The zip has {:.0} MB; at most {} are opened.", dropped.bytes as f64 / 1e6, MOST_ZIP >> 20),
            step,
        ));
    }
    room(dropped.bytes).await?;
    let response = ask(Method::GET, &dropped.url, 0, stop).await?;
    let bytes = response.binary().await.map_err(|e| problem(format!("{name}: {e}"), "Drop it again."))?;
    let damaged =
        |e: &dyn std::fmt::Display| problem(format!("{} is no zip that can be read here: {e}.", dropped.name), step);
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(&e))?;
    if zip.len() > MOST_ENTRIES {
        return Err(damaged(&format!("it has {} entries", zip.len())));
    }
    let mut contents: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut left = MOST_ZIP;
    for i in 0..zip.len() {
        let entry = zip.by_index(i).map_err(|e| damaged(&e))?;
        let path = entry.name().map_err(|e| damaged(&e))?.into_owned();
        let file = path.rsplit('/').next().unwrap_or_default();
        // Files in deeper folders are not part of the model.
        if path.matches('/').count() > 1 || !known(file) {
            continue;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(entry.size().min(left)).unwrap_or(0));
        entry.take(left + 1).read_to_end(&mut bytes).map_err(|e| damaged(&e))?;
        left = left.checked_sub(bytes.len() as u64).ok_or_else(|| damaged(&"it is larger inside than outside"))?;
        if contents.insert(file.to_owned(), bytes).is_some() {
            return Err(damaged(&format!("it has {file} twice")));
        }
    }
    drop(zip);
    let inside = contents.iter().map(|(n, b)| protocol::DroppedFile {
        name: n.clone(),
        url: String::new(),
        bytes: b.len() as u64,
    });
    let inside = Source::Dropped { name: name.to_owned(), files: inside.collect() };
    let listing = list(&inside, stop).await?;
    let folder = claim(models, name, source, progress).await?;
    progress.keeping.of = listing.files.len();
    progress.keeping.bytes = Some(dropped.bytes);
    let mut files = Vec::new();
    for (nth, wanted) in listing.files.iter().enumerate() {
        let bytes = contents.remove(&wanted.name).unwrap_or_default();
        progress.keeping.nth = nth;
        progress.keeping.file.clone_from(&wanted.name);
        (progress.keeping.file_done, progress.keeping.file_bytes) = (0, Some(bytes.len() as u64));
        folder.put(&wanted.name, &bytes).await?;
        progress.moved(bytes.len() as u64, true);
        rest(progress, stop).await?;
        let mut hash = Sha256::new();
        hash.update(&bytes);
        files.push(StoredFile { name: wanted.name.clone(), bytes: bytes.len() as u64, sha256: hex(hash) });
    }
    finish(models, &folder, name, source, None, files).await
}
