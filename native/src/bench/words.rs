//! The results of `impossible bench` as lines for people; `--json` has all values.

use serde_json::Value;

/// A measurement in words, with the value that is compared first.
pub(super) fn line(row: &Value) -> String {
    let number = |key: &str| row[key].as_f64().unwrap_or(f64::NAN);
    let count = |key: &str| row[key].as_u64().unwrap_or(0);
    let measure = row["measure"].as_str().unwrap_or_default();
    let (value, unit, rest) = match measure {
        "sampling" => {
            let rest = format!(
                "k = {}: {:.1} usable first sentences/s, on {}",
                count("k"),
                number("usable_first_sentences_per_s"),
                row["device"].as_str().unwrap_or_default()
            );
            (number("tokens_per_s"), "tokens/s", rest)
        }
        "entailment" => (number("nli_pairs_per_s"), "pairs/s", format!("{} directed pairs", count("directed_pairs"))),
        "embedding" => (number("embeddings_per_s"), "sentences/s", format!("{} sentences", count("sentences"))),
        "context" => {
            let rest = format!(
                "k = {}: {} pairs kept of {} sentences; {:.1} s sampling, {:.1} s critics",
                count("k"),
                count("kept"),
                count("sentences"),
                number("sampling_s"),
                number("critics_s")
            );
            (number("kept_per_minute"), "kept pairs/minute", rest)
        }
        "decoding" => (number("tokens_per_s"), "tokens/s", format!("{} texts together", count("batch"))),
        "training-lora" | "training-full" => {
            let rest = format!(
                "{:.2} s a step of {} examples; {:.0} % outside the projections",
                number("step_s"),
                count("examples"),
                100.0 * number("share_outside_projections")
            );
            (number("positions_per_s"), "positions/s", rest)
        }
        _ => (number("peak_bytes") / 1e6, "MB", "largest resident memory of the program".to_owned()),
    };
    let digits = usize::from(value < 100.0);
    format!("{measure:<14}{value:>9.digits$} {unit:<18} {rest}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_stand_below_each_other() {
        let rows = [
            json!({"measure": "sampling", "k": 100, "tokens_per_s": 474.3, "usable_first_sentences_per_s": 12.34,
                "device": "flex"}),
            json!({"measure": "entailment", "directed_pairs": 400, "nli_pairs_per_s": 10.55}),
            json!({"measure": "memory", "peak_bytes": 1_500_000_000}),
        ];
        let lines: Vec<String> = rows.iter().map(line).collect();
        assert_eq!(
            lines,
            [
                "sampling            474 tokens/s           k = 100: 12.3 usable first sentences/s, on flex",
                "entailment         10.6 pairs/s            400 directed pairs",
                "memory             1500 MB                 largest resident memory of the program",
            ]
        );
    }
}
