use strongroom_keys::{Cipher, Key, Root, RootRole};
use strongroom_wire::admin::RootKind;

fn main() {
    let key = Key::<RootRole>::generate().unwrap();
    let _root = Root { kind: RootKind::Dev, cipher: Cipher::new(&key) };
}
