//! The Root in AWS KMS, with moto for KMS: every law, and what a network and a cloud do that memory does not.

use std::time::{Duration, Instant};

use super::parts::{Moto, REGION};
use super::{Pair, every_law, many_at_a_time, place, used_everywhere};
use crate::key::{Kek, Key};
use crate::root::place::{KmsKey, Site};
use crate::root::{Descriptor, Root, RootError, found_in_kms, fresh_vault_id};

#[path = "../../../tests/harness/kms_proxy.rs"]
#[expect(unreachable_pub, reason = "it is public in the harness of `tests`, whose file it is")]
mod kms_proxy;
use kms_proxy::{KmsProxy, Mood};

async fn made(site: &Site, key: &str) -> Root {
    let descriptor = found_in_kms(fresh_vault_id().unwrap(), site, key, REGION).await.unwrap();
    let descriptor = Descriptor::parse(descriptor.to_json().as_bytes()).unwrap();
    Root::reach(&descriptor, site).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_in_kms_keeps_every_law() {
    let Some(moto) = Moto::of("kms::the_root_in_kms_keeps_every_law") else { return };
    let site = moto.site(&moto.endpoint());
    let pair = Pair { one: made(&site, &moto.key().await).await, other: made(&site, &moto.key().await).await };
    every_law(&pair).await;
    let began = Instant::now();
    many_at_a_time(&pair.one, 100).await;
    eprintln!("measured: KMS (moto), 100 keys wrapped and unwrapped in {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_of_kms_serves_two_vaults_apart() {
    let Some(moto) = Moto::of("kms::one_key_of_kms_serves_two_vaults_apart") else { return };
    let (site, key) = (moto.site(&moto.endpoint()), moto.key().await);
    // By its id, as people copy it; root.json holds the ARN.
    let (one, other) = (made(&site, &key).await, made(&site, key.rsplit('/').next().unwrap()).await);
    assert_eq!(other.descriptor().kms_key(), Some(&KmsKey { arn: key, region: REGION.to_owned() }));
    let at = place::<Kek>("acme", b"kek");
    let wrapped = one.wrap(&at, 1, &Key::<Kek>::generate().unwrap()).await.unwrap();
    assert_eq!(other.unwrap_key::<Kek>(&at, 1, &wrapped).await.err(), Some(RootError::Unauthentic));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_descriptor_that_was_changed_opens_nothing() {
    let Some(moto) = Moto::of("kms::a_descriptor_that_was_changed_opens_nothing") else { return };
    let (site, key, other) = (moto.site(&moto.endpoint()), moto.key().await, moto.key().await);
    let json = made(&site, &key).await.descriptor().to_json();
    let reach = async |json: String| Root::reach(&Descriptor::parse(json.as_bytes()).unwrap(), &site).await.err();
    assert_eq!(reach(json.replace(&key, &other)).await, Some(RootError::WrongKey));
    let vault = json.replace(&json[json.find("vault_id").unwrap() + 12..][..8], "00000000");
    assert_eq!(reach(vault).await, Some(RootError::WrongKey));
    let gone = key.replace(key.rsplit('/').next().unwrap(), "00000000-0000-0000-0000-000000000000");
    assert_eq!(reach(json.replace(&key, &gone)).await, Some(RootError::NoKey));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_kms_is_told_apart_and_passes() {
    let Some(moto) = Moto::of("kms::each_fault_of_kms_is_told_apart_and_passes") else { return };
    let proxy = KmsProxy::start(moto.at).unwrap();
    let mut site = moto.site(&proxy.endpoint());
    site.kms.as_mut().unwrap().timeout = Duration::from_secs(3);
    let root = made(&site, &moto.key().await).await;
    let at = place::<Kek>("acme", b"kek");
    let wrapped = root.wrap(&at, 1, &Key::<Kek>::generate().unwrap()).await.unwrap();
    for (mood, fault) in [
        (Mood::Deny, RootError::Denied),
        (Mood::Disabled, RootError::NoKey),
        (Mood::Throttle(usize::MAX), RootError::Throttled),
        (Mood::HangUp, RootError::Unavailable),
        (Mood::Babble, RootError::Unavailable),
        (Mood::Delay(60_000), RootError::Unavailable),
    ] {
        proxy.set(mood);
        let began = Instant::now();
        assert_eq!(root.probe().await, Err(fault), "{mood:?}");
        assert_eq!(root.unwrap_key::<Kek>(&at, 1, &wrapped).await.err(), Some(fault), "{mood:?}");
        assert_eq!(root.wrap(&at, 1, &Key::<Kek>::generate().unwrap()).await.err(), Some(fault), "{mood:?}");
        assert_eq!(Root::reach(root.descriptor(), &site).await.err(), Some(fault), "{mood:?}");
        assert!(began.elapsed() < Duration::from_secs(20), "{mood:?} took {:?}", began.elapsed());
        assert!(fault.may_pass());
        proxy.set(Mood::Pass);
        used_everywhere(&root).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_throttled_requests_are_repeated_with_pauses() {
    let Some(moto) = Moto::of("kms::a_few_throttled_requests_are_repeated_with_pauses") else { return };
    let proxy = KmsProxy::start(moto.at).unwrap();
    let root = made(&moto.site(&proxy.endpoint()), &moto.key().await).await;
    let before = proxy.seen();
    proxy.set(Mood::Throttle(2));
    assert_eq!(root.probe().await, Ok(()));
    assert_eq!(proxy.seen() - before, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_setting_and_an_endpoint_in_the_clear_are_named() {
    let Some(moto) = Moto::of("kms::a_missing_setting_and_an_endpoint_in_the_clear_are_named") else { return };
    let root = made(&moto.site(&moto.endpoint()), &moto.key().await).await;
    for site in [Site::default(), moto.site("http://192.0.2.1:80")] {
        let refused = Root::reach(root.descriptor(), &site).await.err();
        assert!(matches!(refused, Some(RootError::Setting(why)) if why.contains("[root.kms]")), "{refused:?}");
    }
}
