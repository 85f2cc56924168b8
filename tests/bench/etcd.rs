//! The peer's server: an etcd with its defaults. Not here: its recipes ([`crate::mutex`]).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use etcd_client::{Client, PutOptions};

use crate::coordinator::channel;
use crate::process::{Running, free_address};

/// Leases outlive the run: nothing is renewed while it lasts, on either side.
pub(crate) const LEASE: i64 = 3600;

/// A running etcd, of one member or more, and the connections to it.
#[derive(Debug)]
pub(crate) struct Etcd {
    /// One of them answers for all.
    pub(crate) members: Vec<Member>,
}

/// One process of an etcd.
#[derive(Debug)]
pub(crate) struct Member {
    /// The process; killed, it can be [started again](Self::restart).
    pub(crate) process: Running,
    address: String,
    command: Command,
    log: PathBuf,
}

impl Etcd {
    /// Starts `program` with its state in `folder`, alone and with its default durability.
    pub(crate) async fn start(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        Self::cluster(program, folder, 1).await
    }

    /// Starts `count` members with their states in `folder`.
    pub(crate) async fn cluster(
        program: &Path,
        folder: &Path,
        count: usize,
    ) -> anyhow::Result<Self> {
        let peers = (0..count).map(|_| free_address()).collect::<anyhow::Result<Vec<_>>>()?;
        let named = peers.iter().enumerate().map(|(n, peers)| format!("m{n}=http://{peers}"));
        let all = named.collect::<Vec<_>>().join(",");
        let mut members = Vec::with_capacity(count);
        for (n, peers) in peers.iter().enumerate() {
            let (clients, peers) =
                (format!("http://{}", free_address()?), format!("http://{peers}"));
            let mut command = Command::new(program);
            command.arg("--data-dir").arg(folder.join(format!("etcd-{n}")));
            command.args(["--name", &format!("m{n}"), "--initial-cluster", &all]);
            command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
            command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
            let log = folder.join(format!("etcd-{n}.log"));
            let process = Running::start(&mut command, &log)?;
            members.push(Member { process, address: clients, command, log });
        }
        let mut etcd = Self { members };
        for member in &mut etcd.members {
            member.ready().await?;
        }
        Ok(etcd)
    }

    /// Where its clients find it.
    pub(crate) fn endpoints(&self) -> Vec<&str> {
        self.members.iter().map(|member| member.address.as_str()).collect()
    }

    /// Which member leads, as those that answer see it.
    pub(crate) async fn leader(&mut self) -> anyhow::Result<usize> {
        let addresses: Vec<String> = self.members.iter().map(|it| it.address.clone()).collect();
        let leads = async |address: &String| {
            let status = client(address).await.ok()?.status().await.ok()?;
            (status.header()?.member_id() == status.leader()).then_some(())
        };
        let found = async || {
            for (n, address) in addresses.iter().enumerate() {
                let asked = tokio::time::timeout(Duration::from_secs(1), leads(address)).await;
                if asked.is_ok_and(|leads| leads.is_some()) {
                    return Some(n);
                }
            }
            None
        };
        self.members[0].process.ready(found).await.context("no member leads")
    }

    /// Connections, each of its own.
    pub(crate) async fn connect(&self, count: usize) -> anyhow::Result<Vec<Client>> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(client(&self.members[0].address).await?);
        }
        Ok(connections)
    }

    /// Lets others hold `count` keys of their own for the whole run.
    pub(crate) async fn hold(&self, count: usize, value: &[u8]) -> anyhow::Result<()> {
        let mut client = self.connect(1).await?.remove(0);
        let lease = client.lease_grant(LEASE, None).await?.id();
        for n in 0..count {
            let options = PutOptions::new().with_lease(lease);
            client.put(format!("held/{n:04}/{lease:x}"), value, Some(options)).await?;
        }
        Ok(())
    }
}

impl Member {
    /// Waits until it answers with the consent of a majority.
    async fn ready(&mut self) -> anyhow::Result<()> {
        let address = self.address.as_str();
        let answers = async || client(address).await.ok()?.get("ready", None).await.ok();
        self.process.ready(answers).await.context("etcd")?;
        Ok(())
    }

    /// Starts it again, after it was killed, with what it had written down.
    pub(crate) async fn restart(&mut self) -> anyhow::Result<()> {
        self.process = Running::start(&mut self.command, &self.log)?;
        self.ready().await
    }
}

async fn client(address: &str) -> anyhow::Result<Client> {
    let channel = etcd_client::Channel::Tonic(channel(address)?);
    Ok(Client::from_channel(channel, None).await?)
}
