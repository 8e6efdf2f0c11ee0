use strongroom_keys::Share;

fn spread(share: &Share) -> Share {
    println!("{share:?}");
    Clone::clone(share)
}

fn main() {
    let _ = spread;
}
