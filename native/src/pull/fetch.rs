//! Downloads one file from a hub: resumes interrupted downloads, checks the bytes, and renames the complete file.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use record::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ureq::http::header;
use ureq::{Body, http::Response};

use super::address::without_query;
use super::hub::{Failure, Hub, RemoteFile, WEB_PAGE, is_page, text_header};
use crate::fs::rename;
use crate::models::origin::read_json;

/// Maximum size in bytes of a file whose size neither the listing nor the server states.
const UNKNOWN_SIZE_LIMIT: u64 = 1 << 30;
/// This many new bytes count as progress, which resets the number of tries.
const PROGRESS: u64 = 1 << 20;

/// A downloaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the file, 64 hex digits.
    pub sha256: String,
    /// Number of bytes received over the network in this call.
    pub received: u64,
}

/// The file that a `.part` belongs to; stored next to it as `.part.json`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    url: String,
    etag: Option<String>,
    size: Option<u64>,
    sha256: Option<String>,
}

/// Downloads `url` to `target` by way of `target` + `.part`, which is kept for the next call if this one is
/// interrupted. `progress` is called with the number of bytes downloaded so far.
///
/// # Errors
/// Those of [`Hub::snapshot`]; [`Error::Broken`] when the bytes do not match the listing (then nothing is kept).
pub fn fetch(
    hub: &Hub,
    repo: &str,
    url: &str,
    file: &RemoteFile,
    target: &Path,
    progress: &mut dyn FnMut(u64),
    stop: &AtomicBool,
) -> Result<Fetched> {
    let mut part = Part::open(target, url, file, stop)?;
    let (mut tries, mut farthest) = (0, part.length);
    loop {
        progress(part.length);
        match part.advance(hub, repo, file, progress, stop) {
            Ok(()) => return part.finish(file, target),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Retry(reason)) => {
                if part.length >= farthest.saturating_add(PROGRESS) {
                    tries = 0;
                }
                farthest = farthest.max(part.length);
                tries = hub.pause(tries, &reason, url, stop)?;
            }
        }
    }
}

struct Part {
    path: PathBuf,
    origin_path: PathBuf,
    origin: Origin,
    file: File,
    hasher: Sha256,
    length: u64,
    received: u64,
}

