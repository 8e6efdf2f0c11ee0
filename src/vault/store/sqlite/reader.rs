//! Connections that read: one for each thread, used where the caller stands, and one for long walks.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rusqlite::Connection;

use super::open;
use crate::store::StoreError;

/// Reads of one store. A short read costs less than handing it to another thread would; a long one must not hold up the
/// requests of the caller's thread, and goes, one at a time, to a thread for blocking work.
pub(super) struct Readers {
    path: Arc<PathBuf>,
    long: Arc<Mutex<Connection>>,
}

impl Readers {
    /// Readers of the store at this path, which is open already.
    pub(super) fn new(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: Arc::new(path.to_owned()), long: Arc::new(Mutex::new(open::reader(path)?)) })
    }

    /// Where the store is.
    pub(super) fn path(&self) -> PathBuf {
        self.path.as_path().to_owned()
    }

    /// A short read, here and now. Each statement sees the store as it is at that moment.
    pub(super) fn short<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        MINE.with_borrow_mut(|mine| {
            let place = mine.iter().position(|(path, _)| path.as_ptr() == Arc::as_ptr(&self.path));
            let place = match place {
                Some(place) => place,
                None => {
                    // Connections to stores that are closed go when the next one is opened.
                    mine.retain(|(path, _)| path.strong_count() > 0);
                    mine.push((Arc::downgrade(&self.path), open::reader(&self.path)?));
                    mine.len() - 1
                }
            };
            read(&mine[place].1)
        })
    }

    /// A long read on a thread for blocking work.
    pub(super) async fn long<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let conn = Arc::clone(&self.long);
        // A read that panicked left nothing behind: statements are reset when they are dropped.
        let task = move || read(&conn.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(task).await.unwrap_or(Err(StoreError::Unavailable))
    }
}

thread_local! {
    /// The weak pointer keeps the allocation, so its address names one store for as long as it stands here.
    static MINE: RefCell<Vec<(Weak<PathBuf>, Connection)>> = const { RefCell::new(Vec::new()) };
}
