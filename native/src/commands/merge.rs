//! `impossible merge`: merging runs made with `--shard`.

use anyhow::Result;
use serde_json::json;

use crate::args::Merge;
use crate::report;
use crate::run::merge::merge;
use crate::session::Session;

pub(super) fn run(session: &Session, args: &Merge) -> Result<()> {
    let (folder, merged) = merge(&args.runs, &args.out)?;
    let written = folder.write_dataset()?;
    report::write(&folder, &written)?;
    let row = json!({"out": args.out.to_string_lossy(), "shards": merged.copied + merged.same, "gaps": merged.gaps,
        "paraphrase": written.kept[0], "summary": written.kept[1]});
    session.say(&row, || {
        let mut text = format!(
            "{} paraphrase pairs and {} summary pairs in {}.",
            written.kept[0],
            written.kept[1],
            args.out.display()
        );
        for gap in &merged.gaps {
            text += &format!("\nContexts {} to {} are in none of the runs.", gap.start, gap.end - 1);
        }
        text
    })
}
