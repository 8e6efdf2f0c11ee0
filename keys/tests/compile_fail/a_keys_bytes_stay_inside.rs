use strongroom_keys::{Key, RootRole};

fn main() {
    let key = Key::<RootRole>::generate().unwrap();
    let _bytes: &[u8; 32] = key.bytes();
}
