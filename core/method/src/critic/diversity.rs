//! Diversity filter (paper, Algorithm 1): among a context's accepted pairs that mean the same, one is kept.
//!
//! Two pairs mean the same if the entailment probability exceeds tau in any of x_i => x_j, x_j => x_i, y_i => y_j and
//! y_j => y_i. As a sentence entails itself, pairs with the same x or the same y always do. [`explore`] calls the
//! entailment model; [`choose`] needs no model.

use std::collections::{HashMap, HashSet};

use super::entailment::Entailments;
use super::pair::Pair;
use super::sentence_set::SentenceSet;
use crate::Result;
use record::plan::Diversity;

/// Sentences with a cosine below this are not compared by the entailment model; they count as not entailing each other.
pub const MIN_COSINE: f32 = 0.5;

/// Value of tau if the plan has no entailment threshold.
pub const DEFAULT_TAU: f32 = 0.75;

/// Directed pairs that the search for one task may score in addition to as many as the task's critics scored.
pub const EXTRA_CALLS: u64 = 100;

/// An accepted pair, as a node of the entailment graph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Node {
    /// Index of sentence x.
    pub x: u32,
    /// Index of sentence y.
    pub y: u32,
    /// Score of the pair; higher is better.
    pub score: f64,
}

/// Sentences linked by entailment in either direction.
#[derive(Debug, Clone, Default)]
pub struct Linked(HashMap<u32, Vec<u32>>);

impl Linked {
    /// Links the two sentences of each pair, of which one entails the other.
    pub fn new(pairs: impl IntoIterator<Item = Pair>) -> Self {
        let mut linked = HashMap::<u32, Vec<u32>>::new();
        for Pair { x, y } in pairs {
            linked.entry(x).or_default().push(y);
            linked.entry(y).or_default().push(x);
        }
        Self(linked)
    }

    fn of(&self, sentence: u32) -> &[u32] {
        self.0.get(&sentence).map_or(&[], Vec::as_slice)
    }
}

/// The two sides of a pair in the order in which they are searched; y first, as more pairs share it.
const SIDES: [fn(&Node) -> u32; 2] = [|node| node.y, |node| node.x];

/// Indices of the nodes that are kept, in ascending order.
#[must_use]
pub fn choose(rule: Diversity, nodes: &[Node], linked: &Linked) -> Vec<usize> {
    match rule {
        Diversity::Component => component(nodes, linked),
        Diversity::Independent => independent(nodes, linked),
        Diversity::Off => (0..nodes.len()).collect(),
    }
}

/// Algorithm 1 of the paper: the best node of every connected component; ties keep the lower index.
#[must_use]
pub fn component(nodes: &[Node], linked: &Linked) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..nodes.len()).collect();
    for side in SIDES {
        let mut first = HashMap::new();
        for (index, node) in nodes.iter().enumerate() {
            let seen = *first.entry(side(node)).or_insert(index);
            join(&mut parent, seen, index);
        }
        for (sentence, &index) in &first {
            for other in linked.of(*sentence) {
                if let Some(&other) = first.get(other) {
                    join(&mut parent, index, other);
                }
            }
        }
    }
    let mut best = HashMap::<usize, usize>::new();
    for index in 0..nodes.len() {
        let best = best.entry(root(&mut parent, index)).or_insert(index);
        if nodes[index].score > nodes[*best].score {
            *best = index;
        }
    }
    let mut kept: Vec<_> = best.into_values().collect();
    kept.sort_unstable();
    kept
}

fn root(parent: &mut [usize], mut index: usize) -> usize {
    while parent[index] != index {
        parent[index] = parent[parent[index]];
        index = parent[index];
    }
    index
}

fn join(parent: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parent, a), root(parent, b));
    // With the lower index as root the result does not depend on the order of joins.
    parent[a.max(b)] = a.min(b);
}

/// A greedy maximal independent set: from the best node on, each node that means the same as no node kept before; ties
/// keep the lower index.
#[must_use]
pub fn independent(nodes: &[Node], linked: &Linked) -> Vec<usize> {
    let mut said = [HashSet::new(), HashSet::new()];
    let mut kept: Vec<_> = best_first(nodes)
        .into_iter()
        .filter(|&index| {
            let node = &nodes[index];
            let fresh = SIDES.iter().zip(&said).all(|(side, said)| !said.contains(&side(node)));
            if fresh {
                for (side, said) in SIDES.iter().zip(&mut said) {
                    said.insert(side(node));
                    said.extend(linked.of(side(node)));
                }
            }
            fresh
        })
        .collect();
    kept.sort_unstable();
    kept
}

