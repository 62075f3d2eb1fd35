//! Facts about this machine that `impossible doctor` reports: processor, memory, disks, models.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use record::Preset;
use record::presets::Role;

use crate::models::store::{self, Cached, Store};

/// Facts about this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Name and version of the operating system.
    pub system: String,
    /// The processor.
    pub cpu: Cpu,
    /// The memory; `None` if unknown.
    pub memory: Option<Memory>,
    /// Free space of the disks with the model folder and the current folder.
    pub disks: Vec<Disk>,
    /// Path of the model folder.
    #[serde(serialize_with = "crate::fs::lossy")]
    pub models_folder: PathBuf,
    /// Models in the model folder; empty if it does not exist.
    pub models: Vec<Cached>,
    /// The downloaded presets and the models that they lack.
    pub presets: Vec<PresetState>,
}

/// The processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cpu {
    /// Brand string; empty if unknown.
    pub brand: String,
    /// Architecture ("x86_64", "aarch64").
    pub architecture: &'static str,
    /// Number of physical cores, if known.
    pub cores: Option<usize>,
    /// Number of threads that this process may run in parallel.
    pub threads: usize,
    /// Supported instruction sets that matrix products can use.
    pub features: Vec<&'static str>,
}

/// Memory in bytes: the machine's or the control group's limit, whichever is smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Total memory.
    pub total: u64,
    /// Memory that is available now.
    pub available: u64,
}

/// A folder and the free space of its disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// What the folder is for ("models", "current folder").
    pub purpose: &'static str,
    /// The folder, or its nearest ancestor that exists.
    #[serde(serialize_with = "crate::fs::lossy")]
    pub path: PathBuf,
    /// Free bytes; `None` if unknown.
    pub free: Option<u64>,
}

/// A preset and the models that it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PresetState {
    /// Name of the preset.
    pub name: &'static str,
    /// Models that are missing or incomplete.
    pub missing: Vec<MissingModel>,
    /// The command that downloads them; `None` if the preset is complete.
    pub command: Option<String>,
}

/// A model that a preset lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingModel {
    /// The model's role in a run.
    pub role: Role,
    /// Repository on the Hugging Face hub.
    pub repo: &'static str,
    /// Approximate size in bytes.
    pub bytes: u64,
    /// What an incomplete model lacks; `None` if there is no folder for it at all.
    pub lacks: Option<String>,
}

impl Host {
    /// Collects the facts about this machine and `store`; unknown ones are left out.
    #[must_use]
    pub fn look(store: &Store) -> Self {
        let here = std::env::current_dir().unwrap_or_default();
        Self {
            system: sysinfo::System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.into()),
            cpu: cpu(),
            memory: memory(),
            disks: vec![disk("models", store.root()), disk("current folder", &here)],
            models_folder: store.root().to_path_buf(),
            models: store.list().unwrap_or_default(),
            presets: Preset::DOWNLOADED.iter().map(|&preset| preset_state(preset, store)).collect(),
        }
    }
}

fn cpu() -> Cpu {
    let mut system = sysinfo::System::new().ok();
    if let Some(system) = &mut system {
        system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
    }
    let first = system.as_ref().and_then(|system| system.cpus().first());
    Cpu {
        brand: first.map(|cpu| cpu.brand().trim().to_owned()).unwrap_or_default(),
        architecture: std::env::consts::ARCH,
        cores: sysinfo::System::physical_core_count().ok(),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        features: features(),
    }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    let mut found = Vec::new();
    macro_rules! look_for {
        ($($name:tt)*) => { $(if std::is_x86_feature_detected!($name) { found.push($name); })* };
    }
    look_for!("sse4.1" "avx" "avx2" "fma" "f16c" "avx512f" "avx512bw" "avx512vnni" "avx512bf16");
    found
}

#[cfg(target_arch = "aarch64")]
fn features() -> Vec<&'static str> {
    let mut found = Vec::new();
    macro_rules! look_for {
        ($($name:tt)*) => { $(if std::arch::is_aarch64_feature_detected!($name) { found.push($name); })* };
    }
    look_for!("neon" "fp16" "dotprod" "bf16" "i8mm" "sve");
    found
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<&'static str> {
    Vec::new()
}

fn memory() -> Option<Memory> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    let (mut total, mut available) = (system.total_memory(), system.available_memory());
    // In a container the process is killed at the control group's limit.
    if let Some(group) = system.cgroup_limits().filter(|group| group.total_memory > 0) {
        total = total.min(group.total_memory);
        available = available.min(group.free_memory);
    }
    (total > 0).then_some(Memory { total, available })
}

