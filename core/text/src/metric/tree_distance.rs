//! Tree edit distance with unit costs: the smallest number of insertions, deletions and relabellings of nodes that
//! turns one ordered tree into another.
//!
//! [`zhang_shasha`] is the classic algorithm (Zhang and Shasha 1989). [`distance`] uses it, or its mirror image, where
//! that is fast. Otherwise it first determines, for every pair of subtrees, the path in one of the two trees whose
//! decomposition has the fewest subproblems (RTED: Pawlik and Augsten 2011; APTED 2016): O(n^3) instead of O(n^4) in
//! the worst case.

use std::collections::HashMap;

use super::tree::Tree;

#[path = "tree_paths.rs"]
mod paths;
#[path = "tree_strategy.rs"]
mod strategy;

use paths::{Scratch, View, along_inner_path, along_outer_path};
use strategy::{Choice, Path, Strategy};

/// Levels that TED-3 compares, including the root.
pub const TOP_LEVELS: usize = 3;

/// TED-F of Impossible Distillation: the distance of the merged trees ([`Tree::merged`]).
#[must_use]
pub fn ted_full(x: &Tree, y: &Tree) -> u32 {
    distance(&x.merged(), &y.merged())
}

/// TED-3 of Impossible Distillation: the distance of the top three levels of the merged trees, including the new root.
#[must_use]
pub fn ted_top(x: &Tree, y: &Tree) -> u32 {
    distance(&x.merged().top(TOP_LEVELS), &y.merged().top(TOP_LEVELS))
}

/// Tree edit distance, by the cheapest decomposition. Memory is proportional to the number of pairs of nodes.
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

/// Tree edit distance, always decomposed along the leftmost paths of `x`.
#[must_use]
pub fn zhang_shasha(x: &Tree, y: &Tree) -> u32 {
    let (f, g) = indexed(x, y);
    by_strategy(&f, &g, |_, _| Choice { of_x: true, path: Path::Left })
}

/// A lower bound of the distance from the label counts alone, in linear time: for rejecting a pair without computing
/// its distance.
#[must_use]
pub fn lower_bound(x: &Tree, y: &Tree) -> u32 {
    let mut surplus = HashMap::<&str, i64>::new();
    (0..x.len()).for_each(|node| *surplus.entry(x.label(node)).or_default() += 1);
    (0..y.len()).for_each(|node| *surplus.entry(y.label(node)).or_default() -= 1);
    let only_x: i64 = surplus.values().map(|&n| n.max(0)).sum();
    let only_y: i64 = surplus.values().map(|&n| (-n).max(0)).sum();
    // A node whose label is in surplus must be relabelled, deleted or inserted; one relabelling settles a surplus node
    // in each tree.
    only_x.max(only_y) as u32
}

/// Indexes both trees with a common numbering of labels.
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

/// Distance of the two trees, decomposed along the path that `choose` returns for each pair of subtrees.
fn by_strategy(f: &Index, g: &Index, choose: impl Fn(usize, usize) -> Choice) -> u32 {
    // Pairs of subtrees come after the pair that needs them, so processing the list from the end finds every distance
    // it needs.
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

/// A tree as arrays indexed by preorder number.
struct Index {
    label: Vec<usize>,
    size: Vec<usize>,
    parent: Vec<Option<usize>>,
    /// Postorder number of each node, and the node with each postorder number.
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
            // Before v in postorder come the nodes before it in preorder, except its ancestors, and its descendants.
            index.post[v] = end - 1 - depth[v];
            index.at_post[index.post[v]] = v;
        }
        index
    }

    fn len(&self) -> usize {
        self.size.len()
    }

    /// The child of `v` on the path of this kind.
    fn next(&self, v: usize, path: Path) -> Option<usize> {
        match path {
            Path::Left => (self.size[v] > 1).then_some(v + 1),
            Path::Right => self.last[v],
            Path::Heavy => self.heavy[v],
        }
    }

    /// Whether the parent's path of this kind continues in `v`.
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
