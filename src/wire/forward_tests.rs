//! The wire format of a forward request, and what its check refuses.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn request(body: Value) -> Value {
    json!({
        "destination": "stripe",
        "method": "POST",
        "path": "/v1/payment_methods",
        "body": body,
        "payment_method_id": "pm_0198f0c2a1b27c3d8e4f5a6b7c8d9e0f",
        "reference": "pay_1",
    })
}

fn form(pairs: &[(&str, &str)]) -> Value {
    request(json!({ "form": pairs }))
}

fn with(mut request: Value, field: &str, value: Value) -> Value {
    request[field] = value;
    request
}

fn read(request: &Value) -> Result<ForwardRequest, String> {
    serde_json::from_value(request.clone()).map_err(|why| why.to_string())
}

/// The place at fault, or nothing where the template is fine.
fn fault(request: &Value) -> Option<String> {
    read(request).unwrap().check().err().map(|bad| bad.place.to_string())
}

const NUMBER: (&str, &str) = ("card[number]", "{{card.number}}");

#[test]
fn the_documented_request_reads_and_writes_the_same() {
    let whole = json!({
        "destination": "stripe",
        "method": "POST",
        "path": "/v1/payment_methods",
        "query": [["expand[]", "a"], ["expand[]", "b"]],
        "headers": [["Stripe-Version", "2022-08-01"], ["Authorization", "Bearer sk_test_1"]],
        "body": {"form": [["card[number]", "{{card.number}}"], ["amount", "100"]]},
        "payment_method_id": "pm_0198f0c2a1b27c3d8e4f5a6b7c8d9e0f",
        "cvc_token": "cvc_1",
        "reference": "pay_1",
        "idempotency_key": "k1",
        "dry_run": true,
    });
    let read = read(&whole).unwrap();
    assert!(read.check().is_ok());
    assert_eq!(serde_json::to_value(&read).unwrap(), whole);
    let bare = form(&[NUMBER]);
    assert_eq!(serde_json::to_value(self::read(&bare).unwrap()).unwrap(), bare);
}

#[test]
fn the_documented_answers_read_and_write_the_same() {
    for answer in [
        json!({"outcome": "sent", "status": 200, "headers": {"content-type": "application/json"}, "body": "{}"}),
        json!({"outcome": "not_sent", "reason": "unreachable"}),
        json!({"outcome": "not_sent", "reason": "address_refused"}),
        json!({"outcome": "in_doubt", "reason": "timed_out"}),
        json!({"outcome": "dry_run", "method": "PUT", "url": "https://a.example/b", "headers": {}, "body": ""}),
    ] {
        let read: Forwarded = serde_json::from_value(answer.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), answer);
    }
    for reason in [NotSent::Unreachable, NotSent::Unresolved, NotSent::AddressRefused, NotSent::TlsFailed] {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
    }
    for reason in [InDoubt::TimedOut, InDoubt::ConnectionLost, InDoubt::Unreadable] {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
    }
}

#[test]
fn members_keep_their_order_and_numbers_their_value() {
    let text = r#"{"z":1,"a":[1.25,-3,true,null,18446744073709551615],"m":{"b":"{{card.number}}","a":""}}"#;
    let json: Json = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&json).unwrap(), text);
    assert_eq!(json.check(), Ok(1));
    let made = Json::from(json!({"a": [1, "x", {"b": "{{card.cvc}}"}], "c": null}));
    assert_eq!(serde_json::to_string(&made).unwrap(), r#"{"a":[1,"x",{"b":"{{card.cvc}}"}],"c":null}"#);
}

