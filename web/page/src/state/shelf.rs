//! Models that can be stored on this device: recommended ones, sources that the user enters, and download progress.

use record::presets::{self, KnownModel};

use super::work::Work;
use protocol::{Keeping, Part, Problem, Response, Run, Shelf, Source};

/// The default model hub.
pub const HUB: &str = "https://huggingface.co";

/// A recommended model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The published model.
    pub model: KnownModel,
    /// Role of the model.
    pub part: Part,
    /// Quality and hardware requirements, as text for the user.
    pub quality: &'static str,
}

/// Critic and teacher of the native program's preset `small`, and a small GPT-2 teacher.
pub const KNOWN: [Known; 3] = [
    Known {
        model: presets::DEBERTA_XSMALL,
        part: Part::Critic,
        quality: "Judges English text of any kind, while this site's critic was trained on old newswire. The native program's preset for laptops uses it. A CPU scores a few pairs per second.",
    },
    Known {
        model: presets::SMOLLM2,
        part: Part::Teacher,
        quality: "Writes good sentences on most topics. Needs a graphics card: on a CPU it is very slow.",
    },
    Known {
        model: presets::DISTILGPT2,
        part: Part::Teacher,
        quality: "Simpler and faster, of the model family that the paper used. Needs a graphics card.",
    },
];

impl Known {
    /// The model's source on a hub.
    #[must_use]
    pub fn source(&self, hub: &str) -> Source {
        Source::Hub { endpoint: hub.to_owned(), repo: self.model.repo.to_owned(), revision: "main".to_owned() }
    }
}

/// Name of the stored model for a repository, as the worker names it.
#[must_use]
pub fn folder(repo: &str) -> String {
    repo.replace('/', "--").to_lowercase()
}

/// Parses a source that the user entered: `OWNER/REPOSITORY[@REVISION]`, or the URL of a folder.
///
/// # Errors
/// A [`Problem`] for invalid input, with the accepted forms.
pub fn source(typed: &str, hub: &str) -> Result<Source, Problem> {
    let typed = typed.trim();
    let wrong = |what: &str| Problem {
        what: format!("\"{}\" {what}", typed.chars().take(80).collect::<String>()),
        step: "Type OWNER/REPOSITORY, OWNER/REPOSITORY@REVISION, or the address of a folder that begins with https://."
            .to_owned(),
    };
    let hub = hub.trim().trim_end_matches('/');
    if typed.starts_with("https://") || typed.starts_with("http://") {
        if typed.contains(['?', '#']) || typed.len() > 2000 || typed.chars().any(char::is_whitespace) {
            return Err(wrong("is not the address of a folder."));
        }
        // The URL of a repository's page means the repository.
        if let Some(repo) =
            typed.strip_prefix(&format!("{hub}/")).filter(|rest| rest.trim_end_matches('/').matches('/').count() == 1)
        {
            return source(repo.trim_end_matches('/'), hub);
        }
        let folder = typed.strip_suffix("config.json").unwrap_or(typed);
        return Ok(Source::Url(format!("{}/", folder.trim_end_matches('/'))));
    }
    if !(hub.starts_with("https://") || hub.starts_with("http://")) {
        let what = format!("\"{hub}\" is not the address of a hub.");
        return Err(Problem { what, step: format!("Type an address such as {HUB}.") });
    }
    let (repo, revision) = typed.split_once('@').unwrap_or((typed, "main"));
    let word = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !part.is_empty()
            && part.len() <= 96
            && part.bytes().all(plain)
            && !part.starts_with(['.', '-'])
            && !part.contains("..")
    };
    let named = repo.split_once('/').is_some_and(|(owner, name)| word(owner) && word(name));
    if !named || !revision.split('/').all(word) || revision.len() > 200 {
        return Err(wrong("is no repository."));
    }
    Ok(Source::Hub { endpoint: hub.to_owned(), repo: repo.to_owned(), revision: revision.to_owned() })
}

/// A size in decimal units, such as `1.43 GB`, `92 MB` or `1.5 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let mb = bytes as f64 / 1e6;
    match mb {
        _ if mb >= 1000.0 => format!("{:.2} GB", mb / 1000.0),
        _ if mb >= 10.0 => format!("{mb:.0} MB"),
        _ => format!("{mb:.1} MB"),
    }
}

/// The stored models, and the current download.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shelving {
    /// The stored models; `None` until the worker has listed them.
    pub shelf: Option<Shelf>,
    /// State of the download.
    pub work: Work,
    /// Whether the files were dropped on the page; unfinished ones are then not kept.
    pub dropped: bool,
    /// Progress of the download.
    pub keeping: Keeping,
    /// Message about the last finished or cancelled download.
    pub said: String,
}

impl Shelving {
    /// Starts the state of a new download, or of dropped files.
    pub fn begin(&mut self, run: Run, dropped: bool) {
        *self = Self { shelf: self.shelf.take(), work: Work::begin(run), dropped, ..Self::default() };
    }

    /// Source of the unfinished download of a repository, if there is one.
    #[must_use]
    pub fn source_of(&self, repo: &str) -> Option<Source> {
        let name = folder(repo);
        let begun = self.shelf.iter().flat_map(|shelf| &shelf.begun).find(|b| b.name == name)?;
        (!matches!(begun.source, Source::Dropped { .. })).then(|| begun.source.clone())
    }

