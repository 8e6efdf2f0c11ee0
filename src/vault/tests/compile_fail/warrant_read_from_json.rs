//! A Warrant cannot come from a request.

use strongroom_vault::audit::Warrant;
use strongroom_vault::policy::Reveal;

fn main() {
    let _: Result<Warrant<Reveal>, _> = serde_json::from_str("{}");
}
