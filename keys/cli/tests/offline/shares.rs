//! `vaultctl shares`.

use strongroom_keys::root::{self, Assembly, Step};
use strongroom_keys::share::{Passphrase, SealedShare, Share};

use super::{Room, passphrases};

/// Ada, Cleo and Eve come; Fay, Gus and Hal get shares.
fn redeal(brought: &[u8], more: &str) -> String {
    let shares: String = brought.iter().map(|n| format!(" --share old/share-{n}.json")).collect();
    let words = passphrases("--share-passphrase-file", brought.iter().copied());
    let new = passphrases("--passphrase-file", 4..=6);
    format!(
        "shares redeal --root old/root.json{shares}{words} --shares 3 --threshold 2 --out new --open-milliseconds 0{new} {more}"
    )
}

fn open(room: &Room, file: &str, n: u8) -> Share {
    let words = format!("the passphrase of custodian {n}");
    let sealed = SealedShare::parse(&std::fs::read(room.path(file)).unwrap()).unwrap();
    sealed.open(&Passphrase::new(words.into()).unwrap()).unwrap()
}

#[test]
fn three_of_five_deal_the_same_root_among_three_others() {
    let room = Room::founded();
    let said = room.done(&redeal(&[1, 3, 5], "--custodian Fay --custodian Gus --custodian Hal"));
    assert!(said.contains("the same Root, dealt anew"), "{said}");
    let (old, new) = (room.descriptor("old/root.json"), room.descriptor("new/root.json"));
    assert_eq!((new.vault_id(), new.shares(), new.threshold()), (old.vault_id(), 3, 2));
    let mut assembly = Assembly::new(new.clone());
    let first = assembly.give(open(&room, "new/share-1.json", 4), "fay", 1);
    assert!(matches!(first, Ok(Step::Waiting { given: 1 })));
    assert!(matches!(assembly.give(open(&room, "new/share-3.json", 6), "hal", 1), Ok(Step::Complete(_))));
    // Old shares are nothing to the new root.json.
    let (one, two) = (open(&room, "old/share-1.json", 1), open(&room, "old/share-2.json", 2));
    assert!(root::prove(&new, &[&one, &two]).is_err());
}

#[test]
fn too_few_wrong_or_repeated_shares_deal_nothing() {
    let room = Room::founded();
    let few = room.refused(&redeal(&[1, 3], ""));
    assert!(few.contains("2 of the 3 shares that are needed are here"), "{few}");
    let twice = room.refused(&redeal(&[1, 3, 3], ""));
    assert!(twice.contains("handed in already"), "{twice}");
    let other = Room::founded();
    std::fs::copy(other.path("old/share-3.json"), room.path("old/share-3.json")).unwrap();
    let foreign = room.refused(&redeal(&[1, 3, 5], ""));
    assert!(foreign.contains("another vault"), "{foreign}");
    let closed =
        room.refused(&redeal(&[1, 2, 5], "").replacen("--share-passphrase-file p2", "--share-passphrase-file p6", 1));
    assert!(closed.contains("the passphrase is wrong"), "{closed}");
    assert!(!room.path("new").exists());
}

#[test]
fn nothing_is_written_over_and_no_unsound_division_is_dealt() {
    let room = Room::founded();
    let over = room.refused(&redeal(&[1, 3, 5], "").replace("--out new", "--out old"));
    assert!(over.contains("exists already"), "{over}");
    for (from, to) in
        [("--threshold 2", "--threshold 1"), ("--threshold 2", "--threshold 4"), ("--shares 3", "--shares 2")]
    {
        let unsound = room.refused(&redeal(&[1, 3, 5], "").replace(from, to));
        assert!(unsound.contains("3.6.1.2"), "{unsound}");
    }
    assert!(!room.path("new").exists());
}

#[test]
fn a_root_for_a_vault_that_has_one_keeps_its_id_alone() {
    let room = Room::founded();
    let words = passphrases("--passphrase-file", 1..=3);
    room.done(&format!("init --for old/root.json --shares 3 --threshold 2 --out next --open-milliseconds 0{words}"));
    room.done("init --for old/root.json --dev --out dev");
    let (old, next, dev) =
        (room.descriptor("old/root.json"), room.descriptor("next/root.json"), room.descriptor("dev/root.json"));
    assert!(old.vault_id() == next.vault_id() && old.vault_id() == dev.vault_id());
    let brought = [open(&room, "old/share-1.json", 1), open(&room, "old/share-2.json", 2)];
    assert!(root::prove(&next, &[&brought[0], &brought[1]]).is_err());
}

#[test]
fn a_custodian_checks_their_own_share_alone() {
    let room = Room::founded();
    let said = room.done("shares verify --root old/root.json --share old/share-2.json --passphrase-file p2");
    assert!(said.starts_with("share 2 of Ben opens and belongs to vault"), "{said}");
    let wrong = room.refused("shares verify --root old/root.json --share old/share-2.json --passphrase-file p3");
    assert!(wrong.contains("the passphrase is wrong"), "{wrong}");
    room.done(&redeal(&[1, 3, 5], ""));
    let old = room.refused("shares verify --root new/root.json --share old/share-2.json --passphrase-file p2");
    assert!(old.contains("another division of the Root"), "{old}");
    let foreign = Room::founded();
    std::fs::copy(foreign.path("old/root.json"), room.path("foreign.json")).unwrap();
    let foreign = room.refused("shares verify --root foreign.json --share old/share-2.json --passphrase-file p2");
    assert!(foreign.contains("another vault"), "{foreign}");
}

#[test]
fn a_passphrase_is_changed_and_the_old_one_opens_no_more() {
    let room = Room::founded();
    let change = |from: u8, to: u8| {
        format!(
            "shares passphrase --share old/share-2.json --passphrase-file p{from} --new-passphrase-file p{to} --open-milliseconds 0"
        )
    };
    let before = std::fs::read(room.path("old/share-2.json")).unwrap();
    room.refused(&change(3, 6));
    let same = room.refused(&change(2, 2));
    assert!(same.contains("the new passphrase is the old one"), "{same}");
    assert_eq!(std::fs::read(room.path("old/share-2.json")).unwrap(), before);
    room.done(&change(2, 6));
    room.refused("shares verify --root old/root.json --share old/share-2.json --passphrase-file p2");
    room.done("shares verify --root old/root.json --share old/share-2.json --passphrase-file p6");
    assert!(!room.path("old/share-2.json.changed").exists());
}
