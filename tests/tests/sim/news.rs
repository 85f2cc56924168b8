//! The last of something, and a word to everybody when there is a newer one.
//!
//! As `tokio::sync::watch`, but whoever waited first is woken first: that one spreads its waiters
//! by chance, and a run must have one order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The sender's side.
pub(crate) struct News<T>(Arc<Shared<T>>);

struct Shared<T> {
    last: Mutex<(u64, T)>,
    changed: Notify,
}

/// One who waits for news.
pub(crate) struct Reader<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

impl<T> Shared<T> {
    fn last(&self) -> MutexGuard<'_, (u64, T)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> News<T> {
    pub(crate) fn new(first: T) -> Self {
        Self(Arc::new(Shared { last: Mutex::new((0, first)), changed: Notify::new() }))
    }

    pub(crate) fn tell(&self, news: T) {
        {
            let mut last = self.0.last();
            *last = (last.0 + 1, news);
        }
        self.0.changed.notify_waiters();
    }

    /// The last.
    pub(crate) fn get(&self) -> T {
        self.0.last().1.clone()
    }

    /// Somebody who has seen the last.
    pub(crate) fn reader(&self) -> Reader<T> {
        Reader { shared: Arc::clone(&self.0), seen: self.0.last().0 }
    }
}

impl<T: Clone> Reader<T> {
    /// The last, which counts as seen.
    pub(crate) fn get(&mut self) -> T {
        let last = self.shared.last();
        self.seen = last.0;
        last.1.clone()
    }

    /// Waits for one that was not seen.
    pub(crate) async fn changed(&mut self) -> T {
        let shared = Arc::clone(&self.shared);
        loop {
            let mut changed = std::pin::pin!(shared.changed.notified());
            changed.as_mut().enable();
            if shared.last().0 != self.seen {
                return self.get();
            }
            changed.await;
        }
    }

    /// Waits for one, or has one, of which something is so.
    pub(crate) async fn until(&mut self, is_so: impl Fn(&T) -> bool) {
        let mut news = self.get();
        while !is_so(&news) {
            news = self.changed().await;
        }
    }
}
