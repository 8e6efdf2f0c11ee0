//! Cards: sealed under a Warrant, opened under a Warrant, for the card that the Warrant names and no other.

use strongroom_keys::context::Purpose;
use strongroom_keys::mac::{Use, mac};
use strongroom_keys::{Context, Envelope};
use strongroom_wire::admin::KeyPurpose;
use strongroom_wire::{TenantId, Token};

use super::keyring::TenantKeys;
use super::marks::fingerprint;
use super::{Barrier, BarrierError};
use crate::audit::Warrant;
use crate::card::{Card, Glance};
use crate::policy::{Action, Forward, Opens, ReadMasked, Retain, Rotate, Tokenize, Tries, Update};

/// Acts that may see the masked part of a card.
pub trait Glances: Action {}

impl Glances for ReadMasked {}
impl Glances for Retain {}
impl Glances for Update {}
impl Glances for Forward {}

/// Acts that may seal a stored card anew with other particulars: a change, and a tokenize request that finds the same
/// card of the same customer stored already.
pub trait Reseals: Action {}

impl Reseals for Update {}
impl Reseals for Tokenize {}

impl Barrier {
    /// Seals a card under a fresh Dek, for the tenant and token of the Warrant.
    ///
    /// # Errors
    /// [`BarrierError`]; [`BarrierError::Unauthentic`] if the Warrant names no token.
    pub fn seal(&self, warrant: Warrant<Tokenize>, card: &Card) -> Result<Envelope, BarrierError> {
        let ring = self.unsealed()?;
        let keys = ring.tenant(warrant.tenant())?;
        let token = warrant.token().ok_or(BarrierError::Unauthentic)?;
        self.seal_card(keys, &place(warrant.tenant(), &token, &mut [0; 16])?, card)
    }

    /// Opens the card that the Warrant names, lends it to `with` and wipes it. The number leaves only through what
    /// `with` answers.
    ///
    /// # Errors
    /// [`BarrierError::Unauthentic`] for the envelope of any other card, tenant or term, and after any change of it.
    pub fn open<A: Opens, T>(
        &self,
        warrant: Warrant<A>,
        envelope: &Envelope,
        with: impl FnOnce(&Card) -> T,
    ) -> Result<T, BarrierError> {
        let ring = self.unsealed()?;
        let keys = ring.tenant(warrant.tenant())?;
        let token = warrant.token().ok_or(BarrierError::Unauthentic)?;
        let card = open_card(keys, &place(warrant.tenant(), &token, &mut [0; 16])?, envelope)?;
        Ok(with(&card))
    }

    /// Opens the card that the Warrant names, lets `change` change it, and seals it again under a fresh Dek and the
    /// active term. What may be shown of the new card comes with it.
    ///
    /// # Errors
    /// As [`Barrier::open`]; [`BarrierError::Unauthentic`] too if the number is another one afterwards: it never
    /// changes.
    pub fn reseal<A: Reseals>(
        &self,
        warrant: Warrant<A>,
        envelope: &Envelope,
        change: impl FnOnce(Card) -> Card,
    ) -> Result<(Envelope, Glance), BarrierError> {
        let ring = self.unsealed()?;
        let keys = ring.tenant(warrant.tenant())?;
        let token = warrant.token().ok_or(BarrierError::Unauthentic)?;
        let mut record = [0; 16];
        let place = place(warrant.tenant(), &token, &mut record)?;
        let before = open_card(keys, &place, envelope)?;
        // Compared as fingerprints, so that no second copy of the number is made.
        let key = keys.fingerprint().active().1;
        let number = |card: &Card| mac(key, Use::Fingerprint, &[card.pan.digits().as_bytes()]);
        let number_before = number(&before);
        let after = change(before);
        if number(&after) != number_before {
            return Err(BarrierError::Unauthentic);
        }
        Ok((self.seal_card(keys, &place, &after)?, Glance::of(&after)))
    }

