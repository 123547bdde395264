//! What this process may use: the cores and the memory that a scheduler or a container gives it, not those of the machine.

use std::path::{Path, PathBuf};

/// Cores. The standard library looks at affinity and quotas; what a scheduler only promises is in its variables.
pub fn cores() -> usize {
    let here = std::thread::available_parallelism().map_or(1, usize::from);
    promised(|name| std::env::var(name).ok()).map_or(here, |promised| promised.clamp(1, here))
}

fn promised(environment: impl Fn(&str) -> Option<String>) -> Option<usize> {
    let slurm = environment("SLURM_CPUS_PER_TASK").and_then(|count| count.trim().parse().ok());
    // HyperQueue names the cores: `0,1,6`.
    slurm.or_else(|| environment("HQ_CPUS").map(|cores| cores.split(',').filter(|core| !core.trim().is_empty()).count()))
}

/// Bytes of memory: the least of what the control groups of this process, its scheduler and the machine allow.
pub fn memory() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let machine = machine.lines().find_map(|line| kib(line.strip_prefix("MemTotal:")?));
    let slurm = |name: &str| std::env::var(name).ok()?.trim().parse::<u64>().ok().filter(|mib| *mib > 0).map(|mib| mib << 20);
    let per_core = slurm("SLURM_MEM_PER_CPU").map(|bytes| bytes.saturating_mul(cores() as u64));
    [limit(Path::new("/sys/fs/cgroup"), &groups), slurm("SLURM_MEM_PER_NODE"), per_core, machine].into_iter().flatten().min()
}

/// The least limit of the control groups in `/proc/self/cgroup`, and of those above them.
fn limit(root: &Path, groups: &str) -> Option<u64> {
    let of_line = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (root, file) = match controllers {
            // Version 2 of control groups has one tree for all.
            "" => (root.to_path_buf(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return None,
        };
        // In a container the path may be the host's, and only the root can be seen.
        let own = root.join(path.trim_start_matches('/'));
        let above = own.ancestors().take_while(|folder| folder.starts_with(&root)).map(PathBuf::from).collect::<Vec<_>>();
        above.into_iter().filter_map(|folder| std::fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok()).min()
    };
    groups.lines().filter_map(of_line).min()
}

/// The largest resident set of a process so far, where the system tells.
pub fn peak_memory_of(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc").join(process).join("status")).ok()?;
    status.lines().find_map(|line| kib(line.strip_prefix("VmHWM:")?))
}

fn kib(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_the_groups_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            std::fs::create_dir_all(root.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(root.path().join(path), text).unwrap();
        };
        write("memory.max", "max\n");
        write("slurm/memory.max", "4096\n");
        write("slurm/job/memory.max", "8192\n");
        write("memory/old/memory.limit_in_bytes", "1024\n");
        assert_eq!(limit(root.path(), "0::/slurm/job\n"), Some(4096));
        assert_eq!(limit(root.path(), "0::/\n"), None);
        assert_eq!(limit(root.path(), "0::/of/the/host\n"), None);
        assert_eq!(limit(root.path(), "5:cpu,memory:/old\n0::/slurm\n"), Some(1024));
        assert_eq!(limit(root.path(), "nothing of the kind"), None);
    }

    #[test]
    fn cores_are_those_of_the_job() {
        let with = |name: &'static str, value: &'static str| promised(move |asked| (asked == name).then(|| value.to_string()));
        assert_eq!(with("SLURM_CPUS_PER_TASK", "3"), Some(3));
        assert_eq!(with("HQ_CPUS", "0,1,6"), Some(3));
        assert_eq!(with("OTHER", "1"), None);
        assert!(cores() >= 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_known() {
        assert!(memory().is_some_and(|bytes| bytes > 1 << 20));
        assert!(peak_memory_of("self").is_some_and(|bytes| bytes > 1 << 20));
        assert_eq!(peak_memory_of("no process"), None);
    }
}
