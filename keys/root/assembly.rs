//! The vault's side of an unseal ceremony: shares come in one at a time, each from another person, until they are enough.

use strongroom_wire::admin::RootKind;
use strongroom_wire::limits;

use super::{Descriptor, Root};
use crate::share::{Share, recombine};

/// A ceremony that may be running. The shares that it holds are wiped when it ends, however it ends.
pub struct Assembly {
    descriptor: Descriptor,
    given: Vec<Given>,
    since_ms: u64,
}

struct Given {
    share: Share,
    person: String,
}

/// What a share that was taken led to.
pub enum Step {
    /// More are needed.
    Waiting {
        /// Shares that are in, this one included.
        given: u8,
    },
    /// It was the last one needed.
    Complete(Root),
}

/// Why a share was refused. Those that are in stay in, except after [`ShareRefused::WrongRoot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareRefused {
    /// The vault has a development Root.
    #[error("this vault has a development root; there are no shares to hand in")]
    NoCustodians,
    /// Another vault's id, or an index that was not dealt.
    #[error(
        "the share belongs to another vault; take the share file that was made together with this vault's root.json"
    )]
    Foreign,
    /// It is not the share that was dealt under its index.
    #[error("the share is not the one that was dealt under this index; restore the share file from its backup")]
    Wrong,
    /// It is in already.
    #[error("this share was handed in already; another custodian's share is needed")]
    Repeated,
    /// This person handed in another share already.
    #[error(
        "you handed in a share already; another custodian has to hand in the next one, under their own certificate"
    )]
    SamePerson,
    /// Enough shares were in and did not yield the Root; all of them were forgotten.
    #[error(
        "the shares do not yield this vault's root; all of them were forgotten. Check that root.json was not changed, then begin again"
    )]
    WrongRoot,
}

impl Assembly {
    /// A ceremony without shares yet.
    #[must_use]
    pub fn new(descriptor: Descriptor) -> Self {
        Self { descriptor, given: Vec::new(), since_ms: 0 }
    }

    /// Takes one share from a person, named by their identity. Shares of a ceremony that began longer than
    /// [`limits::CEREMONY_TTL_S`] ago are forgotten first.
    ///
    /// # Errors
    /// [`ShareRefused`], each with what to do.
    pub fn give(&mut self, share: Share, person: &str, now_ms: u64) -> Result<Step, ShareRefused> {
        self.forget_late(now_ms);
        if self.descriptor.kind() != RootKind::Custodians {
            return Err(ShareRefused::NoCustodians);
        }
        if share.vault_id() != self.descriptor.vault_id() || !(1..=self.descriptor.shares()).contains(&share.index()) {
            return Err(ShareRefused::Foreign);
        }
        if !self.descriptor.commits_to(&share) {
            return Err(ShareRefused::Wrong);
        }
        if self.given.iter().any(|given| given.share.index() == share.index()) {
            return Err(ShareRefused::Repeated);
        }
        if self.given.iter().any(|given| given.person == person) {
            return Err(ShareRefused::SamePerson);
        }
        if self.given.is_empty() {
            self.since_ms = now_ms;
        }
        self.given.push(Given { share, person: person.to_owned() });
        let given = self.count();
        if given < self.descriptor.threshold() {
            return Ok(Step::Waiting { given });
        }
        // Taken out, so that they are wiped whatever comes of them.
        let complete = std::mem::take(&mut self.given);
        let shares: Vec<&Share> = complete.iter().map(|given| &given.share).collect();
        let root = recombine(&shares, self.descriptor.threshold()).ok_or(ShareRefused::WrongRoot)?;
        Root::check(&root, &self.descriptor).map(Step::Complete).map_err(|_| ShareRefused::WrongRoot)
    }

    /// Takes the share that came last out again. Nothing is left to take after the one that was needed last.
    pub fn take_back(&mut self) {
        self.given.pop();
    }

    /// Forgets every share that is in.
    pub fn abandon(&mut self) {
        self.given.clear();
    }

    /// Shares that are in and not too old.
    pub fn given(&mut self, now_ms: u64) -> u8 {
        self.forget_late(now_ms);
        self.count()
    }

