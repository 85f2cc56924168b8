//! Who looks after the etcds: fills them up, makes room, lets their history go. It speaks to them
//! as a person with `curl` does, by JSON over HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use molt_store::rig::{Cluster, Member};
use serde_json::{Value, json};

use crate::harness::until;

/// How long an answer is waited for: a member that writes a lot of data may be slow.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much is written at once, in base64: three quarters of it is stored.
const BLOCK: usize = 1 << 20;

/// What etcd says when its database has reached its quota.
const NO_SPACE: &str = "database space exceeded";

/// Somebody with access to all members.
#[derive(Debug)]
pub(crate) struct Operator {
    members: Vec<SocketAddr>,
}

impl Operator {
    /// One of this cluster.
    pub(crate) fn of(cluster: &Cluster) -> Self {
        Self { members: cluster.members().iter().map(Member::address).collect() }
    }

    /// Writes keys that are nobody's until no member takes anything any more.
    #[track_caller]
    pub(crate) fn fill(&self) {
        let block = "A".repeat(BLOCK);
        for _ in 0..1000 {
            // One key: what it had before is history, which is kept.
            let put = json!({ "key": FILLER, "value": block });
            match self.ask("/v3/kv/put", &put) {
                Ok(_) => {}
                Err(refusal) if refusal.contains(NO_SPACE) => return self.is_full(),
                // Members under such a load lose their leader now and then.
                Err(trouble) => println!("the operator writes again: {trouble}"),
            }
        }
        panic!("the quota does not bind");
    }

    /// Waits until not even a small key is taken.
    #[track_caller]
    fn is_full(&self) {
        let put = json!({ "key": FILLER, "value": "AAAA" });
        until("nothing is taken any more", || {
            self.ask("/v3/kv/put", &put).is_err_and(|said| said.contains(NO_SPACE)).then_some(())
        });
    }

    /// Makes room as the manual of etcd says: compact, defragment each member, disarm.
    #[track_caller]
    pub(crate) fn make_room(&self) {
        self.insist("/v3/kv/deleterange", &json!({ "key": FILLER }));
        self.forget_history();
        for member in &self.members {
            until("a member is defragmented", || {
                ask(*member, "/v3/maintenance/defragment", &json!({})).ok()
            });
        }
        let alarms = self.insist("/v3/maintenance/alarm", &json!({ "action": "GET" }));
        for alarm in alarms["alarms"].as_array().into_iter().flatten() {
            let mut disarm = alarm.clone();
            disarm["action"] = "DEACTIVATE".into();
            self.insist("/v3/maintenance/alarm", &disarm);
        }
    }

    /// Compacts everything but the present.
    #[track_caller]
    pub(crate) fn forget_history(&self) {
        let now = self.insist("/v3/kv/range", &json!({ "key": FILLER }));
        let revision = &now["header"]["revision"];
        let asked = json!({ "revision": revision, "physical": true });
        until("the history is compacted", || match self.ask("/v3/kv/compaction", &asked) {
            Ok(_) => Some(()),
            // The leader of the fleet was faster, or a try before this one.
            Err(said) => said.contains("has been compacted").then_some(()),
        });
    }

    #[track_caller]
    fn insist(&self, path: &str, question: &Value) -> Value {
        until(&format!("an answer to {path}"), || self.ask(path, question).ok())
    }

    /// Asks any member; what it answers, or what was wrong.
    fn ask(&self, path: &str, question: &Value) -> Result<Value, String> {
        let mut said = String::new();
        for member in &self.members {
            match ask(*member, path, question) {
                Ok(answer) => return Ok(answer),
                Err(error) => said += &error,
            }
        }
        Err(said)
    }
}

/// `filler`, as etcd's JSON has keys.
const FILLER: &str = "ZmlsbGVy";

fn ask(member: SocketAddr, path: &str, question: &Value) -> Result<Value, String> {
    let exchange = || {
        let mut stream = TcpStream::connect_timeout(&member, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let body = question.to_string();
        // HTTP/1.0: the answer ends where the connection does.
        let head = format!("POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    let answer = exchange().map_err(|error: std::io::Error| format!("{member}: {error}\n"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
    match serde_json::from_str(body) {
        Ok(answer) if head.contains(" 200 ") => Ok(answer),
        _ => Err(format!("{member}: {body}\n")),
    }
}
