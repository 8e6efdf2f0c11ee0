//! What policy allows and refuses, scope by scope.

use strongroom_wire::entry::Subject;
use strongroom_wire::forward::DestinationName;
use strongroom_wire::{RequestId, SecretId, Token};
use uuid::Uuid;

use super::super::{
    Backup, ChangeRoot, CheckPin, CreateSession, Delete, Destroy, Export, Forward, Fresh, ManageTenants, Migrate, Note,
    Provision, Quota, ReadAudit, ReadKeys, ReadMasked, ReadMetrics, ReadStatus, Reload, Retain, Reveal, RevealSecret,
    Rotate, RuleRetention, Seal, Tokenize, Unseal, Update, WriteSecret,
};
use super::*;
use crate::clock::{Clock as _, MockClock};

const T0: u64 = 1_764_000_000_000;
const RELEASE: &str = "spiffe://strongroom/orchestrator/main";
const SEVERAL: &str = "spiffe://strongroom/orchestrator/several";
const ANY: &str = "spiffe://strongroom/orchestrator/any";
const ADMIN: &str = "spiffe://strongroom/security/ann";
const BARE: &str = "spiffe://strongroom/monitor/bare";

fn words(scopes: impl Iterator<Item = Scope>) -> String {
    scopes.map(|scope| format!("\"{}\",", scope.as_str())).collect()
}

fn rules(per_minute: u32, per_day: u32) -> Rules {
    let release = words(Scope::ALL.into_iter().filter(|scope| !scope.is_admin()));
    let admin = words(Scope::ALL.into_iter().filter(|scope| scope.is_admin()));
    let quota = format!("reveals_per_minute = {per_minute}\nreveals_per_day = {per_day}\ndestinations = [\"psp\"]\n");
    Rules::parse(&format!(
        "version = 1
        [[identity]]\nuri = \"{RELEASE}\"\ntenants = [\"acme\"]\nscopes = [{release}]\n{quota}
        [[identity]]\nuri = \"{SEVERAL}\"\ntenants = [\"acme\", \"globex\"]\nscopes = [{release}]\n{quota}
        [[identity]]\nuri = \"{ANY}\"\ntenants = [\"*\"]\nscopes = [{release}]\n{quota}
        [[identity]]\nuri = \"{ADMIN}\"\ntenants = [\"*\"]\nscopes = [{admin}]\n
        [[identity]]\nuri = \"{BARE}\"\nscopes = [\"status\"]\nrequests_per_second = 2\n"
    ))
    .unwrap()
}

fn request(who: impl Into<Principal>, tenant: Option<&str>) -> Request {
    Request {
        who: who.into(),
        tenant: tenant.map(|tenant| tenant.parse().unwrap()),
        request_id: RequestId::fresh(),
        origin: Some([127, 0, 0, 1].into()),
        destination: Some("psp".parse().unwrap()),
        note: Note::none(),
    }
}

fn identity(uri: &str) -> Identity {
    Identity::parse(uri).unwrap()
}

fn session(expires_ms: u64) -> SessionClaims {
    let tenant = "acme".parse().unwrap();
    SessionClaims { id: Uuid::now_v7(), tenant, customer: None, origins: Vec::new(), expires_ms }
}

/// The reason for which each act, in the order of `Scope::ALL`, is refused.
fn reasons(policy: &Policy, request: &Request) -> Vec<Option<Reason>> {
    fn ask<A: Action>(policy: &Policy, request: &Request, subject: A::Subject) -> Option<Reason> {
        policy.decide::<A>(request, subject, T0).err().map(|denied| {
            assert_eq!(denied.scope(), Some(A::SCOPE));
            denied.reason()
        })
    }
    let (token, secret) = (Token::fresh(), SecretId::fresh());
    vec![
        ask::<Tokenize>(policy, request, Fresh),
        ask::<ReadMasked>(policy, request, None),
        ask::<Reveal>(policy, request, token),
        ask::<Retain>(policy, request, token),
        ask::<Update>(policy, request, token),
        ask::<Delete>(policy, request, token),
        ask::<CreateSession>(policy, request, ()),
        ask::<WriteSecret>(policy, request, secret),
        ask::<RevealSecret>(policy, request, secret),
        ask::<Provision>(policy, request, ()),
        ask::<Forward>(policy, request, token),
        ask::<Unseal>(policy, request, ()),
        ask::<Seal>(policy, request, ()),
        ask::<ReadStatus>(policy, request, ()),
        ask::<ReadKeys>(policy, request, ()),
        ask::<Rotate>(policy, request, ()),
        ask::<ReadAudit>(policy, request, ()),
        ask::<ReadMetrics>(policy, request, ()),
        ask::<Reload>(policy, request, ()),
        ask::<ManageTenants>(policy, request, ()),
        ask::<Destroy>(policy, request, ()),
        ask::<ChangeRoot>(policy, request, ()),
        ask::<Export>(policy, request, token),
        ask::<RuleRetention>(policy, request, ()),
        ask::<Backup>(policy, request, ()),
        ask::<Migrate>(policy, request, ()),
    ]
}

