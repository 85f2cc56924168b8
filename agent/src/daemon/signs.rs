//! What this host sees of sessions that are lost or long silent: their roots, logs and files.
//!
//! The coordinator names them, with the paths that they hold; of those that are
//! not renewed, or whose root died, the next beat tells unasked, so that it
//! learns of them. Not here: what the signs are worth (the board).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use molt_domain::id::{SessionId, millis};
use molt_domain::scope::Pattern;
use molt_proto::v1;

use super::host::{Host, blocking};
use super::job::Gate;
use super::sessions::{self, Sign};
use crate::clock::{self, Millis};
use crate::error::Error;
use crate::run::Run;
use crate::session::Root;
use crate::session::alive::Registration;
use crate::wrap::hold::Hold;

/// Between two looks at the files of a session, which cost most.
const LOOK: Duration = Duration::from_secs(60);

/// Entries of folders that one look goes through at most, those near the top first.
const MAX_ENTRIES: usize = 20_000;

/// The sessions that are wanted, and what was seen of their files.
#[derive(Debug, Default)]
pub(super) struct Signs {
    wanted: BTreeMap<SessionId, Vec<Pattern>>,
    looks: BTreeMap<SessionId, Look>,
    /// Those whose root died: nobody renews them, but somebody may go on with their work.
    left: BTreeMap<SessionId, Left>,
}

/// A session whose root died.
#[derive(Debug)]
struct Left {
    of: Registration,
    /// Whether it was still registered at the last beat: nobody may have told of the death yet.
    registered: bool,
}

/// The last look at a session's files.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Millis,
    /// How long ago the last change was, then.
    age: Option<Duration>,
}

impl Look {
    /// How long ago it is now.
    fn age(&self, now: Millis) -> Option<Duration> {
        self.age.map(|age| age + self.at.until(now))
    }
}

impl Signs {
    /// Takes note of whom the answer to a beat wants to know of.
    pub(super) fn want(&mut self, reply: &v1::BeatReply) {
        let wanted = reply.signs_wanted.iter().filter_map(|wanted| {
            // What a newer coordinator writes in another way is not looked at.
            let paths = wanted.paths.iter().filter_map(|path| path.parse().ok()).collect();
            Some((wanted.session.parse().ok()?, paths))
        });
        self.wanted = wanted.collect();
        self.looks.retain(|session, _| self.wanted.contains_key(session));
        self.left.retain(|session, left| left.registered || self.wanted.contains_key(session));
    }

    /// Takes note of whose roots died, and of those whom somebody brought back.
    fn follow(&mut self, known: &[(Registration, Sign)]) {
        for left in self.left.values_mut() {
            left.registered = false;
        }
        for (known, sign) in known {
            match sign {
                Sign::RootDead => {
                    let left = Left { of: known.clone(), registered: true };
                    self.left.insert(known.session, left);
                }
                Sign::Lives | Sign::Unused => drop(self.left.remove(&known.session)),
            }
        }
    }

    /// What is seen of those who are wanted or not renewed, or whose root died.
    pub(super) async fn seen(
        &mut self,
        host: &Host,
        known: &[(Registration, Sign)],
    ) -> Result<Vec<v1::SessionSigns>, Error> {
        self.follow(known);
        let unregistered = self.left.values().filter(|left| !left.registered);
        let left = unregistered.map(|left| (left.of.clone(), Sign::RootDead));
        let mut seen = Vec::new();
        for (known, sign) in known.iter().cloned().chain(left.collect::<Vec<_>>()) {
            let session = known.session;
            if sign == Sign::Lives && !self.wanted.contains_key(&session) {
                continue;
            }
            let files = self.files(&known).await?;
            seen.push(v1::SessionSigns {
                session: session.to_string(),
                root_lives: sign == Sign::Lives && matches!(known.root, Root::Process(_)),
                log_ms: log_age(host, &known)?.map(millis),
                files_ms: files.map(millis),
            });
        }
        Ok(seen)
    }

