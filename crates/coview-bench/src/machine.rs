//! On what it was measured.

use std::fmt;
use std::process::Command;
use std::time::Instant;

use rustix::thread::sched_getaffinity;
use serde::Serialize;

use crate::Result;
use crate::pair::cpu_time;

/// What a reader needs to know before believing a figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cpus: usize,
    /// Those the two processes were pinned to.
    pinned: [usize; 2],
    /// Whether those two are threads of one core.
    same_core: bool,
    virtual_machine: bool,
    kernel: String,
    /// How many CPUs other programs kept busy meanwhile: the more, the less the figures say.
    busy_with_others: f64,
    /// How many CPUs the host kept from this machine while they had work to do.
    stolen: f64,
    rustc: String,
    peers: Vec<String>,
}

/// The first two CPUs that this program may use.
pub(crate) fn two_cpus() -> Result<[usize; 2]> {
    let set = sched_getaffinity(None)?;
    let mut allowed = (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu));
    match (allowed.next(), allowed.next()) {
        (Some(near), Some(far)) => Ok([near, far]),
        _ => Err("two CPUs are needed, one for each process".into()),
    }
}

impl Machine {
    pub(crate) fn look(pinned: [usize; 2]) -> Machine {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = info.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let siblings = |cpu: usize| {
            std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")).ok()
        };
        Machine {
            cpu: field("model name").unwrap_or_else(|| std::env::consts::ARCH.into()),
            cpus: info.lines().filter(|line| line.starts_with("processor")).count(),
            pinned,
            same_core: siblings(pinned[0]).is_some_and(|near| Some(near) == siblings(pinned[1])),
            virtual_machine: field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            busy_with_others: f64::NAN,
            stolen: f64::NAN,
            rustc: rustc(),
            peers: peers(),
        }
    }
}

/// Watches what others do to the machine.
pub(crate) struct Watch {
    start: Instant,
    before: Lost,
}

/// Seconds of CPU time since the machine started, of all its CPUs, that went elsewhere; NaN if that is not known.
struct Lost {
    others: f64,
    stolen: f64,
}

impl Watch {
    pub(crate) fn start() -> Watch {
        Watch { start: Instant::now(), before: lost() }
    }

    /// Tells it the machine.
    pub(crate) fn tell(&self, machine: &mut Machine) {
        let (now, seconds) = (lost(), self.start.elapsed().as_secs_f64());
        machine.busy_with_others = ((now.others - self.before.others) / seconds).max(0.0);
        machine.stolen = (now.stolen - self.before.stolen) / seconds;
    }
}

fn lost() -> Lost {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> = stat.lines().next().unwrap_or_default().split(' ').filter_map(|n| n.parse().ok()).collect();
    // The fourth and the fifth: idle, and waiting for disks.
    let [user, nice, system, _, _, hard, soft, steal, ..] = ticks[..] else {
        return Lost { others: f64::NAN, stolen: f64::NAN };
    };
    let second = rustix::param::clock_ticks_per_second() as f64;
    let worked = (user + nice + system + hard + soft) / second;
    Lost { others: worked - cpu_time().as_secs_f64(), stolen: steal / second }
}

fn rustc() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("--version").output().ok();
    said.map_or_else(|| "unknown rustc".into(), |said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

fn peers() -> Vec<String> {
    let locked = ["coview", "iceoryx2", "ipc-channel"].iter().filter_map(|name| version_of(name));
    #[cfg(feature = "boost")]
    let locked = locked.chain([crate::bare::boost::version()]);
    locked.collect()
}

/// `NAME VERSION` as the workspace has locked it.
fn version_of(name: &str) -> Option<String> {
    let lock = include_str!("../../../Cargo.lock");
    let after = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?.1;
    Some(format!("{name} {}", after.split_once('"')?.0))
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, cores) = (
            if self.virtual_machine { "virtual machine" } else { "machine" },
            if self.same_core { "two threads of one core" } else { "two cores" },
        );
        let (cpu, cpus, [near, far]) = (&self.cpu, self.cpus, self.pinned);
        writeln!(f, "machine: {cpu}, {kind} of {cpus} CPUs, Linux {}", self.kernel)?;
        writeln!(
            f,
            "         pinned to CPU {near} and CPU {far} ({cores}); {}; {}",
            self.peers.join(", "),
            self.rustc
        )?;
        let (others, stolen) = (self.busy_with_others, self.stolen);
        write!(
            f,
            "         meanwhile other programs kept {others:.2} CPUs busy, and the host took {stolen:.2} CPUs away"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_the_locked_ones() {
        assert_eq!(version_of("coview").as_deref(), Some(concat!("coview ", env!("CARGO_PKG_VERSION"))));
        assert!(version_of("iceoryx2").is_some_and(|v| v.starts_with("iceoryx2 0.10.")));
        assert_eq!(version_of("nothing-of-ours"), None);
    }
}
