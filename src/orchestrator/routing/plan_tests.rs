//! Plans: each condition alone, splits that come out as they say, and what holds for every document and every set of accounts.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use strongroom_wire::payment_method::Brand;
use strongroom_wire::{SecretId, limits};

use super::{Candidate, CardFacts, Facts, Misfit, Rules, draw, misfit, plan};
use crate::account::{Accepts, ConnectorAccount};
use crate::connector::Capabilities;
use crate::intent::CapturePlan;

fn account(id: &str) -> ConnectorAccount {
    ConnectorAccount {
        account_id: id.into(),
        merchant_id: "shop".parse().unwrap(),
        connector: "stripe".into(),
        label: format!("label {id}"),
        secret_id: SecretId::fresh(),
        has_webhook_secret: false,
        rotated_ms: None,
        retired: Vec::new(),
        accepts: Accepts::default(),
        destination: None,
        test_mode: true,
        disabled: false,
        deleted_ms: None,
        created_ms: 0,
    }
}

fn facts(notes: &Map<String, Value>) -> Facts<'_> {
    Facts {
        amount_minor: 1000,
        currency: "EUR".parse().unwrap(),
        card: Some(CardFacts { brand: Brand::Visa, bin: "42424242" }),
        country: Some("DE"),
        metadata: notes,
        capture: CapturePlan::Manual,
        off_session: false,
        zero_amount: false,
        incremental: false,
        three_ds: false,
        foreign_network_id: false,
    }
}

fn rules(document: Value) -> Rules {
    let rules: Rules = serde_json::from_value(document).unwrap();
    rules.check().unwrap();
    rules
}

fn planned(document: Option<Value>, choice: &[&str], facts: &Facts<'_>, draw: u64) -> Vec<String> {
    let accounts: Vec<_> = ["a", "b", "c"].into_iter().map(account).collect();
    let candidates: Vec<_> =
        accounts.iter().map(|account| Candidate { account, three_ds: account.account_id == "c" }).collect();
    let choice: Vec<_> = choice.iter().map(|name| (*name).to_owned()).collect();
    plan(document.map(rules).as_ref(), &choice, facts, &candidates, draw)
}

#[test]
fn without_rules_the_oldest_comes_first_and_a_wish_for_authentication_is_a_preference() {
    let notes = Map::new();
    assert_eq!(planned(None, &[], &facts(&notes), 0), ["a", "b", "c"]);
    assert_eq!(planned(None, &[], &Facts { three_ds: true, ..facts(&notes) }, 0), ["c", "a", "b"]);
}

#[test]
fn choice_for_one_payment_goes_before_rules_and_nothing_follows_it() {
    let notes = Map::new();
    let document = json!({"rules": [{"use": {"order": ["a"]}}]});
    assert_eq!(planned(Some(document.clone()), &["label c", "b", "c"], &facts(&notes), 0), ["c", "b"]);
    assert_eq!(planned(Some(document.clone()), &["stripe"], &facts(&notes), 0), ["a", "b", "c"]);
    assert_eq!(planned(Some(document), &["nobody"], &facts(&notes), 0), Vec::<String>::new());
}

#[test]
fn first_rule_that_matches_decides_and_the_fallback_follows() {
    let notes = Map::new();
    let document = json!({
        "rules": [
            {"if": {"currency": ["USD"]}, "use": {"order": ["a"]}},
            {"name": "euro", "if": {"currency": ["EUR", "USD"]}, "use": {"order": ["c"]}},
            {"use": {"order": ["b"]}},
        ],
        "fallback": ["label b", "c"],
    });
    assert_eq!(planned(Some(document), &[], &facts(&notes), 0), ["c", "b"]);
    assert_eq!(planned(Some(json!({"rules": [], "fallback": ["b"]})), &[], &facts(&notes), 0), ["b"]);
    assert_eq!(planned(Some(json!({"fallback": []})), &[], &facts(&notes), 0), Vec::<String>::new());
    let no_fallback = json!({"rules": [{"use": {"order": ["b"]}}]});
    assert_eq!(planned(Some(no_fallback), &[], &facts(&notes), 0), ["b", "a", "c"]);
}

