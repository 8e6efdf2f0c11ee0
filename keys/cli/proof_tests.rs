//! What a note is worth by the term of the key that signed it.

use strongroom_keys::Key;
use strongroom_keys::lineage::Lineage;
use strongroom_keys::sign::Signer;

use super::*;

fn signer() -> Signer {
    Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap()
}

fn shredding(at_ms: u64) -> Shredding {
    Shredding { tenant: "acme".parse().unwrap(), keys: 4, at_ms }
}

/// Three keys, which handed over in the minutes 10 and 20.
fn three() -> ([Signer; 3], Followed) {
    let signers = [signer(), signer(), signer()];
    let steps: Vec<Handover> = (1..3u32)
        .map(|n| Handover {
            term: n + 1,
            key: signers[n as usize].public_key().clone(),
            from_entry: u64::from(n) * 10,
            at_ms: u64::from(n) * 10 * MINUTE,
        })
        .collect();
    let first = Lineage::of(signers[0].public_key().clone());
    let keys = steps.iter().fold(first, |keys, step| keys.with(step.key.clone(), step.from_entry).unwrap());
    (signers, Followed { keys, steps, told: true })
}

#[test]
fn a_note_says_its_term_and_since_when_that_key_is_retired() {
    let (signers, followed) = three();
    let by = |n: usize, minute: u64| judge(&shredding(minute * MINUTE).sign(&signers[n]), &followed);
    let said = by(0, 5).unwrap();
    assert_eq!((said.term, said.retired_at.as_deref()), (Some(1), Some("1970-01-01T00:10:00.000Z")));
    let sentence =
        "signed by a key that retired on 1970-01-01T00:10:00.000Z: rely on it only if you have had it since before";
    assert_eq!(said.caution.as_deref(), Some(sentence));
    assert_eq!(by(1, 15).unwrap().term, Some(2));
    let newest = by(2, 500).unwrap();
    assert_eq!((newest.term, newest.retired_at, newest.caution), (Some(3), None, None));
}

#[test]
fn what_a_retired_key_signed_after_it_retired_is_refused() {
    let (signers, followed) = three();
    let by = |n: usize, at_ms: u64| judge(&shredding(at_ms).sign(&signers[n]), &followed);
    assert!(by(0, 10 * MINUTE).is_ok());
    // The moment between the two keys is still the old one's.
    assert!(by(0, 10 * MINUTE + HANDING_OVER_MS).is_ok());
    let why = by(0, 10 * MINUTE + HANDING_OVER_MS + 1).err().unwrap().lines().join(" ");
    assert!(why.contains("a retired key signs nothing"), "{why}");
    assert!(by(0, u64::MAX).is_err() && by(1, 25 * MINUTE).is_err());
    // A term may sign later than the one before it, and no stranger at any time.
    assert!(by(1, 19 * MINUTE).is_ok());
    assert!(judge(&shredding(MINUTE).sign(&signer()), &followed).is_err());
}

#[test]
fn a_second_handover_of_a_retired_key_is_refused() {
    let (signers, followed) = three();
    let right = &followed.steps[0];
    assert_eq!(judge(&right.sign(&signers[0]), &followed).unwrap().term, Some(1));
    let forged = Handover { key: signer().public_key().clone(), ..right.clone() };
    let why = judge(&forged.sign(&signers[0]), &followed).err().unwrap().lines().join(" ");
    assert!(why.contains("leads to another key"), "{why}");
}

#[test]
fn without_handovers_what_is_not_known_is_said() {
    let (signers, followed) = three();
    let note = shredding(99 * MINUTE).sign(&signers[0]);
    let all = Followed { keys: followed.keys, steps: Vec::new(), told: false };
    let said = judge(&note, &all).unwrap();
    assert_eq!((said.term, said.retired_at), (Some(1), None));
    assert!(said.caution.unwrap().contains("retired at entry 10 of the log"));
    let one = |told| Followed { keys: Lineage::of(signers[0].public_key().clone()), steps: Vec::new(), told };
    assert_eq!(judge(&note, &one(true)).unwrap().caution, None);
    let said = judge(&note, &one(false)).unwrap();
    assert_eq!(said.term, None);
    assert!(said.caution.unwrap().contains("whether that key has retired since is not known here"));
}

const MINUTE: u64 = 60_000;
