//! The Root in an HSM, with tokens of SoftHSM: every law, and what tokens do that memory does not.

use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use tokio::time::timeout;

use super::parts::{PIN, SoftHsm, module};
use super::{Pair, every_law, many_at_a_time, place, used_everywhere};
use crate::key::{Kek, Key};
use crate::root::place::Site;
use crate::root::{Descriptor, Root, RootError, found_in_hsm, fresh_vault_id};

async fn made(site: &Site, token: &str) -> Root {
    let descriptor = found_in_hsm(fresh_vault_id().unwrap(), site, token, "strongroom-root", false).await.unwrap();
    // As vaultd reads it.
    let descriptor = Descriptor::parse(descriptor.to_json().as_bytes()).unwrap();
    Root::reach(&descriptor, site).await.unwrap()
}

/// The library beside the Root's own use of it, as another program on the machine would see the token.
fn library() -> Pkcs11 {
    let library = Pkcs11::new(module()).unwrap();
    let _running = library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    library
}

fn slot(library: &Pkcs11, label: &str) -> cryptoki::slot::Slot {
    let slots = library.get_slots_with_token().unwrap();
    slots.into_iter().find(|slot| library.get_token_info(*slot).unwrap().label().trim() == label).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_in_an_hsm_keeps_every_law() {
    let Some(hsm) = SoftHsm::of("hsm::the_root_in_an_hsm_keeps_every_law") else { return };
    let pair = Pair { one: made(&hsm.site(), "one").await, other: made(&hsm.site(), "other").await };
    every_law(&pair).await;
    let began = Instant::now();
    many_at_a_time(&pair.one, 3_000).await;
    eprintln!("measured: HSM (SoftHSM), 3000 keys wrapped and unwrapped in {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_of_a_token_serves_two_vaults_apart() {
    let Some(hsm) = SoftHsm::of("hsm::one_key_of_a_token_serves_two_vaults_apart") else { return };
    let one = made(&hsm.site(), "one").await;
    let vault = fresh_vault_id().unwrap();
    let refused = found_in_hsm(vault, &hsm.site(), "one", "strongroom-root", false).await;
    assert!(matches!(refused, Err(RootError::Setting(why)) if why.contains("--existing")), "{refused:?}");
    let descriptor = found_in_hsm(vault, &hsm.site(), "one", "strongroom-root", true).await.unwrap();
    assert_eq!(descriptor.hsm_key(), one.descriptor().hsm_key());
    let other = Root::reach(&descriptor, &hsm.site()).await.unwrap();
    let at = place::<Kek>("acme", b"kek");
    let wrapped = one.wrap(&at, 1, &Key::<Kek>::generate().unwrap()).await.unwrap();
    assert_eq!(other.unwrap_key::<Kek>(&at, 1, &wrapped).await.err(), Some(RootError::Unauthentic));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_descriptor_that_was_changed_opens_nothing() {
    let Some(hsm) = SoftHsm::of("hsm::a_descriptor_that_was_changed_opens_nothing") else { return };
    let json = made(&hsm.site(), "one").await.descriptor().to_json();
    made(&hsm.site(), "other").await;
    let library = library();
    let serial = |label| library.get_token_info(slot(&library, label)).unwrap().serial_number().trim().to_owned();
    // Another token, with a key of the same label.
    let id = |json: &str| Descriptor::parse(json.as_bytes()).unwrap().hsm_key().unwrap().key_id.clone();
    let elsewhere = json.replace(&serial("one"), &serial("other")).replace("\"one\"", "\"other\"");
    let found = Root::reach(&Descriptor::parse(elsewhere.as_bytes()).unwrap(), &hsm.site()).await;
    assert_eq!(found.err(), Some(RootError::NoKey));
    let vault = json.replace(&json[json.find("vault_id").unwrap() + 12..][..8], "00000000");
    assert_ne!(vault, json);
    let found = Root::reach(&Descriptor::parse(vault.as_bytes()).unwrap(), &hsm.site()).await;
    assert_eq!(found.err(), Some(RootError::WrongKey));
    let unknown = json.replace(&id(&json), "00");
    let found = Root::reach(&Descriptor::parse(unknown.as_bytes()).unwrap(), &hsm.site()).await;
    assert_eq!(found.err(), Some(RootError::NoKey));
    for (from, to) in
        [("\"mechanism\"", "\"more\": 1, \"mechanism\""), ("CKM_AES_GCM", "CKM_AES_CBC"), ("\"pkcs11\"", "\"kms\"")]
    {
        assert!(Descriptor::parse(json.replace(from, to).as_bytes()).is_err(), "{to}");
    }
    let nowhere = json.replace("\"one\"", "\"none\"");
    let found = Root::reach(&Descriptor::parse(nowhere.as_bytes()).unwrap(), &hsm.site()).await;
    assert_eq!(found.err(), Some(RootError::Unavailable));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_can_leave_the_token_is_refused() {
    let Some(hsm) = SoftHsm::of("hsm::a_key_that_can_leave_the_token_is_refused") else { return };
    let library = library();
    let session = library.open_rw_session(slot(&library, "one")).unwrap();
    session.login(UserType::User, Some(&AuthPin::from(PIN.to_owned()))).unwrap();
    for (label, bytes, sensitive, extractable) in
        [("shown", 32, false, false), ("taken", 32, true, true), ("short", 16, true, false)]
    {
        let template = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(sensitive),
            Attribute::Extractable(extractable),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::ValueLen(bytes.into()),
            Attribute::Label(label.into()),
            Attribute::Id(vec![1]),
        ];
        session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
        let refused = found_in_hsm(fresh_vault_id().unwrap(), &hsm.site(), "one", label, true).await;
        assert!(matches!(refused, Err(RootError::Setting(_))), "{label}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_sessions_and_a_lost_login_are_taken_up_again() {
    let Some(hsm) = SoftHsm::of("hsm::lost_sessions_and_a_lost_login_are_taken_up_again") else { return };
    let root = made(&hsm.site(), "one").await;
    let library = library();
    for _ in 0..3 {
        used_everywhere(&root).await;
        // The login belongs to the process, so this ends it for every session.
        let session = library.open_ro_session(slot(&library, "one")).unwrap();
        session.logout().unwrap();
        used_everywhere(&root).await;
        // The library itself, and with it every session, as when an HSM restarts.
        library.clone().finalize().unwrap();
        used_everywhere(&root).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_taken_away_is_unavailable_and_comes_back() {
    let Some(hsm) = SoftHsm::of("hsm::a_token_that_was_taken_away_is_unavailable_and_comes_back") else { return };
    let root = made(&hsm.site(), "one").await;
    let at = place::<Kek>("acme", b"kek");
    let wrapped = root.wrap(&at, 1, &Key::<Kek>::generate().unwrap()).await.unwrap();
    for _ in 0..2 {
        hsm.take_away();
        let away = root.probe().await.unwrap_err();
        assert!(away.may_pass() && away != RootError::Denied, "{away:?}");
        assert!(root.wrap(&at, 1, &Key::<Kek>::generate().unwrap()).await.is_err());
        let opened = root.unwrap_key::<Kek>(&at, 1, &wrapped).await.err();
        assert!(opened.is_some_and(RootError::may_pass), "away is not a damaged key: {opened:?}");
        assert!(Root::reach(root.descriptor(), &hsm.site()).await.err().is_some_and(RootError::may_pass));
        hsm.bring_back();
        assert_eq!(root.probe().await, Ok(()));
        assert!(root.unwrap_key::<Kek>(&at, 1, &wrapped).await.is_ok());
        used_everywhere(&root).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_hangs_holds_nobody_up_for_long() {
    let Some(hsm) = SoftHsm::of("hsm::a_token_that_hangs_holds_nobody_up_for_long") else { return };
    let mut site = hsm.site();
    site.hsm.as_mut().unwrap().timeout = Duration::from_secs(1);
    let root = made(&site, "one").await;
    used_everywhere(&root).await;
    let hung = hsm.hang();
    let (began, mut refused) = (Instant::now(), 0);
    // More than there may be calls at a time.
    for _ in 0..4 {
        for _ in 0..5 {
            refused += u32::from(timeout(Duration::from_millis(1), root.probe()).await.is_err());
        }
        assert_eq!(root.probe().await, Err(RootError::Unavailable));
    }
    let took = began.elapsed();
    // It hung, and each waited for the time that is set and not for the token, which hangs for good.
    assert!((Duration::from_secs(4)..Duration::from_secs(60)).contains(&took), "{took:?}");
    assert!(refused > 0);
    let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
    assert!(threads < 40, "{threads} threads wait for a token that hangs");
    hsm.go_on(hung);
    let end = Instant::now() + Duration::from_secs(60);
    while root.probe().await.is_err() {
        assert!(Instant::now() < end, "it did not come back");
    }
    used_everywhere(&root).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_pin_is_tried_once() {
    let Some(hsm) = SoftHsm::of("hsm::a_wrong_pin_is_tried_once") else { return };
    let root = made(&hsm.site(), "one").await;
    std::fs::write(hsm.pin(), "99999999\n").unwrap();
    let library = library();
    library.clone().finalize().unwrap();
    assert_eq!(root.probe().await, Err(RootError::PinRefused));
    // With the right PIN back, this Root stays as it is: who corrected the file says so by an unseal.
    std::fs::write(hsm.pin(), format!("{PIN}\n")).unwrap();
    assert_eq!(root.probe().await, Err(RootError::PinRefused));
    assert!(Root::reach(root.descriptor(), &hsm.site()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_is_none_and_a_missing_setting_are_named() {
    let Some(hsm) = SoftHsm::of("hsm::a_module_that_is_none_and_a_missing_setting_are_named") else { return };
    let root = made(&hsm.site(), "one").await;
    for module in [hsm.pin(), "/nonexistent/module.so".into()] {
        let mut site = hsm.site();
        site.hsm.as_mut().unwrap().module = module;
        let refused = Root::reach(root.descriptor(), &site).await.err();
        assert!(matches!(refused, Some(RootError::Setting(why)) if why.contains("module")), "{refused:?}");
    }
    let refused = Root::reach(root.descriptor(), &Site::default()).await.err();
    assert!(matches!(refused, Some(RootError::Setting(why)) if why.contains("[root.pkcs11]")), "{refused:?}");
}