#[test]
fn each_condition_lets_through_what_it_says_and_nothing_else() {
    let notes = Map::from_iter([("shop".to_owned(), json!("north")), ("n".to_owned(), json!(5))]);
    for (condition, holds) in [
        (json!({}), true),
        (json!({"amount": {"from": 1000, "to": 1000}}), true),
        (json!({"amount": {"from": 1001}}), false),
        (json!({"amount": {"to": 999}}), false),
        (json!({"currency": ["USD", "EUR"]}), true),
        (json!({"currency": ["USD"]}), false),
        (json!({"card_network": ["Visa"]}), true),
        (json!({"card_network": ["Mastercard", "Maestro"]}), false),
        (json!({"card_bin": ["5", "4242"]}), true),
        (json!({"card_bin": ["4243"]}), false),
        (json!({"billing_country": ["DE"]}), true),
        (json!({"billing_country": ["FR"]}), false),
        (json!({"metadata": {"shop": "north", "n": 5}}), true),
        (json!({"metadata": {"shop": "south"}}), false),
        (json!({"metadata": {"n": "5"}}), false),
        (json!({"metadata": {"none": null}}), false),
        (json!({"capture_method": ["manual", "manual_multiple"]}), true),
        (json!({"capture_method": ["automatic"]}), false),
        (json!({"off_session": false}), true),
        (json!({"off_session": true}), false),
        (json!({"currency": ["EUR"], "off_session": true}), false),
    ] {
        let document = json!({"rules": [{"if": condition, "use": {"order": ["b"]}}], "fallback": ["a"]});
        let first = planned(Some(document), &[], &facts(&notes), 0).remove(0);
        assert_eq!(first == "b", holds, "{condition}");
    }
    let unknown = Facts { card: None, country: None, ..facts(&notes) };
    for condition in [json!({"card_network": ["Visa"]}), json!({"card_bin": ["4"]}), json!({"billing_country": ["DE"]})]
    {
        let document = json!({"rules": [{"if": condition, "use": {"order": ["b"]}}], "fallback": ["a"]});
        assert_eq!(planned(Some(document), &[], &unknown, 0), ["a"], "{condition}: nothing is known yet");
    }
}

#[test]
fn split_comes_out_as_its_percents_say_and_a_replay_decides_alike() {
    let notes = Map::new();
    let document = json!({"rules": [{"use": {"split": [
        {"account": "a", "percent": 70}, {"account": "label b", "percent": 20}, {"account": "c", "percent": 10}]}}]});
    let mut firsts: BTreeMap<String, u32> = BTreeMap::new();
    for number in 0..20_000 {
        let draw_of = |id: u32| draw("shop", &format!("pay_{id}"), 1);
        let way = planned(Some(document.clone()), &[], &facts(&notes), draw_of(number));
        assert_eq!(way.len(), 3, "the others follow");
        if number % 1000 == 0 {
            assert_eq!(way, planned(Some(document.clone()), &[], &facts(&notes), draw_of(number)));
        }
        *firsts.entry(way[0].clone()).or_default() += 1;
    }
    // Three standard deviations of a binomial distribution of 20,000 are below 200.
    for (id, expected) in [("a", 14_000u32), ("b", 4_000), ("c", 2_000)] {
        assert!(firsts[id].abs_diff(expected) < 200, "{id}: {} of {expected}", firsts[id]);
    }
}

#[test]
fn draw_differs_by_merchant_payment_and_attempt() {
    let draws = [draw("a", "b", 1), draw("a", "b", 2), draw("a", "c", 1), draw("b", "b", 1), draw("ab", "", 1)];
    for (place, one) in draws.iter().enumerate() {
        assert!(!draws[..place].contains(one));
    }
    assert_eq!(draw("a", "b", 1), draw("a", "b", 1));
}

