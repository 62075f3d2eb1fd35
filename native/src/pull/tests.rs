//! Pulls from a server in this process, which misbehaves when a test requests it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod server;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use record::ErrorKind;
use server::{COMMIT, Faults, Server, hub, sha, weights};

use super::*;
use hub::Patience;

/// Far longer than any of these pulls takes, also on a machine that is busy with other tests; shorter than the patience
/// of a user's pull with a server that does not answer.
const SOON: Duration = Duration::from_secs(60);

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("impossible-pull-{}-{name}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        Self(path)
    }

    fn pull(&self, hub: &Hub, what: &str) -> Result<Vec<Report>> {
        self.pull_until(hub, what, &AtomicBool::new(false))
    }

    fn pull_until(&self, hub: &Hub, what: &str, stop: &AtomicBool) -> Result<Vec<Report>> {
        let begun = Instant::now();
        let store = Store::at(&self.0);
        let result = pull(what, &Options { store: &store, hub, quiet: true, stop });
        assert!(begun.elapsed() < SOON, "a pull must end soon");
        result
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join("tiny").join(name)
    }

    /// Leaves a partial file as an interrupted pull does.
    fn leave_part(&self, server: &Server, bytes: &[u8]) {
        let cut = Faults { cut_after: Some(100_000), ..Faults::default() };
        server.state.lock().unwrap().faults = cut;
        let once = Hub::new(
            &format!("http://127.0.0.1:{}", server.port),
            None,
            Patience { tries: 1, ..server.hub(None).patience },
        );
        self.pull(&once.unwrap(), "me/Tiny").unwrap_err();
        let left = fs::read(self.file("model.safetensors.part")).unwrap();
        assert!(left.len() > 50_000 && bytes.starts_with(&left));
        assert!(Store::at(&self.0).resolve("tiny").unwrap_err().to_string().contains("unfinished"));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

#[test]
fn takes_what_is_needed_and_nothing_twice() {
    let (server, place) = (Server::start(Faults::default()), Place::new("full"));
    let report = place.pull(&server.hub(None), "me/Tiny").unwrap().remove(0);
    assert_eq!(fs::read(place.file("model.safetensors")).unwrap(), weights());
    assert!(!place.file("README.md").exists() && !place.file("pytorch_model.bin").exists());
    let record = read_record(&report.path).unwrap();
    assert_eq!((record.repo.as_str(), record.revision.as_str()), ("me/Tiny", COMMIT));
    let names: Vec<&str> = record.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(record.files[1].sha256, sha(&weights()));
    let mut left: Vec<_> = fs::read_dir(&report.path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["config.json", "model.safetensors", "pulled.json", "tokenizer.json"]);
    let cached = Store::at(&place.0).list().unwrap();
    assert_eq!((cached.len(), cached[0].lacks.clone(), cached[0].bytes > 300_000), (1, None, true));
    assert_eq!(cached[0].architecture.as_deref(), Some("GPT2LMHeadModel"));
    for name in ["me/Tiny", "TINY", "tiny"] {
        assert_eq!(Store::at(&place.0).resolve(name).unwrap().path().unwrap(), report.path);
    }

    let before = server.requests("/").len();
    assert_eq!(place.pull(&server.hub(None), "me/Tiny").unwrap()[0].received, 0);
    assert_eq!(server.requests("/").len(), before, "a complete model needs no network");
    assert_eq!(place.pull(&server.hub(None), "me/Tiny@main").unwrap()[0].received, 0);
    assert_eq!(server.requests("/resolve/").len(), 3, "a named revision is looked up, equal files stay");
    fs::write(place.file("tokenizer.json"), "damaged").unwrap();
    assert_eq!(place.pull(&server.hub(None), "me/Tiny").unwrap()[0].received, 2);
}

#[test]
fn goes_on_after_a_cut() {
    let (server, place) =
        (Server::start(Faults { cut_after: Some(100_000), busy: 2, ..Faults::default() }), Place::new("cut"));
    let report = place.pull(&server.hub(None), "me/Tiny").unwrap().remove(0);
    assert_eq!(fs::read(place.file("model.safetensors")).unwrap(), weights());
    let ranges: Vec<_> = server.requests("model.safetensors").into_iter().map(|entry| entry.1).collect();
    assert_eq!(ranges.len(), 2);
    assert!(ranges[0].is_none() && ranges[1].as_ref().is_some_and(|range| range.starts_with("bytes=")), "{ranges:?}");
    assert!(report.received < 300_100, "nothing is fetched twice");
}

#[test]
fn a_later_call_goes_on_too_and_a_changed_file_starts_anew() {
    let (server, place) = (Server::start(Faults::default()), Place::new("later"));
    place.leave_part(&server, &weights());
    let report = place.pull(&server.hub(None), "me/Tiny").unwrap().remove(0);
    assert!(report.received < 260_000, "{report:?}");
    assert_eq!(fs::read(place.file("model.safetensors")).unwrap(), weights());

    // the same listing, but the server's ETag of the file has changed: the partial file is not trusted
    let place = Place::new("etag");
    place.leave_part(&server, &weights());
    server.state.lock().unwrap().etag = "\"two\"".into();
    let report = place.pull(&server.hub(None), "me/Tiny").unwrap().remove(0);
    assert!(report.received >= 300_000, "{report:?}");

    // even if the server does not compare ETags itself
    let place = Place::new("careless");
    place.leave_part(&server, &weights());
    {
        let mut state = server.state.lock().unwrap();
        (state.etag, state.faults.careless) = ("\"three\"".into(), true);
    }
    let report = place.pull(&server.hub(None), "me/Tiny").unwrap().remove(0);
    assert!(report.received >= 300_000, "{report:?}");

    // other bytes under the same name
    let place = Place::new("changed");
    place.leave_part(&server, &weights());
    let other = vec![7; 250_000];
    server.state.lock().unwrap().files.insert("model.safetensors".into(), other.clone());
    place.pull(&server.hub(None), "me/Tiny").unwrap();
    assert_eq!(fs::read(place.file("model.safetensors")).unwrap(), other);

    // a partial file that was corrupted on disk is detected
    let place = Place::new("rot");
    server.state.lock().unwrap().files.insert("model.safetensors".into(), weights());
    place.leave_part(&server, &weights());
    let part = place.file("model.safetensors.part");
    let mut bytes = fs::read(&part).unwrap();
    bytes[10] ^= 1;
    fs::write(&part, bytes).unwrap();
    let error = place.pull(&server.hub(None), "me/Tiny").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenData, "{error}");
    place.pull(&server.hub(None), "me/Tiny").unwrap();
}

