#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn write(dir: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Name of the file instead of its path, and the message.
fn message<T>(result: Result<T>, dir: &tempfile::TempDir) -> String {
    let error = result.err().unwrap();
    error.to_string().replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn a_benchmark_has_one_or_many_references() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(
        &dir,
        "b.jsonl",
        "\u{feff}{\"text\": \" Rain\\nfell. \", \"references\": [\"It rained.\", \"Rain.\"], \"id\": 7}\r\n\n\
         {\"text\": \"日本 😀\", \"references\": \"Japan\", \"id\": \"x\", \"more\": {\"a\": 1}}",
    );
    let data = benchmark(&path, "text", None).unwrap();
    assert_eq!((data.items.len(), &data.lines[..], data.problem.is_none()), (2, &[1, 3][..], true));
    assert_eq!((data.items[0].source.as_str(), data.items[0].references.len()), ("Rain\nfell.", 2));
    assert_eq!((data.items[0].id.as_str(), data.items[1].references[0].as_str()), ("7", "Japan"));
    assert_eq!(data.ids.unwrap(), ["7", "x"]);
    let same = benchmark(&path, "text", Some("text"));
    assert!(message(same, &dir).contains("line 1: `text` is source and reference or id at once"));
    let other = benchmark(&path, "references", Some("text"));
    assert!(message(other, &dir).contains("line 1: field `references` is no text"));
}

#[test]
fn what_is_wrong_with_a_benchmark_has_a_line_and_a_field() {
    let dir = tempfile::tempdir().unwrap();
    for (text, expected) in [
        ("", "expected at least one line"),
        (
            "{\"text\": \"a\"}\n{\"source\": \"b\", \"target\": \"c\"}",
            "b.jsonl, line 2: has no field `text`; it has `source`, `target`",
        ),
        ("{\"references\": [], \"id\": 1}", "line 1: has no field `text`; it has `id`, `references`"),
        ("{}", "line 1: has no field `text`, nor any other"),
        ("{\"text\": 5}", "line 1: field `text` is no text"),
        ("{\"text\": \"  \"}", "line 1: field `text` is empty"),
        ("{\"text\": \"a\\u0007\"}", "line 1: field `text` holds the control character U+0007"),
        ("[1]", "line 1: is no JSON object"),
        ("{\"text\": \"a\"", "line 1: is not one JSON value"),
        ("{\"text\": \"a\", \"references\": [\"b\", \"\"]}", "line 1: field `references` is empty"),
        ("{\"text\": \"a\", \"references\": {\"b\": 1}}", "line 1: field `references` is no text"),
        ("{\"text\": \"a\", \"id\": [1]}", "line 1: field `id` is neither"),
        ("{\"text\": \"a\", \"id\": 1.5}", "line 1: field `id` is neither"),
        ("{\"text\": 1}\n{\"text\": 2}", "line 1: field `text` is no text (2 lines of the file cannot be used)"),
    ] {
        let path = write(&dir, "b.jsonl", text);
        let found = message(benchmark(&path, "text", None), &dir);
        assert!(found.contains(expected), "{text}: {found}");
    }
    assert!(matches!(benchmark(&dir.path().join("none"), "text", None), Err(Error::Missing { .. })));
    assert!(benchmark(dir.path(), "text", None).is_err());
}

#[test]
fn missing_references_are_a_problem_only_where_some_are_expected() {
    let dir = tempfile::tempdir().unwrap();
    let none = write(&dir, "none.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\", \"references\": []}");
    assert!(benchmark(&none, "text", None).unwrap().problem.is_none());
    let named = benchmark(&none, "text", Some("refs")).unwrap().problem.unwrap().to_string();
    assert!(named.starts_with("--reference: ") && named.contains("`refs`"), "{named}");
    let some =
        write(&dir, "some.jsonl", "{\"text\": \"a\", \"references\": [\"b\"]}\n\n{\"text\": \"b\"}\n{\"text\": \"c\"}");
    let problem = benchmark(&some, "text", None).unwrap().problem.unwrap();
    assert!(
        matches!(&problem, Error::Line { line: 3, reason, .. } if reason.contains("`references` (2 lines)")),
        "{problem}"
    );
}

fn data(dir: &tempfile::TempDir) -> Data {
    let lines = [
        "{\"id\": 1, \"text\": \"One  fell.\"}",
        "",
        "{\"id\": 2, \"text\": \"Two fell.\"}",
        "{\"id\": 3, \"text\": \"Three fell.\"}",
    ];
    benchmark(&write(dir, "bench.jsonl", &lines.join("\n")), "text", None).unwrap()
}

