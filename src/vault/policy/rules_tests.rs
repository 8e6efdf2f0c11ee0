//! Policy files: what is read, and each way in which one is refused.

use super::*;

fn refused(body: &str) -> PolicyError {
    Rules::parse(&format!("version = 1\n{body}")).unwrap_err()
}

fn fault(lines: &str) -> Fault {
    match refused(&format!("[[identity]]\nuri = \"spiffe://s/r/n\"\n{lines}")) {
        PolicyError::Identity { number: 1, fault } => fault,
        other => panic!("{other}"),
    }
}

#[test]
fn scopes_fit_their_bits() {
    assert!(Scope::ALL.iter().all(|scope| (*scope as u8) < 64));
}

#[test]
fn the_documented_example_is_a_policy() {
    let rules = Rules::parse(include_str!("../policy.example.toml")).unwrap();
    assert_eq!(rules.len(), 8);
    let main = Identity::parse("spiffe://strongroom/orchestrator/main").unwrap();
    assert!(rules.into_grants()[&main].holds(Scope::Reveal));
}

#[test]
fn an_empty_policy_is_a_policy_that_allows_nothing() {
    assert!(Rules::parse("version = 1").unwrap().is_empty());
}

#[test]
fn unknown_keys_are_refused_with_their_line() {
    assert_eq!(refused("color = 1"), PolicyError::Syntax { line: 2 });
    let line = "[[identity]]\nuri = \"spiffe://s/r/n\"\nscopes = [\"status\"]\nreveal_per_day = 1";
    assert!(matches!(refused(line), PolicyError::Syntax { .. }));
    assert!(matches!(refused("[[identity]]\nscopes = [\"status\"]"), PolicyError::Syntax { .. }));
    assert!(matches!(refused("[[identity]]\nuri = \"spiffe://s/r/n\""), PolicyError::Syntax { .. }));
    assert!(matches!(Rules::parse(""), Err(PolicyError::Syntax { line: 1 })));
    assert_eq!(Rules::parse("version = 2").unwrap_err(), PolicyError::Version);
    assert_eq!(Rules::parse("version = 1\nversion = 1").unwrap_err(), PolicyError::Syntax { line: 2 });
}

#[test]
fn unknown_scopes_are_refused_and_not_repeated() {
    let error = refused("[[identity]]\nuri = \"spiffe://s/r/n\"\nscopes = [\"secretword\"]");
    assert!(matches!(error, PolicyError::Syntax { .. }));
    assert!(!error.to_string().contains("secretword") && !format!("{error:?}").contains("secretword"));
}

#[test]
fn an_identity_with_scopes_of_both_listeners_is_refused() {
    assert_eq!(fault("tenants = [\"acme\"]\nscopes = [\"tokenize\", \"unseal\"]"), Fault::MixedListeners);
    assert_eq!(fault("tenants = [\"acme\"]\nscopes = [\"rotate\", \"read-masked\"]"), Fault::MixedListeners);
}

#[test]
fn repeated_identities_scopes_and_tenants_are_refused() {
    let row = "[[identity]]\nuri = \"spiffe://s/r/n\"\nscopes = [\"status\"]\n";
    assert_eq!(refused(&format!("{row}{row}")), PolicyError::Identity { number: 2, fault: Fault::RepeatedUri });
    assert_eq!(fault("scopes = [\"status\", \"status\"]"), Fault::RepeatedScope);
    assert_eq!(fault("tenants = [\"a\", \"a\"]\nscopes = [\"tokenize\"]"), Fault::RepeatedTenant);
}

#[test]
fn tenants_that_do_not_make_sense_are_refused() {
    assert_eq!(fault("scopes = [\"tokenize\"]"), Fault::NoTenants);
    assert_eq!(fault("scopes = [\"rotate\"]"), Fault::NoTenants);
    assert_eq!(fault("scopes = [\"provision\"]"), Fault::NoTenants);
    assert_eq!(fault("tenants = [\"*\", \"a\"]\nscopes = [\"tokenize\"]"), Fault::StarAndNames);
    assert_eq!(fault("tenants = [\"A\"]\nscopes = [\"tokenize\"]"), Fault::Tenant);
    assert_eq!(fault("tenants = [\"4242424242424242\"]\nscopes = [\"tokenize\"]"), Fault::Tenant);
    assert_eq!(fault("tenants = []\nscopes = []"), Fault::NoScopes);
    assert_eq!(
        refused("[[identity]]\nuri = \"spiffe://s/r\"\nscopes = [\"status\"]"),
        PolicyError::Identity { number: 1, fault: Fault::Uri }
    );
}

