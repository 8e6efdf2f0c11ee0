//! Neither a card number nor a CVC has a text of its own.

use strongroom_vault::card::{Cvc, Pan};

fn print(pan: &Pan, cvc: &Cvc) -> String {
    format!("{pan:?} {cvc}")
}

fn main() {}