#[test]
fn nobody_may_do_anything_under_an_empty_policy() {
    let policy = Policy::new(Rules::parse("version = 1").unwrap());
    for reason in reasons(&policy, &request(identity(RELEASE), Some("acme"))) {
        assert_eq!(reason, Some(Reason::UnknownIdentity));
    }
}

#[test]
fn each_listeners_identity_holds_its_own_scopes_only() {
    let policy = Policy::new(rules(100, 100));
    let release = reasons(&policy, &request(identity(RELEASE), Some("acme")));
    let admin = reasons(&policy, &request(identity(ADMIN), Some("acme")));
    for ((scope, release), admin) in Scope::ALL.into_iter().zip(release).zip(admin) {
        let (ours, theirs) = if scope.is_admin() { (admin, release) } else { (release, admin) };
        assert_eq!((ours, theirs), (None, Some(Reason::Scope)), "{}", scope.as_str());
    }
}

#[test]
fn a_scope_that_is_not_granted_is_refused() {
    let policy = Policy::new(rules(100, 100));
    let at = |n: u64| T0 + n * 1000;
    assert!(policy.decide::<ReadStatus>(&request(identity(BARE), None), (), at(0)).is_ok());
    let denied = policy.decide::<ReadMetrics>(&request(identity(BARE), None), (), at(1)).err().unwrap();
    assert_eq!(denied.reason(), Reason::Scope);
    assert_eq!(denied.refusal().trace.who, identity(BARE).into());
}

#[test]
fn a_session_may_only_tokenize_for_its_tenant_until_it_ends() {
    let policy = Policy::new(rules(100, 100));
    let claims = session(T0 + 1);
    for (scope, reason) in Scope::ALL.into_iter().zip(reasons(&policy, &request(claims.clone(), None))) {
        assert_eq!(reason, (scope != Scope::Tokenize).then_some(Reason::Scope), "{}", scope.as_str());
    }
    let permit = policy.decide::<Tokenize>(&request(claims.clone(), None), Fresh, T0).unwrap();
    assert_eq!(permit.tenant().unwrap().as_str(), "acme");
    let other = policy.decide::<Tokenize>(&request(claims.clone(), Some("globex")), Fresh, T0).err().unwrap();
    assert_eq!(other.reason(), Reason::Tenant);
    let late = policy.decide::<Tokenize>(&request(claims, None), Fresh, T0 + 1).err().unwrap();
    assert_eq!(late.reason(), Reason::Credentials);
}

#[test]
fn a_session_names_no_secret_although_its_scope_opens_fields() {
    let policy = Policy::new(rules(100, 100));
    let asked = request(session(T0 + 1), None);
    let fields = policy.decide_fields(&asked, SecretId::fresh(), T0).err().unwrap();
    let pin = policy.decide::<CheckPin>(&asked, SecretId::fresh(), T0).err().unwrap();
    assert_eq!((fields.reason(), pin.reason()), (Reason::Scope, Reason::Scope));
}

#[test]
fn fields_and_the_card_in_them_are_one_request_of_two_acts() {
    let policy = Policy::new(
        Rules::parse(&format!(
            "version = 1\n[[identity]]\nuri = \"{RELEASE}\"\ntenants = [\"acme\"]\nscopes = [\"tokenize\"]\n\
             requests_per_second = 1"
        ))
        .unwrap(),
    );
    let (asked, key) = (request(identity(RELEASE), None), SecretId::fresh());
    let (opening, storing) = policy.decide_fields(&asked, key, T0).unwrap();
    assert_eq!((opening.subject(), storing.subject()), (Subject::Secret(key), Subject::None));
    assert_eq!((opening.tenant(), opening.request_id()), (storing.tenant(), storing.request_id()));
    let again = policy.decide_fields(&asked, key, T0).err().unwrap();
    assert_eq!(again.reason(), Reason::Quota);
    let other = Policy::new(rules(100, 100));
    let of_another = other.decide_fields(&request(identity(RELEASE), Some("globex")), key, T0).err().unwrap();
    assert_eq!(of_another.reason(), Reason::Tenant);
}

