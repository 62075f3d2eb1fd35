//! Listing the files of a source.

use futures_util::future::{Either, select};
use gloo::net::http::{Method, RequestBuilder, Response};
use gloo::timers::future::TimeoutFuture;
use lm::model::LanguageModel;
use lm::model::classifier::entailment_label;
use lm::model::config::Config;
use method::golden;
use method::student::format;
use serde::Deserialize;
use serde_json::Value;
use web_sys::AbortSignal;

use super::problem;
use protocol::{Problem, Source};

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
pub(super) const CONFIG: &str = "config.json";
const ALWAYS: [&str; 2] = [CONFIG, "tokenizer.json"];
const MAYBE: [&str; 4] = [format::FILE, golden::FILE, "generation_config.json", "tokenizer_config.json"];

/// Most weight files of a model.
const MOST_SHARDS: usize = 64;

/// A file to download.
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) url: String,
    /// Exact size in bytes if known, which allows resuming.
    pub(super) bytes: Option<u64>,
    /// Approximate size in bytes, for progress.
    pub(super) about: Option<u64>,
    pub(super) sha256: Option<String>,
    /// Identifier of the file's version by the hub or the server.
    pub(super) version: Option<String>,
    /// Whether the server sends the version with each response.
    pub(super) served: bool,
}

/// The files of a source, and its licence if stated.
pub(super) struct Listing {
    pub(super) files: Vec<Wanted>,
    pub(super) licence: Option<String>,
}

/// Largest accepted response with a list of files, in bytes.
const MOST_JSON: usize = 16 << 20;

/// Milliseconds to wait for a response.
const PATIENCE_MS: u32 = 45_000;

type Result<T> = std::result::Result<T, Problem>;

/// Whether a file with this name can be part of a model.
pub(super) fn known(name: &str) -> bool {
    let weights = name.starts_with("model") && name.ends_with(".safetensors");
    ALWAYS.contains(&name) || MAYBE.contains(&name) || name == INDEX || weights
}

/// Checks that a configuration is of a supported language model or pair classifier.
pub(super) fn plays(config: &[u8]) -> record::Result<()> {
    let config = Config::parse(CONFIG, config)?;
    match entailment_label(&config)? {
        Some(_) => Ok(()),
        None => LanguageModel::sizes_of(&config).map(drop),
    }
}

/// Percent-encodes a path for a URL.
fn escape(text: &str) -> String {
    String::from(js_sys::encode_uri_component(text)).replace("%2F", "/")
}

/// Sends a request, for the bytes from `from` on, and returns the response of any status.
pub(super) async fn ask(method: Method, url: &str, from: u64, stop: &AbortSignal) -> Result<Response> {
    let mut request = RequestBuilder::new(url).method(method).abort_signal(Some(stop));
    if from > 0 {
        request = request.header("Range", &format!("bytes={from}-"));
    }
    let sent = match request.build() {
        Ok(request) => match select(Box::pin(request.send()), TimeoutFuture::new(PATIENCE_MS)).await {
            Either::Left((sent, _)) => sent,
            Either::Right(_) => {
                let what = format!("{} did not answer within {} s.", host(url), PATIENCE_MS / 1000);
                return Err(problem(what, "Try again in a while."));
            }
        },
        Err(error) => Err(error),
    };
    sent.map_err(|error| {
        let step = "See whether this machine is online and the address is right; the server must also allow this site to read it (CORS).";
        problem(format!("{} did not answer: {error}", host(url)), step)
    })
}

/// Scheme and host of a URL, the part that messages may show.
pub(super) fn host(url: &str) -> &str {
    let start = url.find("://").map_or(0, |i| i + 3);
    let end = url[start..].find('/').map_or(url.len(), |i| start + i);
    &url[..end]
}

/// The problem that an HTTP status means.
pub(super) fn judged(status: u16, what: &str) -> Problem {
    let step = match status {
        401 | 403 => {
            "It is gated or private, or does not exist: take a public one, or download it and drop the folder here."
        }
        404 | 410 => "Check the spelling.",
        408 | 425 | 429 | 500..=599 => "The server is busy: resume in a moment; what is there is kept.",
        _ => "Check the address.",
    };
    problem(format!("The server answered {status} for {what}."), step)
}

async fn json(url: &str, what: &str, stop: &AbortSignal) -> Result<Value> {
    let response = ask(Method::GET, url, 0, stop).await?;
    if !response.ok() {
        return Err(judged(response.status(), what));
    }
    let step = "This is not the address of a model; check it.";
    let text =
        response.text().await.map_err(|e| problem(format!("The answer for {what} broke off: {e}"), "Try again."))?;
    if text.len() > MOST_JSON {
        return Err(problem(format!("The answer for {what} has {} bytes.", text.len()), step));
    }
    serde_json::from_str(&text).map_err(|e| problem(format!("The answer for {what} is no JSON: {e}"), step))
}

