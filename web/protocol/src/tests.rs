//! Every message is unchanged after a round trip through JSON, in which the page and the worker exchange messages.

use std::collections::BTreeSet;

use record::{DeviceSpec, Preset, Refusal};
use serde::de::DeserializeOwned;

use super::*;

/// Encodes and decodes a message.
fn sent<T: Serialize + DeserializeOwned>(message: &T) -> T {
    serde_json::from_str(&serde_json::to_string(message).unwrap()).unwrap()
}

fn thresholds() -> Thresholds {
    let plan = Preset::Tiny.plan(DeviceSpec::Flex);
    Thresholds { paraphrase: Paraphrase { length_max: f32::MAX, ..plan.paraphrase }, summary: plan.summary }
}

fn scored(refused_by: Option<Refusal>) -> Scored {
    Scored {
        task: Task::Summary,
        context: u64::from(u32::MAX) + 1,
        x: 0,
        y: 1,
        length_ratio: 0.1,
        rouge_l: 1.0 / 3.0,
        numbers: Some(1.0),
        entities: None,
        modality: Some(0.0),
        cosine: None,
        forward: Some(f32::MIN_POSITIVE),
        backward: None,
        nll: None,
        refused_by,
    }
}

fn speed() -> Speed {
    Speed { first_s: 0.1, tokens: 7, writing_s: 0.3, pairs: 8, all_s: 1e-9, memory: u64::MAX }
}

fn problem() -> Problem {
    Problem { what: "It \"failed\",\nwith \u{1f30a}.".into(), step: String::new() }
}

fn source(files: Vec<DroppedFile>) -> Source {
    Source::Dropped { name: "folder".into(), files }
}

fn stored() -> Stored {
    let files = vec![StoredFile { name: "model.safetensors".into(), bytes: 3, sha256: "ab".into() }];
    Stored { name: "me/model".into(), part: Part::Critic, origin: "dropped".into(), licence: None, files }
}

fn requests() -> Vec<Request> {
    let file = DroppedFile { name: "config.json".into(), url: "blob:1".into(), bytes: 2 };
    let hub = Source::Hub { endpoint: "https://hub".into(), repo: "me/model".into(), revision: "main".into() };
    let rewrite =
        Rewrite { task: Task::Paraphrase, style: Style::Diverse, samples: 4, length: 0.6, entailment: 0.5, seed: 7 };
    let distill = |thresholds| Distill {
        contexts: 2,
        k: 8,
        temperature: 0.7,
        seeds: vec!["A.".into(), String::new()],
        thresholds,
        seed: 1 << 52,
    };
    let cast = Cast { critic: Some("me/model".into()), ..Cast::default() };
    let mut all = vec![
        Request::Check,
        Request::Load { base: "https://site/".into(), wanted: Wanted::Gpu, alarm: "alarm".into(), cast },
        Request::Shelf,
        Request::Remove { name: "me/model".into() },
        Request::Generate { run: 1, text: "It rained.\n\u{1f30a}".into(), settings: rewrite },
        Request::Distill { run: 2, settings: distill(None) },
        Request::Distill { run: 2, settings: distill(Some(thresholds())) },
        Request::Refilter { thresholds: thresholds() },
        Request::Train { run: 3, epochs: 4 },
        Request::Use(Student::Trained),
        Request::Export { run: 5 },
        Request::Interrupt { run: 6 },
        Request::Reset,
    ];
    let sources = [hub, Source::Url("https://site/model/".into()), source(vec![file])];
    all.extend(sources.map(|source| Request::Keep { run: 7, source }));
    all
}

/// The index of a request's kind. A new kind does not compile until it has one; [`requests`] must contain every kind.
fn kind_of_request(request: &Request) -> usize {
    match request {
        Request::Check => 0,
        Request::Load { .. } => 1,
        Request::Shelf => 2,
        Request::Keep { .. } => 3,
        Request::Remove { .. } => 4,
        Request::Generate { .. } => 5,
        Request::Distill { .. } => 6,
        Request::Refilter { .. } => 7,
        Request::Train { .. } => 8,
        Request::Use(_) => 9,
        Request::Export { .. } => 10,
        Request::Interrupt { .. } => 11,
        Request::Reset => 12,
    }
}

