//! The peer's clients: a mutex, as the recipe of etcd's own client has it, and a plain put.

use anyhow::{Context as _, ensure};
use etcd_client::{
    Client, Compare, CompareOp, DeleteOptions, EventType, GetOptions, PutOptions, SortOrder,
    SortTarget, Txn, TxnOp, TxnOpResponse, WatchOptions,
};

use crate::etcd::LEASE;
use crate::load::Pair;

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
        let mine = answer.header().context("an answer without a header")?.revision();
        match answer.op_responses().as_slice() {
            [TxnOpResponse::Put(_), TxnOpResponse::Get(owner)] => {
                let first = owner.kvs().first().context("nobody has the mutex")?;
                if first.key() != self.key.as_bytes() {
                    self.wait_for_those_before(mine).await?;
                }
                Ok(mine)
            }
            other => anyhow::bail!("unexpected answers: {other:?}"),
        }
    }

    /// Waits until no key of the prefix is older than `mine`: for the newest of those before, and
    /// then for what is left of them.
    async fn wait_for_those_before(&mut self, mine: i64) -> anyhow::Result<()> {
        loop {
            let before = GetOptions::new()
                .with_prefix()
                .with_sort(SortTarget::Create, SortOrder::Descend)
                .with_max_create_revision(mine - 1)
                .with_limit(1);
            let found = self.client.get(self.prefix.as_str(), Some(before)).await?;
            let Some(before) = found.kvs().first() else {
                return Ok(());
            };
            let from = found.header().context("an answer without a header")?.revision();
            let since = WatchOptions::new().with_start_revision(from);
            let mut watch = self.client.watch(before.key(), Some(since)).await?;
            let mut is_gone = false;
            while !is_gone {
                let news = watch.message().await?.context("the watch ended")?;
                is_gone = news.events().iter().any(|it| it.event_type() == EventType::Delete);
            }
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

/// A client that writes one key, again and again: what a durable write costs.
pub(crate) struct Put {
    client: Client,
    key: String,
    value: Vec<u8>,
}

impl Put {
    /// A client that writes `value` under the key `name`.
    pub(crate) fn new(client: Client, name: &str, value: &[u8]) -> Self {
        Self { client, key: name.to_owned(), value: value.to_vec() }
    }
}

impl Pair for Put {
    async fn pair(&mut self) -> anyhow::Result<()> {
        self.client.put(self.key.as_str(), self.value.as_slice(), None).await?;
        Ok(())
    }
}
