//! Processes that meet, gather and lose each other, each a process of this very test program. They compute on the tests'
//! device, so that on GPUs of their own they exchange their tensors over NCCL.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use incdec::data::Deal;
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::train::world::{Launch, Timeouts, World, WorldError, caught, nccl};
use rustix::process::{Pid, Signal, getpid, kill_process};
use tch::{Kind, Tensor};

use crate::support;

/// What a rank does once it is in the group.
const ROLE: &str = "INCDEC_TEST_ROLE";
/// How long a rank may give no sign of life.
const RANK_TIMEOUT: Duration = Duration::from_secs(3);
/// What a rank that goes on says when it begins to.
const JOINED: &str = "joined";
/// How often it gathers: for some seconds.
const GATHERINGS: usize = 50;

/// A port that nobody listens on.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts rank `rank` of `size` with a role.
fn start(role: &str, rank: usize, size: usize, port: u16) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "train::world::one_rank",
            "--ignored",
            "--nocapture",
        ])
        .env(ROLE, role)
        .envs(nccl::ENVIRONMENT)
        .env("RANK", rank.to_string())
        .env("WORLD_SIZE", size.to_string())
        .env("MASTER_ADDR", "127.0.0.1")
        .env("MASTER_PORT", port.to_string())
        .env_remove("TORCHELASTIC_USE_AGENT_STORE")
        .env_remove("TORCHELASTIC_RESTART_COUNT")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    support::tell_apart(&mut command, rank);
    command.spawn().unwrap()
}

/// Starts all ranks in turn, each with the role that `role` gives it, and waits for their ends.
fn ends(size: usize, role: impl Fn(usize) -> &'static str) -> Vec<String> {
    let port = free_port();
    let ranks: Vec<Child> = (0..size)
        .map(|rank| start(role(rank), rank, size, port))
        .collect();
    let outputs = ranks
        .into_iter()
        .map(|rank| rank.wait_with_output().unwrap());
    outputs.map(|output| text(&output)).collect()
}

