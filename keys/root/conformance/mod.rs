//! The laws that every Root keeps, wherever it lives. Each home runs all of them.

#[cfg(feature = "pkcs11")]
mod hsm;
#[cfg(feature = "kms")]
mod kms;
#[cfg(any(feature = "pkcs11", feature = "kms"))]
mod parts;

use strongroom_wire::admin::RootKind;

use super::{Root, RootError, dev, found};
use crate::context::{Context, Purpose};
use crate::key::{Kek, Key, Mac, Role, SignRole};
use crate::share::Share;
use crate::{Assembly, root::Step};

/// Two Roots of one kind that belong to different vaults.
struct Pair {
    one: Root,
    other: Root,
}

fn place<'a, R: Role>(tenant: &'a str, record: &'a [u8]) -> Context<'a> {
    Context { tenant, record, purpose: Purpose::Key(R::NAME) }
}

async fn every_law(pair: &Pair) {
    a_key_comes_back_for_its_place_and_term_alone(&pair.one).await;
    tampered_bytes_are_refused(&pair.one).await;
    a_foreign_root_is_refused(pair).await;
    the_check_opens(pair).await;
    two_wraps_of_one_key_differ(&pair.one).await;
    many_at_a_time(&pair.one, 100).await;
}

async fn a_key_comes_back_for_its_place_and_term_alone(root: &Root) {
    let kek = Key::<Kek>::generate().unwrap();
    let at = place::<Kek>("acme", b"kek");
    let wrapped = root.wrap(&at, 1, &kek).await.unwrap();
    assert!(wrapped.len() <= strongroom_wire::limits::WRAPPED_KEY_BYTES_MAX);
    let back: Key<Kek> = root.unwrap_key(&at, 1, &wrapped).await.unwrap();
    assert!(back.bytes() == kek.bytes());
    let elsewhere = [
        (place::<Kek>("acme", b"kek"), 2),
        (place::<Kek>("acme", b"kek"), 0),
        (place::<Kek>("other", b"kek"), 1),
        (place::<Kek>("", b"kek"), 1),
        (place::<Kek>("acme", b"kex"), 1),
        (place::<Kek>("acmek", b"ek"), 1),
        (place::<SignRole>("acme", b"kek"), 1),
        (place::<Mac>("acme", b"fingerprint"), 1),
    ];
    for (context, term) in elsewhere {
        let opened = root.unwrap_key::<Kek>(&context, term, &wrapped).await;
        assert_eq!(opened.err(), Some(RootError::Unauthentic), "{context:?} {term}");
    }
    // The vault's own keys belong to no tenant, which is bound as well.
    let own = root.wrap(&place::<SignRole>("", b"sign"), 1, &Key::<SignRole>::generate().unwrap()).await.unwrap();
    assert!(root.unwrap_key::<SignRole>(&place::<SignRole>("", b"sign"), 1, &own).await.is_ok());
    assert!(root.unwrap_key::<SignRole>(&place::<SignRole>("acme", b"sign"), 1, &own).await.is_err());
}

async fn tampered_bytes_are_refused(root: &Root) {
    let at = place::<Kek>("acme", b"kek");
    let wrapped = root.wrap(&at, 1, &Key::<Kek>::generate().unwrap()).await.unwrap();
    let every = wrapped.len() / 40 + 1;
    for nth in (0..wrapped.len()).step_by(every).chain([0, 1, 2, wrapped.len() - 1]) {
        let mut changed = wrapped.clone();
        changed[nth] ^= 1;
        let opened = root.unwrap_key::<Kek>(&at, 1, &changed).await;
        assert_eq!(opened.err(), Some(RootError::Unauthentic), "byte {nth} of {}", wrapped.len());
    }
    for length in [0, 1, 2, 3, 14, 30, wrapped.len() - 1] {
        let opened = root.unwrap_key::<Kek>(&at, 1, &wrapped[..length]).await;
        assert_eq!(opened.err(), Some(RootError::Unauthentic), "{length} bytes");
    }
    let longer = [&wrapped[..], &[0]].concat();
    assert_eq!(root.unwrap_key::<Kek>(&at, 1, &longer).await.err(), Some(RootError::Unauthentic));
    assert!(root.unwrap_key::<Kek>(&at, 1, &wrapped).await.is_ok());
}