#[test]
fn releasing_without_both_quotas_is_refused() {
    for (scope, more) in [("reveal", ""), ("secrets-reveal", ""), ("forward", "destinations = [\"psp\"]\n")] {
        let head = format!("tenants = [\"a\"]\nscopes = [\"{scope}\"]\n{more}");
        assert_eq!(fault(&head), Fault::NoQuota);
        assert_eq!(fault(&format!("{head}reveals_per_minute = 1")), Fault::NoQuota);
        assert_eq!(fault(&format!("{head}reveals_per_day = 1")), Fault::NoQuota);
    }
    let head = "tenants = [\"a\"]\nscopes = [\"tokenize\"]\n";
    assert_eq!(fault(&format!("{head}reveals_per_minute = 1")), Fault::QuotaWithoutScope);
}

#[test]
fn forwarding_without_named_destinations_is_refused() {
    let head = "tenants = [\"a\"]\nscopes = [\"forward\"]\nreveals_per_minute = 1\nreveals_per_day = 1\n";
    assert_eq!(fault(head), Fault::NoDestinations);
    let many: String = (0..=limits::DESTINATIONS_MAX).map(|n| format!("\"d{n}\",")).collect();
    for (list, wrong) in [
        ("", Fault::NoDestinations),
        ("\"*\"", Fault::Destination),
        ("\"psp\", \"*\"", Fault::Destination),
        ("\"https://psp.example\"", Fault::Destination),
        ("\"psp\", \"psp\"", Fault::RepeatedDestination),
        (many.as_str(), Fault::TooManyDestinations),
    ] {
        assert_eq!(fault(&format!("{head}destinations = [{list}]")), wrong, "{list:.20}");
    }
    assert_eq!(fault("scopes = [\"status\"]\ndestinations = [\"psp\"]"), Fault::DestinationsWithoutScope);
}

#[test]
fn quotas_outside_of_their_bounds_are_refused() {
    let (minute_max, day_max) = (u64::from(limits::REVEALS_PER_MINUTE_MAX), u64::from(limits::REVEALS_PER_DAY_MAX));
    let quota = |minute: u64, day: u64| {
        format!("tenants = [\"a\"]\nscopes = [\"reveal\"]\nreveals_per_minute = {minute}\nreveals_per_day = {day}")
    };
    for (minute, day) in [(0, 10), (2, 1), (minute_max + 1, day_max), (1, day_max + 1)] {
        assert_eq!(fault(&quota(minute, day)), Fault::QuotaBounds);
    }
    assert!(
        Rules::parse(&format!("version = 1\n[[identity]]\nuri = \"spiffe://s/r/n\"\n{}", quota(minute_max, day_max)))
            .is_ok()
    );
    assert_eq!(fault("scopes = [\"status\"]\nrequests_per_second = 0"), Fault::QuotaBounds);
    let rate = limits::REQUESTS_PER_SECOND_MAX + 1;
    assert_eq!(fault(&format!("scopes = [\"status\"]\nrequests_per_second = {rate}")), Fault::QuotaBounds);
}

#[test]
fn a_policy_over_a_limit_is_refused() {
    let padded = format!("version = 1\n#{}", "x".repeat(limits::POLICY_BYTES_MAX));
    assert_eq!(Rules::parse(&padded).unwrap_err(), PolicyError::TooLarge);
    let row = |n: usize| format!("[[identity]]\nuri=\"spiffe://s/r/{n}\"\nscopes=[\"status\"]\n");
    let many: String = (0..limits::IDENTITIES_MAX).map(row).collect();
    assert_eq!(Rules::parse(&format!("version = 1\n{many}")).unwrap().len(), limits::IDENTITIES_MAX);
    assert_eq!(refused(&format!("{many}{}", row(limits::IDENTITIES_MAX))), PolicyError::TooMany);
    let tenants: String = (0..=limits::TENANTS_MAX).map(|n| format!("\"t{n}\",")).collect();
    assert_eq!(fault(&format!("tenants = [{tenants}]\nscopes = [\"tokenize\"]")), Fault::TooManyTenants);
}
