//! Sealed CVCs: the vault keeps none. The client carries the CVC, sealed under a key that lives in memory for half an hour
//! at most; it opens once, for one token, within a quarter of an hour (PCI DSS 3.3.1).
//!
//! `cvc_` base64url(epoch u32 | nonce 12 | ciphertext 13 | tag 16). The epoch's key is made when the first CVC of the
//! epoch comes, seals for [`limits::CVC_TTL_S`], opens for as long again, and is destroyed: by the next call, by
//! [`Barrier::destroy_old_epochs`], when the vault is sealed, and with the process.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use strongroom_keys::aead::{NONCE, TAG};
use strongroom_keys::context::Purpose;
use strongroom_keys::{Cipher, Context, Envelope, EpochRole, Key, NoRandomness};
use strongroom_wire::payment_method::Brand;
use strongroom_wire::{TenantId, Token, limits};
use zeroize::Zeroizing;

use super::cards::open_glance;
use super::{Barrier, BarrierError};
use crate::audit::Warrant;
use crate::card::Cvc;
use crate::policy::{Forward, Opens, Reveal, Tokenize};

/// The CVC was used, expired, belongs to another card, or never was one: which, is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the CVC is not available")]
pub struct CvcGone;

/// Acts that may use a CVC up.
pub trait TakesCvc: Opens {}

impl TakesCvc for Reveal {}
impl TakesCvc for Forward {}

impl Barrier {
    /// Seals a CVC for one release of this token. What comes back is for the client alone: it must not be stored, not
    /// even sealed again.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`], [`BarrierError::NoSuchTenant`], [`BarrierError::NoRandomness`], and among several nodes
    /// [`BarrierError::NoEpoch`].
    pub fn seal_cvc(&self, tenant: &TenantId, token: &Token, cvc: &Cvc) -> Result<String, BarrierError> {
        let now_ms = self.clock.now_ms();
        let epoch = {
            // The phase is looked at under the lock: a seal that comes later clears this epoch too.
            let mut epochs = self.epochs();
            self.unsealed()?.tenant(Some(tenant))?;
            if self.is_shared() { self.shared_current(now_ms)? } else { epochs.current(now_ms)? }
        };
        let digits = cvc.digits();
        let mut plaintext = Zeroizing::new([0; PLAINTEXT]);
        plaintext[..8].copy_from_slice(&now_ms.to_be_bytes());
        // A CVC has 3 or 4 digits.
        plaintext[8] = u8::try_from(digits.as_bytes().len()).unwrap_or(0);
        plaintext[9..9 + digits.as_bytes().len()].copy_from_slice(digits.as_bytes());
        let place = Context { tenant: tenant.as_str(), record: &record(token, epoch.id), purpose: Purpose::Cvc };
        let sealed = epoch.cipher.seal(&place, &plaintext[..])?;
        Ok([PREFIX, &BASE64_URL_SAFE_NO_PAD.encode([&epoch.id.to_be_bytes()[..], &sealed].concat())].concat())
    }

    /// Seals the CVC of a card that is stored already, for one release of the Warrant's card. `read` gets the card's brand,
    /// which its glance names, and reads the CVC; the number stays sealed.
    ///
    /// # Errors
    /// [`BarrierError::Unauthentic`] for the envelope of any other card, and as [`Barrier::seal_cvc`].
    pub fn seal_cvc_of_stored<E>(
        &self,
        warrant: Warrant<Tokenize>,
        envelope: &Envelope,
        read: impl FnOnce(Brand) -> Result<Cvc, E>,
    ) -> Result<Result<String, E>, BarrierError> {
        let tenant = warrant.tenant().ok_or(BarrierError::NoSuchTenant)?;
        let token = warrant.token().ok_or(BarrierError::Unauthentic)?;
        let glance = open_glance(self.unsealed()?.tenant(Some(tenant))?, tenant, &token, envelope)?;
        match read(glance.brand()) {
            Ok(cvc) => self.seal_cvc(tenant, &token, &cvc).map(Ok),
            Err(wrong) => Ok(Err(wrong)),
        }
    }

    /// Opens a CVC that was sealed for the token of the Warrant, once. Among several nodes this node's memory alone says whether
    /// it is the first time: what [`Barrier::take_cvc`] answers has to be asked about first.
    ///
    /// # Errors
    /// [`CvcGone`]; among several nodes always.
    pub fn open_cvc<A: TakesCvc>(&self, warrant: &Warrant<A>, text: &str) -> Result<Cvc, CvcGone> {
        if self.is_shared() { Err(CvcGone) } else { Ok(self.take_cvc(warrant, text)?.cvc) }
    }

