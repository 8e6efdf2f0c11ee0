use strongroom_keys::{Key, RootRole};

fn main() {
    let key = Key::<RootRole>::generate().unwrap();
    let _copy = Clone::clone(&key) as Key<RootRole>;
}
