//! Constituency trees in the bracket notation of parsers: `(ROOT (S (NP (DT The) (NN cat)) (VP (VBD sat))))`.
//!
//! Only the structure is kept: words are dropped when parsing, since none of the tree distances uses them.

use std::fmt;

use crate::{Error, Result};

/// Maximum number of nodes of a tree. Tree distances need tables with one entry per pair of nodes, about 150 MiB for
/// two trees of this size. A sentence of 40 words has about 100 nodes.
pub const MAX_NODES: usize = 4096;

/// Maximum depth of a tree, in levels.
pub const MAX_DEPTH: usize = 1000;

/// An ordered, labelled tree with at least one node. [`Tree::parse`] reads it; `Display` writes it in bracket notation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Labels of the nodes, in preorder.
    labels: Vec<Box<str>>,
    /// Size of each node's subtree, itself included, in preorder. Together with the order this determines the shape.
    sizes: Vec<u32>,
}

impl Tree {
    /// Parses one tree. A label may be missing, as in `( (S ...))`; words are dropped.
    ///
    /// # Errors
    /// [`Error::Input`] with the position, in characters from 1, at which the text is no longer a tree or exceeds
    /// [`MAX_NODES`] nodes or [`MAX_DEPTH`] levels.
    pub fn parse(text: &str) -> Result<Self> {
        let mut tree = Self { labels: Vec::new(), sizes: Vec::new() };
        let mut open: Vec<usize> = Vec::new();
        let mut rest = text.trim_start();
        while let Some(c) = rest.chars().next() {
            let fail = |expected: &str, found: &str| Err(misread(text, rest, expected, found));
            if open.is_empty() && !tree.labels.is_empty() {
                return fail("the end of the text after one tree", &excerpt(rest));
            }
            match c {
                '(' => {
                    if open.len() == MAX_DEPTH {
                        return fail(&format!("at most {MAX_DEPTH} levels"), "one more");
                    }
                    if tree.labels.len() == MAX_NODES {
                        return fail(&format!("at most {MAX_NODES} nodes"), "one more");
                    }
                    let (label, after) = symbol(rest[1..].trim_start());
                    open.push(tree.labels.len());
                    tree.labels.push(label.into());
                    tree.sizes.push(0);
                    rest = after.trim_start();
                }
                ')' => {
                    let Some(node) = open.pop() else { return fail("`(`", "`)`") };
                    tree.sizes[node] = (tree.labels.len() - node) as u32;
                    rest = rest[1..].trim_start();
                }
                _ if open.is_empty() => return fail("`(`", &excerpt(rest)),
                _ => rest = symbol(rest).1.trim_start(),
            }
        }
        if !open.is_empty() {
            return Err(misread(text, rest, "`)`", &format!("the end with {} open", open.len())));
        }
        if tree.labels.is_empty() {
            return Err(misread(text, rest, "a tree in brackets", "the end"));
        }
        Ok(tree)
    }

    /// The tree that TED-F and TED-3 compare, as in the evaluation of SGCP (Kumar et al. 2020): it gets a new root `S`,
    /// and nodes labelled `S` or not at all are replaced by their children. `ROOT` stays.
    #[must_use]
    pub fn merged(&self) -> Self {
        let mut tree = self.select(|node| !matches!(&*self.labels[node], "" | "S"));
        tree.labels.insert(0, "S".into());
        tree.sizes.insert(0, tree.labels.len() as u32);
        tree
    }

    /// The top `levels` levels of the tree, including the root; 0 counts as 1.
    #[must_use]
    pub fn top(&self, levels: usize) -> Self {
        let depths = self.depths();
        self.select(|node| depths[node] < levels.max(1))
    }

    /// The tree with only the nodes to keep, in the same order; the children of a removed node move to its parent.
    fn select(&self, keep: impl Fn(usize) -> bool) -> Self {
        let mut before = Vec::with_capacity(self.len() + 1);
        let mut kept = 0;
        for node in 0..self.len() {
            before.push(kept);
            kept += u32::from(keep(node));
        }
        before.push(kept);
        let nodes = (0..self.len()).filter(|&node| before[node + 1] > before[node]);
        Self {
            labels: nodes.clone().map(|node| self.labels[node].clone()).collect(),
            sizes: nodes.map(|node| before[node + self.size(node)] - before[node]).collect(),
        }
    }

    /// Number of levels above each node, in preorder.
    fn depths(&self) -> Vec<usize> {
        let mut ends = Vec::new();
        let depth = |node| {
            while ends.last().is_some_and(|&end| end <= node) {
                ends.pop();
            }
            ends.push(node + self.size(node));
            ends.len() - 1
        };
        (0..self.len()).map(depth).collect()
    }

    /// Number of nodes.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Label of a node, given its preorder index.
    pub(super) fn label(&self, node: usize) -> &str {
        &self.labels[node]
    }

