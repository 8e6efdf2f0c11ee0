//! A card number has no copy.

use strongroom_vault::card::Pan;

fn copy(pan: &Pan) -> Pan {
    <Pan as Clone>::clone(pan)
}

fn main() {}
