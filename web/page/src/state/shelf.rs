//! Models that can be brought to this device: the ones that are known, what a visitor may type, and how far one is.

use record::presets::{self, KnownModel};

use super::work::Work;
use protocol::{Keeping, Part, Problem, Response, Run, Shelf, Source};

/// Where repositories are looked for unless the visitor names another hub.
pub const HUB: &str = "https://huggingface.co";

/// A model that is worth bringing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The model.
    pub model: KnownModel,
    /// What it plays.
    pub part: Part,
    /// How good it is, and what it asks of a machine.
    pub quality: &'static str,
}

/// Those of the native program's preset for laptops, and the teacher of the paper's family that fits a tab.
pub const KNOWN: [Known; 3] = [
    Known {
        model: presets::DEBERTA_XSMALL,
        part: Part::Critic,
        quality: "Reads English of every kind, where this site's critic knows old newswire; the native program uses it for laptops. On a CPU it reads a few pairs a second.",
    },
    Known {
        model: presets::SMOLLM2,
        part: Part::Teacher,
        quality: "Writes sound sentences about most things. Wants a graphics card: on a CPU it is very slow.",
    },
    Known {
        model: presets::DISTILGPT2,
        part: Part::Teacher,
        quality: "Plainer and faster, of the family that the paper used. Wants a graphics card.",
    },
];

impl Known {
    /// What to ask the worker for.
    #[must_use]
    pub fn source(&self, hub: &str) -> Source {
        Source::Hub { endpoint: hub.to_owned(), repo: self.model.repo.to_owned(), revision: "main".to_owned() }
    }
}

/// Its folder on the device, as the worker names it.
#[must_use]
pub fn folder(repo: &str) -> String {
    repo.replace('/', "--").to_lowercase()
}

/// Reads what a visitor typed: `OWNER/REPOSITORY[@REVISION]`, or the address of a folder.
///
/// # Errors
/// What is wrong with it, and what it should be.
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
        // The page of a repository is the repository.
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

/// Bytes in words.
#[must_use]
pub fn size(bytes: u64) -> String {
    let mb = bytes as f64 / 1e6;
    match mb {
        _ if mb >= 1000.0 => format!("{:.2} GB", mb / 1000.0),
        _ if mb >= 10.0 => format!("{mb:.0} MB"),
        _ => format!("{mb:.1} MB"),
    }
}

/// Models of this device, and the one that is coming.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shelving {
    /// What is there; none until the worker has looked.
    pub shelf: Option<Shelf>,
    /// The run that brings a model.
    pub work: Work,
    /// It was dropped on the page: what there is of it is not kept.
    pub dropped: bool,
    /// How far it is.
    pub keeping: Keeping,
    /// The last word about it.
    pub said: String,
}

impl Shelving {
    /// A model is on its way, over a network or dropped.
    pub fn begin(&mut self, run: Run, dropped: bool) {
        *self = Self { shelf: self.shelf.take(), work: Work::begin(run), dropped, ..Self::default() };
    }

    /// Where a repository was begun from.
    #[must_use]
    pub fn source_of(&self, repo: &str) -> Option<Source> {
        let name = folder(repo);
        let begun = self.shelf.iter().flat_map(|shelf| &shelf.begun).find(|b| b.name == name)?;
        (!matches!(begun.source, Source::Dropped { .. })).then(|| begun.source.clone())
    }

    /// Takes an answer.
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

    /// Share of the model that is there, where its size is known.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let all = self.keeping.bytes.filter(|bytes| *bytes > 0)?;
        Some((self.keeping.done as f64 / all as f64).min(1.0))
    }

    /// How far, in words: file, sizes, rate, time left.
    #[must_use]
    pub fn progress(&self) -> String {
        let k = &self.keeping;
        let of = |done: u64, all: Option<u64>| match all {
            // About, where a server compresses on the way.
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

    /// What stands in the line that is read out: changes seldom.
    #[must_use]
    pub fn told(&self) -> String {
        match (&self.work.problem, self.work.running) {
            (Some(problem), _) => problem.what.clone(),
            (_, true) => {
                format!("Bringing {}.", if self.keeping.name.is_empty() { "a model" } else { &self.keeping.name })
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
