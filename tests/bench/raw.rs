//! What the vault's parts could do at most: the same rows put into the same store with nothing around it, and the cipher
//! alone.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::report::{Report, Row};
use super::run::Stage;
use crate::harness::{Fault, Result, because};

/// Adds the rates of raw inserts, and holds tokenize against them. The stage's vault was stopped in order.
///
/// # Errors
/// When the store cannot be read or written.
pub(super) fn measure(stage: &Stage, report: &mut Report, tell: &mut impl FnMut(&str)) -> Result<()> {
    let copy = stage.world.path().join("raw.db");
    for group in [64_usize, 256] {
        tell(&format!("raw inserts of the same rows in groups of {group}"));
        fs::copy(stage.world.vault.store_file(), &copy).map_err(because(copy.display()))?;
        let rate = inserts(&copy, group)?;
        report.rows.push(Row::alone(format!("raw inserts of the same rows in groups of {group}"), rate, "1/s", None));
        if let Some(value) = report.value(&format!("tokenize, {group} connections")) {
            let name = format!("tokenize, {group} connections, beside raw inserts in groups of {group}");
            report.rows.push(Row::compared(name, value, "1/s", rate));
        }
    }
    Ok(())
}

/// The rate at which a card's three messages are sealed by AES-256-GCM (another library than the vault's) and nothing else,
/// on one core.
///
/// # Errors
/// When the library refuses a key.
pub(super) fn cipher(quick: bool, report: &mut Report, tell: &mut impl FnMut(&str)) -> Result<()> {
    tell("AES-256-GCM alone");
    let lasting = Duration::from_secs(if quick { 1 } else { 3 });
    let key = |byte: u8| {
        let key = UnboundKey::new(&AES_256_GCM, &[byte; 32]).map_err(|_| Fault::new("AES-256-GCM takes no key"))?;
        Ok::<_, Fault>(LessSafeKey::new(key))
    };
    let kek = key(1)?;
    let (mut sealed, began) = (0u64, Instant::now());
    while began.elapsed() < lasting {
        for turn in 0..1024_u64 {
            let mut nonce = [0; 12];
            nonce[..8].copy_from_slice(&(sealed + turn).to_be_bytes());
            let dek = key((turn & 0xff) as u8)?;
            // The Dek under the Kek, then what may be shown, then the record.
            for (with, nonce, length) in [(&kek, nonce, 32_usize), (&dek, [0; 12], 16), (&dek, [1; 12], 24)] {
                let mut message = [0x5a; 32];
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = with.seal_in_place_separate_tag(nonce, Aad::from(&[0; 64]), &mut message[..length]);
                let tag = tag.map_err(|_| Fault::new("AES-256-GCM seals nothing"))?;
                std::hint::black_box((tag.as_ref()[0], message[0]));
            }
        }
        sealed += 1024;
    }
    let rate = sealed as f64 / began.elapsed().as_secs_f64();
    report.rows.push(Row::alone("cards sealed by AES-256-GCM alone, one core".to_owned(), rate, "1/s", None));
    if let Some(value) = report.value("tokenize, 64 connections") {
        let name = "tokenize, 64 connections, beside AES-256-GCM alone".to_owned();
        report.rows.push(Row::compared(name, value, "1/s", rate));
    }
    Ok(())
}

/// Takes up to [`ROWS`] rows out of the store and puts them in again, in their order, with the store's own settings.
fn inserts(store: &Path, group: usize) -> Result<f64> {
    let fault = |error: rusqlite::Error| Fault::new(format!("{}: {error}", store.display()));
    let mut open = settled(store)?;
    let rows: Vec<Vec<Value>> = {
        let mut select = open.prepare("SELECT * FROM cards ORDER BY id DESC LIMIT ?1").map_err(fault)?;
        let columns = select.column_count();
        let rows = select.query_map([ROWS], |row| (0..columns).map(|column| row.get(column)).collect());
        rows.map_err(fault)?.collect::<rusqlite::Result<_>>().map_err(fault)?
    };
    let places = vec!["?"; rows.first().map_or(0, Vec::len)].join(", ");
    open.execute("DELETE FROM cards WHERE id IN (SELECT id FROM cards ORDER BY id DESC LIMIT ?1)", [ROWS])
        .map_err(fault)?;
    open.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(fault)?;
    let ordered: Vec<&Vec<Value>> = rows.iter().rev().collect();
    let began = Instant::now();
    for rows in ordered.chunks(group) {
        let transaction = open.transaction().map_err(fault)?;
        {
            let sql = format!("INSERT INTO cards VALUES ({places})");
            let mut insert = transaction.prepare_cached(&sql).map_err(fault)?;
            for row in rows {
                insert.execute(params_from_iter(row.iter())).map_err(fault)?;
            }
        }
        transaction.commit().map_err(fault)?;
    }
    Ok(rows.len() as f64 / began.elapsed().as_secs_f64().max(0.001))
}

/// A store's file with the settings that the vault writes it with.
///
/// # Errors
/// When it cannot be opened.
pub(super) fn settled(store: &Path) -> Result<Connection> {
    let fault = |error: rusqlite::Error| Fault::new(format!("{}: {error}", store.display()));
    let open = Connection::open(store).map_err(fault)?;
    for (setting, value) in [("journal_mode", "WAL"), ("synchronous", "FULL"), ("secure_delete", "ON")] {
        open.pragma_update(None, setting, value).map_err(fault)?;
    }
    open.pragma_update(None, "wal_autocheckpoint", 10_000).map_err(fault)?;
    open.pragma_update(None, "cache_size", -65_536).map_err(fault)?;
    Ok(open)
}

impl Report {
    /// The figure of a row that is there already.
    pub(super) fn value(&self, name: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.name == name).map(|row| row.value)
    }
}

/// Rows that are taken out and put in again.
const ROWS: i64 = 50_000;
