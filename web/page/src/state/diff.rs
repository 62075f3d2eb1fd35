//! Word-level differences between two sentences.

use similar::{Algorithm, DiffTag, capture_diff_slices};

/// A sequence of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// In source and version.
    Same(String),
    /// Only in the source.
    Gone(String),
    /// Only in the version.
    New(String),
}

/// Splits two sentences into common and different sequences of words; where they differ, the source's words come first.
#[must_use]
pub fn words(source: &str, version: &str) -> Vec<Piece> {
    let (a, b): (Vec<&str>, Vec<&str>) = (source.split_whitespace().collect(), version.split_whitespace().collect());
    let mut out = Vec::new();
    for op in capture_diff_slices(Algorithm::Patience, &a, &b) {
        let (old, new) = (a[op.old_range()].join(" "), b[op.new_range()].join(" "));
        match op.tag() {
            DiffTag::Equal => out.push(Piece::Same(new)),
            DiffTag::Delete => out.push(Piece::Gone(old)),
            DiffTag::Insert => out.push(Piece::New(new)),
            DiffTag::Replace => out.extend([Piece::Gone(old), Piece::New(new)]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sentences_can_be_read_back() {
        for (a, b) in [
            ("The bank raised its rate on Monday.", "On Monday the bank raised rates."),
            ("", "All new."),
            ("All gone.", ""),
            ("Same words.", "Same words."),
            ("Ein Fluß \u{1f30a} stieg.", "\u{1f30a} stieg, ein Fluß."),
        ] {
            let pieces = words(a, b);
            let read = |keep: fn(&Piece) -> Option<&String>| {
                pieces.iter().filter_map(keep).cloned().collect::<Vec<_>>().join(" ")
            };
            let of = |piece: &Piece| matches!(piece, Piece::Same(_));
            assert_eq!(
                read(|p| match p {
                    Piece::Same(t) | Piece::Gone(t) => Some(t),
                    Piece::New(_) => None,
                }),
                a
            );
            assert_eq!(
                read(|p| match p {
                    Piece::Same(t) | Piece::New(t) => Some(t),
                    Piece::Gone(_) => None,
                }),
                b
            );
            assert_eq!(pieces.iter().all(of), a == b);
        }
    }
}