fn text(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
#[ignore = "a rank of the tests below, which start it"]
fn one_rank() {
    let role = env::var(ROLE).expect("one of the roles below");
    let launch = Launch::read(|name| env::var(name).ok()).unwrap();
    let timeouts = Timeouts {
        start: Duration::from_secs(if role == "alone" { 2 } else { 60 }),
        rank: RANK_TIMEOUT,
    };
    match act(&role, launch.as_ref(), timeouts) {
        Ok(said) => println!("said: {said}"),
        Err(e) => println!("failed {:?}: {e}", e.exit()),
    }
}

fn act(role: &str, launch: Option<&Launch>, timeouts: Timeouts) -> Result<String, WorldError> {
    let world = World::join(launch, timeouts)?;
    let device = support::device_of_rank(world.rank());
    world.compute_on(device, Path::new(support::binary("incdec-train")))?;
    let rank = i64::try_from(world.rank()).unwrap();
    match role {
        "gather" => {
            // Of another memory order than its shape says: what arrives must be the values all the same.
            let own = Tensor::arange(6, (Kind::Float, device)).view([2, 3]).tr() + 10 * rank;
            let all = world.gather(&own)?;
            assert!(all.iter().all(|t| t.device() == device));
            world.agree(&BTreeMap::from([("seed".into(), "7".into())]))?;
            let given = (rank == 1).then(|| Tensor::from_slice(&[1.5f32, -2.0]).to_device(device));
            let given = world.floats(1, given, device)?;
            assert_eq!(Vec::<f32>::try_from(given).unwrap(), [1.5, -2.0]);
            let bytes = world.bytes((rank == 0).then(|| b"from the first".to_vec()))?;
            assert_eq!(bytes, b"from the first");
            let numbers: Vec<i64> = (5..).take(world.size()).collect();
            assert_eq!(world.numbers(rank + 5)?, numbers);
            let cells: Vec<Vec<f32>> = all
                .iter()
                .map(|t| Vec::<f32>::try_from(t.contiguous().view([-1])).unwrap())
                .collect();
            Ok(format!("{cells:?} {:?}", world.deal()))
        }
        "differs" => {
            let own = if rank == 1 { "b" } else { "a" };
            let facts = [("alike", "same"), ("settings", own)];
            let facts = facts.map(|(name, value)| (name.into(), value.into()));
            world
                .agree(&BTreeMap::from(facts))
                .map(|()| "agreed".into())
        }
        "fails" => {
            let error = WorldError::Broken("on purpose".into());
            world.fail(&error);
            Err(error)
        }
        "dies" => std::process::abort(),
        "panics" => caught(|| Ok(nothing_at(rank))).inspect_err(|error| world.fail(error)),
        "unwinds" => Ok(nothing_at(rank)),
        "goes on" => {
            println!("{JOINED}");
            for _ in 0..GATHERINGS {
                world.numbers(rank)?;
                thread::sleep(Duration::from_millis(100));
            }
            Ok("gathered".into())
        }
        "stands still" => {
            kill_process(getpid(), Signal::STOP).unwrap();
            // The signal stops this thread a little later than others: it must not take leave meanwhile.
            loop {
                thread::park();
            }
        }
        "stays" => {
            let own = Tensor::from_slice(&[rank]).to_device(device);
            world.gather(&own).map(|_| "gathered".into())
        }
        _ => Ok("here".into()),
    }
}

/// Panics as a defect does.
fn nothing_at(place: i64) -> String {
    let none: &[String] = &[];
    none[usize::try_from(place).unwrap()].clone()
}

#[test]
fn every_rank_gets_all_tensors_in_the_order_of_the_ranks() {
    for size in [2_usize, 3] {
        for (rank, said) in ends(size, |_| "gather").iter().enumerate() {
            let tensor = |r: usize| -> Vec<f32> {
                [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
                    .iter()
                    .map(|v| v + 10.0 * r as f32)
                    .collect()
            };
            let all: Vec<Vec<f32>> = (0..size).map(tensor).collect();
            let deal = Deal { rank, of: size };
            let expected = format!("said: {all:?} {deal:?}");
            assert!(said.contains(&expected), "{said}\nexpected {expected}");
        }
    }
}

#[test]
fn a_rank_that_differs_is_named_on_all() {
    for said in ends(3, |_| "differs") {
        assert!(
            said.contains("failed Failed: settings of rank 1 on "),
            "{said}"
        );
        assert!(said.contains("is b, that of rank 0 is a"), "{said}");
    }
}

#[test]
fn a_rank_that_fails_tells_the_others_why() {
    for failing in [0, 2] {
        let said = ends(3, |rank| if rank == failing { "fails" } else { "stays" });
        for (rank, said) in said.iter().enumerate().filter(|(rank, _)| *rank != failing) {
            assert!(
                said.contains(&format!("failed TryAgain: rank {failing} on ")),
                "rank {rank}: {said}"
            );
            assert!(
                said.contains(" failed: the processes lost their connection: on purpose"),
                "{said}"
            );
        }
    }
}

#[test]
fn a_rank_that_panics_ends_the_others_as_a_defect_with_what_it_says() {
    for (role, says) in [
        (
            "panics",
            ": index out of bounds: the len is 0 but the index is 1",
        ),
        ("unwinds", ": its own output says where"),
    ] {
        let said = ends(3, |rank| if rank == 1 { role } else { "stays" });
        for rank in [0, 2] {
            let said = &said[rank];
            assert!(said.contains("failed Failed: rank 1 on "), "{role}: {said}");
            let says = format!(" failed: it panicked, which is a defect of this program{says}");
            assert!(said.contains(&says), "{role}: {said}");
        }
        assert!(said[1].contains("index out of bounds"), "{}", said[1]);
        let is_error = said[1].contains("failed Failed: it panicked");
        assert_eq!(is_error, role == "panics", "{}", said[1]);
    }
}

#[test]
fn ranks_that_are_all_suspended_for_longer_than_the_timeout_go_on() {
    let port = free_port();
    let mut ranks: Vec<Child> = (0..3).map(|rank| start("goes on", rank, 3, port)).collect();
    let mut outputs: Vec<_> = ranks
        .iter_mut()
        .map(|rank| BufReader::new(rank.stdout.take().unwrap()).lines())
        .collect();
    for output in &mut outputs {
        assert!(output.any(|line| line.unwrap().contains(JOINED)));
    }
    let send = |rank: &Child, signal| kill_process(Pid::from_child(rank), signal).unwrap();
    // Not at once, as a scheduler does it: the others ask a store that says nothing, and stand still over that.
    send(&ranks[0], Signal::STOP);
    thread::sleep(RANK_TIMEOUT / 6);
    for rank in &ranks[1..] {
        send(rank, Signal::STOP);
    }
    thread::sleep(2 * RANK_TIMEOUT);
    for rank in &ranks[1..] {
        send(rank, Signal::CONT);
    }
    thread::sleep(RANK_TIMEOUT / 6);
    send(&ranks[0], Signal::CONT);
    for (rank, mut output) in ranks.into_iter().zip(outputs) {
        assert!(
            output.any(|line| line.unwrap().contains("said: gathered")),
            "{}",
            text(&rank.wait_with_output().unwrap())
        );
        assert!(rank.wait_with_output().unwrap().status.success());
    }
}

#[test]
fn a_lost_rank_ends_the_others_and_is_named() {
    for lost in [1, 2] {
        let said = ends(3, |rank| if rank == lost { "dies" } else { "stays" });
        for (rank, said) in said.iter().enumerate().filter(|(rank, _)| *rank != lost) {
            assert!(said.contains("failed TryAgain: "), "rank {rank}: {said}");
            assert!(
                said.contains(&format!("rank {lost} on ")),
                "rank {rank}: {said}"
            );
        }
    }
}

#[test]
fn a_lost_first_rank_takes_the_store_with_it_and_is_named() {
    let said = ends(3, |rank| if rank == 0 { "dies" } else { "stays" });
    for said in &said[1..] {
        assert!(said.contains("failed TryAgain: rank 0 on "), "{said}");
    }
}

#[test]
fn a_rank_that_stands_still_is_lost_though_its_connections_are_there() {
    for still in [0, 1] {
        let port = free_port();
        let role = |rank| {
            if rank == still {
                "stands still"
            } else {
                "stays"
            }
        };
        let mut ranks: Vec<Child> = (0..3)
            .map(|rank| start(role(rank), rank, 3, port))
            .collect();
        let mut stopped = ranks.remove(still);
        let begun = Instant::now();
        for rank in ranks {
            let said = text(&rank.wait_with_output().unwrap());
            let named = format!("failed TryAgain: rank {still} on ");
            assert!(said.contains(&named), "{said}");
        }
        // The start of three programs counted.
        let waited = begun.elapsed();
        assert!(
            waited < 2 * RANK_TIMEOUT + Duration::from_secs(30),
            "{waited:?}"
        );
        stopped.kill().unwrap();
        stopped.wait().unwrap();
    }
}

#[test]
fn one_process_alone_names_those_that_never_came() {
    let said = text(
        &start("alone", 0, 2, free_port())
            .wait_with_output()
            .unwrap(),
    );
    assert!(
        said.contains(&format!(
            "failed {:?}: 1 of 2 processes",
            Exit::NeverStarted
        )),
        "{said}"
    );
    assert!(said.contains("missing: rank 1"), "{said}");
    let said = text(
        &start("alone", 1, 2, free_port())
            .wait_with_output()
            .unwrap(),
    );
    assert!(
        said.contains(&format!(
            "failed {:?}: no store at 127.0.0.1",
            Exit::NeverStarted
        )),
        "{said}"
    );
}
