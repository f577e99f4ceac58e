//! `WatchEvents`, sentence by sentence, through the generated client.

mod crowd;
mod cursors;
mod elided;
mod left_out;
mod lines;
mod order;
mod several;
