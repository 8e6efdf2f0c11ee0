//! `vaultctl store`: it watches a move to its end, whatever that is.

use strongroom_wire::Kind;
use strongroom_wire::migration::{Migration, MigrationState};

use super::admin::World;
use super::{ok, problem};

fn migration(state: MigrationState, done: u64) -> Migration {
    Migration {
        state,
        target: Some("db1.internal/vault".to_owned()),
        done,
        total: 10,
        changed: 3,
        waiting: 1,
        records_per_second: None,
        seconds_left: None,
        records_per_second_max: None,
        started_at: Some("2025-11-24T16:00:00.123Z".to_owned()),
        fault: (state == MigrationState::Stopped).then(|| "the database has rows already".to_owned()),
        digest: (state == MigrationState::Moved).then(|| "ab".repeat(32)),
        held_ms: (state == MigrationState::Moved).then_some(42),
    }
}

#[test]
fn a_move_is_watched_to_its_end_through_a_restart_on_the_way() {
    let world = World::new();
    let mut polls = 0;
    let to = world.listen(move |request| {
        assert_eq!(request.path, "/v1/store/migration");
        if request.method == "POST" {
            assert_eq!(request.body, br#"{"records_per_second_max":50}"#);
            return ok(&migration(MigrationState::Copying, 0));
        }
        polls += 1;
        match polls {
            1 => problem(Kind::Unavailable, "the vault restarts"),
            2 => ok(&migration(MigrationState::Switching, 10)),
            _ => ok(&migration(MigrationState::Moved, 10)),
        }
    });
    let migrate = format!("store migrate --records-per-second 50 {}", to("ada"));
    let said = world.done(&migrate);
    for line in ["to       db1.internal/vault", "state    moved", "held     writes for 42 ms"] {
        assert!(said.lines().any(|is| is == line), "{line} is missing:\n{said}");
    }
    assert!(said.contains(&"ab".repeat(32)) && said.contains("[store] postgres"), "{said}");
    let detached = world.done(&format!("{migrate} --detach"));
    assert!(detached.contains("state    copying") && detached.contains("0 of 10"), "{detached}");
}

#[test]
fn a_move_that_stopped_or_was_given_up_is_a_failure_of_whoever_waits() {
    for (state, words) in [
        (MigrationState::Stopped, "the move stopped: the database has rows already"),
        (MigrationState::None, "the move was given up"),
    ] {
        let world = World::new();
        let to = world.listen(move |request| {
            let now = if request.method == "POST" { MigrationState::Copying } else { state };
            ok(&migration(now, 4))
        });
        let refusal = world.refused(&format!("store migrate {}", to("ada")));
        assert!(refusal.contains(words), "{refusal}");
        if state == MigrationState::Stopped {
            assert!(world.refused(&format!("store status {}", to("ada"))).contains(words));
        }
    }
}

#[test]
fn giving_up_says_whether_the_database_was_emptied() {
    let world = World::new();
    let to = world.listen(|request| {
        assert_eq!(request.method, "DELETE");
        ok(&migration(MigrationState::None, 0))
    });
    let said = world.done(&format!("store abandon {}", to("ada")));
    assert_eq!(said, "given up: the file is the store as before, and the database is empty\n");
    let other = World::new();
    let to = other.listen(|_| {
        let fault = Some("the database was not emptied (no server answers): drop it".to_owned());
        ok(&Migration { fault, ..migration(MigrationState::None, 0) })
    });
    let output = other.run(&format!("store abandon {}", to("ada")));
    assert_eq!(output.status.code(), Some(3), "done in part");
    assert!(String::from_utf8(output.stderr).unwrap().contains("was not emptied"));
}