    /// Whether a stored card opens, glance and record. Both are wiped at once, and nothing of them is answered.
    ///
    /// # Errors
    /// [`BarrierError::Unauthentic`] for the envelope of any other card, tenant or term, and after any change of it.
    pub fn check_card<A: Tries>(
        &self,
        _warrant: &Warrant<A>,
        tenant: &TenantId,
        token: &Token,
        envelope: &Envelope,
    ) -> Result<(), BarrierError> {
        let ring = self.unsealed()?;
        let keys = ring.tenant(Some(tenant))?;
        open_glance(keys, tenant, token, envelope)?;
        open_card(keys, &place(Some(tenant), token, &mut [0; 16])?, envelope).map(drop)
    }

    /// The masked part of a card of the Warrant's tenant; the number stays sealed. A Warrant that names a card is good
    /// for that one alone, one for a page is good for any of the tenant.
    ///
    /// # Errors
    /// [`BarrierError::Unauthentic`] for the envelope of any other card, tenant or term, and after any change of it.
    pub fn glance<A: Glances>(
        &self,
        warrant: &Warrant<A>,
        token: &Token,
        envelope: &Envelope,
    ) -> Result<Glance, BarrierError> {
        let ring = self.unsealed()?;
        let keys = ring.tenant(warrant.tenant())?;
        if warrant.token().is_some_and(|own| own != *token) {
            return Err(BarrierError::Unauthentic);
        }
        open_glance(keys, warrant.tenant().ok_or(BarrierError::NoSuchTenant)?, token, envelope)
    }

    /// The fingerprint under the active key of a stored card of the Warrant's tenant, whose fingerprint is `old` under term
    /// `old_term`. The card is opened, read and wiped in here: nothing of it leaves but the fingerprint.
    ///
    /// # Errors
    /// [`BarrierError::Unauthentic`] for the envelope of any other card, tenant or term, and if `old` is not the
    /// fingerprint of the number in it: a row that was tampered with is not made good.
    pub fn new_fingerprint(
        &self,
        warrant: &Warrant<Rotate>,
        token: &Token,
        envelope: &Envelope,
        (old, old_term): (&[u8; 16], u32),
    ) -> Result<[u8; 16], BarrierError> {
        let ring = self.unsealed()?;
        let keys = ring.tenant(warrant.tenant())?;
        let card = open_card(keys, &place(warrant.tenant(), token, &mut [0; 16])?, envelope)?;
        if fingerprint(keys.fingerprint().key(old_term)?, &card.pan) != *old {
            return Err(BarrierError::Unauthentic);
        }
        Ok(fingerprint(keys.fingerprint().active().1, &card.pan))
    }

    fn seal_card(&self, keys: &TenantKeys, place: &Context<'_>, card: &Card) -> Result<Envelope, BarrierError> {
        let kek = keys.active();
        self.in_period(KeyPurpose::Kek, kek.facts())?;
        kek.wraps().take()?;
        let glance = Glance::of(card).encode();
        Ok(Envelope::seal(kek.cipher(), kek.facts().term, place, &glance, &card.encode())?)
    }
}

/// What may be shown of a card; the number stays sealed.
pub(super) fn open_glance(
    keys: &TenantKeys,
    tenant: &TenantId,
    token: &Token,
    envelope: &Envelope,
) -> Result<Glance, BarrierError> {
    let kek = keys.kek(envelope.term())?;
    let bytes = envelope.open_glance(kek.cipher(), &place(Some(tenant), token, &mut [0; 16])?)?;
    Glance::decode(&bytes).map_err(|_| BarrierError::Unauthentic)
}

fn place<'a>(
    tenant: Option<&'a TenantId>,
    token: &Token,
    record: &'a mut [u8; 16],
) -> Result<Context<'a>, BarrierError> {
    *record = token.uuid().into_bytes();
    let tenant = tenant.ok_or(BarrierError::NoSuchTenant)?.as_str();
    Ok(Context { tenant, record, purpose: Purpose::Card })
}