#[test]
fn outputs_are_joined_by_line_or_id() {
    let dir = tempfile::tempdir().unwrap();
    let data = data(&dir);
    let read = |text: &str, join| {
        let path = write(&dir, "out.jsonl", text);
        system("ours", &path, "paraphrase", join, &data)
    };
    let in_order =
        "{\"paraphrase\": \"a\", \"text\": \"One fell.\"}\n\n{\"paraphrase\": \" \"}\n{\"paraphrase\": \"c\"}\n";
    let (found, remark) = read(in_order, Join::Auto).unwrap();
    assert_eq!(found.outputs, ["a", "", "c"]);
    assert_eq!(remark.unwrap(), "ours: 1 of 3 outputs are empty and count as such");
    let turned = "{\"id\": 3, \"paraphrase\": \"c\"}\n{\"id\": \"1\", \"paraphrase\": \"a\", \"text\": \"One fell.\"}\n\
                  {\"id\": 9, \"paraphrase\": \"z\"}\n{\"id\": 2, \"paraphrase\": \"b\"}";
    for join in [Join::Auto, Join::Id] {
        let (found, remark) = read(turned, join).unwrap();
        assert_eq!(found.outputs, ["a", "b", "c"]);
        assert_eq!(remark.unwrap(), "ours: 1 lines with other ids are not used");
    }
    for (text, join, expected) in [
        (turned, Join::Order, "out.jsonl: expected 3 outputs, one for each line of bench.jsonl, found 4"),
        ("{\"paraphrase\": \"a\"}", Join::Auto, "found 1; the first without an output is line 3"),
        ("", Join::Auto, "found 0; the first without an output is line 1"),
        (in_order, Join::Id, "out.jsonl: expected an `id` on every line"),
        (
            "{\"id\": 1, \"paraphrase\": \"a\"}\n{\"id\": 3, \"paraphrase\": \"a\"}",
            Join::Auto,
            "an output for `id` \"2\" (line 3 of bench.jsonl)",
        ),
        (
            "{\"id\": 1, \"paraphrase\": \"a\"}\n{\"id\": 1, \"paraphrase\": \"a\"}",
            Join::Auto,
            "line 2: `id` \"1\" was on line 1 already",
        ),
        (
            "{\"paraphrase\": \"a\"}\n{\"summary\": \"b\", \"id\": 5}",
            Join::Auto,
            "line 2: has no field `paraphrase`; it has `id`, `summary`",
        ),
        ("{\"paraphrase\": null}", Join::Auto, "line 1: field `paraphrase` is no text"),
        (
            "{\"paraphrase\": \"a\"}\n{\"paraphrase\": \"b\", \"text\": \"One fell.\"}\n{\"paraphrase\": \"c\"}",
            Join::Auto,
            "out.jsonl, line 2: `text` is not that of line 3 of bench.jsonl",
        ),
    ] {
        let found = message(read(text, join), &dir);
        assert!(found.contains(expected), "{text}\n{found}");
    }
    let twice = write(&dir, "twice.jsonl", "{\"id\": 1, \"text\": \"a\"}\n{\"id\": 1, \"text\": \"b\"}");
    let twice = benchmark(&twice, "text", None).unwrap();
    let path = write(&dir, "out.jsonl", "{\"id\": 1, \"paraphrase\": \"a\"}\n{\"id\": 2, \"paraphrase\": \"a\"}");
    assert!(
        message(system("a", &path, "paraphrase", Join::Auto, &twice), &dir).contains("twice.jsonl, line 2: `id` \"1\"")
    );
    assert!(system("a", &path, "paraphrase", Join::Order, &twice).is_ok());
}

#[test]
fn names_of_systems() {
    for (spec, name, path) in
        [("ours=a/b.jsonl", "ours", "a/b.jsonl"), ("a/b.jsonl", "b", "a/b.jsonl"), (" x y =z=1", "x y", "z=1")]
    {
        assert_eq!(named(spec).unwrap(), (name.to_owned(), PathBuf::from(path)), "{spec}");
    }
    for spec in ["", "=a", "a=", "a\u{1b}=b", "a\tb=c", &format!("{}=b", "x".repeat(41))] {
        assert!(named(spec).is_err(), "{spec:?}");
    }
}

#[test]
fn pairs_of_a_run_a_folder_or_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(&dir, "paraphrase.jsonl", "{\"text\": \"a\", \"paraphrase\": \"b\", \"rouge_l\": 0.5}\n");
    assert_eq!(pairs(&file, Task::Paraphrase).unwrap(), [("a".to_owned(), "b".to_owned())]);
    assert_eq!(pairs(dir.path(), Task::Paraphrase).unwrap().len(), 1);
    assert!(message(pairs(dir.path(), Task::Summary), &dir).contains("dataset/summary.jsonl was not found"));
    assert!(message(pairs(&file, Task::Summary), &dir).contains("line 1: has no field `summary`"));
    std::fs::create_dir(dir.path().join("dataset")).unwrap();
    write(
        &dir,
        "dataset/paraphrase.jsonl",
        "{\"text\": \"a\", \"paraphrase\": \"b\"}\n{\"text\": \"c\", \"paraphrase\": \"d\"}\n",
    );
    assert_eq!(pairs(dir.path(), Task::Paraphrase).unwrap().len(), 2);
}
