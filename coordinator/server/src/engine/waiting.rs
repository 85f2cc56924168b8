//! Who stands in a line and is there: each is woken by what concerns its own place.
//!
//! A thousand waiters must not look at the board at every commit, and the one
//! who is served must not wait for the next look. Not here: the lines
//! themselves (the board).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use molt_domain::board::Event;
use molt_domain::id::{ClaimId, HoldId, SessionId};
use tokio::sync::Notify;

/// A place where somebody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Of those who wait for scopes.
    Claim(ClaimId),
    /// Of those who wait for a lock, slot or build.
    Hold(HoldId),
    /// At the inbox of a session.
    Inbox(SessionId),
}

/// The places that somebody attends to.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    places: Arc<Mutex<BTreeMap<Place, Vec<Arc<Notify>>>>>,
}

/// One who attends to a place; ends with the value.
#[derive(Debug)]
pub struct Attendant {
    waiting: Waiting,
    place: Place,
    stirred: Arc<Notify>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Vec<Arc<Notify>>>> {
        // Each change below is one step of the map, so a panic leaves it whole.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn attend(&self, place: Place) -> Attendant {
        let stirred = Arc::new(Notify::new());
        self.lock().entry(place).or_default().push(Arc::clone(&stirred));
        Attendant { waiting: self.clone(), place, stirred }
    }

    /// Wakes whom an event concerns.
    pub(super) fn stir(&self, event: &Event) {
        let place = match event {
            Event::Claimed { claim, .. }
            | Event::Offered { claim, .. }
            | Event::OfferMissed { claim, .. }
            | Event::Unqueued { claim, .. }
            | Event::Lapsed { claim, .. }
            | Event::Revoked { claim, .. } => Place::Claim(*claim),
            Event::LockGranted { hold, .. }
            | Event::SlotGranted { hold, .. }
            | Event::BuildBegun { hold, .. }
            | Event::WaitEnded { hold, .. } => Place::Hold(*hold),
            // Everybody who waits for a build inherits its end, and none of them is named.
            Event::BuildEnded { waiters: 1.., .. } => return self.stir_holds(),
            Event::Left { session, .. } => Place::Inbox(*session),
            Event::Sent { to, .. } => {
                return to.iter().for_each(|session| self.stir_at(Place::Inbox(*session)));
            }
            _ => return,
        };
        self.stir_at(place);
    }

    fn stir_at(&self, place: Place) {
        for stirred in self.lock().get(&place).into_iter().flatten() {
            stirred.notify_one();
        }
    }

    fn stir_holds(&self) {
        for (place, attendants) in self.lock().iter() {
            if matches!(place, Place::Hold(_)) {
                attendants.iter().for_each(|stirred| stirred.notify_one());
            }
        }
    }
}

impl Attendant {
    /// Waits for something that concerns the place; what happened since the last wait counts.
    pub async fn stirred(&self) {
        self.stirred.notified().await;
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        let mut places = self.waiting.lock();
        if let Some(attendants) = places.get_mut(&self.place) {
            attendants.retain(|other| !Arc::ptr_eq(other, &self.stirred));
            if attendants.is_empty() {
                places.remove(&self.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unqueued(claim: &str) -> Event {
        Event::Unqueued {
            claim: claim.parse().unwrap(),
            session: "ses_0001".parse().unwrap(),
            reason: "asked".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_place_is_woken_by_its_own_events_alone() {
        let waiting = Waiting::default();
        let mine = waiting.attend(Place::Claim("clm_0001".parse().unwrap()));
        waiting.stir(&unqueued("clm_0002"));
        let woken = tokio::time::timeout(std::time::Duration::ZERO, mine.stirred()).await;
        assert!(woken.is_err(), "somebody else's place is no concern");
        waiting.stir(&unqueued("clm_0001"));
        mine.stirred().await;
        drop(mine);
        assert!(waiting.lock().is_empty(), "who is gone leaves nothing behind");
    }
}
