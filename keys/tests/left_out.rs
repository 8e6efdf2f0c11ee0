//! A build without a kind of Root reads such a root.json, says that it was left out, and takes it for nothing else. Run in
//! every build; `cargo xtask test` makes the one without.

use std::time::Duration;

use strongroom_keys::root::place::{HsmSite, KmsSite, Site};
use strongroom_keys::root::{Descriptor, Root, RootError, can_reach, found_in_hsm, found_in_kms};
use uuid::Uuid;

#[tokio::test]
async fn a_root_in_an_hsm_is_refused_as_left_out_exactly_by_a_build_without() {
    let root = descriptor(
        r#""kind": "pkcs11", "pkcs11": {"token_label": "vault", "token_serial": "1", "key_label": "root",
            "key_id": "ab", "mechanism": "CKM_AES_GCM"}"#,
    );
    let lacks = cfg!(any(not(feature = "pkcs11"), target_feature = "crt-static"));
    assert_eq!(can_reach(&root, &site()), if lacks { Err(RootError::LeftOut) } else { Ok(()) });
    let reached = Root::reach(&root, &site()).await.err();
    let made = found_in_hsm(Uuid::from_u128(7), &site(), "vault", "root", false).await.err();
    for refused in [reached, made] {
        assert!(refused.is_some_and(|why| (why == RootError::LeftOut) == lacks), "{refused:?}");
    }
}

#[tokio::test]
async fn a_root_in_kms_is_refused_as_left_out_exactly_by_a_build_without() {
    let arn = "arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-0000-0000-000000000001";
    let root = descriptor(&format!(r#""kind": "kms", "kms": {{"arn": "{arn}", "region": "eu-central-1"}}"#));
    let lacks = cfg!(not(feature = "kms"));
    assert_eq!(can_reach(&root, &site()), if lacks { Err(RootError::LeftOut) } else { Ok(()) });
    let reached = Root::reach(&root, &site()).await.err();
    let made = found_in_kms(Uuid::from_u128(7), &site(), arn, "eu-central-1").await.err();
    for refused in [reached, made] {
        assert!(refused.is_some_and(|why| (why == RootError::LeftOut) == lacks), "{refused:?}");
    }
}

/// A root.json with these facts.
fn descriptor(facts: &str) -> Descriptor {
    let vault = "00000000-0000-0000-0000-000000000007";
    let rest = r#""threshold": 0, "shares": 0, "commitments": [], "check": "AAAA""#;
    let json = format!(r#"{{"format": 1, "vault_id": "{vault}", {rest}, {facts}}}"#);
    Descriptor::parse(json.as_bytes()).expect("every build reads every root.json")
}

/// A whole site, so that nothing but the build is in the way; nobody is there.
fn site() -> Site {
    let (timeout, nowhere) = (Duration::from_secs(1), "/nonexistent/strongroom");
    let hsm = HsmSite { module: nowhere.into(), pin_file: nowhere.into(), slot: None, timeout };
    let kms = KmsSite { endpoint: Some("http://127.0.0.1:9".to_owned()), profile: None, timeout };
    Site { hsm: Some(hsm), kms: Some(kms) }
}
