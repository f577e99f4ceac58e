//! Room for bytes: as many as somebody may hold, in the order in which they ask.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, Result};

/// What a permit stands for, in bytes.
const UNIT: usize = 1 << 10;

/// Room for so many bytes.
#[derive(Debug)]
pub(super) struct Room {
    permits: Arc<Semaphore>,
    most: usize,
}

impl Room {
    pub(super) fn new(bytes: u32) -> Self {
        let most = bytes as usize / UNIT;
        Self { permits: Arc::new(Semaphore::new(most)), most }
    }

    /// Waits for room for so many bytes; for more than there is, until all of it is
    /// free.
    pub(super) async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let permits = u32::try_from(self.permits(bytes)).map_err(Error::internal)?;
        // Nobody closes it.
        Arc::clone(&self.permits).acquire_many_owned(permits).await.map_err(Error::internal)
    }

    /// Waits until whoever asked before has room, and takes none.
    pub(super) async fn turn(&self) -> Result<()> {
        self.take(1).await.map(drop)
    }

    /// Room for so many bytes in place of what was taken for them before: the rest is
    /// given back, and what is too little is waited for anew, with nothing in hand.
    pub(super) async fn fit(
        &self,
        mut taken: OwnedSemaphorePermit,
        bytes: usize,
    ) -> Result<OwnedSemaphorePermit> {
        if let Some(fitting) = taken.split(self.permits(bytes)) {
            return Ok(fitting);
        }
        drop(taken);
        self.take(bytes).await
    }

    fn permits(&self, bytes: usize) -> usize {
        bytes.div_ceil(UNIT).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_larger_than_all_room_has_it_alone() {
        let room = Room::new(8 << 10);
        let little = room.take(1).await.unwrap();
        assert!(room.take(64 << 10).now_or_never().is_none());
        drop(little);
        let all = room.take(64 << 10).await.unwrap();
        assert!(room.take(1).now_or_never().is_none() && room.turn().now_or_never().is_none());
        // Once it is known how little it is, there is room for others.
        let _all = room.fit(all, 7 << 10).await.unwrap();
        let _other = room.take(1 << 10).now_or_never().unwrap().unwrap();
    }

    #[tokio::test]
    async fn whoever_took_too_little_waits_again_and_holds_nothing_meanwhile() {
        let room = Room::new(8 << 10);
        let (one, other) = (room.take(2 << 10).await.unwrap(), room.take(6 << 10).await.unwrap());
        let mut fitting = Box::pin(room.fit(one, 8 << 10));
        assert!((&mut fitting).now_or_never().is_none());
        // All that is not the other's is free, for the one that asks first.
        drop(other);
        assert_eq!(fitting.await.unwrap().num_permits(), 8);
    }

    #[tokio::test]
    async fn a_turn_comes_after_those_who_wait() {
        let room = Room::new(8 << 10);
        let held = room.take(4 << 10).await.unwrap();
        let mut large = Box::pin(room.take(8 << 10));
        assert!((&mut large).now_or_never().is_none());
        assert!(room.turn().now_or_never().is_none());
        drop(held);
        drop(large.await.unwrap());
        room.turn().await.unwrap();
    }
}
