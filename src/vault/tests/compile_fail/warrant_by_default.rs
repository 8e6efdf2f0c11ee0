//! There is no Warrant by default.

use strongroom_vault::audit::Warrant;
use strongroom_vault::policy::Reveal;

fn main() {
    let _: Warrant<Reveal> = Default::default();
}
