//! Tree edit distance with unit costs: the fewest insertions, deletions and relabellings of nodes that turn one ordered
//! tree into the other.
//!
//! [`zhang_shasha`] is the classic (Zhang and Shasha 1989). [`distance`], unless the classic or its mirror image is quick,
//! first computes for every pair of subtrees which path of which tree to take apart so that the fewest subproblems arise,
//! and then does that (RTED: Pawlik and Augsten 2011; APTED 2016): O(n^3) instead of O(n^4) at worst.

use std::collections::HashMap;

use super::tree::Tree;

#[path = "tree_paths.rs"]
mod paths;
#[path = "tree_strategy.rs"]
mod strategy;

use paths::{Scratch, View, along_inner_path, along_outer_path};
use strategy::{Choice, Path, Strategy};

/// Levels of TED-3, the root's included.
pub const TOP_LEVELS: usize = 3;

/// TED-F of the paper: distance of the merged trees ([`Tree::merged`]).
#[must_use]
pub fn ted_full(x: &Tree, y: &Tree) -> u32 {
    distance(&x.merged(), &y.merged())
}

/// TED-3 of the paper: distance of the top three levels of the merged trees, the new root being the first.
#[must_use]
pub fn ted_top(x: &Tree, y: &Tree) -> u32 {
    distance(&x.merged().top(TOP_LEVELS), &y.merged().top(TOP_LEVELS))
}

/// Tree edit distance, by the cheapest way of taking the trees apart. Memory: one entry per pair of nodes.
#[must_use]
pub fn distance(x: &Tree, y: &Tree) -> u32 {
    let (f, g) = indexed(x, y);
    match strategy::good_enough(&f, &g) {
        Some(choice) => by_strategy(&f, &g, |_, _| choice),
        None => by_cheapest(&f, &g),
    }
}

fn by_cheapest(f: &Index, g: &Index) -> u32 {
    let strategy = Strategy::cheapest(f, g);
    by_strategy(f, g, |v, w| strategy.choice(v, w))
}

/// Tree edit distance, always by leftmost paths of `x`.
#[must_use]
pub fn zhang_shasha(x: &Tree, y: &Tree) -> u32 {
    let (f, g) = indexed(x, y);
    by_strategy(&f, &g, |_, _| Choice { of_x: true, path: Path::Left })
}

/// Least distance that sizes and labels alone allow; for refusing a pair without computing more. Time is linear.
#[must_use]
pub fn lower_bound(x: &Tree, y: &Tree) -> u32 {
    let mut surplus = HashMap::<&str, i64>::new();
    (0..x.len()).for_each(|node| *surplus.entry(x.label(node)).or_default() += 1);
    (0..y.len()).for_each(|node| *surplus.entry(y.label(node)).or_default() -= 1);
    let only_x: i64 = surplus.values().map(|&n| n.max(0)).sum();
    let only_y: i64 = surplus.values().map(|&n| (-n).max(0)).sum();
    // A node whose label the other tree has no more of is relabelled, or deleted or inserted: one step for one of each.
    only_x.max(only_y) as u32
}

/// Both trees in the form that the computation needs.
fn indexed(x: &Tree, y: &Tree) -> (Index, Index) {
    let mut labels = HashMap::new();
    let f = Index::new(x, |label| number(&mut labels, label));
    let g = Index::new(y, |label| number(&mut labels, label));
    (f, g)
}

fn number<'a>(labels: &mut HashMap<&'a str, usize>, label: &'a str) -> usize {
    let next = labels.len();
    *labels.entry(label).or_insert(next)
}

/// Distance of the roots, along the paths that `choose` names for each pair of subtrees it is asked about.
fn by_strategy(f: &Index, g: &Index, choose: impl Fn(usize, usize) -> Choice) -> u32 {
    // A pair of subtrees comes after the pair that needs it: worked off from the end, nothing is missing.
    let mut pairs = vec![(0, 0)];
    let mut next = 0;
    while let Some(&(v, w)) = pairs.get(next) {
        let Choice { of_x, path } = choose(v, w);
        if of_x {
            f.beside(v, path, |u| pairs.push((u, w)));
        } else {
            g.beside(w, path, |u| pairs.push((v, u)));
        }
        next += 1;
    }
    let mut distances = vec![0; f.len() * g.len()];
    let mut scratch = Scratch::default();
    for (v, w) in pairs.into_iter().rev() {
        let Choice { of_x, path } = choose(v, w);
        let (f, g, v, w, row, column) = if of_x { (f, g, v, w, g.len(), 1) } else { (g, f, w, v, 1, g.len()) };
        let mut view = View { distances: &mut distances, row, column };
        match path {
            Path::Left | Path::Right => along_outer_path((f, v), (g, w), path, &mut view, &mut scratch),
            Path::Heavy => along_inner_path((f, v), (g, w), &mut view, &mut scratch),
        }
    }
    distances.first().map_or(0, |&distance| u32::from(distance))
}

/// A tree as arrays by preorder number.
struct Index {
    label: Vec<usize>,
    size: Vec<usize>,
    parent: Vec<Option<usize>>,
    /// Postorder number, and the node that has it.
    post: Vec<usize>,
    at_post: Vec<usize>,
    /// The child with the largest subtree, the first of equals.
    heavy: Vec<Option<usize>>,
    last: Vec<Option<usize>>,
}

impl Index {
    fn new<'a>(tree: &'a Tree, label: impl FnMut(&'a str) -> usize) -> Self {
        let n = tree.len();
        let mut index = Self {
            label: (0..n).map(|node| tree.label(node)).map(label).collect(),
            size: (0..n).map(|node| tree.size(node)).collect(),
            parent: vec![None; n],
            post: vec![0; n],
            at_post: vec![0; n],
            heavy: vec![None; n],
            last: vec![None; n],
        };
        let mut depth = vec![0; n];
        for v in 0..n {
            let end = v + index.size[v];
            let mut child = v + 1;
            while child < end {
                index.parent[child] = Some(v);
                depth[child] = depth[v] + 1;
                if index.heavy[v].is_none_or(|heavy| index.size[heavy] < index.size[child]) {
                    index.heavy[v] = Some(child);
                }
                index.last[v] = Some(child);
                child += index.size[child];
            }
            // Before v in postorder: what is before it in preorder without its ancestors, and its descendants.
            index.post[v] = end - 1 - depth[v];
            index.at_post[index.post[v]] = v;
        }
        index
    }

    fn len(&self) -> usize {
        self.size.len()
    }

    /// The child of `v` on its path of this kind.
    fn next(&self, v: usize, path: Path) -> Option<usize> {
        match path {
            Path::Left => (self.size[v] > 1).then_some(v + 1),
            Path::Right => self.last[v],
            Path::Heavy => self.heavy[v],
        }
    }

    /// Whether the path of the parent goes on here.
    fn on_path(&self, v: usize, path: Path) -> bool {
        self.parent[v].is_some_and(|parent| self.next(parent, path) == Some(v))
    }

    /// Calls `found` with the root of every subtree that hangs off the path from `v` down.
    fn beside(&self, v: usize, path: Path, mut found: impl FnMut(usize)) {
        let mut at = Some(v);
        while let Some(node) = at {
            at = self.next(node, path);
            let mut child = node + 1;
            while child < node + self.size[node] {
                if at != Some(child) {
                    found(child);
                }
                child += self.size[child];
            }
        }
    }
}

#[cfg(test)]
#[path = "tree_distance_tests.rs"]
mod tests;
