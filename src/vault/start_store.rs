//! Opens the store that the configuration names. A file that was moved into a database is no store any more, and says which is.

use std::path::Path;
use std::sync::Arc;

use super::StartError;
use crate::config::{MoveTo, StoreAt, StorePlace};
use crate::flow::migrate;
use crate::store::moving::{Source, Target};
use crate::store::sqlite::find_moved;
use crate::store::{PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, Store, StoreError};

/// The store, and what is needed to move it, where it can be moved.
pub(super) async fn open(at: &StoreAt, vault_id: &str) -> Result<(Arc<dyn Store>, Option<migrate::Plan>), StartError> {
    Ok(match at.place()? {
        StorePlace::File(path) => {
            let options = SqliteOptions { path: path.to_owned(), vault: vault_id.to_owned(), bytes_max: at.bytes_max };
            let store = match SqliteStore::open(&options) {
                Ok(store) => {
                    if let Some(bytes) = at.log_bytes_max {
                        store.bound_log(bytes);
                    }
                    Arc::new(store)
                }
                Err(StoreError::Moved) => return Err(moved(path, at.move_to.as_ref(), vault_id).await),
                Err(other) => return Err(other.into()),
            };
            let aim = at.move_to.clone().map(|to| aim(to, vault_id.to_owned()));
            let source = Source::new(Arc::clone(&store));
            (store, Some(migrate::Plan { source, aim }))
        }
        StorePlace::Database(url) => {
            (Arc::new(PostgresStore::open(PostgresOptions::new(&url, vault_id)?).await?), None)
        }
    })
}

fn aim(to: MoveTo, vault_id: String) -> migrate::Aim {
    let words = words(&to);
    migrate::Aim { words, options: Box::new(move || PostgresOptions::new(&to.url(), &vault_id)) }
}

/// Server and database; the rest of the URL is nobody's business.
fn words(to: &MoveTo) -> String {
    let after = to.postgres.split_once("://").map_or(to.postgres.as_str(), |(_, rest)| rest);
    let place = after.split_once('@').map_or(after, |(_, place)| place);
    place.split('?').next().unwrap_or_default().to_owned()
}

/// What a start on a file says that was moved. If the process that moved it did not come to tell the database, it is told now.
async fn moved(path: &Path, to: Option<&MoveTo>, vault_id: &str) -> StartError {
    let (file, moved) = match find_moved(path) {
        Ok(found) => found,
        Err(error) => return error.into(),
    };
    let said = |more| StartError::Moved { target: moved.target.clone(), more };
    if moved.is_released {
        return said("");
    }
    let Some(to) = to else {
        return said(
            ". Before that start it once more with the [store.move_to] of before: the database was not told yet that it is whole",
        );
    };
    let released = async {
        let options = PostgresOptions::new(&to.url(), vault_id).map_err(|bad| bad.to_string())?;
        let target = Target::open(options).await.map_err(|error| error.to_string())?;
        target.release(moved.run).await.map_err(|error| error.to_string())?;
        file.mark_released().map_err(|error| error.to_string())
    };
    match released.await {
        Ok(()) => said(""),
        Err(why) => StartError::Release(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_without_its_user() {
        for (url, said) in [
            ("postgresql://vault@db1.internal,db2.internal:6432/vault", "db1.internal,db2.internal:6432/vault"),
            ("postgres://vault@%2Frun%2Fpostgresql/vault?connect_timeout=3", "%2Frun%2Fpostgresql/vault"),
        ] {
            let to = MoveTo {
                postgres: url.to_owned(),
                postgres_ca: None,
                postgres_password_file: None,
                require_synchronous_standby: false,
            };
            assert_eq!(words(&to), said);
        }
    }
}