impl Part {
    /// Opens the partial file, and continues an earlier one if it belongs to the same file.
    fn open(target: &Path, url: &str, wanted: &RemoteFile, stop: &AtomicBool) -> Result<Self> {
        let (path, origin_path) = (with_suffix(target, ".part"), with_suffix(target, ".part.json"));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| Error::io("creating", folder.display(), error))?;
        }
        let fresh = Origin { url: url.into(), etag: None, size: wanted.size, sha256: wanted.sha256.clone() };
        let earlier = read_json::<Origin>(&origin_path).filter(|earlier| {
            let identified = earlier.etag.is_some() || (earlier.sha256.is_some() && earlier.size.is_some());
            // the address contains the commit, but bytes with the same sha256 are the same in every commit
            let same = earlier.url == url || (earlier.sha256.is_some() && earlier.sha256 == wanted.sha256);
            identified && same && earlier.size == wanted.size && earlier.sha256 == wanted.sha256
        });
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| Error::io("writing", path.display(), error))?;
        let mut part = Self { path, origin_path, origin: fresh, file, hasher: Sha256::new(), length: 0, received: 0 };
        match earlier {
            Some(earlier) => {
                // The bytes are kept, but asked for at the new address; a tag is known to the server that gave it.
                part.origin.etag = earlier.etag.filter(|_| earlier.url == url);
                part.rehash(stop)?;
                if wanted.size.is_some_and(|size| part.length > size) {
                    part.restart()?;
                }
            }
            None => part.restart()?,
        }
        Ok(part)
    }

    fn rehash(&mut self, stop: &AtomicBool) -> Result<()> {
        let mut buffer = vec![0; 1 << 18];
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    self.hasher.update(&buffer[..count]);
                    self.length += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("reading", self.path.display(), error)),
            }
        }
    }

    fn restart(&mut self) -> Result<()> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(|error| Error::io("writing", self.path.display(), error))?;
        self.hasher = Sha256::new();
        self.length = 0;
        self.origin.etag = None;
        Ok(())
    }

    /// Makes one request and reads the response to its end.
    fn advance(
        &mut self,
        hub: &Hub,
        repo: &str,
        wanted: &RemoteFile,
        progress: &mut dyn FnMut(u64),
        stop: &AtomicBool,
    ) -> Result<(), Failure> {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted.into());
        }
        if self.length > 0 && wanted.size == Some(self.length) {
            return Ok(());
        }
        let mut headers = Vec::new();
        if self.length > 0 {
            headers.push(("range", format!("bytes={}-", self.length)));
            if let Some(etag) = self.origin.etag.as_ref().filter(|etag| !etag.starts_with("W/")) {
                headers.push(("if-range", etag.clone()));
            }
        }
        let url = self.origin.url.clone();
        let response = hub.open(&url, &headers, repo)?;
        let total = self.accept(&response)?;
        if let (Some(wanted), Some(total)) = (wanted.size, total)
            && wanted != total
        {
            return Err(self.refuse(format!("the listing says {wanted} bytes, the server sends {total}")).into());
        }
        let total = total.or(wanted.size);
        self.pour(response, total, progress, stop)?;
        match total {
            Some(total) if self.length < total => {
                Err(Failure::Retry(format!("the connection was cut after {} of {total} bytes", self.length)))
            }
            _ => Ok(()),
        }
    }

    /// Prepares the partial file for the bytes of this response; returns the size of the whole file if the response
    /// states it.
    fn accept(&mut self, response: &Response<Body>) -> Result<Option<u64>, Failure> {
        let etag = text_header(response, header::ETAG).map(str::to_owned);
        if text_header(response, header::CONTENT_TYPE).is_some_and(is_page) {
            return Err(Error::broken(without_query(&self.origin.url), WEB_PAGE).into());
        }
        match response.status().as_u16() {
            206 => {
                let range = text_header(response, header::CONTENT_RANGE).and_then(content_range);
                let changed = self.origin.etag.is_some() && etag.is_some() && self.origin.etag != etag;
                match range {
                    Some((start, total)) if start == self.length && !changed => Ok(total),
                    _ => {
                        self.restart()?;
                        Err(Failure::Retry("the file on the server has changed".into()))
                    }
                }
            }
            200 => {
                self.restart()?;
                self.origin.etag = etag;
                let text = serde_json::to_vec(&self.origin).unwrap_or_default();
                fs::write(&self.origin_path, text)
                    .map_err(|error| Error::io("writing", self.origin_path.display(), error))?;
                Ok(text_header(response, header::CONTENT_LENGTH).and_then(|length| length.parse().ok()))
            }
            _ => {
                self.restart()?;
                Err(Failure::Retry("the server has less of the file than is here".into()))
            }
        }
    }

    fn pour(
        &mut self,
        response: Response<Body>,
        total: Option<u64>,
        progress: &mut dyn FnMut(u64),
        stop: &AtomicBool,
    ) -> Result<(), Failure> {
        let limit = total.unwrap_or(UNKNOWN_SIZE_LIMIT);
        let mut reader = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 17];
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted.into());
            }
            let count = match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::Retry(error.to_string())),
            };
            if self.length + count as u64 > limit {
                return Err(self.refuse(format!("the server sends more than {limit} bytes")).into());
            }
            let bytes = &buffer[..count];
            self.file.write_all(bytes).map_err(|error| Error::io("writing", self.path.display(), error))?;
            self.hasher.update(bytes);
            self.length += count as u64;
            self.received += count as u64;
            progress(self.length);
        }
    }

    fn finish(self, wanted: &RemoteFile, target: &Path) -> Result<Fetched> {
        let sha256 = hex(&self.hasher.clone().finalize());
        if let Some(expected) = wanted.sha256.as_ref().filter(|expected| **expected != sha256) {
            return Err(self.refuse(format!("expected sha256 {expected}, found {sha256}; it was removed, try again")));
        }
        self.file.sync_all().map_err(|error| Error::io("writing", self.path.display(), error))?;
        let Self { path, origin_path, file, length, received, .. } = self;
        drop(file); // an open file cannot be renamed everywhere
        rename(&path, target).map_err(|error| Error::io("writing", target.display(), error))?;
        remove(&origin_path);
        Ok(Fetched { size: length, sha256, received })
    }

    /// Deletes the partial file, whose bytes are wrong, and returns the error.
    fn refuse(&self, reason: String) -> Error {
        remove(&self.path);
        remove(&self.origin_path);
        Error::broken(self.path.with_extension("").display(), reason)
    }
}

/// Removes what an interrupted download left beside a file that is complete.
pub(super) fn remove_parts(target: &Path) {
    remove(&with_suffix(target, ".part"));
    remove(&with_suffix(target, ".part.json"));
}

/// Removes a file that may no longer exist.
pub(super) fn remove(path: &Path) {
    fs::remove_file(path).ok();
}

/// SHA-256 of a file on disk, 64 hex digits.
///
/// # Errors
/// [`Error::Io`], [`Error::Interrupted`].
pub fn sha256_of(path: &Path, stop: &AtomicBool) -> Result<String> {
    let failed = |error| Error::io("reading", path.display(), error);
    let mut file = File::open(path).map_err(failed)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 18]);
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hasher.finalize())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Parses a `Content-Range`: `bytes 5-9/10` -> (5, Some(10)); a total of `*` is unknown.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.trim().parse().ok()?;
    Some((start, total.trim().parse().ok()))
}