#[test]
fn another_server_goes_on_with_the_part_and_a_web_page_is_told() {
    let (first, second, place) =
        (Server::start(Faults::default()), Server::start(Faults::default()), Place::new("mirror"));
    place.leave_part(&first, &weights());
    second.state.lock().unwrap().etag = "\"two\"".into();
    second.state.lock().unwrap().faults.page = true;
    let error = place.pull(&second.hub(None), "me/Tiny").unwrap_err();
    assert!(matches!(error, Error::Broken { .. }) && error.to_string().contains("a web page"), "{error}");
    second.state.lock().unwrap().faults.page = false;
    let before = first.requests("/").len();
    let report = place.pull(&second.hub(None), "me/Tiny").unwrap().remove(0);
    assert_eq!(fs::read(place.file("model.safetensors")).unwrap(), weights());
    assert!(report.received < 250_000, "the part was thrown away: {} bytes received", report.received);
    assert_eq!(first.requests("/").len(), before, "the first server was asked again");
}

#[test]
fn wrong_bytes_are_not_kept() {
    let (server, place) = (Server::start(Faults { wrong_sha: true, ..Faults::default() }), Place::new("sha"));
    let error = place.pull(&server.hub(None), "me/Tiny").unwrap_err();
    assert!(matches!(&error, Error::Broken { reason, .. } if reason.contains("sha256")), "{error}");
    assert!(!place.file("model.safetensors").exists() && !place.file("model.safetensors.part").exists());
    assert!(!place.file("pulled.json").exists());

    let (server, place) = (Server::start(Faults { size: Some(999), ..Faults::default() }), Place::new("size"));
    let error = place.pull(&server.hub(None), "me/Tiny").unwrap_err();
    assert!(matches!(&error, Error::Broken { reason, .. } if reason.contains("999")), "{error}");
}

