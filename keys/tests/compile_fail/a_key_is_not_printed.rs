use strongroom_keys::{Key, RootRole};

fn main() {
    let key = Key::<RootRole>::generate().unwrap();
    println!("{key:?}");
}
