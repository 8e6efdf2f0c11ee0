//! What `--serve` prints: addresses, certificates and lines to paste into a shell.
#![expect(clippy::print_stdout, reason = "these lines are there to be copied")]

use strongroom_tests::harness::{Result, World};

/// Prints how to play with what runs.
pub(super) fn print(world: &World) -> Result<()> {
    let [_, release, admin] = world.vault.addresses();
    let orchestrator = world.payments()?;
    let main = world.credentials("orchestrator", "main")?;
    let alice = world.credentials("security", "alice")?;
    let (folder, tenant) = (world.path().display(), &world.tenant);
    println!("\nStill up; Ctrl-C ends it. Paste into a shell:\n");
    println!("D={folder}");
    println!("CA=\"--cacert {}\"", world.pki.ca().display());
    println!("MAIN=\"--cert {} --key {}\"", main.certificate.display(), main.key.display());
    println!("ALICE=\"--cert {} --key {}\"", alice.certificate.display(), alice.key.display());
    println!("R=https://localhost:{}; A=https://localhost:{}", release.port(), admin.port());
    println!("O={}; KEY={}", orchestrator.anyone().base(), orchestrator.merchant.api_key);
    println!("T='Strongroom-Tenant: {tenant}'; J='Content-Type: application/json'");
    println!("\n# Store a card and get a token");
    println!(
        "curl -s $CA $MAIN -H \"$T\" -H \"$J\" $R/v1/payment_methods -d \
         '{{\"type\":\"card\",\"card\":{{\"number\":\"4242424242424242\",\"exp_month\":12,\"exp_year\":2031}}}}'"
    );
    println!("\n# List cards, masked; reveal one (an audit entry first; see the header Audit-Index)");
    println!("curl -s $CA $MAIN -H \"$T\" $R/v1/payment_methods");
    println!(
        "curl -si $CA $MAIN -H \"$T\" -H \"$J\" $R/v1/payment_methods/pm_.../reveal -d \
         '{{\"purpose\":\"authorize\",\"reference\":\"by-hand\"}}'"
    );
    println!("\n# Be refused: no certificate, then the wrong role");
    println!("curl -s $CA $R/v1/payment_methods; curl -s $CA $ALICE -H \"$T\" $R/v1/payment_methods");
    println!("\n# Pay");
    println!(
        "curl -s $CA -H \"api-key: $KEY\" -H \"$J\" $O/payments -d '{{\"amount\":1500,\"currency\":\"EUR\",\"confirm\":true,\
         \"payment_method\":\"card\",\"payment_method_data\":{{\"card\":{{\"card_number\":\"5555555555554444\",\
         \"card_exp_month\":\"12\",\"card_exp_year\":\"2031\",\"card_cvc\":\"123\"}}}}}}'"
    );
    println!("curl -s $CA -H \"api-key: $KEY\" $O/payments/pay_...");
    println!("\n# Security: status, audit log, keys, metrics");
    println!("curl -s $CA $ALICE $A/v1/status; curl -s $CA $ALICE \"$A/v1/audit/entries?from=0&limit=20\"");
    println!("curl -s $CA $ALICE $A/v1/keys; curl -s $CA $ALICE $A/metrics");
    println!("\n# The PSP's ledger");
    println!("curl -s $CA {}/ledger", world.psp()?.client().base());
    Ok(())
}
