//! Everything an evaluation found, for programs.

use method::evaluate::{Better, Cell};
use serde_json::{Map, Value, json};

use super::Outcome;

pub(super) fn json(outcome: &Outcome) -> Value {
    let (report, table) = (&outcome.report, &outcome.report.table);
    let columns: Vec<Value> = table
        .columns
        .iter()
        .map(|column| {
            let better = match column.measure.better() {
                Better::Higher => Value::from("higher"),
                Better::Lower => Value::from("lower"),
                Better::Neither => Value::Null,
            };
            let measure = column.measure;
            json!({"name": measure.name(), "title": measure.title(), "better": better, "signature": column.signature})
        })
        .collect();
    let system = |(index, name): (usize, &String)| {
        let scores: Map<String, Value> = report
            .columns()
            .filter_map(|(column, cells)| Some((column.measure.name().to_owned(), cell(cells.get(index)?))))
            .collect();
        json!({"name": name, "scores": scores})
    };
    let left_out: Vec<Value> = table
        .left_out
        .iter()
        .map(|left| {
            let names: Vec<_> = left.measures.iter().map(|measure| measure.name()).collect();
            json!({"columns": names, "reason": left.reason})
        })
        .collect();
    let problems: Vec<String> = outcome.problems.iter().map(ToString::to_string).collect();
    json!({
        "task": table.task.name(),
        "items": table.items,
        "unit": "percent",
        "bootstrap": {
            "resamples": report.settings.resamples,
            "level": report.settings.level,
            "seed": report.settings.seed,
        },
        "headline": table.headline().map(|column| column.measure.name()),
        "columns": columns,
        "systems": table.systems.iter().enumerate().map(system).collect::<Vec<_>>(),
        "left_out": left_out,
        "remarks": outcome.remarks,
        "problems": problems,
    })
}

/// NaN becomes null.
fn cell(cell: &Cell) -> Value {
    let interval = cell.interval.map(|interval| [interval.low, interval.high]);
    let mut value = json!({"score": cell.score, "n": cell.n, "interval": interval});
    if let (Some(test), Some(object)) = (cell.against_first, value.as_object_mut()) {
        let difference = test.difference;
        let against = json!({
            "difference": difference.score,
            "interval": [difference.low, difference.high],
            "p_bootstrap": test.p_bootstrap,
            "p_randomisation": test.p_randomisation,
        });
        object.insert("first_minus_this".to_owned(), against);
    }
    value
}
