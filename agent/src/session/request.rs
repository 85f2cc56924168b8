//! One request of a session, sent so that it has one effect.

use molt_proto::v1;
use molt_proto::v1::command::Verb;

use super::SessionFile;
use super::number::Earlier;
use crate::client::Client;
use crate::error::Error;
use crate::ui;

/// Carries out `verb` as the session of `file`: its number is on disk before it
/// is sent, and stays there when nobody says what became of it.
pub async fn act(client: &Client, file: &SessionFile, verb: Verb) -> Result<v1::Reply, Error> {
    let earlier = match verb {
        // What was asked before the session was lost is asked again after it.
        Verb::Resume(_) => Earlier::Kept,
        _ => Earlier::Dropped,
    };
    let (number, record) = file.begin(&digest(&verb), earlier)?;
    let caller = Some(record.caller());
    let outcome = client.act(v1::Command { caller, number, verb: Some(verb) }).await;
    match outcome {
        Err(error @ Error::Unknown { .. }) => Err(error),
        // An earlier try may have been carried out, before the session was lost.
        Err(error) if error.is_lost() => Err(error),
        Err(Error::Unavailable { problem }) => match file.unsent(number)? {
            true => Err(Error::Unknown { problem }),
            false => Err(Error::Unavailable { problem }),
        },
        outcome => {
            if let Err(error) = file.settle(number) {
                // The answer is what the caller asked for; a number that is kept too long is
                // dropped by the next command.
                ui::warn(&error.in_full());
            }
            outcome
        }
    }
}

/// What makes two calls the same request: the verb with its arguments.
fn digest(verb: &Verb) -> String {
    let mut bytes = Vec::with_capacity(verb.encoded_len());
    verb.encode(&mut bytes);
    blake3::hash(&bytes).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_the_verb_and_its_arguments() {
        let claim = |scope: &str| {
            digest(&Verb::Claim(v1::Claim { scopes: vec![scope.to_owned()], ..Default::default() }))
        };
        assert_eq!(claim("runtime"), claim("runtime"));
        assert_ne!(claim("runtime"), claim("docs"));
        assert_ne!(digest(&Verb::NextTask(v1::NextTask {})), claim("docs"));
    }
}
