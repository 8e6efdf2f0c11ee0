//! Looks for the card numbers that the scripts type, however they are grouped or encoded.

/// The number of a card that stands in these bytes: with blanks, hyphens, or signs of a percent-encoding between its groups.
pub(crate) fn of_card(bytes: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(bytes).replace("%20", " ").replace('+', " ");
    let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '\u{a0}' | '\u{2009}' | '\u{202f}')).collect();
    TYPED.into_iter().find(|number| bare.contains(number))
}

/// Whether a card with these last four digits is one that is looked for.
pub(crate) fn is_of_search(last4: &str) -> bool {
    TYPED.iter().any(|number| number.ends_with(last4))
}

/// What the scripts type.
const TYPED: [&str; 5] =
    ["4242424242424242", "5555555555554444", "4000000000000002", "4000002760003184", "378282246310005"];

#[test]
fn a_number_is_found_in_each_dress() {
    for dress in ["4242424242424242", "card=4242 4242 4242 4242&x", "n:4242-4242-4242-4242", "4242%204242+4242%204242"]
    {
        assert_eq!(of_card(dress.as_bytes()), Some("4242424242424242"), "{dress}");
    }
    assert_eq!(of_card(b"4242 4242 4242 and then 4242"), None);
    assert!(is_of_search("4242") && !is_of_search("1111"));
}