fn responses() -> Vec<Response> {
    let adapter = || Some(Adapter { name: "a GPU".into(), software: false, f16: true });
    let version = |refused| Version { source: 0, row: 3, text: "It rained.".into(), scored: scored(refused) };
    let text = || "It rained.".to_owned();
    let looks = vec![Look { task: Task::Summary, source: text(), version: text(), kept: true }];
    let begun = vec![Begun { name: "half".into(), source: source(Vec::new()), bytes: 1 }];
    let shelf = Shelf { models: vec![stored()], begun, used: 1, quota: 2, problem: Some(problem()) };
    vec![
        Response::Devices(Devices { gpu: adapter() }),
        Response::Devices(Devices::default()),
        Response::Loading { what: "the critic".into(), share: 0.1 },
        Response::Ready(Ready {
            backend: "WebGPU".into(),
            adapter: adapter(),
            fallback: None,
            golden: Some(1e-6),
            cast: Cast { student: Some("s".into()), ..Cast::default() },
            unchecked: vec!["s".into()],
            load_s: 0.1,
            test_s: 0.2,
            thresholds: thresholds(),
        }),
        Response::Shelf(shelf),
        Response::Shelf(Shelf::default()),
        Response::Keeping(Keeping { name: "m".into(), file_bytes: Some(9), seconds: 0.1, ..Keeping::default() }),
        Response::Kept { run: 1, model: stored() },
        Response::Reading { run: 1, sentence: 0, of: 2, source: text() },
        Response::Written { run: 1, sentence: 0, versions: vec![text(), String::new()] },
        Response::Judged {
            run: 1,
            sentence: 1,
            versions: vec![version(None), version(Some(Refusal::Copy))],
            note: Some("too long".into()),
            speed: speed(),
        },
        Response::Context { run: 2, context: 0, of: 2, text: text() },
        Response::Siblings { run: 2, context: 0, sentences: vec![text()], rows: 8 },
        Response::Pairs(Filtered {
            points: vec![Point { text: text(), target: text(), scored: scored(Some(Refusal::Forward)) }],
            kept: vec![Kept { text: text(), target: text(), scored: scored(None) }],
            funnel: Funnel::default(),
            missing: 1,
            contexts: 2,
        }),
        Response::Training(Training { run: 3, loss: Some(0.1), looks, ..Training::default() }),
        Response::Exported { run: 4, url: "blob:2".into(), name: "student.zip".into(), bytes: 3 },
        Response::Done { run: 5, stopped: true, speed: speed() },
        Response::Notice(problem()),
        Response::Failed { run: None, problem: problem() },
        Response::Failed { run: Some(6), problem: problem() },
    ]
}

/// The index of a response's kind, as [`kind_of_request`].
fn kind_of_response(response: &Response) -> usize {
    match response {
        Response::Devices(_) => 0,
        Response::Loading { .. } => 1,
        Response::Ready(_) => 2,
        Response::Shelf(_) => 3,
        Response::Keeping(_) => 4,
        Response::Kept { .. } => 5,
        Response::Reading { .. } => 6,
        Response::Written { .. } => 7,
        Response::Judged { .. } => 8,
        Response::Context { .. } => 9,
        Response::Siblings { .. } => 10,
        Response::Pairs(_) => 11,
        Response::Training(_) => 12,
        Response::Exported { .. } => 13,
        Response::Done { .. } => 14,
        Response::Notice(_) => 15,
        Response::Failed { .. } => 16,
    }
}

#[test]
fn every_message_arrives_as_it_was_sent() {
    for request in requests() {
        assert_eq!(sent(&request), request);
    }
    for response in responses() {
        assert_eq!(sent(&response), response);
    }
    let kinds: BTreeSet<usize> = requests().iter().map(kind_of_request).collect();
    assert!(kinds.iter().copied().eq(0..13), "{kinds:?}");
    let kinds: BTreeSet<usize> = responses().iter().map(kind_of_response).collect();
    assert!(kinds.iter().copied().eq(0..17), "{kinds:?}");
}

#[test]
fn a_loss_that_is_no_number_is_no_loss() {
    let training = Training { loss: Some(f32::NAN), ..Training::default() };
    assert_eq!(sent(&Response::Training(training)), Response::Training(Training::default()));
}

#[test]
fn a_part_is_given_and_given_back() {
    let mut cast = Cast::default();
    for part in Part::ALL {
        cast.give(part, Some(part.name().to_owned()));
    }
    assert!(Part::ALL.iter().all(|part| cast.of(*part) == Some(part.name())));
    cast.give(Part::Critic, None);
    assert_eq!((cast.of(Part::Teacher), cast.of(Part::Critic)), (Some("teacher"), None));
    assert_eq!(stored().bytes(), 3);
    assert_eq!((speed().tokens_per_s().round(), Speed::default().tokens_per_s()), (23.0, 0.0));
}
