use super::super::datasets::measure;
use super::*;

#[test]
fn datasets_alone_and_at_the_same_number() {
    let files = Files::new(0);
    for (run, n) in [("big", 300), ("small", 120)] {
        std::fs::create_dir_all(files.path(run).join("dataset")).unwrap();
        let line = |i: usize| {
            format!("{{\"text\": \"The {i} ships sailed.\", \"paraphrase\": \"All {} ships left.\"}}\n", i % 100)
        };
        std::fs::write(files.path(run).join("dataset/paraphrase.jsonl"), (0..n).map(line).collect::<String>()).unwrap();
    }
    let (big, small) = (files.path("big").display().to_string(), files.path("small").display().to_string());
    let args = parse(&["--dataset", &big, "--dataset", &small]).unwrap();
    let found = wait(measure(&args, Ok(&mut Bytes), &mut Monitor::new(&mut Unwatched, 0, 0))).unwrap();
    let json = found.json();
    let of = |at: usize| &json["tasks"][0]["datasets"][at]["figures"];
    assert_eq!(
        (json["tasks"].as_array().unwrap().len(), of(0)["total"].as_u64(), of(1)["total"].as_u64()),
        (1, Some(300), Some(120))
    );
    for at in 0..2 {
        assert_eq!((of(at)["n"].as_u64(), of(at)["cosine_n"].as_u64()), (Some(120), Some(120)));
        assert!(of(at).as_object().unwrap().values().all(serde_json::Value::is_number), "{:?}", of(at));
    }
    assert_eq!(of(1)["repeated_targets"].as_u64(), Some(20));
    for text in [found.text(), found.markdown(), found.page()] {
        assert!(
            text.contains("big") && text.contains("300") && text.contains("H2 of targets") && text.contains("bytes"),
            "{text}"
        );
    }
    assert!(found.text().lines().all(|line| line.chars().count() <= 100));
    closed(&found.page());
    found.write(&files.path("out")).unwrap();
    let alone = parse(&["--dataset", &big, "--task", "paraphrase", "--most", "50"]).unwrap();
    let alone = wait(measure(&alone, Err("no encoder".to_owned()), &mut Monitor::new(&mut Unwatched, 0, 0))).unwrap();
    assert_eq!(alone.json()["tasks"][0]["datasets"][0]["figures"]["n"].as_u64(), Some(50));
    assert!(alone.text().contains("No cosine: no encoder"));
    let none = parse(&["--dataset", &big, "--task", "summary"]).unwrap();
    assert!(matches!(
        wait(measure(&none, Err(String::new()), &mut Monitor::new(&mut Unwatched, 0, 0))),
        Err(Error::Missing { .. })
    ));
    let none = parse(&["--dataset", "nowhere"]).unwrap();
    assert!(wait(measure(&none, Err(String::new()), &mut Monitor::new(&mut Unwatched, 0, 0))).is_err());
    let file = files.path("big/dataset/paraphrase.jsonl").display().to_string();
    let no_task = parse(&["--dataset", &file]).unwrap();
    let e =
        wait(measure(&no_task, Err(String::new()), &mut Monitor::new(&mut Unwatched, 0, 0))).unwrap_err().to_string();
    assert!(e.starts_with("--task: expected paraphrase or summary"), "{e}");
    let with_task = parse(&["--dataset", &file, "--task", "paraphrase"]).unwrap();
    assert!(
        wait(measure(&with_task, Err(String::new()), &mut Monitor::new(&mut Unwatched, 0, 0)))
            .unwrap()
            .text()
            .contains("paraphrase.jsonl")
    );
    let mut stop = |_: &Progress| Signal::Stop;
    let args = parse(&["--dataset", &big]).unwrap();
    let stopped = wait(measure(&args, Ok(&mut Bytes), &mut Monitor::new(&mut stop, 0, 0))).unwrap();
    assert_eq!(stopped.problems, [Error::Interrupted]);
}
