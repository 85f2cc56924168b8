//! What the head and the lead look like in etcd: JSON that a person reads with `etcdctl get`.

use serde::{Deserialize, Serialize};

use crate::head::{CommitId, Format, Head};
use crate::record::Json;
use crate::store::{Candidate, Cause};

/// What stands between the head's own fields and the ledger, which is kept byte for byte.
const LEDGER: &str = ",\"ledger\":";

/// Who leads, or led and resigned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seat {
    pub(super) term: u64,
    pub(super) name: String,
    pub(super) address: String,
    pub(super) program: u32,
    /// Which handle of the store campaigned: a text of chance, the same for all its campaigns.
    pub(super) instance: String,
    /// What all candidates must agree on; those before it had none.
    #[serde(default)]
    pub(super) charter: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) resigned: bool,
}

impl Seat {
    pub(super) fn of(candidate: &Candidate, term: u64, instance: &str) -> Self {
        Self {
            term,
            name: candidate.name.clone(),
            address: candidate.address.clone(),
            program: candidate.program,
            instance: instance.to_owned(),
            charter: candidate.charter.clone(),
            resigned: false,
        }
    }

    pub(super) fn read(text: &[u8]) -> Result<Self, Cause> {
        Ok(serde_json::from_slice(text)?)
    }

    pub(super) fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// The head without its ledger.
#[derive(Serialize, Deserialize)]
struct Point {
    number: u64,
    id: String,
    format: Format,
}

/// Writes `head` as JSON, the ledger last and as it is.
pub(super) fn write_head(head: &Head) -> String {
    let Head { number, id, format, ledger } = head;
    let Format { written, min_reader, min_writer } = format;
    format!(
        "{{\"number\":{number},\"id\":\"{id}\",\"format\":{{\"written\":{written},\
         \"min_reader\":{min_reader},\"min_writer\":{min_writer}}}{LEDGER}{ledger}}}"
    )
}

/// Reads what [`write_head`] wrote.
pub(super) fn read_head(text: &[u8]) -> Result<Head, Cause> {
    let text = str::from_utf8(text)?;
    // No field before the ledger can hold the mark, so the first one is it.
    let (point, rest) = text.split_once(LEDGER).ok_or("it has no ledger")?;
    let ledger = rest.strip_suffix('}').ok_or("it ends before its ledger does")?;
    let Point { number, id, format } = serde_json::from_str(&format!("{point}}}"))?;
    let id: CommitId = id.parse()?;
    Ok(Head { number, id, format, ledger: Json::parse(ledger)? })
}

/// What a renewal puts; that it is put is what counts.
pub(super) fn write_renewal(term: u64) -> String {
    format!("{{\"term\":{term}}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::FORMAT;

    #[test]
    fn a_head_reads_back_byte_for_byte() {
        for ledger in ["{}", " { \"now\" : 1 }\n", "\",\\\"ledger\\\":\"", "{\"a\":{}}", "null"] {
            let ledger = Json::parse(ledger).unwrap();
            let head = Head { number: 7, id: CommitId::new(3, 9), format: FORMAT, ledger };
            let text = write_head(&head);
            assert_eq!(read_head(text.as_bytes()).unwrap(), head);
            serde_json::from_str::<serde_json::Value>(&text).expect("a head is json");
        }
    }

    #[test]
    fn a_head_that_is_none_is_refused() {
        let good = write_head(&Head::fresh());
        let bad = [
            String::new(),
            "{}".to_owned(),
            good.replace("\"number\"", "\"count\""),
            good.replace("0-0", "zero"),
            good.replace("{}}", "{}"),
            good.replace("{}}", "{}}}"),
        ];
        for text in bad {
            assert!(read_head(text.as_bytes()).is_err(), "{text:?} was taken as a head");
        }
    }

    #[test]
    fn a_seat_says_that_it_is_free_only_when_it_is() {
        let mut seat = Seat::of(&Candidate::new("a", "a:1"), 4, "x");
        let text = seat.text().unwrap();
        assert!(!text.contains("resigned"), "{text}");
        assert_eq!(Seat::read(text.as_bytes()).unwrap(), seat);
        seat.resigned = true;
        assert_eq!(Seat::read(seat.text().unwrap().as_bytes()).unwrap(), seat);
    }
}
