//! Distances between the subtrees along one path of a tree and all subtrees of the other, given the distances of the
//! subtrees beside the path.
//!
//! Along an outer (left or right) path, nodes are removed from one side only, which is Zhang and Shasha's table. Along
//! an inner path, the nodes to its left are removed first and then those to its right, while nodes of the other tree
//! are removed from both sides in any order (Klein 1998; Demaine et al. 2009). A forest of the other tree then consists
//! of the nodes with at least a certain preorder number and at least a certain mirrored preorder number. With one of
//! the two numbers fixed, removing nodes from the other side is again a two-dimensional table, so only a triangle of
//! distances is kept from one change of sides to the next.

use super::{Index, Path};

/// Distances of pairs of subtrees, as seen from either tree. Entry (x, y) is at `x * row + y * column`.
pub(super) struct View<'a> {
    pub distances: &'a mut [u16],
    pub row: usize,
    pub column: usize,
}

impl View<'_> {
    fn get(&self, x: usize, y: usize) -> u16 {
        self.distances[x * self.row + y * self.column]
    }

    fn set(&mut self, x: usize, y: usize, distance: u16) {
        self.distances[x * self.row + y * self.column] = distance;
    }
}

/// Buffers that are reused from pair to pair.
#[derive(Default)]
pub(super) struct Scratch {
    table: Vec<u16>,
    nodes: Vec<(usize, usize)>,
    rows: Vec<(usize, usize)>,
}

/// Enlarges the table if needed. Old values stay, as the caller overwrites all that it uses.
fn make_room(table: &mut Vec<u16>, len: usize) {
    if table.len() < len {
        table.resize(len, 0);
    }
}

/// Computes the distances along the left or right path of subtree `v` of `f`; those of the subtrees beside it must be
/// known.
pub(super) fn along_outer_path(
    (f, v): (&Index, usize),
    (g, w): (&Index, usize),
    path: Path,
    view: &mut View,
    scratch: &mut Scratch,
) {
    let Scratch { table, nodes, rows } = scratch;
    rows.clear();
    rows.extend(nodes_of(f, v, path));
    // In postorder, or its mirror image, subtrees come before the subtrees that contain them.
    for (root, _) in nodes_of(g, w, path).filter(|&(y, _)| y == w || !g.on_path(y, path)) {
        nodes.clear();
        nodes.extend(nodes_of(g, root, path));
        let columns = &*nodes;
        let width = columns.len() + 1;
        make_room(table, (rows.len() + 1) * width);
        (0..width).for_each(|b| table[b] = b as u16);
        for (a, &(x, size_x)) in rows.iter().enumerate() {
            let before = (a + 1 - size_x) * width;
            let (above, current) = table.split_at_mut((a + 1) * width);
            let row_above = &above[a * width..];
            current[0] = row_above[0] + 1;
            for (b, &(y, size_y)) in columns.iter().enumerate() {
                let apart = (row_above[b + 1] + 1).min(current[b] + 1);
                let skip = b + 1 - size_y;
                current[b + 1] = if before == 0 && skip == 0 {
                    let both = row_above[b] + u16::from(f.label[x] != g.label[y]);
                    view.set(x, y, apart.min(both));
                    apart.min(both)
                } else {
                    apart.min(above[before + skip] + view.get(x, y))
                };
            }
        }
    }
}

/// Position of a node in postorder or, for right paths, in the postorder of the mirrored tree.
fn place(tree: &Index, node: usize, path: Path) -> usize {
    if path == Path::Left { tree.post[node] } else { tree.len() - 1 - node }
}

/// The nodes of a subtree in that order, with the sizes of their subtrees.
fn nodes_of(tree: &Index, root: usize, path: Path) -> impl Iterator<Item = (usize, usize)> {
    let end = place(tree, root, path) + 1;
    (end - tree.size[root]..end).map(move |at| {
        let node = if path == Path::Left { tree.at_post[at] } else { tree.len() - 1 - at };
        (node, tree.size[node])
    })
}

/// Computes the distances along the heavy path of subtree `v` of `f`; those of the subtrees beside it must be known.
pub(super) fn along_inner_path(
    (f, v): (&Index, usize),
    (g, w): (&Index, usize),
    view: &mut View,
    scratch: &mut Scratch,
) {
    let m = g.size[w];
    let from_left = Order { rank: (0..m).collect(), at: (0..m).collect() };
    let last = g.post[w];
    let from_right = Order {
        rank: (0..m).map(|y| last - g.post[w + y]).collect(),
        at: (0..m).map(|rank| g.at_post[last - rank] - w).collect(),
    };
    let mut path = vec![v];
    while let Some(next) = path.last().and_then(|&node| f.heavy[node]) {
        path.push(next);
    }
    let other = Other { tree: g, root: w, size: m };
    let mut known = Triangle::without_forest(m);
    let mut below: Option<usize> = None;
    for &node in path.iter().rev() {
        if let Some(child) = below {
            let right: Vec<usize> = (f.post[child] + 1..f.post[node]).map(|post| f.at_post[post]).collect();
            if !right.is_empty() {
                known = known.turned(&from_left, &from_right);
                known.grow(f, &right, &other, (&from_right, &from_left), view, scratch);
                known = known.turned(&from_right, &from_left);
            }
            let left: Vec<usize> = (node + 1..child).rev().collect();
            known.grow(f, &left, &other, (&from_left, &from_right), view, scratch);
        }
        known.close(f, node, &other, &from_right, view);
        below = Some(node);
    }
}

