//! Counts and digests of rows that do not depend on the order in which they are read, so that each side reads in its own.
//!
//! A row's digest is SHA-512 over its table and its cells; the digests of a tenant's rows of a table are added up, eight numbers
//! of 64 bits each for itself. It shows what a fault of the copy did. It is no proof against somebody who can write to one of the
//! stores: against them stand the MACs and envelopes in the rows.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256, Sha512};

use super::tables::{Cell, Record, TABLES};

/// How many rows there are, and what they are, by table and tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    sums: BTreeMap<(usize, i64), Sum>,
    /// Envelopes that are not of the form of now.
    strange: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    lanes: [u64; 8],
}

/// Where two tallies are not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// The tenant's number; 0 for rows of none.
    pub tenant: i64,
    /// Rows in the one and in the other.
    pub counts: (u64, u64),
}

impl Tally {
    /// Adds a row.
    pub fn add(&mut self, table: usize, record: &Record) {
        self.strange += strange(table, record);
        let sum = self.sums.entry((table, TABLES[table].tenant_of(record))).or_default();
        sum.count += 1;
        sum.lanes.iter_mut().zip(digest(table, record)).for_each(|(lane, part)| *lane = lane.wrapping_add(part));
    }

    /// Takes a row away that was added.
    pub fn take(&mut self, table: usize, record: &Record) {
        self.strange = self.strange.saturating_sub(strange(table, record));
        let which = (table, TABLES[table].tenant_of(record));
        let sum = self.sums.entry(which).or_default();
        sum.count = sum.count.wrapping_sub(1);
        sum.lanes.iter_mut().zip(digest(table, record)).for_each(|(lane, part)| *lane = lane.wrapping_sub(part));
        if *sum == Sum::default() {
            self.sums.remove(&which);
        }
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.sums.values().map(|sum| sum.count).sum()
    }

    /// In how many tables there are rows.
    #[cfg(test)]
    pub(super) fn tables(&self) -> usize {
        self.sums.keys().map(|(table, _)| table).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Envelopes that are not of the form of now.
    #[must_use]
    pub fn strange(&self) -> u64 {
        self.strange
    }

    /// One digest over everything.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for ((table, tenant), sum) in &self.sums {
            let name = TABLES[*table].name;
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name);
            hash.update(tenant.to_be_bytes());
            hash.update(sum.count.to_be_bytes());
            sum.lanes.iter().for_each(|lane| hash.update(lane.to_be_bytes()));
        }
        hash.finalize().into()
    }

    /// The first place where the other is not the same.
    #[must_use]
    pub fn differs(&self, other: &Self) -> Option<Difference> {
        let places = self.sums.keys().chain(other.sums.keys());
        let place = places.copied().find(|place| self.sums.get(place) != other.sums.get(place))?;
        let count = |of: &Self| of.sums.get(&place).map_or(0, |sum| sum.count);
        Some(Difference { table: TABLES[place.0].name, tenant: place.1, counts: (count(self), count(other)) })
    }
}

fn strange(table: usize, record: &Record) -> u64 {
    let is_strange =
        |place: &&usize| matches!(&record[**place], Cell::Bytes(bytes) if bytes.first() != Some(&ENVELOPE));
    TABLES[table].envelopes.iter().filter(is_strange).count() as u64
}

fn digest(table: usize, record: &Record) -> [u64; 8] {
    let mut hash = Sha512::new();
    let mut text = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    text(TABLES[table].name.as_bytes());
    for cell in record {
        match cell {
            Cell::Null => text(b"0"),
            Cell::Int(number) => text([b"1".as_slice(), &number.to_be_bytes()].concat().as_slice()),
            Cell::Text(words) => {
                text(b"2");
                text(words.as_bytes());
            }
            Cell::Bytes(bytes) => {
                text(b"3");
                text(bytes);
            }
        }
    }
    let bytes: [u8; 64] = hash.finalize().into();
    let (parts, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|lane| u64::from_be_bytes(parts[lane]))
}

/// The first byte of an envelope of the form of now; `keys/envelope.rs` has it, and a test of the vault holds both together.
pub(crate) const ENVELOPE: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(name: &str, value: &[u8]) -> Record {
        vec![Cell::Text(name.to_owned()), Cell::Bytes(value.to_vec()), Cell::Text(String::new())]
    }

    fn of(rows: &[Record]) -> Tally {
        let place = TABLES.iter().position(|table| table.name == "kept").unwrap();
        let mut tally = Tally::default();
        rows.iter().for_each(|row| tally.add(place, row));
        tally
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_every_bit_does() {
        let (a, b) = (kept("a", b"1"), kept("b", b"2"));
        let both = of(&[a.clone(), b.clone()]);
        assert_eq!(both, of(&[b.clone(), a.clone()]));
        for other in
            [vec![a.clone()], vec![a.clone(), kept("b", b"3")], vec![a.clone(), kept("b2", b"")], vec![a.clone(); 2]]
        {
            let other = of(&other);
            assert_ne!(both.digest(), other.digest());
            assert_eq!(both.differs(&other).map(|found| (found.table, found.tenant)), Some(("kept", 0)));
        }
        assert_eq!(both.differs(&both.clone()), None);
    }

    #[test]
    fn what_was_added_and_taken_away_leaves_no_trace() {
        let place = TABLES.iter().position(|table| table.name == "kept").unwrap();
        let mut tally = of(&[kept("a", b"1"), kept("b", b"2")]);
        tally.take(place, &kept("b", b"2"));
        assert_eq!(tally, of(&[kept("a", b"1")]));
        tally.take(place, &kept("a", b"1"));
        assert_eq!((tally.clone(), tally.rows()), (Tally::default(), 0));
    }

    #[test]
    fn a_tenant_in_the_place_of_another_is_found() {
        let place = TABLES.iter().position(|table| table.name == "tenants").unwrap();
        let row = |id| vec![Cell::Int(id), Cell::Text("acme".to_owned()), Cell::Int(5), Cell::Int(0)];
        let (mut one, mut other) = (Tally::default(), Tally::default());
        one.add(place, &row(1));
        other.add(place, &row(2));
        assert_eq!(one.differs(&other), Some(Difference { table: "tenants", tenant: 1, counts: (1, 0) }));
    }

    #[test]
    fn an_envelope_of_another_form_is_counted() {
        let place = TABLES.iter().position(|table| table.name == "secrets").unwrap();
        let row = |first| {
            let bytes = |length| Cell::Bytes(vec![1; length]);
            let envelope = Cell::Bytes([[first].as_slice(), &[0; 90]].concat());
            vec![bytes(16), Cell::Int(1), Cell::Int(1), Cell::Int(9), bytes(16), Cell::Text("psp".to_owned()), envelope]
        };
        let mut tally = Tally::default();
        tally.add(place, &row(ENVELOPE));
        assert_eq!(tally.strange(), 0);
        tally.add(place, &row(ENVELOPE + 1));
        assert_eq!(tally.strange(), 1);
    }
}