async fn a_foreign_root_is_refused(Pair { one, other }: &Pair) {
    let at = place::<Kek>("acme", b"kek");
    let wrapped = one.wrap(&at, 1, &Key::<Kek>::generate().unwrap()).await.unwrap();
    assert_eq!(other.unwrap_key::<Kek>(&at, 1, &wrapped).await.err(), Some(RootError::Unauthentic));
    let crossed = Root { descriptor: other.descriptor.clone(), home: one.home.clone() };
    assert_eq!(crossed.probe().await, Err(RootError::WrongKey));
}

async fn the_check_opens(Pair { one, other }: &Pair) {
    assert_eq!((one.probe().await, other.probe().await), (Ok(()), Ok(())));
    assert_ne!(one.descriptor().vault_id(), other.descriptor().vault_id());
}

async fn two_wraps_of_one_key_differ(root: &Root) {
    let (at, kek) = (place::<Kek>("acme", b"kek"), Key::<Kek>::generate().unwrap());
    assert_ne!(root.wrap(&at, 1, &kek).await.unwrap(), root.wrap(&at, 1, &kek).await.unwrap());
}

/// One wrap, one unwrap, one probe.
async fn used_everywhere(root: &Root) {
    let (at, kek) = (place::<Kek>("acme", b"kek"), Key::<Kek>::generate().unwrap());
    let wrapped = root.wrap(&at, 1, &kek).await.unwrap();
    let back: Key<Kek> = root.unwrap_key(&at, 1, &wrapped).await.unwrap();
    assert!(back.bytes() == kek.bytes());
    assert_eq!(root.probe().await, Ok(()));
}

/// Each key comes back as itself, whatever runs beside it.
async fn many_at_a_time(root: &Root, keys: u32) {
    let one = async |nth: u32| {
        let (tenant, kek) = (format!("t{nth}"), Key::<Kek>::generate().unwrap());
        let wrapped = root.wrap(&place::<Kek>(&tenant, b"kek"), nth, &kek).await.unwrap();
        let back: Key<Kek> = root.unwrap_key(&place::<Kek>(&tenant, b"kek"), nth, &wrapped).await.unwrap();
        assert!(back.bytes() == kek.bytes(), "{nth}");
    };
    // Sixteen at a time, each a chain of its own.
    let one = &one;
    let chains: [_; 16] = std::array::from_fn(|chain| async move {
        for nth in (0..keys).filter(|nth| *nth as usize % 16 == chain) {
            one(nth).await;
        }
    });
    join(chains).await;
}

async fn join<const N: usize>(chains: [impl Future<Output = ()>; N]) {
    let mut chains = chains.map(|chain| Some(Box::pin(chain)));
    std::future::poll_fn(|context| {
        for place in &mut chains {
            if place.as_mut().is_some_and(|chain| chain.as_mut().poll(context).is_ready()) {
                *place = None;
            }
        }
        if chains.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

fn assembled() -> Root {
    let (descriptor, shares) = found(5, 3).unwrap();
    let mut assembly = Assembly::new(descriptor);
    let people = ["ada", "ben", "cleo"];
    let given = |(share, person): (Share, &&str)| assembly.give(share, person, 1).unwrap();
    match shares.into_iter().zip(&people).map(given).last() {
        Some(Step::Complete(root)) => root,
        _ => panic!("three of five did not open it"),
    }
}

fn of_a_file() -> Root {
    let (text, descriptor) = dev::make().unwrap();
    dev::parse(text.as_bytes(), &descriptor).unwrap()
}

#[tokio::test]
async fn the_root_of_custodians_keeps_every_law() {
    let pair = Pair { one: assembled(), other: assembled() };
    assert_eq!(pair.one.kind(), RootKind::Custodians);
    every_law(&pair).await;
}

#[tokio::test]
async fn the_development_root_keeps_every_law() {
    let pair = Pair { one: of_a_file(), other: of_a_file() };
    assert_eq!(pair.one.kind(), RootKind::Dev);
    every_law(&pair).await;
}
