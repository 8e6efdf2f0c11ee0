//! No card number in the repository but those that schemes and providers publish for tests.

use crate::source::{self, Offences};

/// Numbers that are published for tests, and who publishes them. Whatever else looks like a card number is refused:
/// it could be somebody's.
const PUBLISHED: [(&str, &[&str]); 10] = [
    (
        "Stripe: cards by brand",
        &[
            "4242424242424242",
            "4000056655665556",
            "5555555555554444",
            "2223003122003222",
            "5200828282828210",
            "5105105105105100",
            "378282246310005",
            "371449635398431",
            "6011111111111117",
            "6011000990139424",
            "6011981111111113",
            "3056930009020004",
            "36227206271667",
            "6555900000604105",
            "3566002020360505",
            "6200000000000005",
            "6200000000000047",
            "6205500000000000004",
        ],
    ),
    (
        "Stripe: declines, 3-D Secure and other outcomes",
        &[
            "4000000000000002",
            "4000000000009995",
            "4000000000009987",
            "4000000000009979",
            "4000000000000069",
            "4000000000000127",
            "4000000000000119",
            "4000000000006975",
            "4242424242424241",
            "4000000000000341",
            "4000002500003155",
            "4000002760003184",
            "4000003800000446",
            "4000008400001280",
            "4000008400001629",
            "4000000000003220",
            "4000000000003063",
            "4000000000003055",
            "4000000000003097",
            "4000000000000101",
            "4000000000000010",
            "4000000000000028",
            "4000000000000036",
            "4000000000004954",
            "4100000000000019",
            "4000000000009235",
            "4000000000000077",
            "4000000000000259",
            "4000000000005126",
            "4000000000007726",
            "4000008260003178",
            "4000000000000044",
        ],
    ),
    (
        "PayPal and Braintree: cards by brand",
        &[
            "4111111111111111",
            "4012888888881881",
            "4222222222222",
            "4005519200000004",
            "4009348888881881",
            "4012000033330026",
            "4012000077777777",
            "4217651111111119",
            "4500600000000061",
            "378734493671000",
            "30569309025904",
            "38520000023237",
            "36259600000004",
            "3530111333300000",
            "6304000000000000",
            "6243030000000001",
        ],
    ),
    (
        "Adyen: cards by brand",
        &[
            "4917610000000000",
            "4000020000000000",
            "4988438843884305",
            "4166676667666746",
            "4646464646464644",
            "4444333322221111",
            "2222400070000005",
            "2222410740360010",
            "2222400010000008",
            "5577000055770004",
            "5136333333333335",
            "5585558555855583",
            "5454545454545454",
            "5500000000000004",
            "5424000000000015",
            "370000000000002",
            "36006666333344",
            "6011601160116611",
            "6445644564456445",
            "3569990010095841",
            "6250946000000016",
            "6250947000000014",
            "6771798021000008",
            "6731012345678906",
            "5066991111111118",
            "6062828888666688",
            "6362970000457013",
            "2200000000000004",
            "6759649826438453",
            "8171999927660000",
            "8171999900000000021",
        ],
    ),
    (
        "Worldpay: cards by brand",
        &[
            "4462030000000000",
            "4917610000000000003",
            "6759649826438453",
            "6333619000000000019",
            "4911830000000",
            "4917300800000000",
            "4150580996517927",
            "4434020000000006",
            "2221000000000009",
            "5163613613613613",
            "5131072454408923",
            "5163150000000005",
            "5817020000000000",
            "343434343434343",
            "6011000400000000",
            "3528000700000000",
        ],
    ),
    ("RuPay: Razorpay and Cashfree", &["6074820000000007", "6521525000000005", "6521111111111117", "6074825972083818"]),
    (
        "Mir: CloudPayments and YooKassa",
        &["2200000000000053", "2202474301322987", "2200770212727079", "2204120100000005"],
    ),
    ("Mastercard Gateway and PayU", &["2223000048400011", "30123400000000", "5000000000000000005"]),
    ("RuPay and Mir: PayU and T-Bank", &["6082015309577308", "2201382000000013"]),
    ("Elo: Cielo and Pagar.me", &["6362970000457013", "4389350000000000", "6370950000000005", "5067310000000010"]),
];

#[test]
fn no_card_number_but_published_ones() {
    let mut offences = Offences::default();
    let mut seen = 0;
    for path in source::files().into_iter().filter(|path| !path.ends_with("Cargo.lock")) {
        let bytes = std::fs::read(source::root().join(&path)).expect("listed files are there");
        let text = String::from_utf8_lossy(&bytes);
        for (line, text) in text.lines().enumerate() {
            for number in card_numbers(text) {
                seen += 1;
                let published = PUBLISHED.iter().any(|(_, numbers)| numbers.contains(&number.as_str()));
                offences.unless(published, || {
                    let last4 = &number[number.len() - 4..];
                    format!(
                        "{path}:{}: ...{last4} could be somebody's card: take a published number or name its publisher",
                        line + 1
                    )
                });
            }
        }
    }
    assert!(seen > 50, "only {seen} test numbers were found: the scan sees nothing");
    offences.none();
}

/// Every run of 13 to 19 digits, alone or grouped by single spaces or hyphens, that passes Luhn and begins as a scheme's
/// numbers do. Digits within a longer word (a hexadecimal id) are not meant, nor 4242... cut to another length.
fn card_numbers(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let word = |at: usize| chars.get(at).is_some_and(|c| c.is_alphanumeric());
    let mut out = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if !chars[at].is_ascii_digit() || (at > 0 && word(at - 1)) {
            at += 1;
            continue;
        }
        let mut run = String::new();
        let mut end = at;
        while end < chars.len() {
            match chars[end] {
                c if c.is_ascii_digit() => run.push(c),
                ' ' | '-' if chars.get(end + 1).is_some_and(char::is_ascii_digit) => {}
                _ => break,
            }
            end += 1;
        }
        let invented = run.len() != 16 && run.bytes().all(|b| matches!(b, b'4' | b'2'));
        if !word(end) && (13..=19).contains(&run.len()) && luhn(&run) && begins_like_a_card(&run) && !invented {
            out.push(run);
        }
        at = end.max(at + 1);
    }
    out
}

fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

fn begins_like_a_card(digits: &str) -> bool {
    let head: u32 = digits[..4].parse().unwrap_or(0);
    let lengths = match head {
        4000..=4999 => 13..=19,
        5100..=5599 | 2221..=2720 => 16..=16,
        3400..=3499 | 3700..=3799 => 15..=15,
        3528..=3589 => 16..=19,
        3000..=3059 | 3600..=3699 | 3800..=3999 => 14..=19,
        6011 | 6200..=6299 | 6440..=6599 | 8100..=8199 => 16..=19,
        2200..=2204 => 16..=19,
        5000..=5099 | 5600..=5899 | 6000..=6999 => 13..=19,
        _ => return false,
    };
    lengths.contains(&digits.len())
}

#[test]
fn numbers_are_found_alone_and_in_groups() {
    assert_eq!(card_numbers("x 4242424242424242,").len(), 1);
    assert_eq!(card_numbers("4242 4242 4242 4242").len(), 1);
    assert_eq!(card_numbers("4242-4242-4242-4242.").len(), 1);
    assert_eq!(card_numbers("4242424242424241").len(), 0);
    assert_eq!(card_numbers("pm_a4242424242424242").len(), 0);
    assert_eq!(card_numbers("1764000000123").len(), 0);
}
