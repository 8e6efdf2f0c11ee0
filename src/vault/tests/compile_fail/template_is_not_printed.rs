//! A request to forward holds credentials and cannot be printed.

use strongroom_wire::forward::ForwardRequest;

fn show(request: &ForwardRequest) -> String {
    format!("{request:?}")
}

fn main() {
    let _ = show;
}
