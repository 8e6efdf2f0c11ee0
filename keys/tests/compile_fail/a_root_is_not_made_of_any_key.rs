use strongroom_keys::root::dev;
use strongroom_keys::{Key, Root, RootRole};

fn main() {
    let (_, descriptor) = dev::make().unwrap();
    let _root = Root::check(&Key::<RootRole>::generate().unwrap(), &descriptor);
}
