//! Programs that must not compile: no Permit, Warrant or card where the law forbids it.

#[test]
fn what_the_law_forbids_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