fn shards(index: &Value) -> Result<Vec<String>> {
    let step = "The model is damaged where it lies; take another.";
    let map = index.get("weight_map").and_then(Value::as_object);
    let mut names: Vec<String> =
        map.into_iter().flat_map(|map| map.values()).filter_map(|v| v.as_str().map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    let plain = |name: &String| name.ends_with(".safetensors") && lm::model::files::check_name(name).is_ok();
    if names.is_empty() || names.len() > MOST_SHARDS || !names.iter().all(plain) {
        return Err(problem(format!("{INDEX} does not name 1 to {MOST_SHARDS} weight files."), step));
    }
    Ok(names)
}

/// Lists the files of a source that a model needs. Files in subfolders are ignored.
pub(super) async fn list(source: &Source, stop: &AbortSignal) -> Result<Listing> {
    match source {
        Source::Hub { endpoint, repo, revision } => hub(endpoint, repo, revision, stop).await,
        Source::Url(base) => folder(base, stop).await,
        Source::Dropped { name, files } => {
            let files: Vec<Wanted> = files
                .iter()
                .filter(|f| known(&f.name))
                .map(|f| Wanted {
                    name: f.name.clone(),
                    url: f.url.clone(),
                    bytes: Some(f.bytes),
                    about: Some(f.bytes),
                    sha256: None,
                    version: None,
                    served: false,
                })
                .collect();
            let lacks = |n: &str| files.iter().all(|f| f.name != n);
            let weights = lacks(WEIGHTS) && lacks(INDEX);
            if let Some(missing) = ALWAYS.into_iter().find(|n| lacks(n)).or(weights.then_some(WEIGHTS)) {
                let step = "Drop a whole folder in the layout of the Hugging Face hub: config.json, tokenizer.json, model.safetensors.";
                return Err(problem(format!("{name} has no {missing}."), step));
            }
            Ok(Listing { files, licence: None })
        }
    }
}

#[derive(Deserialize)]
struct Info {
    sha: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}

async fn hub(endpoint: &str, repo: &str, revision: &str, stop: &AbortSignal) -> Result<Listing> {
    let api = format!("{endpoint}/api/models/{}", escape(repo));
    let step = "This is not the address of a hub; check it.";
    let strange = |what: String| problem(what, step);
    let info = json(&format!("{api}/revision/{}", js_sys::encode_uri_component(revision)), repo, stop).await?;
    let info: Info = serde_json::from_value(info).map_err(|e| strange(format!("The hub's answer for {repo}: {e}")))?;
    let commit = info.sha.unwrap_or_else(|| revision.to_owned());
    let commit = String::from(js_sys::encode_uri_component(&commit));
    let tree = json(&format!("{api}/tree/{commit}"), repo, stop).await?;
    let entries = tree.as_array().ok_or_else(|| strange(format!("The hub lists no files for {repo}.")))?;
    let find = |name: &str| {
        let entry = entries.iter().find(|e| e["path"] == name && e["type"] != "directory")?;
        let lfs = &entry["lfs"];
        let sha256 = lfs["oid"].as_str().map(|oid| oid.trim_start_matches("sha256:").to_lowercase());
        let bytes = lfs["size"].as_u64().or_else(|| entry["size"].as_u64());
        let url = format!("{endpoint}/{}/resolve/{commit}/{}", escape(repo), escape(name));
        let version = entry["oid"].as_str().map(str::to_owned);
        let sha256 = sha256.filter(|s| s.len() == 64);
        Some(Wanted { name: name.to_owned(), url, bytes, about: bytes, sha256, version, served: false })
    };
    let whole = |name: &str| {
        find(name).ok_or_else(|| {
            problem(
                format!("{repo} has no {name}."),
                "Take a repository with a fast tokenizer and safetensors, or convert it (`impossible export`) and drop the folder here.",
            )
        })
    };
    let mut files = ALWAYS.into_iter().map(whole).collect::<Result<Vec<_>>>()?;
    files.extend(MAYBE.into_iter().filter_map(find));
    if let Some(weights) = find(WEIGHTS) {
        files.push(weights);
    } else {
        let index = whole(INDEX).map_err(|_| {
            problem(
                format!("{repo} has no {WEIGHTS}."),
                "Take a repository with safetensors, or convert it (`impossible export`) and drop the folder here.",
            )
        })?;
        let names = shards(&json(&index.url, INDEX, stop).await?)?;
        files.push(index);
        files.extend(names.iter().map(|name| whole(name)).collect::<Result<Vec<_>>>()?);
    }
    let licence = info.tags.iter().find_map(|tag| tag.strip_prefix("license:")).map(str::to_owned);
    Ok(Listing { files, licence })
}

/// The version of a file, from the headers of a response.
pub(super) fn version(response: &Response) -> Option<String> {
    // Unlike `etag`, a page may read `last-modified` of another site's response without permission (CORS).
    ["last-modified", "etag"].iter().find_map(|name| response.headers().get(name))
}

/// A file in a folder at a URL; `None` if the server does not have it.
async fn look(base: &str, name: &str, stop: &AbortSignal) -> Result<Option<Wanted>> {
    let url = format!("{base}{}", escape(name));
    let response = ask(Method::HEAD, &url, 0, stop).await?;
    match response.status() {
        404 | 410 => Ok(None),
        _ if response.ok() => {
            let about = response.headers().get("content-length").and_then(|n| n.parse().ok()).filter(|n| *n > 0);
            // For text that the server compresses, `content-length` is the compressed size.
            let bytes = about.filter(|_| name.ends_with(".safetensors"));
            let version = version(&response);
            Ok(Some(Wanted { name: name.to_owned(), url, bytes, about, sha256: None, version, served: true }))
        }
        status => Err(judged(status, name)),
    }
}

async fn folder(base: &str, stop: &AbortSignal) -> Result<Listing> {
    let mut files = Vec::new();
    for name in ALWAYS {
        files.push(look(base, name, stop).await?.ok_or_else(|| judged(404, name))?);
    }
    for name in MAYBE {
        files.extend(look(base, name, stop).await?);
    }
    if let Some(weights) = look(base, WEIGHTS, stop).await? {
        files.push(weights);
    } else {
        let index = look(base, INDEX, stop).await?.ok_or_else(|| judged(404, WEIGHTS))?;
        let names = shards(&json(&index.url, INDEX, stop).await?)?;
        files.push(index);
        for name in names {
            files.push(look(base, &name, stop).await?.ok_or_else(|| judged(404, &name))?);
        }
    }
    Ok(Listing { files, licence: None })
}
