//! Sessions: what they are, who owns them and how they are followed.
//!
//! ```text
//!              StartTurn                 stop request
//!  PENDING ───────────────▶ RUNNING ───────────────────▶ STOPPING
//!     │                     ▲ ▲   │                          │
//!     │ StartTurn,     a    │ │   │ the agent has gone       │ the agent has gone
//!     ▼ no place     place  │ │   ▼                          ▼
//!  QUEUED ──────────────────┘ COMPLETED · FAILED · INTERRUPTED · KILLED
//!     │                                              ▲           ▲
//!     └───────────── stop request ───────────────────┴───────────┘
//! ```
//!
//! A session at rest goes on with StartTurn as one that is PENDING does. A
//! session that was deleted leaves a tombstone.
//!
//! A session at rest is a row and files. One that is used has an owner task
//! ([`actor`]): the only writer of its log and the only one that changes its
//! state; requests and the agent's output meet in its loop. [`registry`] loads
//! owners on demand and unloads idle ones. [`feed`] holds the newest events in
//! memory, [`hub`] tells subscribers that there is more, [`watch`] is a
//! subscriber: a cursor. [`transcript`] reads the log as people do. [`noting`] tells
//! what clients add to it. [`persist`] keeps what one needs to understand a session
//! later, where that is asked.
//!
//! Called by `app` alone. Names no transport.

pub(crate) mod actor;
pub(crate) mod auditing;
pub(crate) mod catalogue;
pub(crate) mod directory;
pub(crate) mod feed;
pub(crate) mod follow;
pub(crate) mod forgetting;
pub(crate) mod hub;
pub(crate) mod ingest;
pub(crate) mod janitor;
pub(crate) mod locking;
pub(crate) mod noting;
pub(crate) mod once;
pub(crate) mod orphans;
mod persist;
pub(crate) mod registry;
pub(crate) mod replay;
pub(crate) mod request;
pub(crate) mod slots;
pub(crate) mod state;
pub(crate) mod transcript;
pub(crate) mod turn;
pub(crate) mod watch;
