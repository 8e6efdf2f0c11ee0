//! A ceremony's file: strict, so that what was reviewed is all there is to it.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_keys::share::{custodian_is_sound, division_is_sound};
use strongroom_wire::limits;
use uuid::Uuid;

use super::transcript;
use crate::failure::Failure;
use crate::file;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// The first Root of a new vault, dealt among custodians.
    Founding,
    /// The same Root among other people.
    Redeal,
    /// Another Root for a vault that has one, dealt among custodians.
    NewRoot,
    /// Custodians prove that they could open the vault. Nothing changes.
    UnsealDrill,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    format: u32,
    pub(crate) kind: Kind,
    /// What it is called in records.
    pub(crate) title: String,
    /// Folder to write into, below the one that the tool is run in.
    pub(crate) out: PathBuf,
    /// Shares that will be needed to unseal.
    pub(crate) threshold: Option<u8>,
    /// How long opening a share shall take, in milliseconds.
    #[serde(default = "open_default")]
    pub(crate) open_milliseconds: u64,
    /// The Root that there is.
    pub(crate) from: Option<From>,
    /// Custodians of now who bring their shares.
    #[serde(default)]
    pub(crate) present: Vec<Present>,
    /// Who gets a share, in order.
    #[serde(default)]
    pub(crate) custodian: Vec<Person>,
    /// Who looks on.
    #[serde(default)]
    pub(crate) witness: Vec<Person>,
    expect: Expect,
}

/// A person in the room.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) role: String,
}

/// A person who brings a share.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Present {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) share: PathBuf,
}

/// The root.json of before, by its content.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    pub(crate) root: PathBuf,
    pub(crate) vault_id: Uuid,
    pub(crate) sha256: String,
}

/// What the reviewers expect to find afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    files: Vec<String>,
}

/// What `check` answers in JSON.
#[derive(Serialize)]
pub(crate) struct Summary {
    kind: Kind,
    title: String,
    custodians: Vec<String>,
    threshold: Option<u8>,
    present: Vec<String>,
    witnesses: Vec<String>,
    out: PathBuf,
    files: Vec<String>,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Founding => "founding",
            Kind::Redeal => "redeal",
            Kind::NewRoot => "new-root",
            Kind::UnsealDrill => "unseal-drill",
        }
    }

    /// Whether shares are dealt.
    pub(crate) fn deals(self) -> bool {
        self != Kind::UnsealDrill
    }

    /// Whether custodians of now bring theirs.
    pub(crate) fn gathers(self) -> bool {
        matches!(self, Kind::Redeal | Kind::UnsealDrill)
    }
}

