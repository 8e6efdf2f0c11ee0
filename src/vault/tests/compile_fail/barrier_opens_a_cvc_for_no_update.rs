//! A Warrant to change a card does not use its CVC up.

use strongroom_vault::audit::Warrant;
use strongroom_vault::barrier::Barrier;
use strongroom_vault::policy::Update;

fn open(barrier: &Barrier, warrant: &Warrant<Update>) {
    let _ = barrier.open_cvc(warrant, "cvc_");
}

fn main() {}