#[test]
fn the_vault_itself_may_only_rotate_keys() {
    let policy = Policy::new(rules(100, 100));
    for (scope, reason) in Scope::ALL.into_iter().zip(reasons(&policy, &request(Principal::Vault, Some("acme")))) {
        assert_eq!(reason, (scope != Scope::Rotate).then_some(Reason::Scope), "{}", scope.as_str());
    }
    // The key that belongs to no tenant too.
    let own = policy.decide::<Rotate>(&request(Principal::Vault, None), (), T0).ok().unwrap();
    assert_eq!(own.tenant(), None);
}

#[test]
fn the_tenant_is_the_only_one_or_the_named_one_and_always_an_allowed_one() {
    let policy = Policy::new(rules(100, 100));
    let tenant = |who: &str, named: Option<&str>| {
        policy
            .decide::<Reveal>(&request(identity(who), named), Token::fresh(), T0)
            .map(|permit| permit.tenant().unwrap().to_string())
            .map_err(|denied| denied.reason())
    };
    assert_eq!(tenant(RELEASE, None), Ok("acme".to_owned()));
    assert_eq!(tenant(RELEASE, Some("acme")), Ok("acme".to_owned()));
    assert_eq!(tenant(RELEASE, Some("globex")), Err(Reason::Tenant));
    assert_eq!(tenant(SEVERAL, None), Err(Reason::Tenant));
    assert_eq!(tenant(SEVERAL, Some("globex")), Ok("globex".to_owned()));
    assert_eq!(tenant(SEVERAL, Some("initech")), Err(Reason::Tenant));
    assert_eq!(tenant(ANY, None), Err(Reason::Tenant));
    assert_eq!(tenant(ANY, Some("initech")), Ok("initech".to_owned()));
}

#[test]
fn an_act_on_the_vault_needs_no_tenant_and_refuses_a_foreign_one() {
    let policy = Policy::new(rules(100, 100));
    let permit = policy.decide::<ReadStatus>(&request(identity(ADMIN), None), (), T0).unwrap();
    assert!(permit.tenant().is_none());
    let denied = policy.decide::<ReadStatus>(&request(identity(BARE), Some("acme")), (), T0).err().unwrap();
    assert_eq!(denied.reason(), Reason::Tenant);
    let denied = policy.decide::<Provision>(&request(identity(RELEASE), Some("new")), (), T0).err().unwrap();
    assert_eq!(denied.reason(), Reason::Tenant);
    assert!(policy.decide::<Provision>(&request(identity(ANY), Some("new")), (), T0).is_ok());
}

#[test]
fn releases_of_cards_and_secrets_share_one_quota_and_refusals_cost_none() {
    let policy = Policy::new(rules(2, 3));
    let clock = MockClock::at(T0);
    let ask = request(identity(RELEASE), None);
    let reveal = || policy.decide::<Reveal>(&ask, Token::fresh(), clock.now_ms());
    assert!(policy.decide::<Reveal>(&request(identity(RELEASE), Some("globex")), Token::fresh(), T0).is_err());
    assert!(reveal().is_ok());
    assert!(policy.decide::<RevealSecret>(&ask, SecretId::fresh(), clock.now_ms()).is_ok());
    let denied = reveal().err().unwrap();
    assert_eq!((denied.reason(), denied.spent().unwrap().quota), (Reason::Quota, Quota::RevealsPerMinute));
    assert!(policy.decide::<ReadMasked>(&ask, None, clock.now_ms()).is_ok());
    clock.advance_ms(61_000);
    assert!(reveal().is_ok());
    clock.advance_ms(61_000);
    assert_eq!(reveal().err().unwrap().spent().unwrap().quota, Quota::RevealsPerDay);
    let line = &policy.use_of(clock.now_ms())[1];
    assert_eq!((line.identity.as_str(), line.day_used, line.day_max), (RELEASE, 3, 3));
    // Another identity has a quota of its own.
    assert!(policy.decide::<Reveal>(&request(identity(ANY), Some("acme")), Token::fresh(), clock.now_ms()).is_ok());
}

