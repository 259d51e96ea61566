//! A Slurm of one node: its two daemons, with folders and ports of their own. It needs no munge, systemd or control groups.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long is waited for the node, and for all jobs, before the test is given up as hanging.
const PATIENCE: Duration = Duration::from_secs(600);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The daemons; they end when this is dropped.
pub(super) struct OneNode {
    folder: tempfile::TempDir,
    daemons: Vec<Child>,
}

impl OneNode {
    /// Starts the daemons, as root.
    pub(super) fn start() -> Self {
        let mut node = Self {
            folder: tempfile::tempdir().unwrap(),
            daemons: Vec::new(),
        };
        for name in ["state", "spool"] {
            fs::create_dir(node.at(name)).unwrap();
        }
        fs::write(node.conf(), node.settings()).unwrap();
        for program in ["slurmctld", "slurmd"] {
            let log = fs::File::create(node.at(&format!("{program}.out"))).unwrap();
            let mut daemon = Command::new(program);
            daemon.arg("-D").env("SLURM_CONF", node.conf());
            let path = std::env::var("PATH").unwrap();
            daemon.env("PATH", format!("{path}:/usr/sbin"));
            daemon
                .stdin(Stdio::null())
                .stderr(log.try_clone().unwrap())
                .stdout(log);
            node.daemons.push(daemon.spawn().unwrap());
        }
        node.wait_for("the node to be idle", || {
            node.ask("sinfo", &["-h", "-o", "%T"]) == "idle"
        });
        node
    }

    /// The file that SLURM_CONF names.
    pub(super) fn conf(&self) -> PathBuf {
        self.at("slurm.conf")
    }

    /// Waits until no job is left.
    pub(super) fn wait_until_idle(&self) {
        self.wait_for("all jobs to end", || self.ask("squeue", &["-h"]).is_empty());
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(
                begun.elapsed() < PATIENCE,
                "waited for {what}: {}",
                self.logs()
            );
            sleep(LOOK_AGAIN);
        }
    }

    /// What a command of Slurm says; how it failed where it did.
    fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .env("SLURM_CONF", self.conf())
            .output()
            .unwrap();
        if output.status.success() {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        } else {
            format!(
                "{}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )
        }
    }

    fn logs(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.at(name)).unwrap_or_default();
        read("slurmctld.out") + &read("slurmd.out") + &self.ask("squeue", &[])
    }

    fn settings(&self) -> String {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let host = host.trim().split('.').next().unwrap();
        let place = |name: &str| self.at(name).display().to_string();
        let (controller, node) = free_ports();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        format!(
            "ClusterName=one\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser=root\nSlurmdUser=root\n\
             AuthType=auth/none\nCredType=cred/none\nSlurmctldPort={controller}\nSlurmdPort={node}\n\
             StateSaveLocation={}\nSlurmdSpoolDir={}\nSlurmctldPidFile={}\nSlurmdPidFile={}\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n\
             JobAcctGatherType=jobacct_gather/none\nAccountingStorageType=accounting_storage/none\n\
             MpiDefault=none\nReturnToService=2\nSchedulerType=sched/builtin\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs={processors} State=UNKNOWN\n\
             PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP\n",
            place("state"),
            place("spool"),
            place("slurmctld.pid"),
            place("slurmd.pid"),
        )
    }
}

impl Drop for OneNode {
    fn drop(&mut self) {
        // slurmd first: it takes what it has started with it.
        for daemon in self.daemons.iter_mut().rev() {
            end(daemon);
        }
    }
}

/// Ends a daemon as its manual asks for; one that is gone already has nothing to lose.
fn end(daemon: &mut Child) {
    let pid = i32::try_from(daemon.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let asked = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
    if asked.is_none_or(|asked| asked.is_err()) {
        let _ = daemon.kill();
    }
    let _ = daemon.wait();
}

/// Two ports that were free a moment ago.
fn free_ports() -> (u16, u16) {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let (one, other) = (listen(), listen());
    (port(&one), port(&other))
}
