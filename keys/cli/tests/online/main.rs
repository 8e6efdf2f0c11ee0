//! vaultctl against an admin listener that a test scripts: what it sends, what it believes, what it says.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up stops there")]

mod acts;
mod admin;
mod handovers;
mod store;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use strongroom_keys::Key;
use strongroom_keys::note::Checkpoint;
use strongroom_keys::root::{Assembly, Descriptor, Step};
use strongroom_keys::share::read_submission;
use strongroom_keys::sign::Signer;
use strongroom_wire::Kind;
use strongroom_wire::admin::{KeyPurpose, Phase, Rotation, RotationState, UnsealProgress};

use admin::{Answer, Request, World};

fn ok(value: &impl serde::Serialize) -> Answer {
    (200, "", serde_json::to_string(value).unwrap())
}

fn problem(kind: Kind, detail: &str) -> Answer {
    (kind.status(), "", serde_json::to_string(&kind.problem(detail)).unwrap())
}

/// Three shares of which two are needed, with passphrase files.
fn ceremony(world: &World) -> Descriptor {
    let mut flags = String::new();
    for n in 1..=3 {
        let path = world.path(&format!("passphrase-{n}"));
        std::fs::write(&path, format!("the passphrase of custodian {n}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        flags += &format!(" --passphrase-file passphrase-{n}");
    }
    world.done(&format!("init --shares 3 --threshold 2 --out ceremony --open-milliseconds 0{flags}"));
    Descriptor::parse(&std::fs::read(world.path("ceremony/root.json")).unwrap()).unwrap()
}

/// The vault's side of an unseal.
fn take(assembly: &mut Assembly, mut request: Request) -> Answer {
    let person = format!("{:?}", request.person);
    if request.method == "DELETE" {
        assembly.abandon();
        return ok(&UnsealProgress { phase: Phase::Sealed, shares_given: 0, threshold: 2 });
    }
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/unseal"));
    match assembly.give(read_submission(&mut request.body).unwrap().share, &person, 0) {
        Ok(Step::Waiting { given }) => {
            ok(&UnsealProgress { phase: Phase::Unsealing, shares_given: given, threshold: 2 })
        }
        Ok(Step::Complete(_)) => ok(&UnsealProgress { phase: Phase::Unsealed, shares_given: 0, threshold: 2 }),
        Err(refused) => problem(Kind::ShareRefused, &refused.to_string()),
    }
}

#[test]
fn two_custodians_unseal_and_one_alone_cannot() {
    let world = World::new();
    let mut assembly = Assembly::new(ceremony(&world));
    let to = world.listen(move |request| take(&mut assembly, request));
    let unseal = |n: u32, person: &str| {
        format!("unseal --share ceremony/share-{n}.json --passphrase-file passphrase-{n} {}", to(person))
    };
    assert_eq!(world.done(&unseal(3, "ada")), "share 3 is in: 1 of 2 that are needed\n");
    let refusal = world.refused(&unseal(1, "ada"));
    assert!(refusal.contains("another custodian has to hand in the next one"), "{refusal}");
    assert_eq!(world.done(&unseal(1, "ben")), "the vault is unsealed\n");
    assert_eq!(world.done(&unseal(3, "ada")), "share 3 is in: 1 of 2 that are needed\n");
    assert_eq!(world.done(&format!("unseal --abandon {}", to("ada"))), "the shares that were in are forgotten\n");
    assert_eq!(world.done(&unseal(3, "ada")), "share 3 is in: 1 of 2 that are needed\n");
}

#[test]
fn a_wrong_passphrase_sends_nothing() {
    let world = World::new();
    ceremony(&world);
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let to = world.listen(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        problem(Kind::Internal, "")
    });
    let wrong = format!("unseal --share ceremony/share-1.json --passphrase-file passphrase-2 {}", to("ada"));
    let refusal = world.refused(&wrong);
    assert!(refusal.contains("the passphrase is wrong, or the file was changed"), "{refusal}");
    assert!(!refusal.contains("custodian 2"), "{refusal}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn a_server_of_another_authority_or_an_old_protocol_gets_nothing() {
    let (world, other) = (World::new(), World::new());
    let asked = Arc::new(AtomicU32::new(0));
    let count = |asked: &Arc<AtomicU32>| {
        let asked = Arc::clone(asked);
        move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
            problem(Kind::Internal, "")
        }
    };
    let foreign = other.listen(count(&asked));
    let refusal = world.refused(&format!("status {}", foreign("ada")));
    assert!(refusal.contains("invalid peer certificate"), "{refusal}");
    let old = world.listen_with(&[&rustls::version::TLS12], count(&asked));
    world.refused(&format!("status {}", old("ada")));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let world = World::new();
    let to = world.listen(|_| problem(Kind::Internal, ""));
    std::fs::set_permissions(world.path("pki/ada.key"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(world.refused(&format!("status {}", to("ada"))).contains("chmod 600"));
}

#[test]
fn what_the_vault_refuses_is_said_with_field_and_request() {
    let world = World::new();
    let to = world.listen(|_| {
        let mut denied = Kind::Denied.problem("the identity does not hold the scope tenants");
        denied.field = Some("tenant".to_owned());
        denied.request_id = Some("req_1".to_owned());
        (403, "", serde_json::to_string(&denied).unwrap())
    });
    let refusal = world.refused(&format!("tenants add acme {}", to("ada")));
    assert_eq!(
        refusal,
        "error: Policy does not allow this: the identity does not hold the scope tenants\nfield: tenant\nrequest: req_1\n"
    );
    let json: serde_json::Value =
        serde_json::from_str(&world.refused(&format!("--json tenants add acme {}", to("ada")))).unwrap();
    assert_eq!(json["type"], "urn:strongroom:problem:denied");
}

#[test]
fn a_redirect_or_a_page_of_another_server_is_not_followed() {
    let world = World::new();
    for answer in [(302, "Location: /v1/elsewhere\r\n", String::new()), (200, "", "<html>".to_owned())] {
        let paths = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&paths);
        let to = world.listen(move |request| {
            seen.lock().unwrap().push(request.path);
            answer.clone()
        });
        assert!(world.refused(&format!("status {}", to("ada"))).contains("not one of this version's vault"));
        assert_eq!(*paths.lock().unwrap(), ["/v1/status"]);
    }
}

fn rotation(state: RotationState, done: u64) -> Rotation {
    Rotation {
        key: KeyPurpose::Kek,
        tenant: Some("acme".parse().unwrap()),
        to_term: 2,
        state,
        done,
        total: 10,
        records_per_second: Some(5),
        seconds_left: Some(1),
        records_per_second_max: None,
        emergency: false,
        started_at: "2025-11-24T16:00:00.123Z".to_owned(),
        fault: (state == RotationState::Stopped).then(|| "the store is full".to_owned()),
        proof: (state == RotationState::Done).then(|| "the proof\n".to_owned()),
    }
}

#[test]
fn a_rotation_is_watched_to_its_end_through_a_fault_on_the_way() {
    let world = World::new();
    let mut polls = 0;
    let to = world.listen(move |request| {
        if request.method == "POST" {
            assert_eq!(request.body, br#"{"tenant":"acme","records_per_second_max":50}"#);
            return ok(&rotation(RotationState::Running, 0));
        }
        assert_eq!(request.path, "/v1/rotations/acme");
        polls += 1;
        match polls {
            1 => problem(Kind::Unavailable, "the store does not answer"),
            2 => ok(&rotation(RotationState::Running, 5)),
            _ => ok(&rotation(RotationState::Done, 10)),
        }
    });
    let rotate = format!("keys rotate --tenant acme --records-per-second 50 {}", to("ada"));
    assert_eq!(world.done(&rotate), "acme is on term 2 of its kek key: 10 records\n\nthe proof\n\n");
    let detached = world.done(&format!("{rotate} --detach"));
    assert_eq!(detached, "acme moves to term 2 of its kek key: 0 of 10 records so far\n");
}

#[test]
fn an_emergency_of_every_tenant_goes_through_all_though_one_fails() {
    let world = World::new();
    let to = world.listen(|request| {
        let of = |tenant: &str, state| Rotation {
            key: KeyPurpose::Fingerprint,
            tenant: Some(tenant.parse().unwrap()),
            ..rotation(state, 10)
        };
        match request.path.as_str() {
            "/v1/tenants" => {
                let tenant =
                    |name: &str| format!("{{\"tenant\":\"{name}\",\"created_at\":\"2025-11-24T16:00:00.123Z\"}}");
                let all: Vec<String> = ["a", "b", "c", "d", "e"].map(tenant).to_vec();
                (200, "", format!("{{\"tenants\":[{}]}}", all.join(",")))
            }
            "/v1/rotations" => {
                let body = String::from_utf8(request.body).unwrap();
                assert!(body.contains("\"key\":\"fingerprint\"") && body.contains("\"emergency\":true"), "{body}");
                let tenant = body.split("\"tenant\":\"").nth(1).unwrap()[..1].to_owned();
                if tenant == "b" {
                    return problem(Kind::Unavailable, "the store does not answer");
                }
                ok(&of(&tenant, RotationState::Running))
            }
            path => {
                let tenant = path.strip_prefix("/v1/rotations/").unwrap().strip_suffix("?key=fingerprint").unwrap();
                ok(&of(tenant, RotationState::Done))
            }
        }
    });
    let output = world.run(&format!("keys rotate --all --emergency --purpose fingerprint {}", to("ada")));
    let (said, why) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1));
    for tenant in ["a", "c", "d", "e"] {
        assert!(said.contains(&format!("{tenant} is on term 2")), "{said}");
    }
    assert!(said.contains("b: its fingerprint key failed: ") && said.contains("the store does not answer"), "{said}");
    assert!(why.contains("1 of 5 did not come to their end"), "{why}");
}

#[test]
fn it_has_to_be_said_whose_key_and_the_sign_key_is_nobody_s() {
    let world = World::new();
    let to = world.listen(|_| problem(Kind::Internal, "nobody should ask"));
    assert!(world.refused(&format!("keys rotate {}", to("ada"))).contains("it is not said whose key"));
    let sign = world.refused(&format!("keys rotate --purpose sign --all {}", to("ada")));
    assert!(sign.contains("the sign key belongs to the vault itself"), "{sign}");
}

#[test]
fn a_rotation_that_stopped_is_a_failure() {
    let world = World::new();
    let to = world.listen(|_| ok(&rotation(RotationState::Stopped, 5)));
    let refusal = world.refused(&format!("keys rotate --tenant acme {}", to("ada")));
    assert!(refusal.contains("the rotation stopped: the store is full"), "{refusal}");
}

#[test]
fn a_checkpoint_is_kept_only_with_the_right_signature() {
    let world = World::new();
    let signer = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
    let forger = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
    let key = signer.public_key().to_string();
    let checkpoint = Checkpoint { size: 3, root: [1; 32] };
    let (note, forged) = (checkpoint.sign(&signer), checkpoint.sign(&forger));
    let answer = move |note: String| {
        let key = key.clone();
        move |request: Request| match request.path.as_str() {
            "/v1/audit/public-key" => (200, "", format!("{key}\n")),
            "/v1/audit/handovers" => (200, "", "{\"handovers\":[]}".to_owned()),
            _ => (200, "", note.clone()),
        }
    };
    let key = signer.public_key().to_string();
    let honest = world.listen(answer(note.clone()));
    let said = world.done(&format!("audit checkpoint --out kept --public-key {key} {}", honest("ada")));
    assert_eq!(said, note);
    assert_eq!(std::fs::read_to_string(world.path("kept")).unwrap(), note);
    // Without a key of one's own it is said that the vault vouches for itself.
    let output = world.run(&format!("audit checkpoint {}", honest("ada")));
    assert!(output.status.success() && String::from_utf8(output.stderr).unwrap().contains("the vault's own word"));
    let lying = world.listen(answer(forged));
    let refusal = world.refused(&format!("audit checkpoint --out forged --public-key {key} {}", lying("ada")));
    assert!(refusal.contains("the checkpoint is not this log's"), "{refusal}");
    assert!(!world.path("forged").exists());
}