#[test]
fn a_card_goes_to_the_destinations_of_the_rule_alone_and_counts_as_released() {
    let policy = Policy::new(rules(2, 2));
    let to = |destination: Option<&str>| {
        let destination = destination.map(|name| name.parse::<DestinationName>().unwrap());
        let ask = Request { destination, ..request(identity(RELEASE), None) };
        policy.decide::<Forward>(&ask, Token::fresh(), T0).map(|_| ()).map_err(|denied| denied.reason())
    };
    assert_eq!(to(None), Err(Reason::Destination));
    assert_eq!(to(Some("other")), Err(Reason::Destination));
    assert_eq!(to(Some("psp2")), Err(Reason::Destination));
    assert_eq!((to(Some("psp")), to(Some("psp"))), (Ok(()), Ok(())));
    assert_eq!(to(Some("psp")), Err(Reason::Quota));
    let reveal = policy.decide::<Reveal>(&request(identity(RELEASE), None), Token::fresh(), T0).err().unwrap();
    assert_eq!(reveal.reason(), Reason::Quota);
}

#[test]
fn a_reload_changes_rules_and_refills_nothing() {
    let policy = Policy::new(rules(1, 1));
    let ask = request(identity(RELEASE), None);
    assert!(policy.decide::<Reveal>(&ask, Token::fresh(), T0).is_ok());
    policy.replace(Rules::default(), T0);
    assert_eq!(policy.decide::<Reveal>(&ask, Token::fresh(), T0).err().unwrap().reason(), Reason::UnknownIdentity);
    policy.replace(rules(1, 1), T0);
    assert_eq!(policy.decide::<Reveal>(&ask, Token::fresh(), T0).err().unwrap().reason(), Reason::Quota);
    policy.replace(rules(2, 2), T0);
    assert!(policy.decide::<Reveal>(&ask, Token::fresh(), T0).is_ok());
}

#[test]
fn a_restart_counts_what_the_log_says_was_released() {
    let policy = Policy::new(rules(2, 2));
    policy.restore(RELEASE, (T0 - 3_600_000, T0), 1);
    policy.restore(RELEASE, (T0 - 7_200_000, T0), 1);
    policy.restore("spiffe://strongroom/orchestrator/unknown", (T0, T0), 1);
    policy.restore("session:0", (T0, T0), 1);
    let denied = policy.decide::<Reveal>(&request(identity(RELEASE), None), Token::fresh(), T0).err().unwrap();
    assert_eq!(denied.spent().unwrap().quota, Quota::RevealsPerDay);
}

#[test]
fn a_request_over_the_rate_is_refused_whatever_it_asks() {
    let policy = Policy::new(rules(1, 1));
    let ask = request(identity(BARE), None);
    assert!(policy.decide::<ReadStatus>(&ask, (), T0).is_ok());
    assert!(policy.decide::<ReadMetrics>(&ask, (), T0).is_err());
    let denied = policy.decide::<ReadStatus>(&ask, (), T0).err().unwrap();
    assert_eq!(denied.spent().unwrap().quota, Quota::RequestsPerSecond);
    assert!(policy.decide::<ReadStatus>(&ask, (), T0 + 500).is_ok());
}

#[test]
fn a_permit_names_what_was_decided() {
    let policy = Policy::new(rules(5, 5));
    let (token, fresh) = (Token::fresh(), Token::fresh());
    let ask = request(identity(RELEASE), None);
    let permit = policy.decide::<Reveal>(&ask, token, T0).unwrap();
    assert_eq!((permit.subject(), permit.at_ms(), permit.request_id()), (Subject::Card(token), T0, ask.request_id));
    let permit = policy.decide::<Tokenize>(&ask, Fresh, T0).unwrap();
    assert_eq!(permit.subject(), Subject::None);
    let permit = permit.about(fresh).noting(Note::words("term").and(&2u32));
    assert_eq!(permit.subject(), Subject::Card(fresh));
    let denied = permit.refuse(Reason::Sealed);
    assert_eq!((denied.reason(), denied.refusal().note.as_str()), (Reason::Sealed, "term 2"));
}