    /// What the Root is known by.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn forget_late(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.since_ms) > limits::CEREMONY_TTL_S * 1000 {
            self.given.clear();
        }
    }

    fn count(&self) -> u8 {
        // At most 16, because no index is taken twice.
        u8::try_from(self.given.len()).unwrap_or(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::{dev, found};

    fn ceremony() -> (Assembly, Vec<Share>) {
        let (descriptor, shares) = found(5, 3).unwrap();
        (Assembly::new(descriptor), shares)
    }

    fn waiting(step: Result<Step, ShareRefused>) -> u8 {
        match step {
            Ok(Step::Waiting { given }) => given,
            Ok(Step::Complete(_)) => panic!("complete too early"),
            Err(refused) => panic!("{refused}"),
        }
    }

    #[test]
    fn three_people_of_five_bring_the_root_back() {
        let (mut assembly, mut shares) = ceremony();
        assert_eq!(waiting(assembly.give(shares.remove(4), "ada", 1)), 1);
        assert_eq!(waiting(assembly.give(shares.remove(0), "ben", 2)), 2);
        assert!(matches!(assembly.give(shares.remove(1), "cleo", 3), Ok(Step::Complete(_))));
        assert_eq!(assembly.given(4), 0);
    }

    #[test]
    fn a_repeated_share_and_a_second_share_of_one_person_are_refused() {
        let (descriptor, shares) = found(5, 3).unwrap();
        let mut assembly = Assembly::new(descriptor);
        let copy = |share: &Share| {
            Share::try_init_with(share.vault_id(), share.index(), |bytes| {
                *bytes = *share.bytes();
                Ok::<(), ()>(())
            })
            .unwrap()
        };
        assert_eq!(waiting(assembly.give(copy(&shares[0]), "ada", 1)), 1);
        assert_eq!(assembly.give(copy(&shares[0]), "ben", 1).err(), Some(ShareRefused::Repeated));
        assert_eq!(assembly.give(copy(&shares[1]), "ada", 1).err(), Some(ShareRefused::SamePerson));
        // A refusal takes nothing away.
        assert_eq!(assembly.given(1), 1);
    }

    #[test]
    fn foreign_and_wrong_shares_are_refused() {
        let (mut assembly, shares) = ceremony();
        let (_, foreign) = found(5, 3).unwrap();
        assert_eq!(assembly.give(foreign.into_iter().next().unwrap(), "ada", 1).err(), Some(ShareRefused::Foreign));
        let forge = |index| {
            Share::try_init_with(shares[0].vault_id(), index, |bytes| {
                *bytes = [1; 32];
                Ok::<(), ()>(())
            })
            .unwrap()
        };
        assert_eq!(assembly.give(forge(1), "ada", 1).err(), Some(ShareRefused::Wrong));
        assert_eq!(assembly.give(forge(6), "ada", 1).err(), Some(ShareRefused::Foreign));
        assert_eq!(assembly.given(1), 0);
    }

    #[test]
    fn a_ceremony_that_takes_too_long_begins_anew() {
        let (mut assembly, mut shares) = ceremony();
        waiting(assembly.give(shares.remove(0), "ada", 1_000));
        waiting(assembly.give(shares.remove(0), "ben", 2_000));
        let late = 1_000 + limits::CEREMONY_TTL_S * 1000 + 1;
        assert_eq!(assembly.given(late - 1), 2);
        assert_eq!(waiting(assembly.give(shares.remove(0), "cleo", late)), 1);
    }

    #[test]
    fn a_share_that_is_taken_back_can_be_given_again_and_the_others_stay() {
        let (descriptor, shares) = found(5, 3).unwrap();
        let mut assembly = Assembly::new(descriptor);
        let mut shares = shares.into_iter();
        let mut next = || shares.next().unwrap();
        waiting(assembly.give(next(), "ada", 1));
        waiting(assembly.give(next(), "ben", 2));
        assembly.take_back();
        assert_eq!(assembly.given(3), 1);
        assert_eq!(waiting(assembly.give(next(), "ben", 4)), 2);
        assert!(matches!(assembly.give(next(), "cleo", 5), Ok(Step::Complete(_))));
        assembly.take_back();
        assert_eq!(assembly.given(6), 0);
    }

    #[test]
    fn an_abandoned_ceremony_holds_nothing() {
        let (mut assembly, mut shares) = ceremony();
        waiting(assembly.give(shares.remove(0), "ada", 1));
        assembly.abandon();
        assert_eq!(assembly.given(1), 0);
    }

    #[test]
    fn a_changed_descriptor_ends_in_wrong_root_and_forgets_all_shares() {
        let (descriptor, mut shares) = found(5, 3).unwrap();
        let lowered = descriptor.to_json().replace("\"threshold\": 3", "\"threshold\": 2");
        let mut assembly = Assembly::new(Descriptor::parse(lowered.as_bytes()).unwrap());
        waiting(assembly.give(shares.remove(0), "ada", 1));
        assert_eq!(assembly.give(shares.remove(0), "ben", 1).err(), Some(ShareRefused::WrongRoot));
        assert_eq!(assembly.given(1), 0);
    }

    #[test]
    fn a_development_root_takes_no_shares() {
        let (_, descriptor) = dev::make().unwrap();
        let (_, mut shares) = found(3, 2).unwrap();
        let mut assembly = Assembly::new(descriptor);
        assert_eq!(assembly.give(shares.remove(0), "ada", 1).err(), Some(ShareRefused::NoCustodians));
    }
}
