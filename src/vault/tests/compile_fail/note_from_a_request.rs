//! What a client sent does not get into an audit entry as it is.

use strongroom_vault::policy::Note;

fn write_down(sent: String) -> Note {
    Note::none().and(&sent)
}

fn main() {
    let _ = write_down;
}
