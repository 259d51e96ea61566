//! Which rank a process is, as its launcher says.

use super::{WorldError, nccl};

/// The port that PyTorch's launchers use where none is named.
const DEFAULT_PORT: u16 = 29500;
/// Slurm names no port: one for each job, so that two on a host do not meet.
const SLURM_PORTS: std::ops::Range<u16> = 10_000..60_000;
/// Where Slurm names the hosts: those of the step, and those of the whole job, which some versions alone tell.
const HOST_LISTS: [&str; 2] = ["SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST"];

/// Which rank of how many this process is, and where they meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// This process's number, from 0.
    pub rank: usize,
    /// Its number on its host, from 0.
    pub local_rank: usize,
    /// The number of processes, at least 2.
    pub size: usize,
    /// The host of the store.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Whether the launcher serves the store; rank 0 does where it does not.
    pub served: bool,
    /// How often the launcher has started the processes anew.
    pub restarts: u64,
    /// The host that NCCL takes this one for, where [`nccl::HOST`] names one.
    pub nccl_host: Option<String>,
}

impl Launch {
    /// Reads what torchrun, or a person with the same variables, has set; else what `srun` has. `lookup` gives a variable's value.
    /// Nothing, or a single process, is no launch.
    ///
    /// # Errors
    /// When a variable is absent or no number, or the rank is not among the processes.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, WorldError> {
        let variables = Variables(&lookup);
        let launch = if lookup("WORLD_SIZE").is_some() {
            Some(variables.torchrun()?)
        } else if lookup("SLURM_STEP_ID").is_some() && lookup("SLURM_NTASKS").is_some() {
            // A batch script has the number of tasks too, but is one process; only what srun starts is in a step.
            Some(variables.slurm()?)
        } else {
            None
        };
        Ok(launch.filter(|launch| launch.size > 1))
    }
}

/// The environment, as a launcher has made it.
struct Variables<'a, F>(&'a F);

