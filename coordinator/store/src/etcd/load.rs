//! Reading everything back, page by page, as of one moment.

use etcd_client::{GetOptions, KeyValue};

use super::Inner;
use super::failure::{Class, Refusal};
use super::keys::{self, Place};
use super::members::{CALL, PAGE};
use super::text;
use crate::head::Head;
use crate::record::{Json, Record};
use crate::store::{Cause, Leadership, LoadError};

/// How many keys the first page has. The others have as many as make a page of [`PAGE_BYTES`],
/// since etcd counts all keys that are left for every page. One that is too long is halved.
const FIRST_KEYS: i64 = 500;
/// The most keys of one page.
const MAX_KEYS: i64 = 10_000;
/// How many bytes of keys and values a page should have.
const PAGE_BYTES: i64 = 4 * 1024 * 1024;
/// How often a load begins again because its moment was compacted away.
const ATTEMPTS: u32 = 5;

/// What the pages have brought so far.
#[derive(Default)]
struct Pages {
    leader: i64,
    head: Option<(Head, i64)>,
    records: Vec<Record>,
}

impl Inner {
    pub(super) async fn load(
        &self,
        leadership: &Leadership,
    ) -> Result<(Head, Vec<Record>), LoadError> {
        let deposed = || LoadError::Deposed { term: leadership.term() };
        let seat = self.seat_of(leadership).await?.ok_or_else(deposed)?;
        let pages = self.one_moment().await?;
        if pages.leader != seat || !self.still_leads(seat).await? {
            return Err(deposed());
        }
        let (head, revision) = match pages.head {
            Some(found) => found,
            None => (self.no_head(&pages.records)?, 0),
        };
        self.remember_head(head.id, revision);
        Ok((head, pages.records))
    }

    /// The head and all records as of one moment, whoever leads; `None` if there are no keys.
    pub(super) async fn snapshot(&self) -> Result<Option<(Head, Vec<Record>)>, LoadError> {
        let pages = self.one_moment().await?;
        match pages.head {
            Some((head, _)) => Ok(Some((head, pages.records))),
            None if pages.leader == 0 && pages.records.is_empty() => Ok(None),
            None => Ok(Some((self.no_head(&pages.records)?, pages.records))),
        }
    }

    /// What stands for a head that is not there.
    fn no_head(&self, records: &[Record]) -> Result<Head, LoadError> {
        if records.is_empty() {
            return Ok(Head::fresh());
        }
        let cause = format!("it is missing, but there are {} records", records.len());
        Err(damaged(self.keys.head().as_bytes(), cause))
    }

    async fn one_moment(&self) -> Result<Pages, LoadError> {
        for _ in 0..ATTEMPTS {
            if let Some(pages) = self.pages().await? {
                return Ok(pages);
            }
        }
        Err(LoadError::Unavailable("history is compacted faster than it is read".into()))
    }

    /// All pages as of the first one's moment, or `None` if that was compacted on the way.
    async fn pages(&self) -> Result<Option<Pages>, LoadError> {
        let (mut from, end) = self.keys.range();
        let mut pages = Pages::default();
        let (mut moment, mut keys) = (0, FIRST_KEYS);
        loop {
            let options =
                GetOptions::new().with_range(end.clone()).with_limit(keys).with_revision(moment);
            let mut page = match self.members.get(PAGE, from.clone(), options).await {
                Ok(page) => page,
                Err(failure) => match failure.class() {
                    Class::Refused(Refusal::Compacted) => return Ok(None),
                    Class::TooLong if keys > 1 => {
                        keys /= 2;
                        continue;
                    }
                    _ => return Err(LoadError::Unavailable(failure.into())),
                },
            };
            if moment == 0 {
                moment = page.header().map_or(0, etcd_client::ResponseHeader::revision);
            }
            let more = page.more();
            keys = keys_for_the_next(page.kvs());
            for pair in page.take_kvs() {
                from.replace_range(.., &self.take_in(&mut pages, pair)?);
                from.push('\0');
            }
            if !more {
                return Ok(Some(pages));
            }
        }
    }

    /// Puts one pair where it belongs. Answers its key.
    fn take_in(&self, pages: &mut Pages, pair: KeyValue) -> Result<String, LoadError> {
        let place = self.keys.place(pair.key()).map_err(|stray| damaged(pair.key(), stray))?;
        let revision = pair.mod_revision();
        match place {
            Place::Leader => pages.leader = revision,
            Place::Renewal => {}
            Place::Head => {
                let head =
                    text::read_head(pair.value()).map_err(|cause| damaged(pair.key(), cause))?;
                pages.head = Some((head, revision));
            }
            Place::Record(key) => {
                let value = read_json(pair.value()).map_err(|cause| damaged(pair.key(), cause))?;
                pages.records.push(Record { key, value });
            }
        }
        let (key, _) = pair.into_key_value();
        String::from_utf8(key).map_err(|error| damaged(error.as_bytes(), error.utf8_error()))
    }

    async fn still_leads(&self, seat: i64) -> Result<bool, LoadError> {
        let options = GetOptions::new().with_keys_only();
        let answer = self.members.get(CALL, self.keys.leader(), options).await;
        let answer = answer.map_err(|failure| LoadError::Unavailable(failure.into()))?;
        Ok(answer.kvs().first().is_some_and(|pair| pair.mod_revision() == seat))
    }
}

/// How many keys make a page of the right length, if they are like those of the last.
fn keys_for_the_next(last: &[KeyValue]) -> i64 {
    let bytes: usize = last.iter().map(|pair| pair.key().len() + pair.value().len()).sum();
    let of = |count: usize| i64::try_from(count).unwrap_or(i64::MAX).max(1);
    (PAGE_BYTES.saturating_mul(of(last.len())) / of(bytes)).clamp(1, MAX_KEYS)
}

fn read_json(value: &[u8]) -> Result<Json, Cause> {
    Ok(Json::parse(str::from_utf8(value)?)?)
}

fn damaged(key: &[u8], cause: impl Into<Cause>) -> LoadError {
    LoadError::Damaged { what: keys::shown(key), cause: cause.into() }
}