    /// Number of nodes in the subtree of a node, itself included.
    pub(super) fn size(&self, node: usize) -> usize {
        self.sizes[node] as usize
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ends = Vec::new();
        for node in 0..self.len() {
            write!(f, "{}({}", if node == 0 { "" } else { " " }, self.labels[node])?;
            ends.push(node + self.size(node));
            while ends.last() == Some(&(node + 1)) {
                ends.pop();
                f.write_str(")")?;
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for Tree {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// Splits a text before its first bracket or space.
fn symbol(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')')).unwrap_or(text.len()))
}

fn misread(text: &str, rest: &str, expected: &str, found: &str) -> Error {
    let character = text.chars().count() - rest.chars().count() + 1;
    Error::input(format!("tree, character {character}"), expected, found)
}

fn excerpt(text: &str) -> String {
    const MOST: usize = 20;
    let start: String = text.chars().take(MOST).collect();
    if start.len() < text.len() { format!("`{start}...`") } else { format!("`{start}`") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        Tree::parse(text).unwrap().to_string()
    }

    #[test]
    fn words_are_dropped_and_labels_kept() {
        assert_eq!(read("(ROOT(S (NP (PRP$ My) (NN naïveté))(. .)) )"), "(ROOT (S (NP (PRP$) (NN)) (.)))");
        assert_eq!(read("  ( NP\t(DT the 😀 )\n(-LRB- -LRB-) )\r\n"), "(NP (DT) (-LRB-))");
        assert_eq!(read("( (S x) y)"), "( (S))");
        assert_eq!(read("()"), "()");
    }

    #[test]
    fn s_is_merged_into_its_parent() {
        let tree = |text: &str| Tree::parse(text).unwrap().merged().to_string();
        assert_eq!(tree("(S)"), "(S)");
        assert_eq!(tree("( (S (S (NP x) (S)) (SBAR (S (VP y)))))"), "(S (NP) (SBAR (VP)))");
        assert_eq!(tree("(NN word)"), "(S (NN))");
        let twice = Tree::parse("(ROOT (S (NP) (S (VP))))").unwrap().merged();
        assert_eq!(twice.merged(), twice);
    }

    #[test]
    fn top_levels() {
        let tree = Tree::parse("(A (B (C (D)) (E)) (F))").unwrap();
        for (levels, expected) in
            [(0, "(A)"), (1, "(A)"), (2, "(A (B) (F))"), (3, "(A (B (C) (E)) (F))"), (4, "(A (B (C (D)) (E)) (F))")]
        {
            assert_eq!(tree.top(levels).to_string(), expected);
        }
        assert_eq!(tree.top(usize::MAX), tree);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["(A (B (C (D)) (E)) (F))", "( () (S))", "(A)"] {
            let tree: Tree = text.parse().unwrap();
            assert_eq!((tree.to_string().as_str(), Tree::parse(&tree.to_string()).unwrap()), (text, tree));
        }
    }

    #[test]
    fn errors_say_where() {
        for (text, message) in [
            ("", "tree, character 1: expected a tree in brackets, found the end"),
            (" \n", "tree, character 3: expected a tree in brackets, found the end"),
            ("(A (B)", "tree, character 7: expected `)`, found the end with 1 open"),
            ("😀 (A)", "tree, character 1: expected `(`, found `😀 (A)`"),
            (")", "tree, character 1: expected `(`, found `)`"),
            ("(é) (B)", "tree, character 5: expected the end of the text after one tree, found `(B)`"),
            ("(A))", "tree, character 4: expected the end of the text after one tree, found `)`"),
            ("The cat sat on the mat.", "tree, character 1: expected `(`, found `The cat sat on the m...`"),
        ] {
            assert_eq!(Tree::parse(text).unwrap_err().to_string(), message, "{text:?}");
        }
    }

    #[test]
    fn size_and_depth_are_limited() {
        let deep = |n: usize| "(A".repeat(n) + &")".repeat(n);
        assert_eq!(Tree::parse(&deep(MAX_DEPTH)).unwrap().len(), MAX_DEPTH);
        assert!(Tree::parse(&deep(MAX_DEPTH + 1)).unwrap_err().to_string().contains("at most 1000 levels"));
        assert!(Tree::parse(&"(".repeat(10_000_000)).is_err());
        let wide = |n: usize| format!("(A{})", "(B)".repeat(n - 1));
        assert_eq!(Tree::parse(&wide(MAX_NODES)).unwrap().merged().len(), MAX_NODES + 1);
        assert!(Tree::parse(&wide(MAX_NODES + 1)).unwrap_err().to_string().contains("at most 4096 nodes"));
        assert_eq!(Tree::parse(&format!("(A {})", "word ".repeat(100_000))).unwrap().len(), 1);
    }
}
