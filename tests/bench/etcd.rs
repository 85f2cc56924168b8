//! The peer: one etcd with its defaults, and its mutex recipe as a client.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use etcd_client::{
    Client, Compare, CompareOp, DeleteOptions, GetOptions, PutOptions, SortOrder, SortTarget, Txn,
    TxnOp, TxnOpResponse,
};

use crate::load::Pair;
use crate::ours::channel;
use crate::process::{Running, free_address};

/// Leases outlive the run: nothing is renewed while it lasts, on either side.
const LEASE: i64 = 3600;

/// A running etcd, and the connections to it.
#[derive(Debug)]
pub(crate) struct Etcd {
    _process: Running,
    address: String,
}

impl Etcd {
    /// Starts `program` with its state in `folder`, alone and with its default durability.
    pub(crate) async fn start(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        let (clients, peers) = (free_address()?, free_address()?);
        let (clients, peers) = (format!("http://{clients}"), format!("http://{peers}"));
        let mut command = Command::new(program);
        command.arg("--data-dir").arg(folder.join("etcd")).args(["--name", "bench"]);
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.arg("--initial-cluster").arg(format!("bench={peers}"));
        let mut process = Running::start(&mut command, &folder.join("etcd.log"))?;
        let address = clients.clone();
        let answers = async || client(&address).await.ok()?.status().await.ok();
        process.ready(answers).await.context("etcd")?;
        Ok(Self { _process: process, address: clients })
    }

    /// Connections, each of its own.
    pub(crate) async fn connect(&self, count: usize) -> anyhow::Result<Vec<Client>> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(client(&self.address).await?);
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

async fn client(address: &str) -> anyhow::Result<Client> {
    let channel = etcd_client::Channel::Tonic(channel(address)?);
    Ok(Client::from_channel(channel, None).await?)
}

/// How a mutex is given back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unlock {
    /// Whoever has it by now.
    Plain,
    /// Only if it still is the one that was taken.
    Guarded,
}

/// A client that takes and gives back a mutex of its own.
pub(crate) struct Mutex {
    client: Client,
    lease: i64,
    prefix: String,
    key: String,
    value: Vec<u8>,
    unlock: Unlock,
}

impl Mutex {
    /// The mutex called `name`, under a lease that is granted now.
    pub(crate) async fn new(
        mut client: Client,
        name: &str,
        value: &[u8],
        unlock: Unlock,
    ) -> anyhow::Result<Self> {
        let lease = client.lease_grant(LEASE, None).await?.id();
        let prefix = format!("{name}/");
        let key = format!("{prefix}{lease:x}");
        Ok(Self { client, lease, prefix, key, value: value.to_vec(), unlock })
    }

    /// As `concurrency.Mutex` of etcd's own client does: the key's creation decides, and the
    /// first key below the prefix tells who has the mutex. Returns when the key was created.
    async fn lock(&mut self) -> anyhow::Result<i64> {
        let first = GetOptions::new()
            .with_prefix()
            .with_sort(SortTarget::Create, SortOrder::Ascend)
            .with_limit(1);
        let put = PutOptions::new().with_lease(self.lease);
        let owner = TxnOp::get(self.prefix.as_str(), Some(first));
        let txn = Txn::new()
            .when([Compare::create_revision(self.key.as_str(), CompareOp::Equal, 0)])
            .and_then([
                TxnOp::put(self.key.as_str(), self.value.as_slice(), Some(put)),
                owner.clone(),
            ])
            .or_else([TxnOp::get(self.key.as_str(), None), owner]);
        let answer = self.client.txn(txn).await?;
        ensure!(answer.succeeded(), "{} was there already", self.key);
        match answer.op_responses().as_slice() {
            [TxnOpResponse::Put(_), TxnOpResponse::Get(owner)] => {
                let first = owner.kvs().first().context("nobody has the mutex")?;
                ensure!(first.key() == self.key.as_bytes(), "somebody else has {}", self.prefix);
                Ok(first.create_revision())
            }
            other => anyhow::bail!("unexpected answers: {other:?}"),
        }
    }

    async fn unlock(&mut self, created: i64) -> anyhow::Result<()> {
        let deleted = match self.unlock {
            Unlock::Plain => self.client.delete(self.key.as_str(), None).await?.deleted(),
            Unlock::Guarded => {
                let same = Compare::create_revision(self.key.as_str(), CompareOp::Equal, created);
                let delete = TxnOp::delete(self.key.as_str(), Some(DeleteOptions::new()));
                let answer = self.client.txn(Txn::new().when([same]).and_then([delete])).await?;
                i64::from(answer.succeeded())
            }
        };
        ensure!(deleted == 1, "{} was not ours to give back", self.key);
        Ok(())
    }
}

impl Pair for Mutex {
    async fn pair(&mut self) -> anyhow::Result<()> {
        let created = self.lock().await?;
        self.unlock(created).await
    }
}
