//! What `impossible doctor` says about this machine: processor, memory, disks, models.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use record::Preset;
use record::presets::Role;

use crate::models::store::{self, Cached, Store};

/// Facts about this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Operating system and its version, as it calls itself.
    pub system: String,
    /// The processor.
    pub cpu: Cpu,
    /// The memory; none when the system does not tell.
    pub memory: Option<Memory>,
    /// Free space where models are kept and where the command runs.
    pub disks: Vec<Disk>,
    /// The model folder.
    pub models_folder: PathBuf,
    /// The models in it; empty when it does not exist.
    pub models: Vec<Cached>,
    /// Which presets are complete.
    pub presets: Vec<PresetState>,
}

/// The processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cpu {
    /// Its brand string; empty when the system does not tell.
    pub brand: String,
    /// Architecture ("x86_64", "aarch64").
    pub architecture: &'static str,
    /// Physical cores, when the system tells.
    pub cores: Option<usize>,
    /// Threads this process may run at once.
    pub threads: usize,
    /// Instruction sets that matter to matrix products, of those this processor has.
    pub features: Vec<&'static str>,
}

/// Memory in bytes; the smaller of the machine's and the process group's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What could be used now.
    pub available: u64,
}

/// A place on a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// What the place is for ("models", "current folder").
    pub purpose: &'static str,
    /// The nearest folder that exists.
    pub path: PathBuf,
    /// Free bytes; none when the system does not tell.
    pub free: Option<u64>,
}

/// A preset and what it still lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PresetState {
    /// Its name.
    pub name: &'static str,
    /// The models that are missing or incomplete.
    pub missing: Vec<MissingModel>,
    /// The command that fetches them; none when the preset is complete.
    pub command: Option<String>,
}

/// A model that a preset lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingModel {
    /// What it is for.
    pub role: Role,
    /// Its repository.
    pub repo: &'static str,
    /// About how many bytes it has.
    pub bytes: u64,
    /// What an incomplete one lacks; none when it is not there at all.
    pub lacks: Option<String>,
}

impl Host {
    /// Looks at this machine and at `store`. Never fails: what cannot be found out is left out.
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
    // in a container the group's limit is what ends the process
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

/// `1.4 GB`, `92 MB`.
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
