//! Programs that would copy, print or mix up secrets do not compile.

#[test]
fn secrets_are_not_copied_printed_forged_or_mixed_up() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
