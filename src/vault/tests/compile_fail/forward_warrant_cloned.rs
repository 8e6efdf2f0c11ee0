//! A Warrant to forward is good for one request.

use strongroom_vault::audit::Warrant;
use strongroom_vault::policy::Forward;

fn twice(warrant: &Warrant<Forward>) -> Warrant<Forward> {
    warrant.clone()
}

fn main() {
    let _ = twice;
}
