#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn values(seed: u64, n: usize, shift: f64) -> Vec<f64> {
    let mut stream = Stream::new(seed, Purpose::Other, 0, 0);
    // Sums of twelve uniform numbers are nearly normal, with variance 1.
    (0..n).map(|_| (0..12).map(|_| stream.uniform()).sum::<f64>() - 6.0 + shift).collect()
}

fn rows(values: &[f64]) -> Rows {
    Rows::of_values(values).unwrap()
}

#[test]
fn interval_of_a_mean_is_the_normal_one() {
    let data = values(1, 400, 5.0);
    let settings = Settings { resamples: 4000, ..Settings::default() };
    let interval = confidence(&rows(&data), mean, settings).unwrap();
    let average = data.iter().sum::<f64>() / 400.0;
    let error = (data.iter().map(|v| (v - average).powi(2)).sum::<f64>() / 400.0 / 400.0).sqrt();
    assert!((interval.score - average).abs() < 1e-12);
    assert!((interval.low - (average - 1.96 * error)).abs() < 0.1 * error, "{interval:?}, error {error}");
    assert!((interval.high - (average + 1.96 * error)).abs() < 0.1 * error, "{interval:?}, error {error}");
    let narrow = confidence(&rows(&data), mean, Settings { level: 0.5, ..settings }).unwrap();
    assert!((narrow.high - narrow.low - 2.0 * 0.674 * error).abs() < 0.1 * error, "{narrow:?}, error {error}");
}

/// About 95 of 100 intervals contain the true mean.
#[test]
fn intervals_cover_the_truth() {
    let settings = Settings { resamples: 400, ..Settings::default() };
    let covered = (0..300)
        .filter(|&seed| {
            let interval = confidence(&rows(&values(100 + seed, 60, 2.0)), mean, settings).unwrap();
            interval.low <= 2.0 && 2.0 <= interval.high
        })
        .count();
    // Expected: 285, slightly less with 60 rows; standard deviation 4.
    assert!((268..=298).contains(&covered), "{covered}");
}

#[test]
fn interval_of_a_ratio_of_sums() {
    // Precision: matches / totals.
    let statistics: Vec<f64> = (0..200).flat_map(|i| [f64::from(i % 7), 6.0 + f64::from(i % 3)]).collect();
    let rows = Rows::new(2, statistics).unwrap();
    let interval = confidence(&rows, |t| t[0] / t[1], Settings::default()).unwrap();
    assert_eq!(interval.score, rows.totals()[0] / rows.totals()[1]);
    assert!(interval.low < interval.score && interval.score < interval.high);
    let constant = Rows::new(2, [3.0, 4.0].repeat(50)).unwrap();
    let interval = confidence(&constant, |t| t[0] / t[1], Settings::default()).unwrap();
    assert_eq!((interval.score, interval.low, interval.high), (0.75, 0.75, 0.75));
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let data = rows(&values(2, 50, 0.0));
    let with = |seed, resamples| confidence(&data, mean, Settings { seed, resamples, level: 0.9 }).unwrap();
    assert_eq!(with(7, 200), with(7, 200));
    assert_ne!(with(7, 200), with(8, 200));
    // Pinned values: if the random streams changed, published intervals would change too.
    let mut drawn = Vec::new();
    draw(10, 7, 3, |row| drawn.push(row));
    assert_eq!(drawn, [4, 5, 9, 4, 7, 7, 7, 6, 5, 7]);
}

/// All 2^n ways of swapping rows, compared with a random sample of them.
#[test]
fn randomisation_equals_the_exact_test() {
    for seed in 0..5 {
        let (a, b) = (values(seed, 12, 0.4), values(seed + 50, 12, 0.0));
        let difference: f64 = a.iter().zip(&b).map(|(a, b)| a - b).sum();
        let as_far = (0..1_u32 << 12)
            .filter(|signs| {
                let sum: f64 = a
                    .iter()
                    .zip(&b)
                    .enumerate()
                    .map(|(i, (a, b))| if signs >> i & 1 == 1 { b - a } else { a - b })
                    .sum();
                sum.abs() >= difference.abs() - 1e-9
            })
            .count();
        let exact = as_far as f64 / f64::from(1 << 12);
        let settings = Settings { resamples: 4000, seed, ..Settings::default() };
        let found = compare(&rows(&a), &rows(&b), mean, settings).unwrap();
        assert!((found.p_randomisation - exact).abs() < 0.03, "{} instead of {exact}", found.p_randomisation);
    }
}