#[test]
fn refusals_say_what_to_do() {
    let place = Place::new("status");
    for (status, kind, words) in [
        (401, ErrorKind::WrongInput, "HF_TOKEN"),
        (403, ErrorKind::WrongInput, "licence"),
        (404, ErrorKind::WrongInput, "me/Tiny"),
        (500, ErrorKind::Retry, "500"),
        (418, ErrorKind::Retry, "418"),
    ] {
        let server = Server::start(Faults { status: Some(status), ..Faults::default() });
        let error = place.pull(&server.hub(None), "me/Tiny").unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        let tries = if status == 500 { 3 } else { 1 };
        assert_eq!(server.requests("/").len(), tries, "status {status}");
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = place.pull(&hub(port, None), "small").unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
    let text = error.to_string();
    assert!(text.contains("cannot be reached") && text.contains("models_from_pip.py DIR"), "{text}");
}

#[test]
fn the_token_stays_with_its_host() {
    let (server, place) = (Server::start(Faults { redirect: true, ..Faults::default() }), Place::new("token"));
    place.pull(&server.hub(Some("hf_secret")), "me/Tiny").unwrap();
    assert_eq!(fs::read(place.file("model.safetensors")).unwrap(), weights());
    let (there, elsewhere): (Vec<_>, Vec<_>) =
        server.requests("/").into_iter().partition(|entry| entry.3.starts_with("127."));
    assert_eq!(elsewhere.len(), 3);
    assert!(there.iter().all(|entry| entry.2.as_deref() == Some("Bearer hf_secret")));
    assert!(elsewhere.iter().all(|entry| entry.2.is_none() && entry.0.starts_with("/cdn/")), "{elsewhere:?}");
}

#[test]
fn names_cannot_leave_the_folder() {
    for name in ["../evil.json", "/etc/evil", "a/../../evil", "..\\evil", "c:evil", "a//b", ""] {
        let (server, place) =
            (Server::start(Faults { extra_name: Some(name.into()), ..Faults::default() }), Place::new("escape"));
        let error = place.pull(&server.hub(None), "me/Tiny").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenData, "{name}: {error}");
        assert!(!place.0.join("evil.json").exists());
    }
    let (server, place) = (Server::start(Faults::default()), Place::new("shard"));
    {
        let mut state = server.state.lock().unwrap();
        state.files.remove("model.safetensors");
        let index = br#"{"weight_map":{"a":"../evil.safetensors"}}"#;
        state.files.insert("model.safetensors.index.json".into(), index.to_vec());
    }
    assert_eq!(place.pull(&server.hub(None), "me/Tiny").unwrap_err().kind(), ErrorKind::BrokenData);
    for what in ["me/..", "../x", "me", "me/a/b", "me/a@", "me/a@../x", "me/a:b.bin", "me/a:../b.gguf", "", "a/b c"] {
        assert!(what.parse::<Target>().is_err(), "{what}");
    }
}

