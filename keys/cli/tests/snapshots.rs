//! Every command's help, and every refusal that needs no vault, as people see them.

#[test]
fn every_help_and_every_offline_refusal_reads_as_written_down() {
    trycmd::TestCases::new()
        // Help is wrapped to the terminal; here it is always as wide as this.
        .env("COLUMNS", "100")
        .case("tests/cmd/*.trycmd");
}