#[test]
fn tests_tell_real_from_no_differences() {
    let (mut bootstrap, mut randomisation) = (0, 0);
    let settings = Settings { resamples: 300, ..Settings::default() };
    for seed in 0..200 {
        let found =
            compare(&rows(&values(seed, 40, 0.0)), &rows(&values(seed + 1000, 40, 0.0)), mean, settings).unwrap();
        bootstrap += usize::from(found.p_bootstrap < 0.05);
        randomisation += usize::from(found.p_randomisation < 0.05);
        let real =
            compare(&rows(&values(seed, 40, 2.0)), &rows(&values(seed + 1000, 40, 0.0)), mean, settings).unwrap();
        assert!(real.p_bootstrap < 0.02 && real.p_randomisation < 0.02 && real.difference.low > 0.0, "{real:?}");
    }
    // Expected: 5 % of 200, standard deviation 3; with 40 rows the bootstrap rejects slightly too often.
    assert!((2..=22).contains(&bootstrap) && (2..=20).contains(&randomisation), "{bootstrap} {randomisation}");
}

#[test]
fn a_system_does_not_differ_from_itself() {
    let data = rows(&values(3, 30, 1.0));
    let same = compare(&data, &data, mean, Settings::default()).unwrap();
    assert_eq!((same.p_bootstrap, same.p_randomisation), (1.0, 1.0));
    assert_eq!(same.difference, Interval { score: 0.0, low: 0.0, high: 0.0 });
    let other = rows(&values(4, 30, 0.5));
    let (there, back) = (
        compare(&data, &other, mean, Settings::default()).unwrap(),
        compare(&other, &data, mean, Settings::default()).unwrap(),
    );
    assert_eq!((there.p_bootstrap, there.p_randomisation), (back.p_bootstrap, back.p_randomisation));
    assert_eq!((there.a, there.difference.score), (back.b, -back.difference.score));
}

#[test]
fn one_row_is_enough() {
    let one = rows(&[0.25]);
    assert_eq!(confidence(&one, mean, Settings::default()).unwrap(), Interval { score: 0.25, low: 0.25, high: 0.25 });
}

#[test]
fn wrong_rows_and_settings_are_errors() {
    for (width, values) in [(0, vec![]), (1, vec![]), (0, vec![1.0]), (2, vec![1.0; 3]), (1, vec![1.0, f64::NAN])] {
        assert!(matches!(Rows::new(width, values.clone()), Err(Error::Input { .. })), "{width} {values:?}");
    }
    let data = rows(&[1.0, 2.0]);
    for (resamples, level) in [(0, 0.95), (2_000_000, 0.95), (10, 0.0), (10, 1.0), (10, f64::NAN)] {
        let settings = Settings { resamples, level, seed: 0 };
        assert!(confidence(&data, mean, settings).is_err() && compare(&data, &data, mean, settings).is_err());
    }
    let settings = Settings::default();
    assert!(compare(&data, &rows(&[1.0]), mean, settings).is_err());
    assert!(compare(&data, &Rows::new(1, vec![1.0, 2.0]).unwrap(), mean, settings).is_err());
    assert!(confidence(&data, |_| f64::NAN, settings).is_err());
    assert!(mean(&[1.0]).is_nan());
}

#[test]
fn samples_are_sets_of_the_right_size() {
    for (total, n) in [(0, 0), (0, 5), (5, 0), (5, 5), (5, 9), (1000, 37), (1000, 999)] {
        let chosen = sample(total, n, 1);
        assert_eq!(chosen.len(), n.min(total));
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]) && chosen.iter().all(|&i| i < total));
        assert_eq!(chosen, sample(total, n, 1));
    }
    let mut times = [0_u32; 20];
    (0..4000).for_each(|seed| sample(20, 5, seed).into_iter().for_each(|i| times[i] += 1));
    // Expected: each index is in a quarter of the samples, 1,000 of them, standard deviation 27.
    assert!(times.iter().all(|&n| (880..1120).contains(&n)), "{times:?}");
}

#[test]
fn two_datasets_give_equally_many() {
    let (a, b) = equal_samples(1000, 300, 10_000, 4);
    assert_eq!((a.len(), b.len()), (300, 300));
    assert_eq!(a, sample(1000, 300, 4));
    let (a, b) = equal_samples(500, 500, 50, 4);
    assert_eq!((a.len(), &a), (50, &b));
    assert_eq!(equal_samples(0, 9, 9, 4), (vec![], vec![]));
}
