//! `impossible doctor`: hardware, models and presets of this machine.

use anyhow::Result;
use serde_json::json;

use crate::host::Host;
use crate::session::Session;

#[cfg(feature = "gpu")]
fn adapters() -> Vec<(String, String, bool)> {
    lm::device::adapters().into_iter().map(|a| (a.spec.to_string(), a.name, a.real)).collect()
}

#[cfg(not(feature = "gpu"))]
fn adapters() -> Vec<(String, String, bool)> {
    Vec::new()
}

pub(super) fn run(session: &Session) -> Result<()> {
    let host = Host::look(&session.store);
    let adapters = adapters();
    let auto = lm::device::Compute::open(record::DeviceSpec::Auto)?.spec.to_string();
    session.say(&json!({"host": host, "adapters": adapters, "auto": auto}), || {
        let mut text = format!("{host}\n");
        if adapters.is_empty() {
            text += "No GPU adapter (or a build without the `gpu` feature).\n";
        }
        for (device, name, real) in &adapters {
            let kind = if *real { "" } else { ", software: slower than flex" };
            text += &format!("--device {device}: {name}{kind}\n");
        }
        text + &format!("--device auto stands for {auto}\n")
    })
}
