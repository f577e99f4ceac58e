//! A place in a script where the model waits until the test lets it go on.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

/// Holds a scripted reply back until the test opens it.
///
/// Clones are the same gate. One gate may stand in several places; each passage
/// is counted.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Passage>);

#[derive(Debug)]
struct Passage {
    permits: Semaphore,
    arrivals: watch::Sender<usize>,
}

impl Gate {
    /// Makes a gate that is closed.
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Passage { permits: Semaphore::new(0), arrivals: watch::Sender::new(0) }))
    }

    /// Lets one passage through, now or when it comes.
    pub(crate) fn open_once(&self) {
        self.0.permits.add_permits(1);
    }

    /// Waits until the model has come to the gate `count` times in all: what it
    /// was to send before was handed to the connection.
    pub(crate) async fn reached(&self, count: usize) {
        let mut arrivals = self.0.arrivals.subscribe();
        arrivals.wait_for(|seen| *seen >= count).await.expect("the gate holds the sender");
    }

    /// The model's side: arrives, and waits for the permit of one passage.
    pub(super) async fn pass(&self) {
        self.0.arrivals.send_modify(|seen| *seen += 1);
        self.0.permits.acquire().await.expect("the semaphore is never closed").forget();
    }
}
