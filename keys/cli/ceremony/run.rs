//! `vaultctl ceremony run`: exactly what the reviewed file says, told step by step, and verified at the end.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use strongroom_keys::duty::DUTY_VERSION;
use strongroom_keys::root::{self, Descriptor};
use strongroom_keys::share::Share;

use super::plan::{From, Kind, Plan};
use super::room::Room;
use super::transcript::{self, Output, Transcript};
use crate::deal::{Deal, Dealt, Ready, read_root, read_share};
use crate::failure::Failure;
use crate::file::{self, Mode};
use crate::passphrase;
use crate::say::Say;

/// Perform a reviewed ceremony
///
/// Everybody whom the file names answers to their name, custodians acknowledge their duty, and then exactly what the file
/// says is done. The transcript is printed and written beside the outputs, which are verified at the end. Run it on a
/// machine without a network; `keys/CEREMONY.md` walks through it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  vaultctl ceremony run keys/ceremonies/founding.toml
  vaultctl ceremony run keys/ceremonies/unseal-drill.toml")]
pub(crate) struct Run {
    /// The ceremony's file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A rehearsal: nobody is asked, everybody counts as present and as having acknowledged; the transcript says so
    #[arg(long)]
    acknowledge: bool,
    /// File with the passphrase of a share that is brought, once for each in order; asked for if none is named
    #[arg(long = "share-passphrase-file", value_name = "FILE")]
    brought_passphrase_files: Vec<PathBuf>,
    /// File with the passphrase of a new share, once for each in order; asked for if none is named
    #[arg(long = "passphrase-file", value_name = "FILE")]
    passphrase_files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Performed {
    kind: Kind,
    rehearsal: bool,
    vault_id: String,
    outputs: Vec<Output>,
    transcript: PathBuf,
}

impl Run {
    pub(crate) fn run(self, say: &Say) -> Result<(), Failure> {
        let plan = Plan::read(&self.file)?;
        let transcript_file = plan.out.join(transcript::FILE);
        file::refuse_existing([&transcript_file])?;
        let before = plan.from.as_ref().map(root_of_now).transpose()?;
        let room = Room::new(self.acknowledge)?;
        let mut told = Transcript::begin(say);
        told.fact("ceremony", &format!("{}: {}", plan.kind.as_str(), plan.title));
        told.fact("plan", &format!("SHA-256 {}", transcript::sha256(&self.file)?));
        if room.is_rehearsal() {
            told.fact("REHEARSAL", "nobody was asked whether they are here and know their duty");
        }
        if let Some(from) = &plan.from {
            told.fact("from", &format!("{}, SHA-256 {}", from.root.display(), from.sha256));
        }
        for seat in room.roll_call(&plan, say)? {
            told.fact("present", &seat);
        }
        let brought = self.gather(&plan, before.as_ref(), &mut told)?;
        let mut performed = None;
        if plan.kind.deals() {
            let ready = self.prepare(&plan, &room, &mut told, say)?;
            let dealt = deal(&plan, before.as_ref(), &brought, &ready, say)?;
            told.step("the Root was dealt, each share was sealed, written, read back and opened");
            performed = Some((ready, dealt));
        }
        drop(brought);
        let finished = finish(&plan, before, performed.as_ref(), told);
        if let (Err(_), Some((_, dealt))) = (&finished, &performed) {
            dealt.discard();
        }
        let (vault_id, outputs, text) = finished?;
        let written =
            file::folder(&plan.out).and_then(|()| file::create(&transcript_file, Mode::Public, text.as_bytes()));
        if let (Err(_), Some((_, dealt))) = (&written, &performed) {
            dealt.discard();
        }
        written?;
        let rehearsal = room.is_rehearsal();
        say.result(&Performed { kind: plan.kind, rehearsal, vault_id, outputs, transcript: transcript_file }, &text);
        Ok(())
    }