#[test]
fn shards_and_formats() {
    let (server, place) = (Server::start(Faults::default()), Place::new("shards"));
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    {
        let mut state = server.state.lock().unwrap();
        state.files.remove("model.safetensors");
        let index = format!(r#"{{"weight_map":{{"a":"{}","b":"{}","c":"{}"}}}}"#, shards[1], shards[0], shards[1]);
        state.files.insert("model.safetensors.index.json".into(), index.into_bytes());
        for shard in shards {
            state.files.insert(shard.into(), vec![3; 2000]);
        }
        state.files.insert("q4.gguf".into(), vec![4; 2000]);
    }
    place.pull(&server.hub(None), "me/Tiny").unwrap();
    assert!(shards.iter().all(|shard| place.file(shard).is_file()) && !place.file("pytorch_model.bin").exists());

    // a new commit with other files: those that are no longer part of the model are removed
    server.state.lock().unwrap().files.remove("model.safetensors.index.json");
    place.pull(&server.hub(None), "me/Tiny@main").unwrap();
    assert!(place.file("pytorch_model.bin").is_file() && shards.iter().all(|shard| !place.file(shard).exists()));
    assert_eq!(store::inspect(&place.0.join("tiny")).lacks, None);

    let place = Place::new("gguf");
    place.pull(&server.hub(None), "me/Tiny:q4.gguf").unwrap();
    assert!(place.file("q4.gguf").is_file() && !place.file("pytorch_model.bin").exists());
    server.state.lock().unwrap().files.remove("pytorch_model.bin");
    let place = Place::new("only-gguf");
    let error = place.pull(&server.hub(None), "me/Tiny").unwrap_err();
    assert!(error.to_string().contains("me/Tiny:q4.gguf"), "{error}");
}

#[test]
fn stops_when_asked_and_keeps_the_part() {
    let stop = Arc::new(AtomicBool::new(false));
    let faults = Faults { interrupt: Some(Arc::clone(&stop)), ..Faults::default() };
    let (server, place) = (Server::start(faults), Place::new("stop"));
    assert_eq!(place.pull_until(&server.hub(None), "me/Tiny", &stop).unwrap_err(), Error::Interrupted);
    assert!(place.file("model.safetensors.part").metadata().unwrap().len() > 0);
    let report = place.pull(&server.hub(None), "me/Tiny").unwrap().remove(0);
    assert!(report.received < 300_000, "{report:?}");
    assert_eq!(fs::read(place.file("model.safetensors")).unwrap(), weights());
}

#[test]
fn folders_of_others_are_left_alone() {
    let (server, place) = (Server::start(Faults::default()), Place::new("others"));
    fs::create_dir_all(place.file("")).unwrap();
    fs::write(place.file("notes.txt"), "mine").unwrap();
    let error = place.pull(&server.hub(None), "me/Tiny").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongInput, "{error}");
    assert_eq!(fs::read_to_string(place.file("notes.txt")).unwrap(), "mine");

    fs::remove_file(place.file("notes.txt")).unwrap();
    place.pull(&server.hub(None), "me/Tiny").unwrap();
    let error = place.pull(&server.hub(None), "you/tiny").unwrap_err();
    assert!(error.to_string().contains("files of me/Tiny"), "{error}");

    let held = lock(&place.0, "tiny").unwrap();
    let error = place.pull(&server.hub(None), "me/Tiny@main").unwrap_err();
    assert!(error.to_string().contains("another"), "{error}");
    drop(held);
}

#[test]
fn a_full_disk_is_told_before() {
    let (server, place) = (Server::start(Faults { size: Some(1 << 60), ..Faults::default() }), Place::new("room"));
    let error = place.pull(&server.hub(None), "me/Tiny").unwrap_err();
    assert!(matches!(&error, Error::Io { reason, .. } if reason.contains("free")), "{error}");
    assert!(server.requests("/resolve/").is_empty());
}

#[test]
fn names_mean_folders() {
    let place = Place::new("resolve");
    let store = Store::at(&place.0);
    assert!(store.list().unwrap().is_empty());
    for (name, hint) in [
        ("gpt2-xl", "impossible pull paper"),
        ("nli-deberta-v3-xsmall", "impossible pull small"),
        ("openai-community/gpt2-xl", "impossible pull paper"),
        ("you/thing", "impossible pull you/thing"),
        ("thing", "OWNER/REPOSITORY"),
        ("../thing", "OWNER/REPOSITORY"),
    ] {
        let error = store.resolve(name).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }) && error.to_string().contains(hint), "{error}");
    }
    assert_eq!(store.resolve(" ").unwrap_err().kind(), ErrorKind::WrongInput);
    fs::create_dir_all(&place.0).unwrap();
    let (gguf, text) = (place.0.join("A.gguf"), place.0.join("a.txt"));
    fs::write(&gguf, "x").unwrap();
    fs::write(&text, "x").unwrap();
    assert_eq!(store.resolve(gguf.to_str().unwrap()).unwrap().path().unwrap(), gguf);
    assert_eq!(store.resolve("a.GGUF").unwrap().path().unwrap(), gguf);
    assert!(matches!(store.resolve(text.to_str().unwrap()), Err(Error::Unsupported { .. })));
    assert_eq!(store.list().unwrap()[0].architecture.as_deref(), Some("GGUF"));
}