    /// How long ago a file in the paths of a session changed, as of a minute ago or later.
    async fn files(&mut self, known: &Registration) -> Result<Option<Duration>, Error> {
        let Some(paths) = self.wanted.get(&known.session) else { return Ok(None) };
        let now = clock::boottime();
        if let Some(look) = self.looks.get(&known.session)
            && look.at.until(now) < LOOK
        {
            return Ok(look.age(now));
        }
        let (paths, file) = (paths.clone(), known.file.clone());
        let age = blocking(move || {
            let newest = newest(&top_of(&file)?, &paths, MAX_ENTRIES)?;
            age(newest)
        });
        let look = Look { at: now, age: age.await? };
        self.looks.insert(known.session, look);
        Ok(look.age)
    }
}

/// How long ago a log of a session's runs grew.
fn log_age(host: &Host, known: &Registration) -> Result<Option<Duration>, Error> {
    let holding = sessions::live_runs(host, known)?.into_iter().map(|(run, _)| run);
    let mut youngest = None;
    for run in holding.chain(detached(host, known)?) {
        let log = run.folder().spec()?.log;
        // A run that has not begun has none.
        let Ok(written) = log.metadata().and_then(|log| log.modified()) else { continue };
        youngest = youngest.max(Some(written));
    }
    Ok(youngest.and_then(age))
}

/// The detached runs that go on in the worktree of a session: they hold nothing, and name nobody.
fn detached(host: &Host, known: &Registration) -> Result<Vec<Run>, Error> {
    let top = top_of(&known.file).and_then(|top| top.canonicalize().ok());
    let mut detached = Vec::new();
    for run in crate::run::list(&host.options.state)? {
        let folder = run.folder();
        if folder.exit_record()?.is_some()
            || Hold::read(folder)?.is_some()
            || Gate::read(folder)?.is_some()
        {
            continue;
        }
        let place = folder.spec()?.cwd.canonicalize().ok();
        if place.zip(top.as_ref()).is_some_and(|(place, top)| place.starts_with(top)) {
            detached.push(run);
        }
    }
    Ok(detached)
}

/// How long ago a time on the wall was. What is to come tells nothing: somebody set the clock.
fn age(written: SystemTime) -> Option<Duration> {
    clock::wall().duration_since(written).ok()
}

/// The top folder of the worktree that a session file, `<git dir>/molt/sessions/<file>`, is of.
fn top_of(file: &Path) -> Option<PathBuf> {
    let git_dir = file.ancestors().nth(3)?;
    if git_dir.file_name().is_some_and(|name| name == ".git") {
        return git_dir.parent().map(Path::to_owned);
    }
    // That of a linked worktree names the worktree's own `.git`.
    let dot_git = std::fs::read_to_string(git_dir.join("gitdir")).ok()?;
    Path::new(dot_git.trim_end()).parent().map(Path::to_owned)
}

