use strongroom_keys::Share;

fn leak(share: &Share) -> String {
    serde_json::to_string(share).unwrap()
}

fn main() {
    let _ = leak;
}
