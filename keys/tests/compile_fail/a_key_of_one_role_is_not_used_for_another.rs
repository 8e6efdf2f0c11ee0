use strongroom_keys::{Cipher, Dek, Kek, Key};

fn main() {
    let dek = Key::<Dek>::generate().unwrap();
    let _kek: Cipher<Kek> = Cipher::new(&dek);
}
