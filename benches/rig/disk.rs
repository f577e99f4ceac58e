//! What is on the disk, and what the disk does.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

/// How many times a second the disk takes 4 KiB for good.
pub(crate) fn syncs(place: &Path) -> f64 {
    let mut file = tempfile::tempfile_in(place).expect("a file");
    let begin = Instant::now();
    let mut count = 0;
    while begin.elapsed() < Duration::from_millis(250) {
        file.write_all(&[7; 4096]).expect("room");
        file.sync_data().expect("a disk");
        count += 1;
    }
    f64::from(count) / begin.elapsed().as_secs_f64()
}

/// Looks how large the database's WAL comes to be.
#[derive(Debug)]
pub(crate) struct Wal {
    most: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Wal {
    /// Begins to look.
    pub(crate) fn watch(home: PathBuf) -> Self {
        let most = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&most);
        let task = tokio::spawn(async move {
            loop {
                seen.fetch_max(size(&home.join("state.db-wal")) as u64, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self { most, task }
    }

    /// How many bytes it had at most so far.
    pub(crate) fn most(self) -> f64 {
        self.task.abort();
        self.most.load(Ordering::Relaxed) as f64
    }
}

/// The bytes of a file, or of the files in a directory.
pub(crate) fn size(path: &Path) -> f64 {
    let Ok(found) = fs::metadata(path) else { return 0.0 };
    if !found.is_dir() {
        return found.len() as f64;
    }
    let entries = fs::read_dir(path).expect("a directory");
    entries.map(|entry| size(&entry.expect("an entry").path())).sum()
}
