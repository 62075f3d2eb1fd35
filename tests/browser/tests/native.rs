//! The same check natively, on every device of this machine.

use anyhow::{Context, Result, ensure};
use impossible_browser_test::{ROWS, check};
use impossible_tests::{devices, wait};

#[test]
fn the_same_rows_on_every_device() -> Result<()> {
    let want: Vec<String> = serde_json::from_str(ROWS)?;
    for compute in devices()? {
        let report = wait(check(compute.spec)).with_context(|| compute.spec.to_string())?;
        ensure!(report.worst_logit < 1e-4, "{}: a logit differs by {}", report.device, report.worst_logit);
        ensure!(report.rows == want, "{}: {:?}", report.device, report.rows);
    }
    Ok(())
}
