//! What the PSP did with money, as tests compare it.

use strongroom_tests::harness::World;

/// `(kind, amount)` of every movement of one payment, oldest first.
pub(crate) async fn moved(world: &World, payment_id: &str) -> Vec<(String, i64)> {
    let lines = world.psp().unwrap().ledger_of(payment_id).await.unwrap();
    lines.into_iter().map(|line| (line.kind, line.amount)).collect()
}

/// The same, written down.
pub(crate) fn moves(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(kind, amount)| ((*kind).to_owned(), *amount)).collect()
}
