use super::*;
use record::Monitor;
use record::monitor::{Progress, Signal, Unwatched};
use text::metric::parascore::{GAMMA, OMEGA};

/// Entailment by words: the share of the hypothesis's words that occur in the premise.
#[derive(Default)]
struct Words {
    asked: Vec<(String, String)>,
    lies: Option<Vec<[f32; 3]>>,
}

fn overlap(premise: &str, hypothesis: &str) -> f32 {
    let (x, y) = (words(premise), words(hypothesis));
    y.iter().filter(|word| x.contains(word)).count() as f32 / y.len() as f32
}

impl Judge for Words {
    fn signature(&self) -> String {
        "model:words".to_owned()
    }

    fn entail<'a>(
        &'a mut self,
        pairs: &'a [(&'a str, &'a str)],
        _: &'a mut Monitor<'_>,
    ) -> BoxFuture<'a, Result<Vec<[f32; 3]>>> {
        self.asked.extend(pairs.iter().map(|(x, y)| ((*x).to_owned(), (*y).to_owned())));
        let honest = pairs.iter().map(|(x, y)| overlap(x, y)).map(|p| [p, 0.0, 1.0 - p]).collect();
        Box::pin(ready(Ok(self.lies.clone().unwrap_or(honest))))
    }
}

/// One token per word, in one of 64 directions chosen by its bytes; the sentence embedding is their mean.
#[derive(Default)]
struct Directions {
    texts: usize,
    calls: usize,
    lies: Option<Vec<Encoded>>,
}

const HIDDEN: usize = 64;

fn encoded(text: &str) -> Encoded {
    let tokens = words(text);
    let mut embeddings = vec![0.0; tokens.len() * HIDDEN];
    let mut sentence = vec![0.0; HIDDEN];
    for (row, word) in embeddings.chunks_mut(HIDDEN).zip(&tokens) {
        let direction = word.bytes().fold(7_usize, |sum, b| sum * 31 + usize::from(b)) % HIDDEN;
        row[direction] = 2.0;
        sentence[direction] += 1.0 / tokens.len() as f32;
    }
    Encoded { sentence, tokens: embeddings, weights: vec![1.0; tokens.len()] }
}

impl TokenEncoder for Directions {
    fn signature(&self) -> String {
        "model:directions|layer:0|idf:no".to_owned()
    }

    fn embed<'a>(&'a mut self, texts: &'a [&'a str], _: &'a mut Monitor<'_>) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
        Box::pin(ready(Ok(texts.iter().map(|text| encoded(text).sentence).collect())))
    }

    fn encode<'a>(&'a mut self, texts: &'a [&'a str], _: &'a mut Monitor<'_>) -> BoxFuture<'a, Result<Vec<Encoded>>> {
        assert!(texts.iter().all(|text| !text.trim().is_empty()));
        self.texts += texts.len();
        self.calls += 1;
        Box::pin(ready(Ok(self.lies.clone().unwrap_or_else(|| texts.iter().map(|text| encoded(text)).collect()))))
    }
}

/// Runs a future of these models, which are always ready immediately.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("not ready"),
    }
}

fn full(benchmark: &Benchmark) -> (Table, Words, Directions) {
    let mut table = text_table(benchmark, false).unwrap();
    let (mut judge, mut encoder) = (Words::default(), Directions::default());
    now(judge::add(&mut table, benchmark, &mut judge, &mut Monitor::new(&mut Unwatched, 0, 0))).unwrap();
    now(encoder::add(&mut table, benchmark, &mut encoder, &mut Monitor::new(&mut Unwatched, 0, 0))).unwrap();
    (table, judge, encoder)
}

#[test]
fn every_column_of_a_task_is_there_and_in_order() {
    for task in Task::ALL {
        let benchmark = made_up(task, 200, 2);
        let (table, ..) = full(&benchmark);
        assert!(table.columns.iter().map(|c| c.measure).eq(Measure::of(task).iter().copied()));
        assert!(table.left_out.is_empty() && table.wanted(Model::Judge).is_empty());
        for column in &table.columns {
            assert!(column.signature.ends_with(VERSION) && !column.signature.contains("||"), "{}", column.signature);
            let model = match column.measure.model() {
                Some(Model::Encoder) => "model:directions|layer:0",
                Some(Model::Judge) => "model:words",
                None => "version",
            };
            assert!(column.signature.contains(model), "{}", column.signature);
            let percent = (-100.0 - 1e-9)..=(if column.measure == Measure::Length { f64::MAX } else { 102.0 });
            for value in column.systems.iter().flat_map(|s| &s.items).filter(|v| !v.is_nan()) {
                assert!(percent.contains(value), "{:?} {value}", column.measure);
            }
        }
        let headline = if task == Task::Paraphrase { Measure::BertIbleu } else { Measure::RougeL };
        assert_eq!(table.headline().unwrap().measure, headline);
        // Item 100 has an empty output.
        let item = |measure| table.column(measure).unwrap().systems[0].items[100];
        for measure in [Measure::BertScoreSource, Measure::Cosine, Measure::Forward, Measure::Entailed, Measure::Usable]
        {
            assert_eq!(item(measure), 0.0, "{measure:?}");
        }
        let report = Report::new(table, Settings { resamples: 20, ..Settings::default() }).unwrap();
        assert!(report.columns().all(|(_, cells)| cells.len() == 2));
    }
}