/// A subtree of the other tree, with its nodes numbered from 0 in preorder.
struct Other<'a> {
    tree: &'a Index,
    root: usize,
    size: usize,
}

impl Other<'_> {
    fn size_of(&self, node: usize) -> usize {
        self.tree.size[self.root + node]
    }
}

/// A node order (preorder, or preorder with children visited from last to first): the rank of each node, and the node
/// at each rank.
struct Order {
    rank: Vec<usize>,
    at: Vec<usize>,
}

/// Distances of one forest of `f` to every forest of the other tree. A forest of the other tree is identified by how
/// many nodes are removed from one side (`cut`) and how many of the remaining ones from the other.
struct Triangle {
    values: Vec<u16>,
    nodes: usize,
    /// Number of nodes in the forest of `f`.
    forest: u16,
}

impl Triangle {
    /// Distances to the empty forest of `f`.
    fn without_forest(nodes: usize) -> Self {
        let values = (0..nodes).flat_map(|cut| (0..=nodes - cut).rev()).map(|rest| rest as u16).collect();
        Self { values, nodes, forest: 0 }
    }

    fn start(&self, cut: usize) -> usize {
        // The rows before it have nodes + 1, nodes, ... entries.
        cut * (self.nodes + 1) - cut * cut.saturating_sub(1) / 2
    }

    fn row(&mut self, cut: usize) -> &mut [u16] {
        let start = self.start(cut);
        &mut self.values[start..=start + self.nodes - cut]
    }

    /// The same distances indexed from the other side: `along` becomes the side of `cut`.
    fn turned(&self, along: &Order, across: &Order) -> Self {
        let mut values = Vec::with_capacity(self.values.len());
        // For each rank across: index of the forest of the nodes of that rank or higher that are not yet cut along.
        let mut places: Vec<usize> = (0..self.nodes).map(|rank| self.start(rank)).collect();
        let mut ranks: Vec<usize> = (0..self.nodes).collect();
        for &gone in &along.at {
            values.extend(ranks.iter().map(|&rank| self.values[places[rank]]));
            values.push(self.forest);
            places[..across.rank[gone]].iter_mut().for_each(|place| *place += 1);
            ranks.remove(ranks.partition_point(|&rank| rank < across.rank[gone]));
        }
        Self { values, ..*self }
    }

    /// Adds nodes of `f` to the forest on the side `along`, nearest first; each becomes the root of the outermost tree
    /// there.
    fn grow(
        &mut self,
        f: &Index,
        added: &[usize],
        other: &Other,
        (along, across): (&Order, &Order),
        view: &View,
        scratch: &mut Scratch,
    ) {
        if added.is_empty() {
            return;
        }
        let Scratch { table, nodes, .. } = scratch;
        nodes.clear();
        nodes.extend(along.at.iter().map(|&node| (other.root + node, other.size_of(node))));
        for cut in 0..self.nodes {
            let width = nodes.len() + 1;
            make_room(table, (added.len() + 1) * width);
            table[..width].copy_from_slice(self.row(cut));
            for (r, &x) in added.iter().enumerate() {
                let (above, current) = table.split_at_mut((r + 1) * width);
                let row_above = &above[r * width..];
                let without = &above[(r + 1 - f.size[x]) * width..][..width];
                let mut value = row_above[width - 1] + 1;
                current[width - 1] = value;
                for (p, &(y, size_y)) in nodes.iter().enumerate().rev() {
                    let apart = row_above[p].min(value) + 1;
                    value = apart.min(without[p + size_y] + view.get(x, y));
                    current[p] = value;
                }
            }
            self.row(cut).copy_from_slice(&table[added.len() * width..][..width]);
            let gone = along.rank[across.at[cut]];
            nodes.remove(nodes.partition_point(|&(y, _)| along.rank[y - other.root] < gone));
        }
        self.forest += added.len() as u16;
    }

    /// Adds `x`, a node of the path, as the root above the whole forest, which turns it into a tree, and records the
    /// distances of that tree. Here `cut` counts from the right.
    fn close(&mut self, f: &Index, x: usize, other: &Other, from_right: &Order, view: &mut View) {
        let Other { tree: g, root, size: m } = *other;
        self.forest += 1;
        let forest = self.forest;
        // From the right inwards, so that the distance to a node's tree is known before it becomes part of a forest.
        let mut rest = Vec::with_capacity(m);
        for cut in (0..m).rev() {
            let added = from_right.at[cut];
            rest.insert(rest.partition_point(|&node| node < added), added);
            let row = self.row(cut);
            let mut below_right = row[rest.len()];
            let mut value = forest;
            row[rest.len()] = forest;
            for (p, &node) in rest.iter().enumerate().rev() {
                let (y, size) = (root + node, other.size_of(node));
                let apart = row[p].min(value) + 1;
                value = if from_right.rank[node] == cut {
                    let both = below_right + u16::from(f.label[x] != g.label[y]);
                    view.set(x, y, apart.min(both));
                    apart.min(both)
                } else {
                    apart.min(view.get(x, y) + (rest.len() - p - size) as u16)
                };
                below_right = row[p];
                row[p] = value;
            }
        }
    }
}
