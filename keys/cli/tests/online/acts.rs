//! What needs two people, from the terminals of both.

use strongroom_keys::Key;
use strongroom_keys::destruction::Destruction;
use strongroom_keys::note::Statement as _;
use strongroom_keys::sign::Signer;
use strongroom_wire::acts::{ActKind, ActList, ActState, ChangePolicy, DestroyKey, PendingAct, SetRetention};
use strongroom_wire::admin::{KeyPurpose, Reloaded};
use strongroom_wire::retention::{OverAgeLine, OverAgeReport, RetentionRule};
use strongroom_wire::{ActId, Kind};

use super::admin::World;
use super::{ok, problem};

fn act(what: ActKind) -> PendingAct {
    PendingAct {
        act_id: "act_0198f0c2a1b27c3d8e4f5a6b7c8d9e0f".parse::<ActId>().unwrap(),
        scope: what.scope(),
        what,
        requested_by: "spiffe://strongroom/security/ada".to_owned(),
        requested_at: "2025-11-24T16:00:00.123Z".to_owned(),
        expires_at: "2025-11-25T16:00:00.123Z".to_owned(),
        state: ActState::Pending,
        approved_by: None,
        fault: None,
        result: None,
    }
}

fn destroy() -> PendingAct {
    act(ActKind::DestroyKey(DestroyKey { purpose: KeyPurpose::Kek, tenant: Some("acme".parse().unwrap()), term: 1 }))
}

#[test]
fn one_asks_another_approves_and_the_note_is_checked_without_the_vault() {
    let world = World::new();
    let signer = Signer::new("strongroom/test", &Key::generate().unwrap()).unwrap();
    let gone = Destruction {
        purpose: KeyPurpose::Kek,
        tenant: Some("acme".parse().unwrap()),
        term: 1,
        at_ms: 1_764_000_000_123,
    };
    let note = gone.sign(&signer);
    let result = note.clone();
    let to = world.listen(move |request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v1/keys/destroy") => {
            assert_eq!(request.body, br#"{"purpose":"kek","tenant":"acme","term":1}"#);
            (202, "", serde_json::to_string(&destroy()).unwrap())
        }
        ("GET", "/v1/acts") => ok(&ActList { acts: vec![destroy()] }),
        ("POST", path) => {
            assert_eq!(path, "/v1/acts/act_0198f0c2a1b27c3d8e4f5a6b7c8d9e0f/approve");
            ok(&PendingAct { state: ActState::Done, result: Some(result.clone()), ..destroy() })
        }
        _ => ok(&PendingAct { state: ActState::Withdrawn, ..destroy() }),
    });
    let said = world.done(&format!("keys destroy --tenant acme --term 1 {}", to("ada")));
    assert!(said.starts_with("destroy kek term 1 of acme: asked for by spiffe://strongroom/security/ada"), "{said}");
    assert!(said.ends_with("vaultctl acts approve act_0198f0c2a1b27c3d8e4f5a6b7c8d9e0f\n"), "{said}");
    let list = world.done(&format!("acts list {}", to("ben")));
    assert!(list.contains("pending  destroy kek term 1 of acme  spiffe://strongroom/security/ada"), "{list}");
    let approve = format!("acts approve act_0198f0c2a1b27c3d8e4f5a6b7c8d9e0f {}", to("ben"));
    let shown = world.done(&format!("{approve} --proof-out kept"));
    assert_eq!(shown, format!("destroy kek term 1 of acme: done\n\n{note}\n"));
    assert_eq!(std::fs::read_to_string(world.path("kept")).unwrap(), note);
    let json: serde_json::Value = serde_json::from_str(&world.done(&format!("--json {approve}"))).unwrap();
    assert_eq!((json["state"].as_str(), json["kind"].as_str()), (Some("done"), Some("destroy_key")));
    let withdrawn = world.done(&format!("acts withdraw act_0198f0c2a1b27c3d8e4f5a6b7c8d9e0f {}", to("ben")));
    assert_eq!(withdrawn, "destroy kek term 1 of acme: withdrawn\n");

    let key = signer.public_key();
    for text in [&note, &shown] {
        std::fs::write(world.path("note"), text).unwrap();
        let said = world.done(&format!("proof verify note --public-key {key}"));
        assert!(said.contains("acme: kek term 1 is destroyed, with 0 records on it"), "{said}");
    }
    std::fs::write(world.path("note"), note.replace("acme", "emca")).unwrap();
    let refusal = world.refused(&format!("proof verify note --public-key {key}"));
    assert!(refusal.contains("the signature is wrong") && refusal.contains("do not rely on it"), "{refusal}");
    std::fs::write(world.path("note"), "strongroom-invention/1\n").unwrap();
    assert!(world.refused(&format!("proof verify note --public-key {key}")).contains("not a signed note"));
}

