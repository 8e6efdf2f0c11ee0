//! Our ids as Worldpay's references: it takes letters, digits and hyphens there, while our ids may hold underscores.

/// The reference of an id of ours: `-` becomes `--` and `_` becomes `-u`, so that no two ids share one.
pub(super) fn of(id: &str) -> String {
    let mut reference = String::with_capacity(id.len() + 4);
    for letter in id.chars() {
        match letter {
            '-' => reference.push_str("--"),
            '_' => reference.push_str("-u"),
            other => reference.push(other),
        }
    }
    reference
}

/// The id that a reference stands for. `None`: it is none of ours.
pub(super) fn id(reference: &str) -> Option<String> {
    let mut id = String::with_capacity(reference.len());
    let mut letters = reference.chars();
    while let Some(letter) = letters.next() {
        id.push(match letter {
            '-' => match letters.next()? {
                '-' => '-',
                'u' => '_',
                _ => return None,
            },
            other if other.is_ascii_alphanumeric() => other,
            _ => return None,
        });
    }
    (1..=ID_CHARS_MAX).contains(&id.len()).then_some(id)
}

/// Longer than any id of ours; doubled, within the 128 characters that Worldpay takes.
const ID_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reference_leads_back_to_its_id_and_worldpay_takes_it(ours in "[A-Za-z0-9_-]{1,64}") {
            let theirs = of(&ours);
            prop_assert!(theirs.len() <= 128 && theirs.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
            prop_assert_eq!(id(&theirs), Some(ours));
        }
    }

    #[test]
    fn reference_that_somebody_else_made_up_is_none_of_ours() {
        for odd in ["", "-", "a-", "partial-refund", "a_b", "a b", "ref-x1", &"a".repeat(65)] {
            assert_eq!(id(odd), None, "{odd}");
        }
    }
}