#[test]
fn part_of_a_split_that_cannot_take_the_payment_leaves_its_share_to_the_others() {
    let notes = Map::new();
    let document = rules(json!({"rules": [{"use": {"split": [
        {"account": "a", "percent": 90}, {"account": "b", "percent": 10}]}}], "fallback": []}));
    let only = account("b");
    let candidates = [Candidate { account: &only, three_ds: false }];
    for point in 0..100 {
        assert_eq!(plan(Some(&document), &[], &facts(&notes), &candidates, point), ["b"]);
    }
    assert_eq!(plan(Some(&document), &[], &facts(&notes), &[], 7), Vec::<String>::new());
}

#[test]
fn documents_over_their_limits_or_without_sense_are_refused() {
    let order = json!({"order": ["a"]});
    let with = |condition: Value| json!({"rules": [{"if": condition, "use": order}]});
    let many = |count: usize| (0..count).map(|n| format!("a{n}")).collect::<Vec<_>>();
    for (document, path) in [
        (json!({"rules": vec![json!({"use": order}); limits::ROUTING_RULES_MAX + 1]}), "rules"),
        (json!({"fallback": many(limits::CONNECTOR_ACCOUNTS_MAX + 1)}), "fallback"),
        (json!({"rules": [{"name": "x".repeat(256), "use": order}]}), "rules[0].name"),
        (with(json!({"amount": {"from": 2, "to": 1}})), "rules[0].if.amount"),
        (with(json!({"currency": []})), "rules[0].if.currency"),
        (with(json!({"card_bin": vec!["4"; limits::ROUTING_VALUES_MAX + 1]})), "rules[0].if.card_bin"),
        (json!({"rules": [{"use": {"order": []}}]}), "rules[0].use.order"),
        (json!({"rules": [{"use": {"split": []}}]}), "rules[0].use.split"),
        (json!({"rules": [{"use": {"split": [{"account": "a", "percent": 99}]}}]}), "rules[0].use.split"),
        (
            json!({"rules": [{"use": {"split": [{"account": "a", "percent": 100}, {"account": "b", "percent": 0}]}}]}),
            "rules[0].use.split",
        ),
    ] {
        let read: Rules = serde_json::from_value(document).unwrap();
        assert_eq!(read.check().unwrap_err().path, path);
    }
    for document in [
        json!({"rule": []}),
        json!({"rules": [{"use": {"order": ["a"], "split": []}}]}),
        json!({"rules": [{"use": {"random": ["a"]}}]}),
        with(json!({"card_network": ["visa"]})),
        with(json!({"card_bin": ["424242424"]})),
        with(json!({"card_bin": [""]})),
        with(json!({"billing_country": ["de"]})),
        with(json!({"currency": ["EURO"]})),
        with(json!({"weekday": 1})),
    ] {
        assert!(serde_json::from_value::<Rules>(document.clone()).is_err(), "{document}");
    }
}

/// A provider that can do everything.
const ABLE: Capabilities = Capabilities {
    partial_capture: true,
    multiple_captures: true,
    incremental: true,
    zero_amount: true,
    foreign_network_id: true,
    can_sync: true,
    authorization_days: 7,
    currencies: &[],
    networks: &[],
    three_ds: true,
    idempotent_replay_s: None,
};