    /// Opens a CVC that is nobody's until it is known that no other node opened it before.
    ///
    /// # Errors
    /// [`CvcGone`].
    pub fn take_cvc<A: TakesCvc>(&self, warrant: &Warrant<A>, text: &str) -> Result<TakenCvc, CvcGone> {
        let (id, sealed) = parse(text).ok_or(CvcGone)?;
        let (tenant, token) = warrant.tenant().zip(warrant.token()).ok_or(CvcGone)?;
        let now_ms = self.clock.now_ms();
        let epoch = match self.is_shared() {
            true => self.shared_find(id, now_ms)?,
            false => self.epochs().find(id, now_ms).ok_or(CvcGone)?,
        };
        let place = Context { tenant: tenant.as_str(), record: &record(&token, id), purpose: Purpose::Cvc };
        let plaintext = epoch.cipher.open(&place, &sealed).map_err(|_| CvcGone)?;
        let cvc = read(&plaintext, now_ms).ok_or(CvcGone)?;
        // Only what is authentic is remembered, so that nobody fills the memory with made-up values.
        let nonce = sealed.first_chunk::<NONCE>().ok_or(CvcGone)?;
        epoch.spent().spend(*nonce, limits::CVC_SPENT_MAX)?;
        Ok(TakenCvc { cvc, epoch, nonce: *nonce })
    }

    /// The epoch that a sealed CVC says it is of.
    #[must_use]
    pub fn epoch_of(text: &str) -> Option<u32> {
        parse(text).map(|(id, _)| id)
    }

    /// Destroys the keys of epochs that are over. Call it every minute or so, so that an idle vault forgets them too.
    pub fn destroy_old_epochs(&self) {
        let now_ms = self.clock.now_ms();
        self.epochs().roll(now_ms);
        self.shared().roll(now_ms);
    }
}

/// A CVC that this node opened for the first time, and that another may have opened before.
#[must_use = "find out whether it is the first time in all nodes"]
pub struct TakenCvc {
    cvc: Cvc,
    epoch: Arc<Epoch>,
    nonce: [u8; NONCE],
}

impl TakenCvc {
    /// Which one it is: the epoch, and its name within.
    #[must_use]
    pub fn name(&self) -> (u32, [u8; NONCE]) {
        (self.epoch.id, self.nonce)
    }

    /// When nobody can open it any more, in milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn gone_ms(&self) -> u64 {
        self.epoch.start_ms.saturating_add(2 * TTL_MS)
    }

    /// The CVC, if it is the first time in all nodes.
    ///
    /// # Errors
    /// [`CvcGone`] if it is not.
    pub fn first(self, is_first: bool) -> Result<Cvc, CvcGone> {
        if is_first { Ok(self.cvc) } else { Err(CvcGone) }
    }

    /// It could not be found out: nobody got it, so that it may be asked for again.
    pub fn give_back(self) {
        self.epoch.spent().0.remove(&self.nonce);
    }
}

/// The key that seals now and the one before it.
#[derive(Default)]
pub(super) struct Epochs {
    current: Option<Arc<Epoch>>,
    previous: Option<Arc<Epoch>>,
    last_id: u32,
}

pub(super) struct Epoch {
    pub(super) id: u32,
    pub(super) start_ms: u64,
    pub(super) cipher: Cipher<EpochRole>,
    /// Among several nodes, to give it to those that come later.
    pub(super) key: Option<Key<EpochRole>>,
    pub(super) spent: Mutex<Spent>,
}

/// Nonces of the CVCs that were opened.
#[derive(Default)]
pub(super) struct Spent(HashSet<[u8; NONCE]>);

impl Epoch {
    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spent {
    /// Remembers one; refuses it if it is there already or there is no more room.
    fn spend(&mut self, nonce: [u8; NONCE], most: usize) -> Result<(), CvcGone> {
        if self.0.len() < most && self.0.insert(nonce) { Ok(()) } else { Err(CvcGone) }
    }
}

impl Epochs {
    fn current(&mut self, now_ms: u64) -> Result<Arc<Epoch>, NoRandomness> {
        self.roll(now_ms);
        if let Some(epoch) = &self.current {
            return Ok(Arc::clone(epoch));
        }
        self.last_id = self.last_id.wrapping_add(1);
        let cipher = Cipher::new(&Key::generate()?);
        let epoch = Arc::new(Epoch { id: self.last_id, start_ms: now_ms, cipher, key: None, spent: Mutex::default() });
        self.current = Some(Arc::clone(&epoch));
        Ok(epoch)
    }

