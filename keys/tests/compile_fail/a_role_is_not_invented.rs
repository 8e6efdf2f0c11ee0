use strongroom_keys::Role;

enum Mine {}

impl Role for Mine {
    const NAME: &'static str = "mine";
}

fn main() {}