#[test]
fn account_that_cannot_take_a_payment_says_why() {
    let notes = Map::new();
    let plain = facts(&notes);
    let with = |change: fn(&mut ConnectorAccount)| {
        let mut account = account("a");
        change(&mut account);
        account
    };
    assert_eq!(misfit(&account("a"), &ABLE, &plain), None);
    for (changed, why) in [
        (with(|a| a.disabled = true), Misfit::Disabled),
        (with(|a| a.deleted_ms = Some(1)), Misfit::Disabled),
        (with(|a| a.accepts.currencies = vec!["USD".parse().unwrap()]), Misfit::Currency),
        (with(|a| a.accepts.card_networks = vec![Brand::Amex]), Misfit::Network),
        (with(|a| a.accepts.countries = vec!["FR".into()]), Misfit::Country),
        (with(|a| a.accepts.minimum_amount = Some(1001)), Misfit::Amount),
        (with(|a| a.accepts.maximum_amount = Some(999)), Misfit::Amount),
    ] {
        assert_eq!(misfit(&changed, &ABLE, &plain), Some(why));
    }
    for (can, wish, why) in [
        (Capabilities { currencies: &["USD"], ..ABLE }, plain, Misfit::Currency),
        (Capabilities { networks: &[Brand::Amex], ..ABLE }, plain, Misfit::Network),
        (Capabilities { zero_amount: false, ..ABLE }, Facts { zero_amount: true, ..plain }, Misfit::ZeroAmount),
        (
            Capabilities { multiple_captures: false, ..ABLE },
            Facts { capture: CapturePlan::ManualMultiple, ..plain },
            Misfit::MultipleCaptures,
        ),
        (Capabilities { incremental: false, ..ABLE }, Facts { incremental: true, ..plain }, Misfit::Incremental),
        (
            Capabilities { foreign_network_id: false, ..ABLE },
            Facts { foreign_network_id: true, ..plain },
            Misfit::ForeignNetworkId,
        ),
    ] {
        assert_eq!(misfit(&account("a"), &can, &wish), Some(why));
        assert_eq!(misfit(&account("a"), &ABLE, &wish), None);
    }
    // What is not known yet: a card is no reason, a country is.
    let unknown = Facts { card: None, country: None, ..plain };
    assert_eq!(misfit(&with(|a| a.accepts.card_networks = vec![Brand::Amex]), &ABLE, &unknown), None);
    assert_eq!(misfit(&with(|a| a.accepts.countries = vec!["DE".into()]), &ABLE, &unknown), Some(Misfit::Country));
    let strange = Facts { card: Some(CardFacts { brand: Brand::Unknown, bin: "999999" }), ..plain };
    assert_eq!(misfit(&account("a"), &ABLE, &strange), None);
    let setup = Facts { zero_amount: true, amount_minor: 0, ..plain };
    assert_eq!(misfit(&with(|a| a.accepts.minimum_amount = Some(50)), &ABLE, &setup), None, "no money, no minimum");
}

proptest! {
    #[test]
    fn plan_names_only_candidates_and_each_once(
        ids in prop::collection::btree_set("[a-f]", 0..6),
        order in prop::collection::vec("[a-h]", 1..8),
        fallback in prop::option::of(prop::collection::vec("[a-h]", 0..8)),
        choice in prop::collection::vec("[a-h]", 0..4),
        is_split in any::<bool>(),
        three_ds in any::<bool>(),
        point in any::<u64>(),
    ) {
        let notes = Map::new();
        let way = if is_split {
            let each = 100 / order.len();
            let parts: Vec<_> = order.iter().enumerate().map(|(place, name)| {
                let percent = if place == 0 { 100 - each * (order.len() - 1) } else { each };
                json!({"account": name, "percent": percent})
            }).collect();
            json!({"split": parts})
        } else {
            json!({"order": order})
        };
        let document = rules(json!({"rules": [{"use": way}], "fallback": fallback}));
        let accounts: Vec<_> = ids.iter().map(|id| account(id)).collect();
        let candidates: Vec<_> = accounts.iter().map(|account| Candidate { account, three_ds: false }).collect();
        let wish = Facts { three_ds, ..facts(&notes) };
        let ways = plan(Some(&document), &choice, &wish, &candidates, point);
        let mut seen = std::collections::BTreeSet::new();
        for id in &ways {
            prop_assert!(ids.contains(id), "{id} cannot take the payment");
            prop_assert!(seen.insert(id.clone()), "{id} twice");
        }
        if choice.is_empty() && fallback.is_none() {
            prop_assert_eq!(ways.len(), ids.len(), "without a fallback list every account follows");
        }
        prop_assert_eq!(&ways, &plan(Some(&document), &choice, &wish, &candidates, point));
    }
}
