//! A Warrant to read a secret does not open a card's fields with it.

use strongroom_keys::Envelope;
use strongroom_vault::{audit::Warrant, barrier::Barrier, card::FieldsBody, policy::RevealSecret};

fn open(barrier: &Barrier, warrant: Warrant<RevealSecret>, envelope: &Envelope, fields: FieldsBody) {
    let _ = barrier.open_fields(warrant, envelope, fields, 0);
}

fn main() {}
