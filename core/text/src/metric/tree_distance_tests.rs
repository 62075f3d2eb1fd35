#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::cell::Cell;

use serde_json::Value;

use super::*;
use crate::metric::golden;
use record::random::{Purpose, Stream};

/// A random tree of about `n` nodes; `bias` 0 gives a chain, 1 a star, values between them bushy trees.
fn random_tree(stream: &mut Stream, n: usize, labels: usize, bias: f64) -> Tree {
    let mut text = String::new();
    let mut depth = 0;
    for node in 0..n.max(1) {
        // Keep the depth within the limit and below the root.
        while depth > 1 && (depth >= 900 || stream.uniform() < bias) && node > 0 {
            text.push(')');
            depth -= 1;
        }
        text += &format!("(L{}", stream.below(labels));
        depth += 1;
    }
    Tree::parse(&(text + &")".repeat(depth))).unwrap()
}

/// Directly from the definition, removing nodes of forests from the right.
fn by_definition(x: &Tree, y: &Tree) -> u32 {
    type Forest = Vec<(usize, usize)>;
    fn without_root(tree: &Tree, forest: &Forest) -> Forest {
        let mut rest = forest.clone();
        let (node, end) = rest.pop().unwrap();
        let mut child = node + 1;
        while child < end {
            rest.push((child, child + tree.size(child)));
            child += tree.size(child);
        }
        rest
    }
    fn go(x: &Tree, y: &Tree, f: Forest, g: Forest, known: &mut HashMap<(Forest, Forest), u32>) -> u32 {
        let (Some(&a), Some(&b)) = (f.last(), g.last()) else {
            return f.iter().chain(&g).map(|(start, end)| (end - start) as u32).sum();
        };
        if let Some(&d) = known.get(&(f.clone(), g.clone())) {
            return d;
        }
        let deleted = go(x, y, without_root(x, &f), g.clone(), known) + 1;
        let inserted = go(x, y, f.clone(), without_root(y, &g), known) + 1;
        let below = |tree: &Tree, root| without_root(tree, &vec![root]);
        let kept = go(x, y, below(x, a), below(y, b), known)
            + go(x, y, f[..f.len() - 1].to_vec(), g[..g.len() - 1].to_vec(), known)
            + u32::from(x.label(a.0) != y.label(b.0));
        let d = deleted.min(inserted).min(kept);
        known.insert((f, g), d);
        d
    }
    go(x, y, vec![(0, x.len())], vec![(0, y.len())], &mut HashMap::new())
}

/// The distance along paths of the given choices, such as random ones.
fn by_choice(x: &Tree, y: &Tree, choose: impl Fn(usize, usize) -> usize) -> u32 {
    let (f, g) = indexed(x, y);
    by_strategy(&f, &g, |v, w| Choice::ALL[choose(v, w) % 6])
}

fn cheapest(x: &Tree, y: &Tree) -> u32 {
    let (f, g) = indexed(x, y);
    by_cheapest(&f, &g)
}