fn best_first(nodes: &[Node]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by(|&a, &b| nodes[b].score.total_cmp(&nodes[a].score));
    order
}

fn distinct(sentences: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut seen = HashSet::new();
    sentences.filter(|&sentence| seen.insert(sentence)).collect()
}

/// Scores the entailments that [`choose`] needs and returns the directed pairs that were scored.
///
/// The search starts at the best node and compares it, and the component that grows from it, with nodes that are
/// neither in a component nor refused yet; ys before xs, skipping embedded sentences with a cosine below
/// [`MIN_COSINE`]. At most `budget` directed pairs are scored. The others count as not entailing, so that redundant
/// low-scored pairs may be kept but no pair is lost.
///
/// # Errors
/// As [`Entailments::fill`].
pub async fn explore(
    rule: Diversity,
    nodes: &[Node],
    siblings: &SentenceSet,
    tau: f32,
    budget: u64,
    entailments: &mut Entailments<'_, '_>,
) -> Result<Vec<Pair>> {
    let mut asked = Vec::new();
    let mut searched = [HashSet::new(), HashSet::new()];
    let mut remaining = best_first(nodes);
    while rule != Diversity::Off && remaining.len() > 1 {
        let mut frontier = vec![remaining.remove(0)];
        while !frontier.is_empty() && !remaining.is_empty() {
            let mut reached = Vec::new();
            for (side, searched) in SIDES.iter().zip(&mut searched) {
                let mut from = distinct(frontier.iter().map(|&index| side(&nodes[index])));
                from.retain(|&sentence| searched.insert(sentence));
                let to = distinct(remaining.iter().map(|&index| side(&nodes[index])));
                let left = usize::try_from(budget).unwrap_or(usize::MAX).saturating_sub(asked.len());
                let wanted: Vec<Pair> = to
                    .iter()
                    .flat_map(|&y| from.iter().map(move |&x| Pair { x, y }))
                    .filter(|pair| siblings.cosine(pair.x, pair.y).is_none_or(|cosine| cosine >= MIN_COSINE))
                    .flat_map(|pair| [pair, pair.reversed()])
                    .filter(|&pair| entailments.cache.get(pair).is_none())
                    .take(left)
                    .collect();
                asked.extend(entailments.cache.unknown(&wanted));
                entailments.fill(siblings, &wanted).await?;
                let entails = |x, y| entailments.cache.get(Pair { x, y }).is_some_and(|p| p > tau);
                let same: HashSet<u32> = to
                    .into_iter()
                    .filter(|&y| from.iter().any(|&x| x == y || entails(x, y) || entails(y, x)))
                    .collect();
                remaining.retain(|&index| {
                    let stays = !same.contains(&side(&nodes[index]));
                    if !stays {
                        reached.push(index);
                    }
                    stays
                });
            }
            // Components grow transitively; in an independent set only kept nodes refuse others.
            frontier = if rule == Diversity::Component { reached } else { Vec::new() };
        }
    }
    Ok(asked)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::critic::entailment::EntailmentCache;
    use crate::critic::panel::tests::{Nli, now};
    use record::Monitor;
    use record::monitor::Unwatched;

    fn golden() -> Vec<Value> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/diversity/algorithm1.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// Nodes and links of a case. Ids of ys follow those of xs, as the fixture has a matrix for each side.
    fn read(case: &Value) -> (Vec<Node>, Linked) {
        let n = case["n"].as_u64().unwrap() as u32;
        let tau = case["tau"].as_f64().unwrap();
        let p = |key: &str, i: u32| case[key][i as usize].as_f64().unwrap();
        let nodes = (0..n).map(|i| Node { x: i, y: n + i, score: p("p_forward", i) + p("p_reverse", i) }).collect();
        let mut links = Vec::new();
        for (key, from) in [("entail_x", 0), ("entail_y", n)] {
            for i in 0..n {
                for j in (0..n).filter(|&j| j != i) {
                    if case[key][i as usize][j as usize].as_f64().unwrap() > tau {
                        links.push(Pair { x: from + i, y: from + j });
                    }
                }
            }
        }
        (nodes, Linked::new(links))
    }

    #[test]
    fn component_is_algorithm_1() {
        let cases = golden();
        assert!(cases.len() > 15);
        for case in &cases {
            let (nodes, linked) = read(case);
            let expected: Vec<_> =
                case["kept"].as_array().unwrap().iter().map(|i| i.as_u64().unwrap() as usize).collect();
            assert_eq!(component(&nodes, &linked), expected, "{}", case["case"]);
        }
    }

    #[test]
    fn independent_is_maximal_and_best_first() {
        for case in &golden() {
            let (nodes, linked) = read(case);
            let kept = independent(&nodes, &linked);
            let same = |a: usize, b: usize| {
                SIDES.iter().any(|side| {
                    linked.of(side(&nodes[a])).contains(&side(&nodes[b])) || side(&nodes[a]) == side(&nodes[b])
                })
            };
            for i in 0..nodes.len() {
                let better = |&k: &usize| (nodes[k].score, i) > (nodes[i].score, k);
                let refused = kept.iter().any(|&k| k != i && same(k, i) && better(&k));
                assert_eq!(kept.contains(&i), !refused, "{} {i}", case["case"]);
            }
            assert!(kept.len() >= component(&nodes, &linked).len());
        }
    }

    #[test]
    fn shared_sentences_say_the_same() {
        let nodes = [(0, 1, 0.9), (0, 2, 1.0), (3, 2, 0.8), (4, 5, 0.1)].map(|(x, y, score)| Node { x, y, score });
        assert_eq!(component(&nodes, &Linked::default()), [1, 3]);
        assert_eq!(independent(&nodes, &Linked::default()), [1, 3]);
        // x of one pair and y of another are not compared.
        let crossed = [(0, 1, 0.9), (1, 2, 1.0)].map(|(x, y, score)| Node { x, y, score });
        assert_eq!(component(&crossed, &Linked::default()), [0, 1]);
    }

    /// The explored entailments give the same choice as the whole matrix, with fewer calls of the model.
    #[test]
    fn exploring_equals_the_whole_matrix() {
        let texts: Vec<String> = (0..40).map(|i| format!("{} {i}", i * 7919 % 13)).collect();
        let siblings = SentenceSet::new(texts.iter().enumerate().map(|(i, t)| (i as u32, t.as_str()))).unwrap();
        let class = |text: &str| text.split(' ').next().unwrap().parse::<u32>().unwrap();
        let p = move |x: &str, y: &str| if class(x) == class(y) || class(x) + 1 == class(y) { 0.9 } else { 0.1 };
        let nodes: Vec<_> = (0..40u32)
            .map(|i| Node { x: i, y: i * 3 % 40, score: f64::from(i * 31 % 17) })
            .filter(|n| n.x != n.y)
            .collect();
        let everything: Vec<_> = siblings.pairs().flat_map(|pair| [pair, pair.reversed()]).collect();
        let (mut model, mut watch) = (Nli::new(p), Unwatched);
        let mut monitor = Monitor::new(&mut watch, 0, 0);
        let mut whole = Entailments::new(&mut model, &mut monitor);
        let all = now(whole.fill(&siblings, &everything)).unwrap();
        let whole = whole.cache;
        let explored = |rule, budget, model: &mut Nli<_>| -> (Vec<Pair>, EntailmentCache) {
            let mut watch = Unwatched;
            let mut monitor = Monitor::new(&mut watch, 0, 0);
            let mut entailments = Entailments::new(model, &mut monitor);
            let asked = now(explore(rule, &nodes, &siblings, 0.75, budget, &mut entailments)).unwrap();
            (asked, entailments.cache)
        };
        for rule in [Diversity::Component, Diversity::Independent] {
            let expected = choose(rule, &nodes, &Linked::new(whole.above(0.75)));
            let mut model = Nli::new(p);
            let (asked, cache) = explored(rule, u64::MAX, &mut model);
            assert_eq!(choose(rule, &nodes, &Linked::new(cache.above(0.75))), expected);
            assert_eq!(asked, model.asked_pairs(&siblings));
            assert!((asked.len() as u64) < all, "{} of {all}", asked.len());
            for budget in [0, 1, 7, 50] {
                let mut model = Nli::new(p);
                let (asked, cache) = explored(rule, budget, &mut model);
                assert!(asked.len() as u64 <= budget && model.asked.len() as u64 <= budget);
                assert!(choose(rule, &nodes, &Linked::new(cache.above(0.75))).len() >= expected.len());
            }
        }
    }
}
