//! How messages come into inboxes: one record for all whom it is for.

use crate::board::{Draft, Event};
use crate::fault::fault;
use crate::id::{MessageId, SessionId};
use crate::message::{Audience, Content, MAX_NAMED, Message, Sender, Urgency};
use crate::name::RepoName;
use crate::session::Session;

/// The first format of the records that has messages and reports.
const FORMAT: u32 = 2;

/// The longest list of an announcement that is copied into inboxes, in bytes; the whole of it
/// stands beside the claim.
const MAX_LIST: usize = 2048;

/// Whether the store's format has messages and reports: what goes on without them does so where it
/// has not.
pub(crate) fn has_words(draft: &Draft<'_>) -> bool {
    draft.has_format(FORMAT)
}

/// What is to be delivered.
pub(super) struct Parcel {
    pub(super) from: Option<Sender>,
    pub(super) content: Content,
    pub(super) urgency: Urgency,
}

/// Puts a message into inboxes of sessions that are on the board; the first one's id and for
/// how many it is. More than one record has room for are named by several.
pub(super) fn deliver(
    draft: &mut Draft<'_>,
    repo: &RepoName,
    parcel: &Parcel,
    to: impl IntoIterator<Item = SessionId>,
) -> Option<(MessageId, usize)> {
    let here = |id: &SessionId| draft.tables.sessions.get(id).is_some();
    let to: Vec<SessionId> = to.into_iter().filter(here).collect();
    let mut first = None;
    for named in to.chunks(MAX_NAMED) {
        let id = MessageId::from_counter(draft.number());
        let Parcel { from, content, urgency } = parcel;
        draft.record(Event::Sent {
            message: id,
            repo: repo.clone(),
            from: from.as_ref().map(|from| from.session),
            epoch: from.as_ref().map(|from| from.epoch),
            to: named.to_vec(),
            kind: content.word().to_owned(),
            text: content.to_string(),
            risky: *urgency == Urgency::Risky,
        });
        let message = Message {
            id,
            repo: repo.clone(),
            from: from.clone(),
            content: content.clone(),
            urgency: *urgency,
            to: named.iter().copied().collect(),
            at: draft.now.board,
        };
        draft.tables.messages.put(id, message);
        first.get_or_insert(id);
    }
    first.map(|id| (id, to.len()))
}

/// Tells a session what became of something that it has; nothing where it is gone.
pub(crate) fn notify(
    draft: &mut Draft<'_>,
    to: SessionId,
    about: &impl ToString,
    text: impl Into<String>,
) {
    let session = draft.tables.sessions.get(&to);
    let Some(repo) = session.map(|session| session.repo.clone()).filter(|_| has_words(draft))
    else {
        return;
    };
    let content = Content::Noted { about: about.to_string(), text: text.into() };
    deliver(draft, &repo, &Parcel { from: None, content, urgency: Urgency::Usual }, [to]);
}

/// Tells several sessions of a repository the same of something that they wait for.
pub(crate) fn notify_all(
    draft: &mut Draft<'_>,
    repo: &RepoName,
    to: impl IntoIterator<Item = SessionId>,
    about: &impl ToString,
    text: &str,
) {
    if has_words(draft) {
        let content = Content::Noted { about: about.to_string(), text: text.to_owned() };
        deliver(draft, repo, &Parcel { from: None, content, urgency: Urgency::Usual }, to);
    }
}

/// Tells the audience of an announcement.
pub(crate) fn announced(
    draft: &mut Draft<'_>,
    session: &Session,
    audience: Audience,
    content: Content,
) {
    if fault!(AnnouncementUnheard) || !has_words(draft) {
        return;
    }
    let content = match content {
        Content::Announced { scopes, files, tests, risk, note } => Content::Announced {
            scopes,
            files: shortened(files),
            tests: shortened(tests),
            risk,
            note,
        },
        other => other,
    };
    let Audience { sessions, urgency } = audience;
    let parcel = Parcel { from: Some(Sender::of(session)), content, urgency };
    deliver(draft, &session.repo, &parcel, sessions);
}

/// As many items as fit, and how many more there are.
fn shortened(items: Vec<String>) -> Vec<String> {
    let mut bytes = 0;
    let fitting = items.iter().take_while(|item| {
        bytes += item.len();
        bytes <= MAX_LIST
    });
    let (fitting, all) = (fitting.count(), items.len());
    let more = (fitting < all).then(|| format!("and {} more", all - fitting));
    items.into_iter().take(fitting).chain(more).collect()
}

impl Sender {
    pub(super) fn of(session: &Session) -> Self {
        let Session { id, name, epoch, .. } = session;
        Self { session: *id, name: name.clone(), epoch: *epoch }
    }
}