#[test]
fn equals_the_golden_values() {
    let golden = golden::json("trees.json");
    let tree = |name: &Value| {
        let entry = &golden["trees"][name.as_str().unwrap()];
        let tree = Tree::parse(entry["parse"].as_str().unwrap()).unwrap();
        assert_eq!(tree.to_string(), entry["raw"].as_str().unwrap());
        assert_eq!(tree.merged().to_string(), entry["merged"].as_str().unwrap());
        assert_eq!(tree.merged().len() as u64, entry["merged_nodes"].as_u64().unwrap());
        tree
    };
    let pairs = golden["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 25);
    for pair in pairs {
        let (x, y) = (tree(&pair["a"]), tree(&pair["b"]));
        let raw_top = |distance: fn(&Tree, &Tree) -> u32| distance(&x.top(3), &y.top(3));
        for (key, found) in [
            ("ted", ted_full(&x, &y)),
            ("ted_top3", ted_top(&x, &y)),
            ("ted", cheapest(&x.merged(), &y.merged())),
            ("ted_raw", distance(&x, &y)),
            ("ted_raw_top3", raw_top(distance)),
            ("ted", zhang_shasha(&x.merged(), &y.merged())),
            ("ted_raw", zhang_shasha(&x, &y)),
            ("ted_raw_top3", raw_top(zhang_shasha)),
        ] {
            assert_eq!(u64::from(found), pair[key].as_u64().unwrap(), "{key} of {} and {}", pair["a"], pair["b"]);
        }
    }
}

#[test]
fn every_way_of_taking_trees_apart_gives_the_same() {
    for seed in 0..400 {
        let mut stream = Stream::new(seed, Purpose::Other, 0, 0);
        let most = if seed < 300 { 9 } else { 14 };
        let biases = [0.2, 0.5, 0.8][stream.below(3)];
        let labels = 1 + stream.below(3);
        let (n, m) = (1 + stream.below(most), 1 + stream.below(most));
        let (x, y) = (random_tree(&mut stream, n, labels, biases), random_tree(&mut stream, m, labels, biases));
        let expected = by_definition(&x, &y);
        assert_eq!(distance(&x, &y), expected, "{x} and {y}");
        assert_eq!(cheapest(&x, &y), expected, "{x} and {y}");
        assert_eq!(zhang_shasha(&x, &y), expected, "{x} and {y}");
        for same in 0..6 {
            assert_eq!(by_choice(&x, &y, |_, _| same), expected, "{:?}: {x} and {y}", Choice::ALL[same]);
        }
        for _ in 0..5 {
            let salt = stream.below(1 << 20);
            let mix = |v: usize, w: usize| (v * 7919 + w * 104_729 + salt).wrapping_mul(0x9E37_79B1) >> 7;
            assert_eq!(by_choice(&x, &y, mix), expected, "{salt}: {x} and {y}");
        }
        assert!(lower_bound(&x, &y) <= expected, "{x} and {y}");
    }
}

#[test]
fn large_trees_agree_with_zhang_shasha() {
    for seed in 0..12 {
        let mut stream = Stream::new(seed, Purpose::Other, 0, 0);
        let bias = [0.3, 0.5, 0.7][seed as usize % 3];
        let (n, m) = (60 + stream.below(120), 60 + stream.below(120));
        let (x, y) = (random_tree(&mut stream, n, 8, bias), random_tree(&mut stream, m, 8, bias));
        let expected = zhang_shasha(&x, &y);
        assert_eq!((distance(&x, &y), cheapest(&x, &y)), (expected, expected));
        for same in 0..6 {
            assert_eq!(by_choice(&x, &y, |_, _| same), expected, "{:?}", Choice::ALL[same]);
        }
    }
}

#[test]
fn it_is_a_metric() {
    let mut stream = Stream::new(3, Purpose::Other, 0, 0);
    let trees: Vec<Tree> = (0..24)
        .map(|i| {
            let n = 1 + stream.below(25);
            random_tree(&mut stream, n, 3, [0.3, 0.6][i % 2])
        })
        .collect();
    let all: Vec<Vec<u32>> = trees.iter().map(|x| trees.iter().map(|y| distance(x, y)).collect()).collect();
    for (i, x) in trees.iter().enumerate() {
        for (j, y) in trees.iter().enumerate() {
            assert_eq!(all[i][j] == 0, x == y, "{x} and {y}");
            assert_eq!(all[i][j], all[j][i]);
            assert!(all[i][j] >= lower_bound(x, y) && all[i][j] >= x.len().abs_diff(y.len()) as u32);
            assert!(all[i][j] < (x.len() + y.len()) as u32, "roots are matched at worst: {x} and {y}");
            for via in &all {
                assert!(all[i][j] <= via[i] + via[j]);
            }
        }
    }
}

#[test]
fn mirrored_trees_are_as_far_apart() {
    fn mirrored(tree: &Tree, node: usize) -> String {
        let mut children = Vec::new();
        let mut child = node + 1;
        while child < node + tree.size(node) {
            children.push(mirrored(tree, child));
            child += tree.size(child);
        }
        children.reverse();
        format!("({}{})", tree.label(node), children.concat())
    }
    let mut stream = Stream::new(4, Purpose::Other, 0, 0);
    for _ in 0..30 {
        let (x, y) = (random_tree(&mut stream, 30, 4, 0.5), random_tree(&mut stream, 40, 4, 0.5));
        let turned = |tree: &Tree| Tree::parse(&mirrored(tree, 0)).unwrap();
        assert_eq!(distance(&x, &y), distance(&turned(&x), &turned(&y)));
    }
}

/// Number of subproblems, counted as by the strategy.
fn cost(f: &Index, g: &Index, choose: impl Fn(usize, usize) -> Choice) -> u64 {
    fn outer(tree: &Index, v: usize, path: Path) -> u64 {
        let mut sum = tree.size[v] as u64;
        tree.beside(v, path, |u| sum += outer(tree, u, path));
        sum
    }
    let total = Cell::new(0);
    by_strategy(f, g, |v, w| {
        let choice = choose(v, w);
        let (size, other, node) = if choice.of_x { (f.size[v], g, w) } else { (g.size[w], f, v) };
        let n = other.size[node];
        let sizes: usize = other.size[node..node + n].iter().sum();
        let count = match choice.path {
            Path::Heavy => 2 * (n * (n + 3) / 2 - sizes) as u64,
            path => outer(other, node, path),
        };
        total.set(total.get() + size as u64 * count);
        choice
    });
    // `choose` is called twice for every pair: when pairs are listed, and when they are processed.
    total.get() / 2
}

#[test]
fn the_strategy_is_never_worse_than_one_path_for_all() {
    let mut better = 0;
    for seed in 0..40 {
        let mut stream = Stream::new(seed, Purpose::Other, 0, 0);
        let bias = [0.2, 0.4, 0.6, 0.8][seed as usize % 4];
        let (x, y) = (random_tree(&mut stream, 40, 3, bias), random_tree(&mut stream, 30, 3, bias));
        let (f, g) = indexed(&x, &y);
        let strategy = Strategy::cheapest(&f, &g);
        let least = cost(&f, &g, |v, w| strategy.choice(v, w));
        let fixed: Vec<u64> = Choice::ALL.iter().map(|&choice| cost(&f, &g, |_, _| choice)).collect();
        assert!(fixed.iter().all(|&cost| least <= cost), "{least} and {fixed:?}");
        better += usize::from(fixed.iter().all(|&cost| least < cost));
    }
    assert!(better > 10, "{better}");
}

#[test]
fn chains_stars_and_single_nodes() {
    let tree = |text: &str| Tree::parse(text).unwrap();
    let chain = |n: usize| tree(&("(A".repeat(n) + &")".repeat(n)));
    let star = |n: usize| tree(&format!("(A{})", "(A)".repeat(n - 1)));
    assert_eq!(distance(&tree("(A)"), &tree("(B)")), 1);
    assert_eq!(distance(&tree("(A)"), &tree("()")), 1);
    assert_eq!(distance(&chain(300), &chain(40)), 260);
    assert_eq!(distance(&star(1000), &star(400)), 600);
    // Both share the root and one child.
    assert_eq!(distance(&star(100), &chain(100)), 196);
    assert_eq!(distance(&tree("(A (B) (C))"), &tree("(A (C) (B))")), 2);
    assert_eq!(lower_bound(&tree("(A (B) (C))"), &tree("(A (C) (D) (D))")), 2);
}

/// Left and right children alternate: the shape on which outer paths are slow.
#[test]
fn zigzags() {
    let mut text = "(A)".to_owned();
    for i in 0..150 {
        text = if i % 2 == 0 { format!("(A(B){text})") } else { format!("(A{text}(B))") };
    }
    let x = Tree::parse(&text).unwrap();
    let y = Tree::parse(&text.replacen("(B)", "", 40)).unwrap();
    assert_eq!(distance(&x, &y), 40);
    assert_eq!(distance(&x, &x), 0);
    let (f, g) = indexed(&x, &y);
    let strategy = Strategy::cheapest(&f, &g);
    let least = cost(&f, &g, |v, w| strategy.choice(v, w));
    let outer = Choice::ALL.into_iter().filter(|choice| choice.path != Path::Heavy);
    let outer = outer.map(|choice| cost(&f, &g, |_, _| choice)).min().unwrap();
    assert!(least * 5 < outer, "{least} and {outer}");
}