    /// Updates the state by a response; responses of other runs are ignored.
    pub fn hear(&mut self, response: &Response) {
        self.work.hear(response);
        match response {
            Response::Shelf(shelf) => self.shelf = Some(shelf.clone()),
            Response::Keeping(keeping) if keeping.run == self.work.run => self.keeping = keeping.clone(),
            Response::Kept { run, model } if *run == self.work.run => {
                self.work.running = false;
                self.said =
                    format!("{} is on this device, a {} of {}.", model.name, model.part.name(), size(model.bytes()));
            }
            Response::Done { run, .. } if *run == self.work.run => {
                let kept = if self.dropped { "nothing was kept" } else { "what is there is kept" };
                self.said = format!("Cancelled after {}; {kept}.", size(self.keeping.done));
            }
            _ => {}
        }
    }

    /// Fraction of the model that is stored, if its size is known.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let all = self.keeping.bytes.filter(|bytes| *bytes > 0)?;
        Some((self.keeping.done as f64 / all as f64).min(1.0))
    }

    /// Progress as text: file, sizes, transfer rate and remaining time.
    #[must_use]
    pub fn progress(&self) -> String {
        let k = &self.keeping;
        let of = |done: u64, all: Option<u64>| match all {
            // The size is approximate if the server compresses the file.
            Some(all) => format!("{} of {}", size(done), size(all.max(done))),
            None => size(done),
        };
        if k.of == 0 {
            return format!("{}: {}", k.name, k.file);
        }
        let mut words =
            format!("{}: {} ({} of {} files), {}", k.name, k.file, k.nth + 1, k.of, of(k.file_done, k.file_bytes));
        words.push_str(&format!("; {} in all", of(k.done, k.bytes)));
        let rate = if k.seconds > 0.5 { k.came as f64 / k.seconds } else { 0.0 };
        if rate > 0.0 {
            words.push_str(&format!("; {:.1} MB/s", rate / 1e6));
            if let Some(all) = k.bytes {
                let left = all.saturating_sub(k.done) as f64 / rate;
                let left = if left < 100.0 { format!("{left:.0} s") } else { format!("{:.0} min", left / 60.0) };
                words.push_str(&format!(", {left} left"));
            }
        }
        words
    }

    /// A status message for screen readers, which changes seldom.
    #[must_use]
    pub fn told(&self) -> String {
        match (&self.work.problem, self.work.running) {
            (Some(problem), _) => problem.what.clone(),
            (_, true) => {
                format!("Storing {}.", if self.keeping.name.is_empty() { "a model" } else { &self.keeping.name })
            }
            _ => self.said.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_typed() {
        let hub = |repo: &str, revision: &str| {
            Ok(Source::Hub { endpoint: HUB.into(), repo: repo.into(), revision: revision.into() })
        };
        assert_eq!(source(" owner/Model ", HUB), hub("owner/Model", "main"));
        assert_eq!(source("owner/model@refs/pr/1", "https://huggingface.co/"), hub("owner/model", "refs/pr/1"));
        assert_eq!(source("https://huggingface.co/owner/model/", HUB), hub("owner/model", "main"));
        assert_eq!(source("https://a.b/c", HUB), Ok(Source::Url("https://a.b/c/".into())));
        assert_eq!(source("https://a.b/c/config.json", HUB), Ok(Source::Url("https://a.b/c/".into())));
        for bad in ["", "model", "a/b/c", "../b", "a/..", "a/b@", "a/b@..", "https://a.b/?x", "javascript:1/2", "a/<b>"]
        {
            assert!(source(bad, HUB).is_err(), "{bad}");
        }
        assert!(source("a/b", "ftp://c").is_err());
    }

    #[test]
    fn the_known_can_be_asked_for() {
        for known in KNOWN {
            assert_eq!(source(known.model.repo, HUB), Ok(known.source(HUB)));
        }
        assert_eq!(folder(KNOWN[1].model.repo), "huggingfacetb--smollm2-135m-instruct");
    }

    #[test]
    fn how_far_it_is() {
        let mut state = Shelving::default();
        state.begin(4, false);
        let keeping = Keeping {
            run: 4,
            name: "a--b".into(),
            file: "model.safetensors".into(),
            nth: 2,
            of: 3,
            file_done: 50_000_000,
            file_bytes: Some(99_000_000),
            done: 51_000_000,
            bytes: Some(100_000_000),
            came: 10_000_000,
            seconds: 2.0,
        };
        state.hear(&Response::Keeping(Keeping { run: 3, ..Keeping::default() }));
        state.hear(&Response::Keeping(keeping));
        assert_eq!(
            state.progress(),
            "a--b: model.safetensors (3 of 3 files), 50 MB of 99 MB; 51 MB of 100 MB in all; 5.0 MB/s, 10 s left"
        );
        assert_eq!(state.share(), Some(0.51));
        let problem = Problem { what: "It stopped.".into(), step: "Resume.".into() };
        state.hear(&Response::Failed { run: Some(4), problem });
        assert_eq!((state.work.running, state.told().as_str()), (false, "It stopped."));
        state.begin(5, false);
        state.hear(&Response::Done { run: 5, stopped: true, speed: protocol::Speed::default() });
        assert!(!state.work.running && state.work.problem.is_none() && state.told().starts_with("Cancelled"));
    }
}
