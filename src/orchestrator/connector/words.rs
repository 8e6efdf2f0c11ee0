//! Texts of providers, made safe to store and to show.

/// A message: short, without control characters, and without any run of digits that could be a part of a card number.
pub(super) fn words(text: &str) -> String {
    let mut safe = String::new();
    let mut digits = 0;
    for letter in text.chars().filter(|letter| !letter.is_control()).take(MESSAGE_CHARS_MAX) {
        if letter.is_numeric() {
            digits += 1;
        } else if digits == 0 || !matches!(letter, ' ' | '-') {
            hide(&mut safe, &mut digits);
        }
        safe.push(letter);
    }
    hide(&mut safe, &mut digits);
    safe
}

/// A provider's code: 1 to 64 letters, digits, `_`, `-` and `.`, with no run of digits that could be a part of a card
/// number. Anything else becomes `unknown`.
pub(super) fn code(text: &str) -> String {
    let plain = (1..=CODE_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if plain && words(text) == text { text.to_owned() } else { "unknown".to_owned() }
}

/// An address that may go into a `Location` header: https, and nothing but visible ASCII.
pub(super) fn plain_https(url: &str) -> Option<String> {
    let plain = url.len() <= URL_CHARS_MAX && url.bytes().all(|byte| byte.is_ascii_graphic());
    (plain && url.starts_with("https://")).then(|| url.to_owned())
}

/// A scheme's transaction id, if the text can be one.
pub(super) fn network_id(text: &str) -> Option<String> {
    let plain = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| text.to_owned())
}

/// Replaces the run of digits (and blanks between them) at the end, once it is longer than a date or an amount.
fn hide(safe: &mut String, digits: &mut usize) {
    if *digits > DIGITS_MAX {
        let kept = safe.trim_end_matches(|letter: char| letter.is_numeric() || matches!(letter, ' ' | '-')).len();
        safe.truncate(kept);
        safe.push_str(" [hidden] ");
    }
    *digits = 0;
}

const CODE_CHARS_MAX: usize = 64;
const URL_CHARS_MAX: usize = 4096;
const MESSAGE_CHARS_MAX: usize = 300;
const DIGITS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_number_in_a_message_is_hidden_however_it_is_written() {
        for number in
            ["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "４１１１１１１１１１１１１１１１"]
        {
            let said = words(&format!("No such card: {number}. Try 2 more times before 2026-11-15."));
            assert!(!said.chars().filter(|letter| letter.is_numeric()).collect::<String>().contains("1111"), "{said}");
            assert!(!said.contains("１"), "{said}");
            assert!(said.contains("Try 2 more times"), "{said}");
        }
        assert_eq!(words("Your card\u{7} was declined."), "Your card was declined.");
        assert_eq!(words(&"x".repeat(10_000)).len(), MESSAGE_CHARS_MAX);
    }

    #[test]
    fn code_that_is_no_code_is_not_repeated() {
        for good in ["bodyDoesNotMatchSchema", "51", "card_declined", "R0"] {
            assert_eq!(code(good), good);
        }
        for odd in ["", "4111111111111111", "4111-1111-1111-1111", "<script>", "two words", &"x".repeat(65)] {
            assert_eq!(code(odd), "unknown", "{odd}");
        }
    }

    #[test]
    fn address_that_is_no_plain_https_address_is_none() {
        for bad in [
            "http://a.example",
            "https://a.example/\r\nSet-Cookie: a=b",
            "javascript:alert(1)",
            "https://ä.example",
            "",
        ] {
            assert_eq!(plain_https(bad), None, "{bad}");
        }
        assert!(plain_https("https://a.example/x?y=%20z").is_some());
    }

    #[test]
    fn network_id_that_is_no_id_is_none() {
        for bad in ["", "a b", "0000-1", &"1".repeat(65)] {
            assert_eq!(network_id(bad), None, "{bad}");
        }
        assert_eq!(network_id("016153570198200").as_deref(), Some("016153570198200"));
    }
}
