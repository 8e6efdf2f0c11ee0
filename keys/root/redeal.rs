//! A Root that exists, in its custodians' hands for a moment: proved to be whole, or dealt anew among other people.

use super::{Descriptor, Root, ShareRefused, of_key};
use crate::key::{Key, NoRandomness, RootRole};
use crate::share::{self, Share, ShareError};

/// Why shares did not bring the Root back, or why it was not dealt anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedealError {
    /// One of the shares is not of this division, or they do not yield its Root.
    #[error(transparent)]
    Refused(#[from] ShareRefused),
    /// Fewer people came than are needed.
    #[error("{given} of the {needed} shares that are needed are here; more custodians have to come")]
    TooFew {
        /// Shares that are here.
        given: u8,
        /// Shares that are needed.
        needed: u8,
    },
    /// The new division is not sound, or there is no randomness.
    #[error(transparent)]
    Share(#[from] ShareError),
}

/// Whether these shares of one division, its threshold or more, bring its Root back. They may be more than are needed.
///
/// # Errors
/// [`RedealError`], each with what to do.
pub fn prove(descriptor: &Descriptor, shares: &[&Share]) -> Result<(), RedealError> {
    recover(descriptor, shares).map(drop)
}

/// Brings a Root back from shares of its division and deals the same Root among `shares` people, `threshold` of whom are
/// enough: another number, another threshold, other people, the same vault and the same Root. The new shares are proved
/// as in [`super::found`].
///
/// The shares of before still yield the Root to whoever gathers enough of them; they are to be destroyed. Where one is
/// lost or stolen, another Root is needed and not another division.
///
/// # Errors
/// [`RedealError`]; nothing was dealt.
pub fn redeal(
    descriptor: &Descriptor,
    brought: &[&Share],
    shares: u8,
    threshold: u8,
) -> Result<(Descriptor, Vec<Share>), RedealError> {
    let root = recover(descriptor, brought)?;
    let (next, dealt) = of_key(&root, descriptor.vault_id(), shares, threshold)?;
    // The same Root under both descriptors; anything else would be a vault that nobody opens again.
    let is_same = Root::check(&root, descriptor).is_ok() && Root::check(&root, &next).is_ok();
    if is_same { Ok((next, dealt)) } else { Err(ShareError::from(NoRandomness).into()) }
}

fn recover(descriptor: &Descriptor, shares: &[&Share]) -> Result<Key<RootRole>, RedealError> {
    if descriptor.shares() == 0 {
        return Err(ShareRefused::NoCustodians.into());
    }
    for (place, share) in shares.iter().enumerate() {
        if share.vault_id() != descriptor.vault_id() || !(1..=descriptor.shares()).contains(&share.index()) {
            return Err(ShareRefused::Foreign.into());
        }
        if !descriptor.commits_to(share) {
            return Err(ShareRefused::Wrong.into());
        }
        if shares[..place].iter().any(|earlier| earlier.index() == share.index()) {
            return Err(ShareRefused::Repeated.into());
        }
    }
    let needed = descriptor.threshold();
    if shares.len() < usize::from(needed) {
        // Fewer than 16, by the line above.
        return Err(RedealError::TooFew { given: u8::try_from(shares.len()).unwrap_or(u8::MAX), needed });
    }
    let root = share::recombine(shares, needed).ok_or(ShareRefused::WrongRoot)?;
    Root::check(&root, descriptor).map_err(|_| ShareRefused::WrongRoot)?;
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{Context, Purpose};
    use crate::key::{Kek, Role};
    use crate::root::{Assembly, Step, dev, found};

    fn refs(shares: &[Share]) -> Vec<&Share> {
        shares.iter().collect()
    }

    #[tokio::test]
    async fn the_same_root_opens_what_it_wrapped_after_it_was_dealt_anew() {
        let (descriptor, shares) = found(5, 3).unwrap();
        let old = Root::check(&recover(&descriptor, &refs(&shares[..3])).unwrap(), &descriptor).unwrap();
        let place = Context { tenant: "acme", record: b"kek", purpose: Purpose::Key(Kek::NAME) };
        let wrapped = old.wrap(&place, 1, &Key::<Kek>::generate().unwrap()).await.unwrap();
        let (next, dealt) = redeal(&descriptor, &refs(&shares[2..]), 3, 2).unwrap();
        assert_eq!((next.vault_id(), next.shares(), next.threshold()), (descriptor.vault_id(), 3, 2));
        assert_ne!(next, descriptor);
        let mut assembly = Assembly::new(next);
        let mut dealt = dealt.into_iter();
        assert!(matches!(assembly.give(dealt.next().unwrap(), "fay", 1), Ok(Step::Waiting { given: 1 })));
        let Ok(Step::Complete(new)) = assembly.give(dealt.next().unwrap(), "gus", 1) else { panic!("no root") };
        assert!(new.unwrap_key::<Kek>(&place, 1, &wrapped).await.is_ok());
        assert!(old.is_of(new.descriptor()).await.unwrap() && new.is_of(&descriptor).await.unwrap());
        let anew = old.described_by(new.descriptor()).await.unwrap().unwrap();
        assert_eq!(anew.descriptor(), new.descriptor());
        assert!(anew.unwrap_key::<Kek>(&place, 1, &wrapped).await.is_ok());
        assert!(old.described_by(&found(3, 2).unwrap().0).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_key_goes_from_one_root_to_another_and_keeps_its_place() {
        let (descriptor, shares) = found(3, 2).unwrap();
        let old = Root::check(&recover(&descriptor, &refs(&shares)).unwrap(), &descriptor).unwrap();
        let (text, of_dev) = dev::make_for(descriptor.vault_id()).unwrap();
        let new = dev::parse(text.as_bytes(), &of_dev).unwrap();
        assert!(!old.is_of(&of_dev).await.unwrap());
        // Another vault's Root is never the same one.
        assert!(!old.is_of(&found(3, 2).unwrap().0).await.unwrap());
        let place = |tenant| Context { tenant, record: b"kek", purpose: Purpose::Key(Kek::NAME) };
        let kek = Key::<Kek>::generate().unwrap();
        let wrapped = old.wrap(&place("acme"), 1, &kek).await.unwrap();
        let anew = old.rewrap::<Kek>(&new, &place("acme"), 1, &wrapped).await.unwrap();
        assert!(new.unwrap_key::<Kek>(&place("acme"), 1, &anew).await.unwrap().bytes() == kek.bytes());
        assert!(old.unwrap_key::<Kek>(&place("acme"), 1, &anew).await.is_err());
        assert!(old.rewrap::<Kek>(&new, &place("other"), 1, &wrapped).await.is_err());
        assert!(new.rewrap::<Kek>(&old, &place("acme"), 1, &wrapped).await.is_err());
    }

    #[test]
    fn a_share_of_the_division_before_is_refused_by_the_new_one() {
        let (descriptor, shares) = found(5, 3).unwrap();
        let (next, dealt) = redeal(&descriptor, &refs(&shares), 5, 3).unwrap();
        assert_eq!(prove(&next, &refs(&shares)), Err(ShareRefused::Wrong.into()));
        assert_eq!(prove(&descriptor, &refs(&dealt)), Err(ShareRefused::Wrong.into()));
        // Old and new ones together are no more than either.
        assert_eq!(prove(&next, &[&dealt[0], &dealt[1], &shares[2]]), Err(ShareRefused::Wrong.into()));
    }

    #[test]
    fn too_few_people_or_one_person_twice_bring_nothing_back() {
        let (descriptor, shares) = found(5, 3).unwrap();
        assert_eq!(prove(&descriptor, &refs(&shares[..2])), Err(RedealError::TooFew { given: 2, needed: 3 }));
        assert_eq!(prove(&descriptor, &[&shares[0], &shares[1], &shares[1]]), Err(ShareRefused::Repeated.into()));
        assert_eq!(prove(&descriptor, &[]), Err(RedealError::TooFew { given: 0, needed: 3 }));
        assert_eq!(prove(&descriptor, &refs(&shares)), Ok(()));
    }

    #[test]
    fn an_unsound_division_deals_nothing() {
        let (descriptor, shares) = found(3, 2).unwrap();
        for (count, threshold) in [(2, 2), (3, 1), (3, 4), (17, 2)] {
            let refused = redeal(&descriptor, &refs(&shares), count, threshold);
            assert_eq!(refused.err(), Some(ShareError::Division.into()));
        }
    }

    #[test]
    fn a_changed_descriptor_or_one_without_custodians_brings_nothing_back() {
        let (descriptor, shares) = found(5, 3).unwrap();
        let lowered = descriptor.to_json().replace("\"threshold\": 3", "\"threshold\": 2");
        let lowered = Descriptor::parse(lowered.as_bytes()).unwrap();
        assert_eq!(prove(&lowered, &refs(&shares[..2])), Err(ShareRefused::WrongRoot.into()));
        assert_eq!(prove(&lowered, &refs(&shares)), Err(ShareRefused::WrongRoot.into()));
        let (_, of_dev) = dev::make().unwrap();
        assert_eq!(prove(&of_dev, &refs(&shares)), Err(ShareRefused::NoCustodians.into()));
    }
}