    /// The shares of now, opened by their custodians and proved to bring the Root back.
    fn gather(
        &self,
        plan: &Plan,
        before: Option<&Descriptor>,
        told: &mut Transcript<'_>,
    ) -> Result<Vec<Share>, Failure> {
        let (true, Some(before)) = (plan.kind.gathers(), before) else { return Ok(Vec::new()) };
        let files = &self.brought_passphrase_files;
        if !files.is_empty() && files.len() != plan.present.len() {
            return Err(Failure::new(
                "the passphrase files do not fit the people who bring a share",
                "name --share-passphrase-file once for each in the order of the file, or not at all",
            ));
        }
        let mut brought = Vec::with_capacity(plan.present.len());
        for (at, person) in plan.present.iter().enumerate() {
            let sealed = read_share(&person.share)?;
            if sealed.custodian() != person.name {
                return Err(Failure::new(
                    format!("{} is not the share of {}", person.share.display(), person.name),
                    "each custodian brings their own share; mend the file where it names the wrong one",
                ));
            }
            let passphrase = passphrase::ask(&person.name, files.get(at).map(PathBuf::as_path))?;
            brought.push(sealed.open(&passphrase).map_err(Failure::of)?);
            told.step(&format!("share {} of {} was opened", sealed.index(), person.name));
        }
        let shares: Vec<&Share> = brought.iter().collect();
        root::prove(before, &shares).map_err(Failure::of)?;
        told.step(&format!("{} shares brought the Root of vault {} back", shares.len(), before.vault_id()));
        Ok(brought)
    }

    /// Duties first, then passphrases: what a person may refuse comes before anything exists.
    fn prepare(&self, plan: &Plan, room: &Room, told: &mut Transcript<'_>, say: &Say) -> Result<Ready, Failure> {
        for person in &plan.custodian {
            room.acknowledge(&person.name, say)?;
            told.step(&format!("{} acknowledged duty {DUTY_VERSION} of a custodian", person.name));
        }
        let deal = Deal {
            // Both are there and sound, or the plan would have been refused.
            shares: u8::try_from(plan.custodian.len()).unwrap_or_default(),
            threshold: plan.threshold.unwrap_or_default(),
            out: plan.out.clone(),
            custodians: plan.custodian.iter().map(|person| person.name.clone()).collect(),
            passphrase_files: self.passphrase_files.clone(),
            open_milliseconds: plan.open_milliseconds,
        };
        deal.ready()
    }
}

/// The root.json of now, if it is the one that was reviewed.
fn root_of_now(from: &From) -> Result<Descriptor, Failure> {
    if transcript::sha256(&from.root)? != from.sha256 {
        return Err(Failure::new(
            format!("{} is not the file that was reviewed: its SHA-256 is another one", from.root.display()),
            "find out why; never change the ceremony's file to fit",
        ));
    }
    let descriptor = read_root(&from.root)?;
    if descriptor.vault_id() != from.vault_id {
        return Err(Failure::new(
            "root.json belongs to another vault than the ceremony's file says",
            "mend the file and have it reviewed again",
        ));
    }
    Ok(descriptor)
}

fn deal(
    plan: &Plan,
    before: Option<&Descriptor>,
    brought: &[Share],
    ready: &Ready,
    say: &Say,
) -> Result<Dealt, Failure> {
    // Both are there and sound, or the plan would have been refused.
    let (shares, threshold) =
        (u8::try_from(plan.custodian.len()).unwrap_or_default(), plan.threshold.unwrap_or_default());
    let (descriptor, dealt) = match (plan.kind, before) {
        (Kind::Redeal, Some(before)) => {
            let brought: Vec<&Share> = brought.iter().collect();
            root::redeal(before, &brought, shares, threshold).map_err(Failure::of)?
        }
        (Kind::NewRoot, Some(before)) => root::found_for(before.vault_id(), shares, threshold).map_err(Failure::of)?,
        _ => root::found(shares, threshold).map_err(Failure::of)?,
    };
    ready.write(descriptor, &dealt, say)
}

/// Verifies what lies on the disk now and closes the transcript.
fn finish(
    plan: &Plan,
    before: Option<Descriptor>,
    performed: Option<&(Ready, Dealt)>,
    mut told: Transcript<'_>,
) -> Result<(String, Vec<Output>, String), Failure> {
    let mut outputs = Vec::new();
    let descriptor = match (performed, before) {
        (Some((ready, dealt)), _) => {
            ready.verify(dealt)?;
            told.step("every file was read again, and each share took part in bringing the Root back");
            for path in &dealt.files {
                outputs.push(transcript::output(path)?);
            }
            dealt.descriptor.clone()
        }
        (None, Some(before)) => before,
        (None, None) => return Err(Failure::of("a ceremony without a Root is none")),
    };
    let vault_id = descriptor.vault_id().to_string();
    told.fact("vault", &vault_id);
    if descriptor.shares() > 0 {
        told.fact("division", &format!("{} of {} are needed", descriptor.threshold(), descriptor.shares()));
    }
    for output in &outputs {
        told.fact("output", &format!("SHA-256 {}  {}", output.sha256, output.file));
    }
    let result = if plan.kind.deals() { "the outputs are verified" } else { "nothing was changed" };
    told.step(result);
    let text = told.text();
    Ok((vault_id, outputs, text))
}
