//! Places on a network of their own, and what can be cut between them.
//!
//! Where the machine allows it, each place is a network namespace with one interface on a common
//! bridge. Its address is of 127/8, routed over the bridge: to the product it is loopback, where
//! plain connections are served, and to the kernel it is a wire that can be cut. A cut is a
//! neighbour entry that leads nowhere: packets vanish without a word, in one direction, for open
//! connections and new ones.
//!
//! Elsewhere all places are on the machine's own loopback, and nothing can be cut.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The port of coordinators.
const PORT: u16 = 7420;

/// The bridge's own address, where the test itself is.
const BRIDGE: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 254);

/// A station address that nobody has.
const NOBODY: &str = "02:00:00:00:00:01";

/// All places of a test.
#[derive(Debug)]
pub(crate) struct Net {
    places: BTreeMap<&'static str, Place>,
    /// Namespaces, the bridge's own first. Dropped with the value.
    spaces: Vec<String>,
}

/// Where processes can be.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    address: Ipv4Addr,
    space: Option<String>,
}

impl Net {
    /// The places called `names`. The calling thread moves to where it reaches all of them, and
    /// what it starts does.
    #[track_caller]
    pub(crate) fn new(names: &[&'static str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("molt{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        sweep();
        let bridge = format!("{prefix}-bridge");
        if !is_done(&["netns", "add", &bridge]) {
            println!("no network namespaces here: nothing can be cut");
            let place = Place { address: Ipv4Addr::LOCALHOST, space: None };
            let places = names.iter().map(|name| (*name, place.clone())).collect();
            return Self { places, spaces: Vec::new() };
        }
        let mut net = Self { places: BTreeMap::new(), spaces: vec![bridge.clone()] };
        Self::build_bridge(&bridge);
        for (name, number) in names.iter().zip(1..) {
            let address = Ipv4Addr::new(127, 77, 0, number);
            let space = format!("{prefix}-{name}");
            net.add(&bridge, &space, (number, address));
            net.places.insert(name, Place { address, space: Some(space) });
        }
        move_to(&bridge);
        net
    }

    #[track_caller]
    fn build_bridge(space: &str) {
        ip(&["-n", space, "link", "add", "br0", "type", "bridge"]);
        ip(&["-n", space, "link", "set", "br0", "up"]);
        loopback(space);
        ip(&["-n", space, "addr", "add", &format!("{BRIDGE}/24"), "dev", "br0"]);
    }

    #[track_caller]
    fn add(&mut self, bridge: &str, space: &str, (number, address): (u8, Ipv4Addr)) {
        ip(&["netns", "add", space]);
        self.spaces.push(space.to_owned());
        let port = format!("port{number}");
        let veth = ["link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", space];
        ip(&[&["-n", bridge], veth.as_slice()].concat());
        ip(&["-n", bridge, "link", "set", &port, "master", "br0", "up"]);
        loopback(space);
        ip(&["-n", space, "addr", "add", &format!("{address}/24"), "dev", "eth0"]);
        ip(&["-n", space, "link", "set", "eth0", "up"]);
    }

    /// A place by its name.
    pub(crate) fn place(&self, name: &str) -> &Place {
        self.places.get(name).expect("a place of this net")
    }

    /// Where the test itself can listen for all places.
    pub(crate) fn bridge(&self) -> IpAddr {
        if self.can_cut() { BRIDGE.into() } else { Ipv4Addr::LOCALHOST.into() }
    }

    /// Whether anything can be cut here.
    pub(crate) fn can_cut(&self) -> bool {
        !self.spaces.is_empty()
    }

    /// From now on nothing that `from` sends reaches `to`.
    #[track_caller]
    pub(crate) fn cut_one_way(&self, from: &str, to: &str) {
        let space = self.place(from).space.as_ref().expect("a net that can be cut");
        let to = self.place(to).address.to_string();
        ip(&[
            "-n",
            space,
            "neigh",
            "replace",
            &to,
            "lladdr",
            NOBODY,
            "dev",
            "eth0",
            "nud",
            "permanent",
        ]);
    }

    /// From now on nothing passes between `one` and any of `others`.
    #[track_caller]
    pub(crate) fn part(&self, one: &str, others: &[&str]) {
        for other in others {
            self.cut_one_way(one, other);
            self.cut_one_way(other, one);
        }
    }

    /// Everything passes again.
    #[track_caller]
    pub(crate) fn heal(&self) {
        for place in self.places.values() {
            if let Some(space) = &place.space {
                ip(&["-n", space, "neigh", "flush", "dev", "eth0", "nud", "permanent"]);
            }
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for space in &self.spaces {
            is_done(&["netns", "del", space]);
        }
    }
}

impl Place {
    /// Where a coordinator listens here. Without a network of its own it is a port that was free.
    #[track_caller]
    pub(crate) fn address(&self) -> SocketAddr {
        match self.space {
            Some(_) => SocketAddr::from((self.address, PORT)),
            None => TcpListener::bind((self.address, 0))
                .and_then(|listener| listener.local_addr())
                .expect("a free port"),
        }
    }

    /// Runs `what` on a thread of this place: processes that it starts are here too.
    pub(crate) fn enter<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let run = || {
            if let Some(space) = &self.space {
                move_to(space);
            }
            what()
        };
        std::thread::scope(|scope| match scope.spawn(run).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// As a place of a member of etcd.
    pub(crate) fn of_etcd(&self) -> molt_store::rig::Place {
        match &self.space {
            None => molt_store::rig::Place::Loopback,
            Some(space) => molt_store::rig::Place::Host {
                address: self.address.into(),
                launcher: ["ip", "netns", "exec", space].map(OsString::from).into(),
            },
        }
    }

    /// The numbers of all processes here; none where places are no namespaces.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let Some(space) = &self.space else { return Vec::new() };
        let listed = Command::new("ip").args(["netns", "pids", space]).output();
        let listed = listed.expect("ip starts").stdout;
        String::from_utf8_lossy(&listed).lines().filter_map(|pid| pid.trim().parse().ok()).collect()
    }
}

/// Makes 127.77/16 of a namespace a network like others.
#[track_caller]
fn loopback(space: &str) {
    ip(&["-n", space, "link", "set", "lo", "up"]);
    ip(&["-n", space, "addr", "del", "127.0.0.1/8", "dev", "lo"]);
    ip(&["-n", space, "addr", "add", "127.0.0.1/32", "dev", "lo"]);
    let route = "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet";
    ip(&["netns", "exec", space, "sh", "-c", route]);
}

/// Namespaces outlive processes: those of tests that were killed are removed by the next one.
fn sweep() {
    let Ok(listed) = Command::new("ip").args(["netns", "list"]).output() else { return };
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let owner = name.strip_prefix("molt").and_then(|rest| rest.split('-').next());
        let Some(owner) = owner.and_then(|pid| pid.parse().ok()) else { continue };
        if !crate::harness::is_alive(owner) {
            is_done(&["netns", "del", name]);
        }
    }
}

fn is_done(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|output| output.status.success())
}

#[track_caller]
fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("ip starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments:?}: {said}");
}

/// Moves the calling thread to a namespace.
#[cfg(target_os = "linux")]
fn move_to(space: &str) {
    let file = std::fs::File::open(format!("/run/netns/{space}")).expect("a namespace");
    nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).expect("it can be entered");
}

/// There are none elsewhere.
#[cfg(not(target_os = "linux"))]
fn move_to(space: &str) {
    unreachable!("{space} is a namespace of Linux");
}