    fn find(&mut self, id: u32, now_ms: u64) -> Option<Arc<Epoch>> {
        self.roll(now_ms);
        [&self.current, &self.previous].into_iter().flatten().find(|epoch| epoch.id == id).cloned()
    }

    fn roll(&mut self, now_ms: u64) {
        let age_ms = |epoch: &Arc<Epoch>| now_ms.saturating_sub(epoch.start_ms);
        if self.current.as_ref().is_some_and(|epoch| age_ms(epoch) >= TTL_MS) {
            self.previous = self.current.take();
        }
        if self.previous.as_ref().is_some_and(|epoch| age_ms(epoch) >= 2 * TTL_MS) {
            self.previous = None;
        }
    }
}

fn parse(text: &str) -> Option<(u32, Vec<u8>)> {
    // Every sealed CVC has the same length, so that its text does not tell the brand.
    let payload = text.strip_prefix(PREFIX).filter(|payload| payload.len() == PAYLOAD_CHARS)?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    let (id, sealed) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*id), sealed.to_vec()))
}

fn read(plaintext: &[u8], now_ms: u64) -> Option<Cvc> {
    let (sealed_ms, rest) = plaintext.split_first_chunk::<8>()?;
    let (&[length], digits) = rest.split_first_chunk::<1>()?;
    let age_ms = now_ms.saturating_sub(u64::from_be_bytes(*sealed_ms));
    let digits = std::str::from_utf8(digits.get(..usize::from(length))?).ok()?;
    if age_ms < TTL_MS { Cvc::of_any_brand(digits).ok() } else { None }
}

/// What a sealed CVC belongs to besides its tenant: the token and the epoch.
fn record(token: &Token, epoch: u32) -> [u8; 20] {
    let mut record = [0; 20];
    record[..16].copy_from_slice(token.uuid().as_bytes());
    record[16..].copy_from_slice(&epoch.to_be_bytes());
    record
}

