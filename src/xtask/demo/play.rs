//! What `--serve` prints: addresses, certificates and lines to paste into a shell.
#![expect(clippy::print_stdout, reason = "these lines are there to be copied")]

use strongroom_tests::harness::{Result, World};
use strongroom_tests::storefront::Addresses;

/// Prints where the shop is, last, so that it stands above the prompt. Whether a browser that trusts the certificate was
/// started changes the hint.
pub(super) fn shop(addresses: &Addresses, is_open: bool) {
    let Addresses { shop, vault, pay, psp } = addresses;
    println!("\n# The shop: buy tea as a new customer, then again with the saved card.\n\n    {shop}\n");
    if is_open {
        println!("A browser with a fresh profile that trusts this demo's certificate shows it.");
    } else {
        println!(
            "Its card fields come from servers with a certificate of this demo. `--open` starts a Chromium that trusts it;"
        );
        println!("in your own browser open each of these once, accept the certificate, and load the checkout again:");
        println!("    {vault}/sdk/inventory.json\n    {pay}/health\n    {psp}/ledger");
    }
}

/// Prints how to play with what runs.
pub(super) fn print(world: &World) -> Result<()> {
    let [_, release, admin] = world.vault.addresses();
    let (release, admin) =
        (format!("https://localhost:{}", release.port()), format!("https://localhost:{}", admin.port()));
    let orchestrator = world.payments()?;
    let pay = orchestrator.anyone().base().to_owned();
    let (ca, tenant) = (world.pki.ca(), &world.tenant);
    let curl = format!("curl -sS --cacert {} -H 'Content-Type: application/json'", ca.display());
    let with = |role: &str, name: &str| -> Result<String> {
        let who = world.credentials(role, name)?;
        Ok(format!("{curl} --cert {} --key {}", who.certificate.display(), who.key.display()))
    };
    println!("\nStill up, until Ctrl-C. Paste these into another shell:\n");
    println!("release() {{ {} -H 'Strongroom-Tenant: {tenant}' \"$@\"; echo; }}", with("orchestrator", "main")?);
    println!("admin() {{ {} \"$@\"; echo; }}", with("security", "alice")?);
    println!("shop() {{ {curl} -H 'api-key: {}' \"$@\"; echo; }}", orchestrator.merchant.api_key);
    println!("anyone() {{ {curl} \"$@\"; echo; }}");

    println!("\n# Store a card and get a token; list the cards, masked.");
    println!(
        "release {release}/v1/payment_methods -d \
         '{{\"type\":\"card\",\"card\":{{\"number\":\"4242424242424242\",\"exp_month\":12,\"exp_year\":2031}}}}'"
    );
    println!("release {release}/v1/payment_methods");
    println!("\n# Reveal one: an audit entry first, whose place the header Audit-Index names.");
    println!(
        "release -i {release}/v1/payment_methods/pm_.../reveal -d '{{\"purpose\":\"authorize\",\"reference\":\"by-hand\"}}'"
    );
    println!("\n# Be refused: without a certificate, then in the wrong role.");
    println!("anyone {release}/v1/payment_methods");
    println!("admin {release}/v1/payment_methods");
    println!("\n# Pay, and look at the payment and at what the PSP did.");
    println!(
        "shop {pay}/payments -d '{{\"amount\":1500,\"currency\":\"EUR\",\"confirm\":true,\"payment_method\":\"card\",\
         \"authentication_type\":\"no_three_ds\",\"payment_method_data\":{{\"card\":{{\"card_number\":\"5555555555554444\",\
         \"card_exp_month\":\"12\",\"card_exp_year\":\"2031\",\"card_cvc\":\"123\"}}}}}}'"
    );
    println!("shop {pay}/payments/pay_...");
    println!("anyone {}/ledger", world.psp()?.client().base());
    println!("\n# What the security team sees.");
    for path in ["/v1/status", "/v1/keys", "/v1/audit/entries?from=0&limit=20", "/v1/audit/checkpoint", "/metrics"] {
        println!("admin '{admin}{path}'");
    }
    println!(
        "\nEvery API says what it takes at /openapi.json. Configurations and logs are in {}.",
        world.path().display()
    );
    Ok(())
}