fn open_card(keys: &TenantKeys, place: &Context<'_>, envelope: &Envelope) -> Result<Card, BarrierError> {
    let record = envelope.open(keys.kek(envelope.term())?.cipher(), place)?;
    Card::decode(&record).map_err(|_| BarrierError::Unauthentic)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use strongroom_wire::admin::KeyState;

    use super::super::rig::{Rig, mac_term, visa};
    use super::*;
    use crate::card::{Expiry, HolderName, Pan};
    use crate::policy::Reveal;

    fn digits(card: &Card) -> String {
        card.pan.digits().as_str().to_owned()
    }

    fn sealed(rig: &Rig, tenant: &str) -> (Envelope, Token) {
        let (warrant, token) = rig.tokenize(tenant);
        (rig.barrier.seal(warrant, &visa()).unwrap(), token)
    }

    #[test]
    fn a_card_comes_back_whole_under_its_own_warrant() {
        let rig = Rig::new(&["acme"]);
        let (envelope, token) = sealed(&rig, "acme");
        let back = rig.barrier.open(rig.on::<Reveal>("acme", token), &envelope, |card| {
            (digits(card), card.expiry.year(), card.holder_name.as_ref().map(|name| name.as_str().to_owned()))
        });
        assert_eq!(back.unwrap(), ("4242424242424242".to_owned(), 2030, Some("Ada Lovelace".to_owned())));
    }

    #[test]
    fn no_card_opens_for_the_warrant_of_another() {
        let rig = Rig::new(&["acme", "globex"]);
        let cards: Vec<(&str, Envelope, Token)> = ["acme", "acme", "globex", "globex"]
            .into_iter()
            .map(|tenant| {
                let (envelope, token) = sealed(&rig, tenant);
                (tenant, envelope, token)
            })
            .collect();
        for (place, (tenant, _, token)) in cards.iter().enumerate() {
            for (other, (_, envelope, _)) in cards.iter().enumerate() {
                let opened = rig.barrier.open(rig.on::<Reveal>(tenant, *token), envelope, digits);
                assert_eq!(opened.is_ok(), place == other);
                let shown = rig.barrier.glance(&rig.read(tenant, Some(*token)), token, envelope);
                assert_eq!(shown.is_ok(), place == other);
            }
        }
        // The same token in another tenant is another place too.
        let (_, envelope, token) = &cards[0];
        let moved = rig.barrier.open(rig.on::<Reveal>("globex", *token), envelope, digits);
        assert_eq!(moved, Err(BarrierError::Unauthentic));
    }

    #[test]
    fn a_warrant_that_names_no_token_seals_nothing() {
        let rig = Rig::new(&["acme"]);
        let refused = rig.barrier.seal(rig.tokenize_nothing("acme"), &visa());
        assert_eq!(refused.err(), Some(BarrierError::Unauthentic));
    }

    #[test]
    fn sealed_or_for_a_tenant_without_keys_nothing_opens() {
        let rig = Rig::new(&["acme"]);
        let (envelope, token) = sealed(&rig, "acme");
        let open = |tenant| rig.barrier.open(rig.on::<Reveal>(tenant, token), &envelope, digits).err();
        assert_eq!(open("other"), Some(BarrierError::NoSuchTenant));
        let (warrant, _) = rig.tokenize("acme");
        rig.barrier.seal_now();
        assert_eq!(open("acme"), Some(BarrierError::Sealed));
        assert_eq!(rig.barrier.seal(warrant, &visa()).err(), Some(BarrierError::Sealed));
    }

    #[test]
    fn a_page_s_warrant_shows_every_card_of_its_tenant_and_none_of_another() {
        let rig = Rig::new(&["acme", "globex"]);
        let page = rig.read("acme", None);
        let (mine, my_token) = sealed(&rig, "acme");
        let (theirs, their_token) = sealed(&rig, "globex");
        let shown = rig.barrier.glance(&page, &my_token, &mine).unwrap();
        assert_eq!((shown.bin(), shown.last4()), ("42424242", "4242"));
        assert!(rig.barrier.glance(&page, &their_token, &theirs).is_err());
        assert!(rig.barrier.glance(&page, &their_token, &mine).is_err());
    }

    #[test]
    fn a_warrant_for_one_card_shows_no_other() {
        let rig = Rig::new(&["acme"]);
        let (first, first_token) = sealed(&rig, "acme");
        let (second, second_token) = sealed(&rig, "acme");
        let warrant = rig.on::<Retain>("acme", first_token);
        assert!(rig.barrier.glance(&warrant, &first_token, &first).is_ok());
        assert_eq!(rig.barrier.glance(&warrant, &second_token, &second).err(), Some(BarrierError::Unauthentic));
    }

    #[test]
    fn an_update_changes_expiry_and_name_under_a_new_dek() {
        let rig = Rig::new(&["acme"]);
        let (before, token) = sealed(&rig, "acme");
        let (after, shown) = rig
            .barrier
            .reseal(rig.on::<Update>("acme", token), &before, |mut card| {
                card.expiry = Expiry::new(1, 2031, super::super::rig::NOW_MS).unwrap();
                card.holder_name = Some(HolderName::parse("Grace Hopper").ok().unwrap());
                card
            })
            .unwrap();
        assert_eq!((shown.expiry().month(), shown.expiry().year()), (1, 2031));
        assert_ne!(after.as_bytes()[..70], before.as_bytes()[..70]);
        let name = rig.barrier.open(rig.on::<Reveal>("acme", token), &after, |card| {
            (digits(card), card.holder_name.as_ref().map(|name| name.as_str().to_owned()))
        });
        assert_eq!(name.unwrap(), ("4242424242424242".to_owned(), Some("Grace Hopper".to_owned())));
    }

    #[test]
    fn an_update_that_changes_the_number_is_refused() {
        let rig = Rig::new(&["acme"]);
        let (before, token) = sealed(&rig, "acme");
        let refused = rig.barrier.reseal(rig.on::<Update>("acme", token), &before, |mut card| {
            card.pan = Pan::parse("5555555555554444").ok().unwrap();
            card
        });
        assert_eq!(refused.err(), Some(BarrierError::Unauthentic));
    }

    #[test]
    fn a_new_fingerprint_is_that_of_the_same_number_and_made_for_no_tampered_row() {
        let rig = Rig::new(&["acme", "globex"]);
        let (envelope, token) = sealed(&rig, "acme");
        let acme: TenantId = "acme".parse().unwrap();
        let before = rig.barrier.fingerprints(&rig.permit("acme"), &visa().pan).unwrap();
        let next = mac_term(2, KeyState::Active);
        rig.barrier.update(|ring| ring.add_mac_term(&acme, KeyPurpose::Fingerprint, next)).unwrap();
        let after = rig.barrier.fingerprints(&rig.permit("acme"), &visa().pan).unwrap();
        let rotate = rig.rotate("acme");
        let made = |warrant, token: &Token, old: &[u8; 16], term| {
            rig.barrier.new_fingerprint(warrant, token, &envelope, (old, term))
        };
        assert_eq!(made(&rotate, &token, &before.active, 1), Ok(after.active));
        assert_ne!(before.active, after.active);
        for refused in [
            made(&rotate, &Token::fresh(), &before.active, 1),
            made(&rotate, &token, &[7; 16], 1),
            made(&rotate, &token, &before.active, 2),
            made(&rotate, &token, &before.active, 3),
            made(&rig.rotate("globex"), &token, &before.active, 1),
        ] {
            assert_eq!(refused, Err(BarrierError::Unauthentic));
        }
    }

    #[test]
    fn a_stored_card_is_small() {
        let rig = Rig::new(&["acme"]);
        let mut card = visa();
        card.holder_name = None;
        let envelope = rig.barrier.seal(rig.tokenize("acme").0, &card).unwrap();
        assert_eq!(envelope.as_bytes().len(), 122);
    }

    #[test]
    fn a_number_is_nowhere_in_what_is_stored() {
        let rig = Rig::new(&["acme"]);
        let (envelope, _) = sealed(&rig, "acme");
        let bytes = envelope.as_bytes();
        assert!(!bytes.windows(4).any(|window| window == b"4242" || window == [0x42; 4]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_changed_byte_is_noticed(at in any::<prop::sample::Index>(), flip in 1u8..) {
            let rig = Rig::new(&["acme"]);
            let (envelope, token) = sealed(&rig, "acme");
            let mut bytes = envelope.as_bytes().to_vec();
            let place = at.index(bytes.len());
            bytes[place] ^= flip;
            if let Ok(changed) = Envelope::parse(&bytes) {
                let opened = rig.barrier.open(rig.on::<Reveal>("acme", token), &changed, digits);
                let shown = rig.barrier.glance(&rig.read("acme", None), &token, &changed);
                prop_assert!(opened == Err(BarrierError::Unauthentic) || shown.err() == Some(BarrierError::Unauthentic));
            }
        }
    }
}
