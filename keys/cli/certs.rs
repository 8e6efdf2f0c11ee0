//! `vaultctl certs`: the certificates and revocation lists of a vault, and which of them end soon.

use clap::Args;
use strongroom_wire::certificate::{CertificateInfo, CertificateList, CertificateRole};

use crate::client::{Connection, converse};
use crate::failure::Failure;
use crate::say::{Say, table};

/// List the certificates and revocation lists that the vault uses, trusts and has seen
///
/// Exit code 1 if one that it uses or trusts ends within so many days, for a monitor's sake.
#[derive(Args)]
#[command(after_help = "\
Example:
  vaultctl certs --within 30 --url https://vault:8402 --ca ca.pem --cert ada.pem --key ada.key")]
pub(crate) struct Certs {
    /// Fail if a server certificate, CA or list ends within so many days
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(0..=36_500))]
    within: Option<i64>,
    #[command(flatten)]
    connection: Connection,
}

impl Certs {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let client = self.connection.open()?;
        let list: CertificateList = converse(client.get("/v1/certificates"))?;
        say.result(&list, &describe(&list));
        let Some(within) = self.within else { return Ok(()) };
        match ending(&list, within) {
            0 => Ok(()),
            1 => Err(soon("1 of them ends", within)),
            more => Err(soon(&format!("{more} of them end"), within)),
        }
    }
}

/// How many end in so many days. What clients show is their own to renew.
fn ending(list: &CertificateList, within: i64) -> usize {
    let held = list.certificates.iter().filter(|one| one.role != CertificateRole::Client);
    let days = held.map(|one| one.days_left).chain(list.revocation_lists.iter().filter_map(|one| one.days_left));
    days.filter(|days| *days < within).count()
}

fn soon(what: &str, within: i64) -> Failure {
    Failure::new(
        format!("{what} within {within} days"),
        "have each issued anew, put the file in its place, and run `vaultctl reload`",
    )
}

fn describe(list: &CertificateList) -> String {
    let certificates = list.certificates.iter().map(|one| {
        [
            one.role.as_str().to_owned(),
            name(one),
            one.key_algorithm.clone(),
            one.not_after.clone(),
            one.days_left.to_string(),
            one.sha256.chars().take(16).collect(),
        ]
    });
    let lists = list.revocation_lists.iter().map(|one| {
        [
            "client_crl".to_owned(),
            format!("{}, {} revoked", one.issuer, one.revoked),
            String::new(),
            one.next_update.clone().unwrap_or_default(),
            one.days_left.map(|days| days.to_string()).unwrap_or_default(),
            one.sha256.chars().take(16).collect(),
        ]
    });
    let rows: Vec<[String; 6]> = certificates.chain(lists).collect();
    table(["ROLE", "NAME", "KEY", "ENDS", "DAYS", "SHA-256"], &rows)
}

fn name(one: &CertificateInfo) -> String {
    let name = if one.names.is_empty() { one.subject.clone() } else { one.names.join(" ") };
    one.destination.as_ref().map_or(name.clone(), |destination| format!("{destination}: {name}"))
}
