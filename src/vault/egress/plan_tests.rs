//! Which destinations a configuration may have.

use super::*;

fn name() -> DestinationName {
    "psp".parse().unwrap()
}

fn plan(more: &str) -> Plan {
    toml::from_str(&format!("base_url = \"https://psp.example\"\npaths = [\"/v1/cards\"]\n{more}")).unwrap()
}

/// The system's certificates are not asked for, so that these tests run where there are none.
fn load(mut plan: Plan) -> Result<Destination, PlanError> {
    let certificate = rcgen::generate_simple_self_signed(vec!["psp.example".to_owned()]).unwrap().cert.pem();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), certificate).unwrap();
    plan.ca.get_or_insert_with(|| file.path().to_owned());
    Destination::load(&name(), &plan)
}

fn fault(plan: Plan) -> Option<&'static str> {
    load(plan).err().map(|error| error.key)
}

#[test]
fn the_smallest_destination_posts_to_public_addresses() {
    let destination = load(plan("")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((destination.resolve.as_str(), destination.port), ("psp.example", 443));
    assert_eq!(destination.host, "psp.example");
    assert_eq!(destination.methods, [ForwardMethod::Post]);
    assert!(!destination.allow_private && destination.pins.is_empty() && destination.slots.is_none());
    assert_eq!(destination.tls.alpn_protocols, [b"http/1.1"]);
}

#[test]
fn a_base_url_is_https_a_host_and_nothing_else() {
    for text in [
        "",
        "psp.example",
        "http://psp.example",
        "ftp://psp.example",
        "https://",
        "https://psp.example/v1",
        "https://psp.example?a=b",
        "https://psp.example/#x",
        "https://user:word@psp.example",
        "https://user@psp.example",
        "https://psp.example:0",
        "https://psp.example:99999",
        "https://psp example",
    ] {
        assert_eq!(fault(Plan { base_url: text.to_owned(), ..plan("") }), Some("base_url"), "{text}");
    }
    for (text, host, resolve, port) in [
        ("https://psp.example/", "psp.example", "psp.example", 443),
        ("https://psp.example:8443", "psp.example:8443", "psp.example", 8443),
        ("https://127.0.0.1:1", "127.0.0.1:1", "127.0.0.1", 1),
        ("https://[2606:4700::1111]:8443", "[2606:4700::1111]:8443", "2606:4700::1111", 8443),
    ] {
        let found = load(Plan { base_url: text.to_owned(), ..plan("") }).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((found.host.to_str().unwrap(), found.resolve.as_str(), found.port), (host, resolve, port));
    }
}

#[test]
fn every_value_out_of_range_names_its_key() {
    let words = |count: usize, word: &str| vec![word.to_owned(); count];
    let over = limits::DESTINATION_RULES_MAX + 1;
    for (plan, key) in [
        (plan("connect_timeout_ms = 0"), "connect_timeout_ms"),
        (Plan { connect_timeout_ms: limits::DESTINATION_CONNECT_MS_MAX + 1, ..plan("") }, "connect_timeout_ms"),
        (Plan { total_timeout_ms: limits::DESTINATION_TOTAL_MS_MAX + 1, ..plan("") }, "total_timeout_ms"),
        (plan("connect_timeout_ms = 2000\ntotal_timeout_ms = 1000"), "total_timeout_ms"),
        (plan("addresses = [\"psp.example\"]"), "addresses"),
        (plan("addresses = [\"1.1.1.1/24\"]"), "addresses"),
        (Plan { addresses: words(over, "1.1.1.1"), ..plan("") }, "addresses"),
        (Plan { paths: Vec::new(), ..plan("") }, "paths"),
        (Plan { paths: words(1, "v1"), ..plan("") }, "paths"),
        (Plan { paths: words(over, "/v1"), ..plan("") }, "paths"),
        (plan("methods = []"), "methods"),
        (plan("slots = []"), "slots"),
        (Plan { slots: Some(words(over, "/card")), ..plan("") }, "slots"),
        (plan("ca = \"/nowhere/ca.pem\""), "ca"),
    ] {
        assert_eq!(fault(plan), Some(key));
    }
    let most = Plan {
        connect_timeout_ms: limits::DESTINATION_CONNECT_MS_MAX,
        total_timeout_ms: limits::DESTINATION_TOTAL_MS_MAX,
        paths: words(limits::DESTINATION_RULES_MAX, "/v1"),
        ..plan("")
    };
    assert_eq!(fault(most), None);
}

#[test]
fn a_file_without_a_certificate_is_no_authority() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(fault(Plan { ca: Some(file.path().to_owned()), ..plan("") }), Some("ca"));
}

#[test]
fn keys_that_there_are_not_are_refused() {
    for more in ["proxy = \"x\"", "follow = true", "verify = false", "methods = [\"GET\"]", "allow_private = \"yes\""] {
        let text = format!("base_url = \"https://psp.example\"\npaths = [\"/v1\"]\n{more}");
        assert!(toml::from_str::<Plan>(&text).is_err(), "{more}");
    }
    assert!(toml::from_str::<Plan>("base_url = \"https://psp.example\"").is_err());
}