#[test]
fn columns_are_made_of_what_the_models_say() {
    let benchmark = made_up(Task::Paraphrase, 150, 3);
    let (table, judge, encoder) = full(&benchmark);
    let item = |measure, system: usize, i: usize| table.column(measure).unwrap().systems[system].items[i];
    for (s, system) in benchmark.systems().iter().enumerate() {
        for (i, (x, y)) in benchmark.items().iter().zip(&system.outputs).enumerate().filter(|(_, (_, y))| !y.is_empty())
        {
            let x = &x.source;
            let (forward, backward) = (overlap(x, y), overlap(y, x));
            assert_eq!(item(Measure::Forward, s, i), 100.0 * f64::from(forward));
            assert_eq!(item(Measure::Backward, s, i), 100.0 * f64::from(backward));
            let entailed = forward >= 0.75 && backward >= 0.75;
            assert_eq!(item(Measure::Entailed, s, i), if entailed { 100.0 } else { 0.0 });
            let usable = entailed && item(Measure::NumberErrors, s, i) == 0.0 && item(Measure::Copies, s, i) == 0.0;
            assert_eq!(item(Measure::Usable, s, i), if usable { 100.0 } else { 0.0 }, "{x:?} {y:?}");
            let f1 = item(Measure::BertScoreSource, s, i) / 100.0;
            let expected = 100.0 * bert_ibleu(f1, item(Measure::SelfBleu, s, i) / 100.0, BETA);
            assert!((item(Measure::BertIbleu, s, i) - expected).abs() < 1e-9);
            let reward = item(Measure::ParaScore, s, i) / 100.0 - f1;
            assert!((-OMEGA - 1e-9..=OMEGA * GAMMA + 1e-9).contains(&reward));
            let best = item(Measure::BertScoreReference, s, i).max(100.0 * f1) / 100.0;
            assert!((item(Measure::ParaScoreReference, s, i) / 100.0 - best - reward).abs() < 1e-9);
        }
    }
    let distinct: std::collections::HashSet<_> = judge.asked.iter().collect();
    assert_eq!(distinct.len(), judge.asked.len(), "no pair is asked twice");
    assert!(judge.asked.len() <= 2 * 3 * 150);
    assert_eq!(encoder.calls, 3, "one for 64 items");
    assert!(encoder.texts <= 150 * (1 + 2 + 3));
    // A copy has F1 1 and cosine 1, and entails itself.
    let mut copies = Benchmark::new(Task::Paraphrase, benchmark.items().to_vec()).unwrap();
    copies.push(baseline::copy(benchmark.items())).unwrap();
    let (table, ..) = full(&copies);
    for (measure, expected) in [
        (Measure::BertScoreSource, 100.0),
        (Measure::Cosine, 100.0),
        (Measure::Entailed, 100.0),
        (Measure::Usable, 0.0),
        (Measure::BertIbleu, 0.0),
    ] {
        assert!((score(&table, measure, 0) - expected).abs() < 1e-4, "{measure:?}");
    }
}

#[test]
fn summac_takes_sentences() {
    let item = Item { source: "Rain fell. The river rose.".to_owned(), ..Item::default() };
    let mut benchmark = Benchmark::new(Task::Summary, vec![item]).unwrap();
    for (name, output) in [("good", "Rain fell."), ("half", "Rain fell. Cats sang loudly."), ("none", "")] {
        benchmark.push(System { name: name.to_owned(), outputs: vec![output.to_owned()] }).unwrap();
    }
    let (table, judge, _) = full(&benchmark);
    let found: Vec<_> = (0..3).map(|system| score(&table, Measure::SummacZs, system)).collect();
    // "Rain fell." is entailed with 1 by one sentence and contradicted with 1 by the other; "Cats ...": 0 - 1.
    assert_eq!(found, [0.0, -50.0, 0.0]);
    assert_eq!((score(&table, Measure::Usable, 0), score(&table, Measure::Usable, 1)), (100.0, 0.0));
    assert_eq!(judge.asked.len(), 2 + 4, "two whole texts, two sentences against two");
}

