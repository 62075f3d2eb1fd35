//! The choice of a path, in one of the two trees, along which to decompose each pair of subtrees (Pawlik and Augsten
//! 2011, sections 4 and 5).

use super::Index;

/// A path from the root of a subtree to a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// Through first children.
    Left,
    /// Through last children.
    Right,
    /// Through the children with the largest subtrees.
    Heavy,
}

/// The path along which a pair of subtrees is decomposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    /// Whether the path is in the first tree rather than the second.
    pub of_x: bool,
    pub path: Path,
}

impl Choice {
    /// All choices; of several equally cheap ones, the first is taken.
    pub(super) const ALL: [Self; 6] = [
        Self { of_x: true, path: Path::Left },
        Self { of_x: true, path: Path::Right },
        Self { of_x: false, path: Path::Left },
        Self { of_x: false, path: Path::Right },
        Self { of_x: true, path: Path::Heavy },
        Self { of_x: false, path: Path::Heavy },
    ];
}

const PATHS: [Path; 3] = [Path::Left, Path::Right, Path::Heavy];

/// Measured cost of one subproblem on a heavy path, including the conversion of its tables, relative to one on an outer
/// path.
const HEAVY_WEIGHT: u64 = 3;

/// Number of subproblems per pair of nodes that takes about as long as finding the cheapest choices.
const WORTH: u64 = 12;

/// One choice for all pairs of subtrees: the better of Zhang and Shasha's algorithm and its mirror image, if it has few
/// enough subproblems.
pub(super) fn good_enough(f: &Index, g: &Index) -> Option<Choice> {
    let (of_f, of_g) = (subforests(f)[0], subforests(g)[0]);
    let cost = |path: Path| of_f[path as usize] * of_g[path as usize];
    let path = if cost(Path::Left) <= cost(Path::Right) { Path::Left } else { Path::Right };
    (cost(path) <= WORTH * (f.len() * g.len()) as u64).then_some(Choice { of_x: true, path })
}

/// The cheapest choice for each pair of subtrees.
pub(super) struct Strategy {
    /// For each pair of nodes an index into [`Choice::ALL`].
    choices: Vec<u8>,
    columns: usize,
}

impl Strategy {
    pub(super) fn choice(&self, v: usize, w: usize) -> Choice {
        Choice::ALL[usize::from(self.choices[v * self.columns + w])]
    }

    /// Finds the cheapest choices, with a few operations and one byte of memory per pair of nodes.
    pub(super) fn cheapest(f: &Index, g: &Index) -> Self {
        let (of_f, of_g) = (subforests(f), subforests(g));
        let on_path_g: Vec<_> = (0..g.len()).map(|w| PATHS.map(|path| g.on_path(w, path))).collect();
        let mut choices = vec![0; f.len() * g.len()];
        // By node of f and node of g: total cost of the pairs with a subtree beside the path from that node, for each
        // kind of path. Children come before parents, so a node's row is complete when it is read; only the rows of one
        // path to the root exist at a time.
        let mut beside_f: Vec<Option<Vec<[u64; 3]>>> = vec![None; f.len()];
        let mut beside_g = vec![[0; 3]; g.len()];
        for v in (0..f.len()).rev() {
            let row = beside_f[v].take().unwrap_or_else(|| vec![[0; 3]; g.len()]);
            let on_path = PATHS.map(|path| f.on_path(v, path));
            let mut above = f.parent[v].map(|parent| (parent, beside_f[parent].take()));
            let above_row = above.as_mut().map(|(_, row)| row.get_or_insert_with(|| vec![[0; 3]; g.len()]));
            let mut costs = vec![0; g.len()];
            beside_g.fill([0; 3]);
            for w in (0..g.len()).rev() {
                let (size_f, size_g) = (f.size[v] as u64, g.size[w] as u64);
                let cost = |choice: Choice| {
                    let k = choice.path as usize;
                    if choice.of_x { size_f * of_g[w][k] + row[w][k] } else { size_g * of_f[v][k] + beside_g[w][k] }
                };
                let (mut best, mut least) = (0, u64::MAX);
                for (place, cost) in Choice::ALL.map(cost).into_iter().enumerate() {
                    if cost < least {
                        (best, least) = (place, cost);
                    }
                }
                choices[v * g.len() + w] = best as u8;
                costs[w] = least;
                if let Some(parent) = g.parent[w] {
                    for k in 0..3 {
                        beside_g[parent][k] += if on_path_g[w][k] { beside_g[w][k] } else { least };
                    }
                }
            }
            if let Some(above_row) = above_row {
                for ((above, row), cost) in above_row.iter_mut().zip(&row).zip(&costs) {
                    for k in 0..3 {
                        above[k] += if on_path[k] { row[k] } else { *cost };
                    }
                }
            }
            if let Some((parent, row)) = above {
                beside_f[parent] = row;
            }
        }
        Self { choices, columns: g.len() }
    }
}

/// For each subtree, the number of its subforests that are compared with each node of the other tree, by the kind of
/// path there. For left and right paths it is the total size of the subtrees that a decomposition along such paths
/// yields; for a heavy path, all subforests that result from removing nodes from the left and right in any order,
/// `n (n + 3) / 2` minus the sizes of all subtrees (Dulucq and Touzet 2003), times [`HEAVY_WEIGHT`].
fn subforests(tree: &Index) -> Vec<[u64; 3]> {
    let mut beside = vec![[0_u64; 2]; tree.len()];
    let mut sizes = vec![0_u64; tree.len()];
    let mut counts = vec![[0; 3]; tree.len()];
    for v in (0..tree.len()).rev() {
        let n = tree.size[v] as u64;
        sizes[v] += n;
        counts[v] = [n + beside[v][0], n + beside[v][1], HEAVY_WEIGHT * (n * (n + 3) / 2 - sizes[v])];
        if let Some(parent) = tree.parent[v] {
            sizes[parent] += sizes[v];
            for k in 0..2 {
                beside[parent][k] += if tree.on_path(v, PATHS[k]) { beside[v][k] } else { counts[v][k] };
            }
        }
    }
    counts
}