/// When the youngest file that a pattern matches was written, as far as `entries` entries of
/// folders show. What cannot be read is passed over: it tells of nothing.
fn newest(top: &Path, patterns: &[Pattern], entries: usize) -> Option<SystemTime> {
    let begin = |pattern: &Pattern| pattern.literal_prefix().iter().collect::<PathBuf>();
    let begins: BTreeSet<PathBuf> = patterns.iter().map(begin).collect();
    let is_below = |place: &PathBuf| place.ancestors().skip(1).any(|above| begins.contains(above));
    let mut places: VecDeque<PathBuf> =
        begins.iter().filter(|place| !is_below(place)).cloned().collect();
    let (mut left, mut newest) = (entries, None);
    while let Some(place) = places.pop_front() {
        let Ok(found) = top.join(&place).symlink_metadata() else { continue };
        if found.is_dir() {
            let Ok(inside) = top.join(&place).read_dir() else { continue };
            for entry in inside.flatten() {
                let name = entry.file_name();
                if name == ".git" || left == 0 {
                    continue;
                }
                left -= 1;
                places.push_back(place.join(name));
            }
        } else if let Some(path) = place.to_str()
            && patterns.iter().any(|pattern| pattern.matches(path))
        {
            newest = newest.max(found.modified().ok());
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::SessionFile;
    use crate::session::file::tests::record;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_youngest_file_in_the_paths_counts_and_no_other() {
        let scratch = tempfile::tempdir().unwrap();
        let top = scratch.path();
        for (n, file) in ["docs/a.md", "docs/deep/b.md", "src/c.rs", ".git/d"].iter().enumerate() {
            let path = top.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = std::fs::File::create(path).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(n as u64 + 1);
            file.set_modified(at).unwrap();
        }
        let secs = |texts: &[&str], entries| {
            let newest = newest(top, &patterns(texts), entries)?;
            Some(newest.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
        };
        assert_eq!(secs(&["docs/**"], 99), Some(2));
        assert_eq!(secs(&["docs/*.md"], 99), Some(1));
        assert_eq!(secs(&["docs/**", "docs/deep/**", "src/c.rs"], 99), Some(3));
        assert_eq!(secs(&["**"], 99), Some(3), "git's own files are nobody's work");
        assert_eq!(secs(&["lib/**"], 99), None);
        assert_eq!(secs(&["docs/**"], 2), Some(1), "what is far below is left out");
        assert_eq!(age(clock::wall() + Duration::from_secs(3600)), None);
    }

    #[test]
    fn a_session_file_tells_its_worktree() {
        let scratch = tempfile::tempdir().unwrap();
        let main = scratch.path().join("w/.git/molt/sessions/use.json");
        assert_eq!(top_of(&main), Some(scratch.path().join("w")));
        let linked = scratch.path().join("w/.git/worktrees/x");
        std::fs::create_dir_all(&linked).unwrap();
        std::fs::write(linked.join("gitdir"), "/elsewhere/x/.git\n").unwrap();
        let file = linked.join("molt/sessions/use.json");
        assert_eq!(top_of(&file), Some(PathBuf::from("/elsewhere/x")));
        assert_eq!(top_of(Path::new("use.json")), None);
    }

    #[test]
    fn what_was_seen_ages() {
        let look = Look { at: Millis::since_boot(1_000), age: Some(Duration::from_secs(5)) };
        assert_eq!(look.age(Millis::since_boot(3_000)), Some(Duration::from_secs(7)));
        let nothing = Look { age: None, ..look };
        assert_eq!(nothing.age(Millis::since_boot(3_000)), None);
    }

    #[test]
    fn who_is_wanted_no_more_is_forgotten() {
        let (one, two) = (SessionId::from_counter(1), SessionId::from_counter(2));
        let reply = |sessions: &[SessionId]| v1::BeatReply {
            signs_wanted: sessions
                .iter()
                .map(|id| v1::SignsWanted {
                    session: id.to_string(),
                    paths: vec!["docs/**".to_owned()],
                })
                .collect(),
            ..v1::BeatReply::default()
        };
        let mut signs = Signs::default();
        signs.want(&reply(&[one, two]));
        let look = Look { at: Millis::since_boot(1), age: None };
        signs.looks = [(one, look), (two, look)].into();
        signs.want(&reply(&[two]));
        assert_eq!(signs.wanted.keys().collect::<Vec<_>>(), [&two]);
        assert_eq!(signs.looks.keys().collect::<Vec<_>>(), [&two]);
        assert_eq!(signs.wanted[&two], patterns(&["docs/**"]));
    }

    #[test]
    fn whose_root_died_is_told_of_until_nobody_wants_to_know() {
        let file = SessionFile::at("/w/.git/molt/sessions/use.json");
        let known = Registration::new(&record(Root::Use), &file, &[]);
        let session = known.session;
        let wants = |wanted: bool| v1::BeatReply {
            signs_wanted: wanted
                .then(|| v1::SignsWanted { session: session.to_string(), paths: Vec::new() })
                .into_iter()
                .collect(),
            ..v1::BeatReply::default()
        };
        let mut signs = Signs::default();
        signs.follow(&[(known.clone(), Sign::RootDead)]);
        signs.want(&wants(false));
        assert!(signs.left.contains_key(&session), "the coordinator has not heard of it yet");
        signs.follow(&[]);
        signs.want(&wants(true));
        assert!(signs.left.contains_key(&session));
        signs.follow(&[]);
        signs.want(&wants(false));
        assert!(signs.left.is_empty(), "it is over");
        signs.follow(&[(known.clone(), Sign::RootDead)]);
        signs.follow(&[(known, Sign::Lives)]);
        assert!(signs.left.is_empty(), "somebody brought it back");
    }
}