#[test]
fn a_model_reads_only_what_the_chosen_columns_need() {
    let benchmark = made_up(Task::Paraphrase, 20, 1);
    for (chosen, asked) in
        [(&[Measure::Forward][..], 19), (&[Measure::Backward], 19), (&[Measure::Usable], 38), (&[], 0)]
    {
        let mut table = surface::table(&benchmark, chosen, false).unwrap();
        let (mut judge, mut encoder) = (Words::default(), Directions::default());
        now(judge::add(&mut table, &benchmark, &mut judge, &mut Monitor::new(&mut Unwatched, 0, 0))).unwrap();
        now(encoder::add(&mut table, &benchmark, &mut encoder, &mut Monitor::new(&mut Unwatched, 0, 0))).unwrap();
        assert_eq!((judge.asked.len(), encoder.calls), (asked, 0), "{chosen:?}");
        assert!(table.columns.iter().map(|c| c.measure).eq(chosen.iter().copied()));
    }
}

#[test]
fn bad_models_leave_the_table_as_it_was() {
    let benchmark = made_up(Task::Summary, 10, 1);
    let mut table = text_table(&benchmark, false).unwrap();
    let before = table.columns.len();
    let n = 100;
    for (lies, kind) in
        [(vec![], "answers"), (vec![[f32::NAN, 0.0, 0.0]; n], "finite"), (vec![[1.5, 0.0, 0.0]; n], "probabilities")]
    {
        let mut judge = Words::default();
        let mut counted = Words::default();
        now(judge::add(&mut table.clone(), &benchmark, &mut counted, &mut Monitor::new(&mut Unwatched, 0, 0))).unwrap();
        judge.lies = Some(lies.into_iter().take(counted.asked.len()).collect());
        let e = now(judge::add(&mut table, &benchmark, &mut judge, &mut Monitor::new(&mut Unwatched, 0, 0)))
            .unwrap_err()
            .to_string();
        assert!(e.contains(kind), "{e}");
    }
    let texts = benchmark.texts(0..10).len();
    let good = encoded("a b");
    for (lies, kind) in [
        (vec![], "answers"),
        (vec![Encoded { tokens: vec![1.0; 3], ..good.clone() }; texts], "embeddings"),
        (vec![Encoded { tokens: vec![f32::NAN; 128], ..good.clone() }; texts], "finite"),
        (vec![Encoded { sentence: vec![f32::INFINITY; 2], ..good.clone() }; texts], "finite"),
        ((0..texts).map(|i| Encoded { sentence: vec![1.0; i + 1], ..good.clone() }).collect(), "sentence embedding"),
    ] {
        let mut encoder = Directions { lies: Some(lies), ..Directions::default() };
        let e = now(encoder::add(&mut table, &benchmark, &mut encoder, &mut Monitor::new(&mut Unwatched, 0, 0)))
            .unwrap_err()
            .to_string();
        assert!(e.contains(kind), "{e}");
    }
    let mut steps = 0;
    let mut stop = |event: &Progress| {
        steps += 1;
        if event.done > 0 { Signal::Stop } else { Signal::Continue }
    };
    let stopped =
        now(encoder::add(&mut table, &benchmark, &mut Directions::default(), &mut Monitor::new(&mut stop, 0, 0)));
    assert_eq!((stopped, steps), (Err(Error::Interrupted), 2));
    assert_eq!(
        (now(judge::add(
            &mut table,
            &benchmark,
            &mut Words::default(),
            &mut Monitor::new(&mut |_: &Progress| Signal::Stop, 0, 0)
        ))),
        Err(Error::Interrupted)
    );
    assert_eq!(table.columns.len(), before);
    let mut empty = Table { columns: vec![], task: Task::Paraphrase, chosen: vec![Measure::BertIbleu], ..table };
    assert!(
        now(encoder::add(
            &mut empty,
            &made_up(Task::Paraphrase, 2, 1),
            &mut Directions::default(),
            &mut Monitor::new(&mut Unwatched, 0, 0)
        ))
        .is_err()
    );
}

#[test]
fn cosines_of_a_sample_of_a_dataset() {
    let pairs: Vec<dataset::Pair> =
        (0..700).map(|i| (format!("word{i} and more"), format!("word{} and more", i % 2))).collect();
    let settings = dataset::Settings { most: 600, cosine: 300, ..dataset::Settings::default() };
    let rows = dataset::draw(pairs.len(), &settings);
    assert_eq!(rows.len(), 600);
    let mut last = 0;
    let mut watch = |event: &Progress| {
        last = event.done;
        Signal::Continue
    };
    let found = now(dataset::cosines(
        &pairs,
        &rows,
        &settings,
        &mut Directions::default(),
        &mut Monitor::new(&mut watch, 0, 0),
    ))
    .unwrap();
    assert_eq!((found.len(), last), (300, 300));
    let expected =
        |row: usize| encoder::cosine(&encoded(&pairs[row].0).sentence, &encoded(&pairs[row].1).sentence).unwrap();
    assert!(found.iter().all(|cosine| (0.6..=1.0).contains(cosine)) && expected(0) > 0.999);
}