#[test]
fn json_that_would_be_sent_as_something_else_is_refused() {
    for text in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        "18446744073709551616",
        "1e300",
        "[12345678901234567890123]",
        "123456.78901234567",
        "0.30000000000000004",
    ] {
        assert!(serde_json::from_str::<Json>(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_not_documented_is_refused() {
    for wrong in [
        with(form(&[NUMBER]), "more", json!(1)),
        with(form(&[NUMBER]), "method", json!("GET")),
        with(form(&[NUMBER]), "method", json!("post")),
        with(form(&[NUMBER]), "destination", json!("https://evil.example")),
        with(form(&[NUMBER]), "destination", json!("4242424242424242")),
        with(form(&[NUMBER]), "destination", json!("*")),
        with(form(&[NUMBER]), "reference", json!("4242424242424242")),
        request(json!({"form": [["a", "b", "c"]]})),
        request(json!({"form": {"a": "b"}})),
        request(json!({"json": 1, "form": []})),
        request(json!({"xml": "<a/>"})),
    ] {
        assert!(read(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_slot_is_a_whole_value_of_the_body_and_nothing_else() {
    for slot in Slot::ALL {
        assert_eq!(Slot::of(slot.as_str()), Some(*slot));
        assert_eq!(fault(&request(json!({"json": {"a": slot.as_str()}}))), None);
    }
    for text in
        ["{{card.number}} ", " {{card.number}}", "{{ card.number }}", "{{card.Number}}", "x{{", "{{{{", "{{card}}"]
    {
        assert_eq!(fault(&form(&[NUMBER, ("note", text)])).unwrap(), "body.form[1]", "{text}");
        let json = request(json!({"json": {"n": "{{card.number}}", "deep": [0, {"note": text}]}}));
        assert_eq!(fault(&json).unwrap(), "body.json/deep/1/note", "{text}");
    }
    assert_eq!(fault(&form(&[NUMBER, ("note", "{ {card.number}}")])), None);
}

#[test]
fn text_beside_the_body_is_no_slot_even_where_it_is_spelled_like_one() {
    let fine = || form(&[NUMBER]);
    let slot = "{{card.number}}";
    for (wrong, place) in [
        (with(fine(), "path", json!("/v1/{{card.number}}")), "path"),
        (with(fine(), "query", json!([["a", "b"], ["number", slot]])), "query[1]"),
        (with(fine(), "query", json!([[slot, "a"]])), "query[0]"),
        (with(fine(), "headers", json!([["X-Number", slot]])), "headers[0]"),
        (with(fine(), "headers", json!([[slot, "a"]])), "headers[0]"),
        (form(&[NUMBER, (slot, "a")]), "body.form[1]"),
        (request(json!({"json": {"a": "{{card.number}}", "{{card.cvc}}": 1}})), "body.json/#1"),
    ] {
        assert_eq!(fault(&wrong).as_deref(), Some(place), "{wrong}");
    }
}

#[test]
fn a_template_without_a_slot_needs_no_vault() {
    let mut bare = form(&[]);
    bare.as_object_mut().unwrap().remove("body");
    for body in [bare, form(&[("a", "b")]), request(json!({"json": {}})), request(json!({"json": "text"}))] {
        assert_eq!(fault(&body).as_deref(), Some("body"));
    }
}

#[test]
fn number_slots_stand_in_json_alone() {
    for slot in Slot::ALL.iter().filter(|slot| slot.is_number()) {
        assert_eq!(fault(&form(&[NUMBER, ("year", slot.as_str())])).as_deref(), Some("body.form[1]"));
    }
}

#[test]
fn a_part_that_may_be_left_out_stands_where_it_can_be() {
    for slot in Slot::ALL {
        for body in [json!(["{{card.number}}", slot.as_str()]), json!(slot.as_str())] {
            assert_eq!(fault(&request(json!({ "json": body }))).is_some(), slot.is_optional(), "{}", slot.as_str());
        }
    }
}

#[test]
fn an_error_repeats_no_value_and_no_name_that_could_be_a_card() {
    let wrong = request(json!({"json": {"4242424242424242": "{{x"}}));
    let said = read(&wrong).unwrap().check().unwrap_err().to_string();
    assert!(said.starts_with("body.json/#0:") && !said.contains("4242"), "{said}");
}

#[test]
fn every_size_has_its_limit() {
    let text = |bytes: usize| "x".repeat(bytes);
    let pairs = |count: usize| Value::from(vec![json!(["a", "b"]); count]);
    let nested = |levels: usize| (0..levels).fold(json!("{{card.number}}"), |inner, _| json!({ "a": inner }));
    let values = |count: usize| {
        let mut list = vec![json!("{{card.number}}")];
        list.resize(count, json!(0));
        request(json!({ "json": list }))
    };
    let fields = |count: usize| {
        let mut form = vec![json!(["n", "{{card.number}}"])];
        form.resize(count, json!(["a", ""]));
        request(json!({ "form": form }))
    };
    let fine = || form(&[NUMBER]);
    let cases: [(&dyn Fn(usize) -> Value, usize); 12] = [
        (&|n| with(fine(), "path", json!(text(n))), limits::FORWARD_PATH_BYTES_MAX),
        (&|n| with(fine(), "query", pairs(n)), limits::FORWARD_QUERY_MAX),
        (&|n| with(fine(), "headers", pairs(n)), limits::FORWARD_HEADERS_MAX),
        (&|n| with(fine(), "headers", json!([[text(n), "a"]])), limits::FORWARD_NAME_BYTES_MAX),
        (&|n| form(&[NUMBER, (&text(n), "a")]), limits::FORWARD_NAME_BYTES_MAX),
        (&|n| request(json!({"json": {text(n): "{{card.number}}"}})), limits::FORWARD_NAME_BYTES_MAX),
        (&|n| with(fine(), "headers", json!([["a", text(n)]])), limits::FORWARD_VALUE_BYTES_MAX),
        (&|n| with(fine(), "query", json!([["a", text(n)]])), limits::FORWARD_VALUE_BYTES_MAX),
        (&fields, limits::FORWARD_FIELDS_MAX),
        // The list itself is a value too.
        (&|n| values(n - 1), limits::FORWARD_FIELDS_MAX),
        (&|n| request(json!({ "json": nested(n) })), limits::FORWARD_DEPTH_MAX),
        (&|n| request(json!({"json": ["{{card.number}}", text(n)]})), limits::FORWARD_BODY_BYTES_MAX),
    ];
    for (nth, (make, most)) in cases.iter().enumerate() {
        assert_eq!(fault(&make(*most)), None, "case {nth}");
        assert!(fault(&make(most + 1)).is_some(), "case {nth}");
    }
    let whole = |n: usize| form(&[("n", "{{card.number}}"), ("a", &text(n - 2 - "{{card.number}}".len()))]);
    assert_eq!(fault(&whole(limits::FORWARD_BODY_BYTES_MAX)), None);
    assert!(fault(&whole(limits::FORWARD_BODY_BYTES_MAX + 1)).is_some());
    let longest = text(limits::DESTINATION_CHARS_MAX);
    assert!(longest.parse::<DestinationName>().is_ok());
    assert!(format!("{longest}x").parse::<DestinationName>().is_err());
    let crowd: String = (0..=limits::FORWARD_FIELDS_MAX).map(|nth| format!("\"k{nth}\":0,")).collect();
    assert!(serde_json::from_str::<Json>(&format!("{{{}}}", crowd.trim_end_matches(','))).is_err());
}

proptest! {
    #[test]
    fn whatever_json_passes_the_check_holds_braces_in_slots_alone(
        names in prop::collection::vec("[a-c{}]{0,4}", 0..4),
        texts in prop::collection::vec("[a-c{}]{0,4}", 0..4),
    ) {
        let members = names.into_iter().zip(texts).map(|(name, text)| (name, Json::Text(text))).collect();
        let json = Json::List(vec![Json::Text("{{card.number}}".into()), Json::Object(members)]);
        if json.check().is_ok() {
            let text = serde_json::to_string(&json).unwrap();
            prop_assert_eq!(text.matches("{{").count(), 1);
        }
    }
}
