//! The people in the room: a roll call before anything happens, and each custodian's word that they know their duty.

use std::io::{BufRead, IsTerminal};

use strongroom_keys::duty::DUTY;

use super::plan::{Person, Plan, Present};
use crate::failure::Failure;
use crate::say::Say;

/// How people answer.
pub(crate) struct Room {
    /// Nobody is asked: everybody counts as present and as having acknowledged. The transcript says so.
    rehearsal: bool,
}

impl Room {
    pub(crate) fn new(rehearsal: bool) -> Result<Self, Failure> {
        if !rehearsal && !std::io::stdin().is_terminal() {
            return Err(Failure::new(
                "a ceremony asks people, and there is no terminal to ask at",
                "run it in a terminal; a rehearsal that asks nobody takes --acknowledge, and its transcript says so",
            ));
        }
        Ok(Self { rehearsal })
    }

    pub(crate) fn is_rehearsal(&self) -> bool {
        self.rehearsal
    }

    /// Everybody answers to their name; what each is there for.
    pub(crate) fn roll_call(&self, plan: &Plan, say: &Say) -> Result<Vec<String>, Failure> {
        let mut seats = Vec::new();
        for Person { name, role } in &plan.witness {
            seats.push((name, format!("{name} ({role}), witness")));
        }
        for Present { name, role, .. } in &plan.present {
            seats.push((name, format!("{name} ({role}), brings a share")));
        }
        for Person { name, role } in &plan.custodian {
            seats.push((name, format!("{name} ({role}), gets a share")));
        }
        for (name, seat) in &seats {
            self.hear(&format!("{seat}: type your name to say that you are here"), name, say)?;
        }
        Ok(seats.into_iter().map(|(_, seat)| seat).collect())
    }

    /// A custodian reads their duty and takes it on.
    pub(crate) fn acknowledge(&self, name: &str, say: &Say) -> Result<(), Failure> {
        say.note(DUTY);
        self.hear(&format!("{name}: type your name to acknowledge this duty"), name, say)
    }

    fn hear(&self, question: &str, name: &str, say: &Say) -> Result<(), Failure> {
        if self.rehearsal {
            return Ok(());
        }
        say.note(question);
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        if read.is_ok() && line.trim_end_matches(['\r', '\n']) == name {
            return Ok(());
        }
        Err(Failure::new(
            format!("{name} did not answer with their name; nothing was written"),
            "begin again when everybody is here and knows their duty",
        ))
    }
}
