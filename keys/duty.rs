//! What a custodian acknowledges (PCI DSS 3.7.8), in words that are shown before and named by their number in records.

/// The number of [`DUTY`]. It stands in audit entries and transcripts; another text gets the next number.
pub const DUTY_VERSION: u32 = 1;

/// The duty of a custodian. Shown as it is; a test holds it to its number.
pub const DUTY: &str = "\
As a custodian of this vault I acknowledge that
  1. I keep my share file and its passphrase apart from each other and from every other share, and let nobody have them;
  2. I hand in my share myself, under my own certificate, only to the vault that I know and only for a ceremony or a
     restart that I was told of by two people;
  3. I never hold two shares, and never act for another custodian;
  4. I report at once when my share, my passphrase or my certificate is lost, was seen by somebody, or may have been;
  5. I destroy my share when I am told that the Root was divided anew or replaced, and when I stop being a custodian.";

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn a_text_that_was_acknowledged_is_not_changed_under_its_number() {
        let sum: String = Sha256::digest(DUTY).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((DUTY_VERSION, sum.as_str()), (1, "afdc5153637bd669"));
    }
}
