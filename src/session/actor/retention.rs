//! Which events an owner lets go.

use super::Actor;
use crate::{
    Error, Result,
    session::registry::report,
    store::log::{Expired, Retention},
    time,
};

impl Actor {
    /// Removes the events that are not to be kept any more, never one of the
    /// last turn. What cannot be removed now goes another time.
    pub(super) async fn expire(&mut self) {
        match self.try_expire().await {
            Ok(Expired { segments: 0, .. }) => {}
            Ok(Expired { segments, bytes }) => {
                let oldest = self.feed.oldest();
                tracing::info!(session = %self.session.id, segments, bytes, oldest = oldest.0, "events expired");
            }
            Err(error) => {
                tracing::warn!(session = %self.session.id, error = %report(&error), "cannot remove events that have expired");
            }
        }
    }

    async fn try_expire(&mut self) -> Result<Expired> {
        let events = self.shared.events;
        // What the row does not follow yet is read once more.
        if !events.has_bounds() || self.is_behind() {
            return Ok(Expired::default());
        }
        // An age that reaches before all time lets nothing expire.
        let before = events.retain_age.and_then(|age| time::now().checked_sub(age));
        let retention = Retention {
            max_bytes: events.retain_bytes,
            before_unix_nanos: before.map(time::nanos),
            keep_turn: self.session.turn_count(),
        };
        self.with_ingest(move |ingest| ingest.expire(&retention).map_err(Error::from)).await
    }
}
