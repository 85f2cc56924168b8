//! What the head says of a store that must not be served.
//!
//! A store that is being filled, or whose records have moved to another one, has a mark where the
//! ledger of a board would be. No program can take the one for the other: a mark does not read as
//! a ledger. Not here: who leaves a mark, and who takes it away (`transfer`).

use molt_domain::board::Ledger;
use molt_store::Json;
use serde::{Deserialize, Serialize};

/// A store that must not be served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Mark {
    /// Its records are not all there yet.
    Unfinished {
        /// What fills it: `restore of …`, `move from …`.
        unfinished: String,
    },
    /// Its records live on in another store; here they are as they were.
    Moved {
        /// Where to: `to …`.
        moved: String,
        /// The ledger as it was, with which the records are whole.
        ledger: Ledger,
    },
}

/// What the head's ledger says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// A board is there, or an empty store in which one begins.
    Board(Ledger),
    /// It must not be served.
    Marked(Mark),
}

/// Reads what the head's ledger says.
///
/// # Errors
///
/// It is neither a ledger nor a mark.
pub(crate) fn said(ledger: &Json) -> Result<Said, serde_json::Error> {
    if *ledger == Json::empty_object() {
        return Ok(Said::Board(Ledger::default()));
    }
    match ledger.decode::<Mark>() {
        Ok(mark) => Ok(Said::Marked(mark)),
        // What went wrong is better told of a ledger, which nearly all are.
        Err(_) => ledger.decode().map(Said::Board),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_no_ledger_and_a_ledger_no_mark() {
        let ledger = Ledger::default();
        let moved = Mark::Moved { moved: "to b".to_owned(), ledger: ledger.clone() };
        let unfinished = Mark::Unfinished { unfinished: "restore of a".to_owned() };
        for mark in [moved, unfinished] {
            let text = Json::encode(&mark).unwrap();
            assert!(text.decode::<Ledger>().is_err(), "{text} would be served");
            assert_eq!(said(&text).unwrap(), Said::Marked(mark));
        }
        let text = Json::encode(&ledger).unwrap();
        assert_eq!(said(&text).unwrap(), Said::Board(ledger.clone()));
        assert_eq!(said(&Json::empty_object()).unwrap(), Said::Board(ledger));
        for bad in ["1", "{\"a\":1}", "{\"moved\":\"to b\"}", "{\"unfinished\":\"x\",\"time\":1}"] {
            assert!(said(&Json::parse(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
