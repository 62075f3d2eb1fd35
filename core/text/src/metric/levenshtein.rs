//! Levenshtein distance of characters (Unicode scalar values), with 64 rows of the table per machine word (Myers 1999;
//! columns passed from block to block as in Hyyrö 2003).

use std::collections::HashMap;

const BLOCK: usize = 64;

/// The smallest number of insertions, deletions and substitutions of characters that turns `x` into `y`.
///
/// Memory is linear. Time is proportional to `|x| |y| / 64` after removal of the common prefix and suffix: about two
/// seconds for texts of 200,000 characters.
#[must_use]
pub fn levenshtein(x: &str, y: &str) -> usize {
    let x: Vec<char> = x.chars().collect();
    let y: Vec<char> = y.chars().collect();
    let (mut x, mut y) = (x.as_slice(), y.as_slice());
    let start = x.iter().zip(y).take_while(|(a, b)| a == b).count();
    (x, y) = (&x[start..], &y[start..]);
    let end = x.iter().rev().zip(y.iter().rev()).take_while(|(a, b)| a == b).count();
    (x, y) = (&x[..x.len() - end], &y[..y.len() - end]);
    if x.len() > y.len() {
        (x, y) = (y, x);
    }
    distance(x, y)
}

/// The Levenshtein distance divided by the length of the longer text, in [0, 1]; 0 for two empty texts.
#[must_use]
pub fn normalised(x: &str, y: &str) -> f64 {
    let longer = x.chars().count().max(y.chars().count());
    if longer == 0 { 0.0 } else { levenshtein(x, y) as f64 / longer as f64 }
}

fn distance(x: &[char], y: &[char]) -> usize {
    // Number the distinct characters of x; all characters that occur only in y share the next number.
    let mut numbers = HashMap::new();
    let x: Vec<usize> = x.iter().map(|&c| entry(&mut numbers, c)).collect();
    let y: Vec<usize> = y.iter().map(|c| numbers.get(c).copied().unwrap_or(numbers.len())).collect();
    let mut positions = vec![0_u64; numbers.len() + 1];
    // For each column: by how much the row above the block changes from the previous column. The first row grows by
    // one.
    let mut steps = vec![1_i8; y.len()];
    for block in x.chunks(BLOCK) {
        block.iter().enumerate().for_each(|(row, &c)| positions[c] |= 1 << row);
        let last = block.len() - 1;
        let (mut up, mut down) = (u64::MAX, 0_u64);
        for (&c, step) in y.iter().zip(&mut steps) {
            let equal = positions[c];
            let below = u64::from(*step < 0);
            let diagonal = ((((equal | below) & up).wrapping_add(up)) ^ up) | equal | below;
            let vertical = equal | down;
            let grows = down | !(diagonal | up);
            let falls = up & diagonal;
            let out = i8::from(grows >> last & 1 == 1) - i8::from(falls >> last & 1 == 1);
            let grows = grows << 1 | u64::from(*step > 0);
            let falls = falls << 1 | below;
            up = falls | !(vertical | grows);
            down = grows & vertical;
            *step = out;
        }
        block.iter().for_each(|&c| positions[c] = 0);
    }
    let (mut grown, mut fallen) = (x.len(), 0);
    for step in steps {
        grown += usize::from(step > 0);
        fallen += usize::from(step < 0);
    }
    grown - fallen
}

fn entry(numbers: &mut HashMap<char, usize>, c: char) -> usize {
    let next = numbers.len();
    *numbers.entry(c).or_insert(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::random::{Purpose, Stream};

    fn by_table(x: &str, y: &str) -> usize {
        let y: Vec<char> = y.chars().collect();
        let mut row: Vec<usize> = (0..=y.len()).collect();
        for (i, a) in x.chars().enumerate() {
            let mut diagonal = std::mem::replace(&mut row[0], i + 1);
            for (j, &b) in y.iter().enumerate() {
                let best = (diagonal + usize::from(a != b)).min(row[j] + 1).min(row[j + 1] + 1);
                diagonal = std::mem::replace(&mut row[j + 1], best);
            }
        }
        row[y.len()]
    }

    fn random_text(stream: &mut Stream, len: usize, alphabet: usize) -> String {
        (0..len).map(|_| char::from_u32(0x3b1 + stream.below(alphabet) as u32).unwrap_or('x')).collect()
    }

    #[test]
    fn bit_parallel_equals_the_table() {
        let mut stream = Stream::new(1, Purpose::Other, 0, 0);
        let sizes = [0, 1, 2, 31, 63, 64, 65, 66, 127, 128, 129, 190, 300];
        for round in 0..600 {
            let n = if round < 169 { sizes[round % 13] } else { stream.below(200) };
            let m = if round < 169 { sizes[round / 13] } else { stream.below(200) };
            let alphabet = [1, 2, 4, 30][round % 4];
            let x = random_text(&mut stream, n, alphabet);
            let mut y = random_text(&mut stream, m, alphabet);
            if round % 3 == 0 {
                // Similar to x, as a paraphrase is.
                y = x.chars().filter(|_| stream.uniform() < 0.9).collect();
            }
            assert_eq!(levenshtein(&x, &y), by_table(&x, &y), "{x} and {y}");
        }
    }

    #[test]
    fn it_is_a_metric() {
        let mut stream = Stream::new(2, Purpose::Other, 0, 0);
        let texts: Vec<String> = (0..25)
            .map(|i| {
                let len = stream.below(90);
                random_text(&mut stream, len, 1 + i % 4)
            })
            .collect();
        let all: Vec<Vec<usize>> = texts.iter().map(|x| texts.iter().map(|y| levenshtein(x, y)).collect()).collect();
        for i in 0..texts.len() {
            for j in 0..texts.len() {
                assert_eq!((all[i][j] == 0, all[i][j]), (texts[i] == texts[j], all[j][i]));
                assert!((0.0..=1.0).contains(&normalised(&texts[i], &texts[j])));
                for via in &all {
                    assert!(all[i][j] <= via[i] + via[j]);
                }
            }
        }
    }

    #[test]
    fn characters_are_not_bytes() {
        assert_eq!(levenshtein("kitten", "sitting"), 3);
        assert_eq!(levenshtein("naïve 😀", "naive 👍"), 2);
        assert_eq!(levenshtein("👍🏽", "👍"), 1);
        assert_eq!((levenshtein("", ""), levenshtein("", "日本")), (0, 2));
        assert_eq!((normalised("", ""), normalised("", "日本"), normalised("ab", "ac")), (0.0, 1.0, 0.5));
    }

    #[test]
    fn very_long_lines() {
        let x = "the quick brown fox ".repeat(1000);
        let y = x.replace("quick", "slow");
        assert_eq!(levenshtein(&x, &y), 5000);
        assert_eq!(levenshtein(&x, &x.repeat(3)), 2 * x.len());
        assert_eq!(levenshtein(&"a".repeat(20_000), &"b".repeat(30_000)), 30_000);
    }
}