impl Plan {
    /// Reads and checks a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = file::read_text(path, limits::CEREMONY_BYTES_MAX)?;
        Self::parse(&text).map_err(|why| {
            Failure::new(format!("{}: {why}", path.display()), "mend the file and have it reviewed again")
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let plan: Self = toml::from_str(text).map_err(|why| why.message().to_owned())?;
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), String> {
        let kind = self.kind.as_str();
        ensure(self.format == FORMAT, "format: this tool reads format 1")?;
        ensure(is_short(&self.title), "title: 1 to 120 characters, no control characters")?;
        ensure(is_below(&self.out), "out: a folder below the one that the tool is run in, such as \"founding\"")?;
        ensure(self.open_milliseconds <= 10_000, "open_milliseconds: at most 10000")?;
        let witnesses = (1..=limits::CEREMONY_WITNESSES_MAX).contains(&self.witness.len());
        ensure(witnesses, "witness: 1 to 8 people who look on and hold no share")?;
        if self.kind.deals() {
            // Sixteen at most, or the division is not sound.
            let shares = u8::try_from(self.custodian.len()).unwrap_or(u8::MAX);
            ensure(
                self.threshold.is_some_and(|threshold| division_is_sound(shares, threshold)),
                "custodian, threshold: 3 to 16 people who get a share, and a threshold of 2 to all of them",
            )?;
        } else {
            let none = self.custodian.is_empty() && self.threshold.is_none();
            ensure(none, &format!("custodian, threshold: a {kind} deals nothing, so they have no place in it"))?;
        }
        let wants_from = self.kind != Kind::Founding;
        ensure(
            self.from.is_some() == wants_from,
            if wants_from { "from: name the root.json of now" } else { "from: a founding has no Root before it" },
        )?;
        if let Some(from) = &self.from {
            let sound = from.sha256.len() == 64 && from.sha256.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
            ensure(sound, "from.sha256: the SHA-256 of root.json, 64 hexadecimal digits in lower case")?;
        }
        let enough = self.present.len() >= usize::from(limits::THRESHOLD_MIN)
            && self.present.len() <= usize::from(limits::SHARES_MAX);
        let (gathers, none) = (self.kind.gathers(), self.present.is_empty());
        ensure(!gathers || enough, "present: as many custodians of now as are needed to unseal, 2 to 16")?;
        ensure(gathers || none, &format!("present: nobody brings a share to a {kind}"))?;
        self.check_people()?;
        let files = self.files();
        let listed = self.expect.files == files;
        ensure(listed, &format!("expect.files: a {kind} like this writes {files:?}, in this order"))
    }

    /// Names are sound, nobody has two seats of one kind, and who looks on holds nothing.
    fn check_people(&self) -> Result<(), String> {
        let custodians: BTreeSet<&str> = self.custodian.iter().map(|person| person.name.as_str()).collect();
        let present: BTreeSet<&str> = self.present.iter().map(|person| person.name.as_str()).collect();
        let witnesses: BTreeSet<&str> = self.witness.iter().map(|person| person.name.as_str()).collect();
        ensure(custodians.len() == self.custodian.len(), "custodian: each has another name")?;
        ensure(present.len() == self.present.len(), "present: each has another name")?;
        ensure(witnesses.len() == self.witness.len(), "witness: each has another name")?;
        let shares: BTreeSet<&Path> = self.present.iter().map(|person| person.share.as_path()).collect();
        ensure(shares.len() == self.present.len(), "present.share: each brings another file")?;
        let apart = witnesses.is_disjoint(&custodians) && witnesses.is_disjoint(&present);
        ensure(apart, "witness: whoever looks on holds no share")?;
        let mut names = custodians.into_iter().chain(present).chain(witnesses);
        ensure(names.all(custodian_is_sound), "name: 1 to 64 characters, no control characters")?;
        let people = self.custodian.iter().chain(&self.witness).map(|person| &person.role);
        let mut roles = people.chain(self.present.iter().map(|person| &person.role));
        ensure(roles.all(|role| is_short(role)), "role: 1 to 120 characters, no control characters")
    }

    /// What it writes into `out`, in order.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files: Vec<String> = (1..=self.custodian.len()).map(|n| format!("share-{n}.json")).collect();
        if self.kind.deals() {
            files.push("root.json".to_owned());
        }
        files.push(transcript::FILE.to_owned());
        files
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary {
            kind: self.kind,
            title: self.title.clone(),
            custodians: self.custodian.iter().map(|person| person.name.clone()).collect(),
            threshold: self.threshold,
            present: self.present.iter().map(|person| person.name.clone()).collect(),
            witnesses: self.witness.iter().map(|person| person.name.clone()).collect(),
            out: self.out.clone(),
            files: self.files(),
        }
    }

    /// For the people who review it.
    pub(crate) fn describe(&self) -> String {
        let mut lines = vec![format!("{}: {}", self.kind.as_str(), self.title)];
        if let Some(from) = &self.from {
            lines.push(format!("vault    {}", from.vault_id));
            lines.push(format!("from     {}, SHA-256 {}", from.root.display(), from.sha256));
        }
        for Present { name, role, share } in &self.present {
            lines.push(format!("brings   {name} ({role}): {}", share.display()));
        }
        for Person { name, role } in &self.custodian {
            lines.push(format!("gets     {name} ({role})"));
        }
        if let Some(threshold) = self.threshold {
            lines.push(format!("needed   {threshold} of {}", self.custodian.len()));
        }
        for Person { name, role } in &self.witness {
            lines.push(format!("witness  {name} ({role})"));
        }
        lines.extend(self.files().iter().map(|file| format!("writes   {}", self.out.join(file).display())));
        lines.join("\n")
    }
}

fn ensure(holds: bool, why: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why.to_owned()) }
}

fn is_short(text: &str) -> bool {
    (1..=limits::CEREMONY_TEXT_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// A relative path without a way up: the tool writes nowhere else than where it was started.
fn is_below(path: &Path) -> bool {
    path.components().next().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

fn open_default() -> u64 {
    1000
}

const FORMAT: u32 = 1;

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