fn disk(purpose: &'static str, path: &Path) -> Disk {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let path = absolute.ancestors().find(|path| path.exists()).unwrap_or(&absolute).to_path_buf();
    let free = fs4::available_space(&path).ok();
    Disk { purpose, path, free }
}

fn preset_state(preset: Preset, store: &Store) -> PresetState {
    let missing: Vec<MissingModel> = preset
        .models()
        .iter()
        .filter_map(|model| {
            let lacks = match store.find(model.folder) {
                Some(folder) => Some(store::inspect(&folder).lacks?),
                None => None,
            };
            Some(MissingModel { role: model.role, repo: model.repo, bytes: model.bytes, lacks })
        })
        .collect();
    let command = (!missing.is_empty()).then(|| format!("impossible pull {}", preset.name()));
    PresetState { name: preset.name(), missing, command }
}

/// A size in decimal units, such as `1.4 GB` or `92 MB`.
fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    if bytes >= 1e9 { format!("{:.1} GB", bytes / 1e9) } else { format!("{:.0} MB", bytes / 1e6) }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |label: &str, text: &str| writeln!(out, "{label:<14} {text}");
        line("system", &self.system)?;
        let cpu = &self.cpu;
        let brand = if cpu.brand.is_empty() { cpu.architecture } else { &cpu.brand };
        let cores = cpu.cores.map(|cores| format!("{cores} cores, ")).unwrap_or_default();
        line("processor", &format!("{brand}, {cores}{} threads", cpu.threads))?;
        line(
            "",
            if cpu.features.is_empty() { "no vector units known".into() } else { cpu.features.join(" ") }.as_str(),
        )?;
        if let Some(memory) = self.memory {
            line("memory", &format!("{}, {} available", size(memory.total), size(memory.available)))?;
        }
        for disk in &self.disks {
            let free = disk.free.map_or_else(|| "free space unknown".into(), |free| format!("{} free", size(free)));
            line("disk", &format!("{free} for {} ({})", disk.purpose, disk.path.display()))?;
        }
        line("models", &self.models_folder.display().to_string())?;
        for model in &self.models {
            let mut text = format!("{}: {}", model.name, size(model.bytes));
            if let Some(architecture) = &model.architecture {
                write!(text, ", {architecture}")?;
            }
            if let Some(lacks) = &model.lacks {
                write!(text, ", incomplete: it has {lacks}")?;
            }
            line("", &text)?;
        }
        if self.models.is_empty() {
            line("", "none yet")?;
        }
        for preset in &self.presets {
            let Some(command) = &preset.command else {
                line("preset", &format!("{}: complete", preset.name))?;
                continue;
            };
            let names: Vec<&str> = preset.missing.iter().map(|model| model.role.as_str()).collect();
            let bytes = preset.missing.iter().map(|model| model.bytes).sum();
            line(
                "preset",
                &format!("{}: lacks {} (about {}). Run `{command}`", preset.name, names.join(", "), size(bytes)),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_machine_is_told_what_to_run() {
        let folder = std::env::temp_dir().join(format!("impossible-host-{}", std::process::id()));
        let store = Store::at(folder.join("not").join("there"));
        let host = Host::look(&store);
        let memory = host.memory.unwrap();
        assert!(memory.total > 0 && memory.available <= memory.total);
        assert!(host.cpu.threads > 0);
        assert_eq!(host.presets.len(), 3);
        assert!(host.presets.iter().all(|preset| preset.missing.len() == 3));
        let text = host.to_string();
        assert!(text.contains("impossible pull small") && text.contains("none yet"), "{text}");
        assert!(serde_json::to_value(&host).unwrap()["presets"][0]["missing"][0]["role"] == "teacher");
        assert!(host.disks[0].free.is_some() && host.disks[0].path.exists());
    }

    #[test]
    fn incomplete_models_say_what_they_lack() {
        let folder = std::env::temp_dir().join(format!("impossible-host-half-{}", std::process::id()));
        let model = folder.join("ALL-MINILM-L6-V2");
        std::fs::create_dir_all(&model).unwrap();
        std::fs::write(model.join("config.json"), r#"{"architectures":["BertModel"]}"#).unwrap();
        std::fs::write(model.join("tokenizer.json"), "{}").unwrap();
        let host = Host::look(&Store::at(&folder));
        let lacks = host.presets[0].missing[2].lacks.clone().unwrap();
        assert!(lacks.contains("weights"), "{lacks}");
        assert_eq!(host.models[0].architecture.as_deref(), Some("BertModel"));
        std::fs::write(model.join("model.safetensors"), "x").unwrap();
        assert_eq!(Host::look(&Store::at(&folder)).presets[0].missing.len(), 2);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