const PREFIX: &str = "cvc_";
pub(super) const TTL_MS: u64 = limits::CVC_TTL_S * 1000;
/// When it was sealed, 8 bytes; how many digits; four digits.
const PLAINTEXT: usize = 8 + 1 + 4;
/// Four characters for each three bytes; the length is a multiple of three.
const PAYLOAD_CHARS: usize = (4 + NONCE + PLAINTEXT + TAG) / 3 * 4;
const _: () = assert!((4 + NONCE + PLAINTEXT + TAG).is_multiple_of(3));

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strongroom_wire::payment_method::Brand;

    use super::super::rig::Rig;
    use super::*;

    fn seal(rig: &Rig, token: &Token) -> String {
        let cvc = Cvc::parse("123", Brand::Visa).ok().unwrap();
        rig.barrier.seal_cvc(&"acme".parse().unwrap(), token, &cvc).unwrap()
    }

    fn open(rig: &Rig, tenant: &str, token: Token, text: &str) -> Result<String, CvcGone> {
        rig.barrier.open_cvc(&rig.on::<Reveal>(tenant, token), text).map(|cvc| cvc.digits().as_str().to_owned())
    }

    #[test]
    fn it_opens_once_for_its_own_token() {
        let rig = Rig::new(&["acme", "globex"]);
        let token = Token::fresh();
        let text = seal(&rig, &token);
        assert_eq!(open(&rig, "acme", Token::fresh(), &text), Err(CvcGone));
        assert_eq!(open(&rig, "globex", token, &text), Err(CvcGone));
        assert_eq!(open(&rig, "acme", token, &text).as_deref(), Ok("123"));
        assert_eq!(open(&rig, "acme", token, &text), Err(CvcGone));
    }

    #[test]
    fn three_and_four_digits_look_alike_when_sealed() {
        let rig = Rig::new(&["acme"]);
        let token = Token::fresh();
        let amex = Cvc::parse("1234", Brand::Amex).ok().unwrap();
        let text = rig.barrier.seal_cvc(&"acme".parse().unwrap(), &token, &amex).unwrap();
        assert_eq!(text.len(), seal(&rig, &token).len());
        assert_eq!(text.len(), PREFIX.len() + PAYLOAD_CHARS);
        assert_eq!(open(&rig, "acme", token, &text).as_deref(), Ok("1234"));
    }

    #[test]
    fn it_lives_a_quarter_of_an_hour_across_a_change_of_epochs() {
        let rig = Rig::new(&["acme"]);
        let token = Token::fresh();
        seal(&rig, &token);
        rig.clock.advance_ms(limits::CVC_TTL_S * 1000 - 1);
        let (late, later) = (seal(&rig, &token), seal(&rig, &token));
        rig.clock.advance_ms(TTL_MS - 1);
        let next = seal(&rig, &token);
        assert_eq!(open(&rig, "acme", token, &late).as_deref(), Ok("123"));
        rig.clock.advance_ms(1);
        assert_eq!(open(&rig, "acme", token, &later), Err(CvcGone));
        assert_eq!(open(&rig, "acme", token, &next).as_deref(), Ok("123"));
    }

    #[test]
    fn it_stays_spent_in_the_next_epoch() {
        let rig = Rig::new(&["acme"]);
        let token = Token::fresh();
        seal(&rig, &token);
        rig.clock.advance_ms(TTL_MS - 1);
        let text = seal(&rig, &token);
        assert!(open(&rig, "acme", token, &text).is_ok());
        rig.clock.advance_ms(1);
        seal(&rig, &token);
        assert_eq!(open(&rig, "acme", token, &text), Err(CvcGone));
    }

    #[test]
    fn old_keys_are_destroyed_without_another_cvc() {
        let rig = Rig::new(&["acme"]);
        seal(&rig, &Token::fresh());
        let key = Arc::downgrade(rig.barrier.epochs().current.as_ref().unwrap());
        rig.clock.advance_ms(2 * TTL_MS - 1);
        rig.barrier.destroy_old_epochs();
        assert!(key.upgrade().is_some());
        rig.clock.advance_ms(1);
        rig.barrier.destroy_old_epochs();
        assert!(key.upgrade().is_none());
    }

    #[test]
    fn sealing_the_vault_destroys_it() {
        let rig = Rig::new(&["acme"]);
        let token = Token::fresh();
        let text = seal(&rig, &token);
        rig.barrier.seal_now();
        assert_eq!(open(&rig, "acme", token, &text), Err(CvcGone));
        let cvc = Cvc::parse("123", Brand::Visa).ok().unwrap();
        let sealed = rig.barrier.seal_cvc(&"acme".parse().unwrap(), &token, &cvc);
        assert_eq!(sealed, Err(BarrierError::Sealed));
        assert!(rig.barrier.epochs().current.is_none());
    }

    #[test]
    fn of_many_at_once_one_gets_it() {
        let rig = Rig::new(&["acme"]);
        let token = Token::fresh();
        let text = seal(&rig, &token);
        let warrants: Vec<_> = (0..8).map(|_| rig.on::<Reveal>("acme", token)).collect();
        let (barrier, text) = (&rig.barrier, &text);
        let opened: usize = std::thread::scope(|scope| {
            let all: Vec<_> = warrants
                .into_iter()
                .map(|warrant| scope.spawn(move || usize::from(barrier.open_cvc(&warrant, text).is_ok())))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(opened, 1);
    }

    #[test]
    fn what_could_not_be_found_out_is_given_back_and_may_be_asked_for_again() {
        let rig = Rig::new(&["acme"]);
        let token = Token::fresh();
        let text = seal(&rig, &token);
        let take = || rig.barrier.take_cvc(&rig.on::<Reveal>("acme", token), &text);
        let taken = take().unwrap();
        assert!(take().is_err());
        taken.give_back();
        let again = take().unwrap();
        assert!(again.first(false).is_err());
        assert!(take().is_err(), "another node had it");
    }

    #[test]
    fn at_its_limit_the_memory_of_spent_ones_refuses() {
        let mut spent = Spent::default();
        let nonce = |n: u64| {
            let mut nonce = [0; NONCE];
            nonce[..8].copy_from_slice(&n.to_be_bytes());
            nonce
        };
        let most = limits::CVC_SPENT_MAX;
        assert!((0..most as u64).all(|n| spent.spend(nonce(n), most).is_ok()));
        assert_eq!(spent.spend(nonce(most as u64), most), Err(CvcGone));
        assert_eq!(spent.spend(nonce(0), most + 1), Err(CvcGone));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn any_changed_character_is_noticed(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
            let rig = Rig::new(&["acme"]);
            let token = Token::fresh();
            let text = seal(&rig, &token);
            let place = at.index(text.len());
            let mut changed = text.clone();
            changed.replace_range(place..=place, &to);
            prop_assert_eq!(open(&rig, "acme", token, &changed).is_ok(), changed == text);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(cvc_)?.{0,70}") {
            let _ = parse(&text);
        }
    }
}
