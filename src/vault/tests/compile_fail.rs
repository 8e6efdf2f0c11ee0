//! Programs that break the law of the house must not compile: no card without a Warrant, no Warrant without a Permit and a
//! durable entry, none of them forged, cloned, used twice or used for another act.

#[test]
fn programs_that_break_the_law_do_not_compile() {
    // What rustc answers is part of each case (`.stderr`), so that none of them fails for another reason. A case that must
    // compile is not needed, the flows are it; it would build every dependency a second time.
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