#[test]
fn the_same_person_is_told_that_a_second_one_is_needed() {
    let world = World::new();
    let to = world.listen(|_| problem(Kind::Denied, "a second person is needed for this"));
    let refusal = world.refused(&format!("acts approve act_0198f0c2a1b27c3d8e4f5a6b7c8d9e0f {}", to("ada")));
    assert!(refusal.contains("a second person is needed for this"), "{refusal}");
}

#[test]
fn a_changed_policy_is_shown_with_what_it_changes() {
    let world = World::new();
    let changes = vec!["removed spiffe://strongroom/orchestrator/main".to_owned()];
    let what = ActKind::ChangePolicy(ChangePolicy { sha256: "ab".repeat(32), instead_of: "cd".repeat(32), changes });
    let waiting = act(what);
    let listed = waiting.clone();
    let to = world.listen(move |request| match request.path.as_str() {
        "/v1/reload" => ok(&Reloaded { reloaded: vec!["certificates".to_owned()], act: Some(waiting.clone()) }),
        _ => ok(&ActList { acts: vec![listed.clone()] }),
    });
    for said in [world.done(&format!("reload {}", to("ada"))), world.done(&format!("acts list {}", to("ben")))] {
        assert!(
            said.contains("  removed spiffe://strongroom/orchestrator/main") || said.contains("\nremoved"),
            "{said}"
        );
        assert!(said.contains("put the policy file abababababababab in force (1 changes)"), "{said}");
    }
}

#[test]
fn a_rule_is_set_or_waits_and_cards_over_age_are_a_failure() {
    let world = World::new();
    let acme = || "acme".parse().unwrap();
    let to = world.listen(move |request| match (request.method.as_str(), request.path.as_str()) {
        ("PUT", "/v1/tenants/acme/retention") if request.body == br#"{"days":null}"# => {
            ok(&RetentionRule { tenant: acme(), days: None, set_at: "2025-11-24T16:00:00.123Z".to_owned() })
        }
        ("PUT", "/v1/tenants/acme/retention") => {
            assert_eq!(request.body, br#"{"days":30}"#);
            ok(&act(ActKind::SetRetention(SetRetention { tenant: acme(), days: Some(30) })))
        }
        _ => ok(&OverAgeReport {
            at: "2025-11-24T16:00:00.123Z".to_owned(),
            tenants: vec![OverAgeLine { tenant: acme(), days: 30, over_age: 2, oldest_created_at: None }],
        }),
    });
    let said = world.done(&format!("retention set acme --forever {}", to("ada")));
    assert_eq!(said, "cards of acme are kept for days: no rule\n");
    let said = world.done(&format!("retention set acme --days 30 {}", to("ada")));
    assert!(said.starts_with("shred cards of acme after days: 30: asked for by"), "{said}");
    let refusal = world.refused(&format!("retention report {}", to("ada")));
    assert!(refusal.contains("some cards are older than their rule allows"), "{refusal}");
}