impl<F: Fn(&str) -> Option<String>> Variables<'_, F> {
    fn torchrun(&self) -> Result<Launch, WorldError> {
        let size = self.number("WORLD_SIZE", None)?;
        let port = self.number("MASTER_PORT", Some(DEFAULT_PORT.into()))?;
        Ok(Launch {
            // Who says nothing is the first, and learns after a while that the others never came.
            rank: self.rank("RANK", Some(0), size)?,
            local_rank: index(self.number("LOCAL_RANK", Some(0))?),
            size: index(size),
            address: self.0("MASTER_ADDR").unwrap_or_else(|| "127.0.0.1".into()),
            port: u16::try_from(port).map_err(|_| WorldError::Launch {
                name: "MASTER_PORT",
                value: port.to_string(),
                why: "a port is at most 65535",
            })?,
            served: self.0("TORCHELASTIC_USE_AGENT_STORE").as_deref() == Some("True"),
            restarts: self.number("TORCHELASTIC_RESTART_COUNT", Some(0))?,
            nccl_host: self.0(nccl::HOST),
        })
    }

    fn slurm(&self) -> Result<Launch, WorldError> {
        let size = self.number("SLURM_NTASKS", None)?;
        let job = self.number("SLURM_JOB_ID", None)?;
        // A step may have a part of the job's hosts, and rank 0 is on the first of its own.
        let found = HOST_LISTS
            .into_iter()
            .find_map(|name| Some((name, self.0(name)?)));
        let (list, hosts) = found.unwrap_or((HOST_LISTS[0], String::new()));
        let ports = u64::from(SLURM_PORTS.end - SLURM_PORTS.start);
        // The remainder is below the number of ports.
        let port = SLURM_PORTS.start + u16::try_from(job % ports).unwrap_or_default();
        Ok(Launch {
            rank: self.rank("SLURM_PROCID", None, size)?,
            local_rank: index(self.number("SLURM_LOCALID", Some(0))?),
            size: index(size),
            address: first_host(&hosts).ok_or_else(|| WorldError::Launch {
                name: list,
                value: hosts.clone(),
                why: "a list of hosts, such as gpu[03-05,9],login",
            })?,
            port,
            served: false,
            restarts: self.number("SLURM_RESTART_COUNT", Some(0))?,
            nccl_host: self.0(nccl::HOST),
        })
    }

    fn number(&self, name: &'static str, default: Option<u64>) -> Result<u64, WorldError> {
        let Some(value) = self.0(name) else {
            return default.ok_or(WorldError::Launch {
                name,
                value: String::new(),
                why: "it is not set",
            });
        };
        value.trim().parse().map_err(|_| WorldError::Launch {
            name,
            value,
            why: "it is no whole number",
        })
    }

    fn rank(
        &self,
        name: &'static str,
        default: Option<u64>,
        size: u64,
    ) -> Result<usize, WorldError> {
        let rank = self.number(name, default)?;
        if rank >= size {
            return Err(WorldError::Launch {
                name,
                value: rank.to_string(),
                why: "ranks are counted from 0 and below the number of processes",
            });
        }
        Ok(index(rank))
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The first host of a list in Slurm's notation: `gpu[03-05,9],login` begins with `gpu03`.
fn first_host(list: &str) -> Option<String> {
    let end = list.find([',', '[']).unwrap_or(list.len());
    let (name, rest) = list.split_at(end);
    let host = match rest.strip_prefix('[') {
        None => name.to_owned(),
        Some(numbers) => {
            let (numbers, behind) = numbers.split_once(']')?;
            let first = numbers.split([',', '-']).next().filter(|n| !n.is_empty())?;
            let suffix = behind.split(',').next().unwrap_or_default();
            // A second pair of brackets would need the whole grammar.
            if suffix.contains('[') {
                return None;
            }
            format!("{name}{first}{suffix}")
        }
    };
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Launch>, WorldError> {
        Launch::read(|name| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn torchruns_variables_make_a_launch() {
        let launch = read(&[
            ("RANK", "3"),
            ("LOCAL_RANK", "1"),
            ("WORLD_SIZE", "4"),
            ("MASTER_ADDR", "head"),
            ("MASTER_PORT", "1234"),
            ("TORCHELASTIC_USE_AGENT_STORE", "True"),
            ("TORCHELASTIC_RESTART_COUNT", "2"),
        ]);
        let expected = Launch {
            rank: 3,
            local_rank: 1,
            size: 4,
            address: "head".into(),
            port: 1234,
            served: true,
            restarts: 2,
            nccl_host: None,
        };
        assert_eq!(launch.unwrap(), Some(expected));
    }

    #[test]
    fn one_process_is_no_launch_and_neither_is_a_batch_script() {
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&[("WORLD_SIZE", "1"), ("RANK", "0")]).unwrap(), None);
        let script = [("SLURM_NTASKS", "4"), ("SLURM_PROCID", "0")];
        assert_eq!(read(&script).unwrap(), None);
    }

    #[test]
    fn a_number_of_processes_alone_makes_the_first_of_them() {
        let launch = read(&[("WORLD_SIZE", "2")]).unwrap().unwrap();
        assert_eq!((launch.rank, launch.size), (0, 2));
        assert_eq!(
            (launch.address.as_str(), launch.port),
            ("127.0.0.1", DEFAULT_PORT)
        );
    }

    #[test]
    fn sruns_variables_make_a_launch_with_the_jobs_own_port() {
        let launch = read(&[
            ("SLURM_STEP_ID", "0"),
            ("SLURM_NTASKS", "8"),
            ("SLURM_PROCID", "5"),
            ("SLURM_LOCALID", "1"),
            ("SLURM_JOB_ID", "50017"),
            ("SLURM_JOB_NODELIST", "gpu[03-05,9],login"),
        ]);
        let launch = launch.unwrap().unwrap();
        assert_eq!((launch.rank, launch.size, launch.local_rank), (5, 8, 1));
        assert_eq!((launch.address.as_str(), launch.port), ("gpu03", 10_017));
    }

    #[test]
    fn a_step_on_a_part_of_the_jobs_hosts_meets_on_its_own_first_one() {
        let mut variables = vec![
            ("SLURM_STEP_ID", "1"),
            ("SLURM_NTASKS", "2"),
            ("SLURM_PROCID", "0"),
            ("SLURM_JOB_ID", "7"),
            ("SLURM_JOB_NODELIST", "node[1-3]"),
            ("SLURM_STEP_NODELIST", "node[2-3]"),
        ];
        let launch = read(&variables).unwrap().unwrap();
        assert_eq!(launch.address, "node2");
        variables.pop();
        variables.push(("SLURM_STEP_NODELIST", "node["));
        let error = read(&variables).unwrap_err();
        assert!(
            error.to_string().starts_with("SLURM_STEP_NODELIST=node["),
            "{error}"
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let wrong = [
            (vec![("WORLD_SIZE", "2"), ("RANK", "2")], "RANK"),
            (vec![("WORLD_SIZE", "two"), ("RANK", "0")], "WORLD_SIZE"),
            (
                vec![("WORLD_SIZE", "2"), ("RANK", "0"), ("MASTER_PORT", "70000")],
                "MASTER_PORT",
            ),
        ];
        for (variables, named) in wrong {
            let error = read(&variables).unwrap_err();
            assert!(
                matches!(error, WorldError::Launch { name, .. } if name == named),
                "{error}"
            );
        }
    }

    #[test]
    fn the_first_host_is_read_from_slurms_notation() {
        let lists = [
            ("node1", Some("node1")),
            ("node1,node2", Some("node1")),
            ("gpu[03-05,9]", Some("gpu03")),
            ("gpu[7]-ib,x", Some("gpu7-ib")),
            ("rack[1-2]n[1-4]", None),
            ("", None),
            ("gpu[", None),
        ];
        for (list, host) in lists {
            assert_eq!(first_host(list).as_deref(), host, "{list}");
        }
    }
}
