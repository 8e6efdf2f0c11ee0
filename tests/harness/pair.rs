//! A PostgreSQL primary with a synchronous standby: a commit is answered when both have it on disk. The primary can be
//! killed and the standby be promoted.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use super::postgres::PASSWORD;
use super::{Postgres, SharedDatabase};

/// Two servers. What goes wrong with them fails the test.
pub struct Pair {
    /// The one that takes writes until it is killed.
    pub primary: Postgres,
    /// The one that has every commit that was answered.
    pub standby: Postgres,
}

impl Pair {
    /// Starts a server, copies it to another one and has each commit wait for that.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let primary = Postgres::start();
        let doors = primary.rows().join("pg_hba.conf");
        let let_in = format!("{}{REPLICATION_DOOR}", fs::read_to_string(&doors).expect("the server's doors"));
        fs::write(&doors, let_in).expect("the server's doors");
        primary.sql("postgres", &format!("CREATE ROLE replicator REPLICATION LOGIN PASSWORD '{PASSWORD}'"));
        primary.sql("postgres", "SELECT pg_reload_conf()");

        let standby = Postgres::nowhere();
        for name in ["ca.pem", "server.pem", "server.key", "password"] {
            let text = fs::read_to_string(primary.folder().join(name)).expect("a file of the primary");
            standby.write(name, &text);
        }
        let source = format!(
            "host=127.0.0.1 port={} user=replicator password={PASSWORD} sslmode=verify-full sslrootcert={} \
             application_name=standby",
            primary.port,
            standby.ca().display()
        );
        let copy = ["--checkpoint=fast", "--wal-method=stream", "--no-sync", "--dbname", &source, "--pgdata"];
        standby.run(standby.program("pg_basebackup").args(copy).arg(standby.rows()));
        let settings = format!(
            "port = {}\nunix_socket_directories = '{1}'\nssl_cert_file = '{1}/server.pem'\n\
             ssl_key_file = '{1}/server.key'\nprimary_conninfo = '{source}'\n",
            standby.port,
            standby.folder().display(),
        );
        let file = standby.rows().join("postgresql.auto.conf");
        // What is said last counts.
        let all = fs::read_to_string(&file).expect("the primary's settings") + &settings;
        fs::write(&file, all).expect("the standby's settings");
        standby.write("rows/standby.signal", "");
        standby.start_again();
        // Set when there is a standby, since commits wait for it from then on.
        primary.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'standby'");
        primary.sql("postgres", "SELECT pg_reload_conf()");
        wait_for("the standby to be synchronous", || {
            primary.sql("postgres", "SELECT sync_state FROM pg_stat_replication") == "sync"
        });
        Self { primary, standby }
    }

    /// A database on both, over TLS: clients take whichever server takes writes.
    #[must_use]
    pub fn database(&self, name: &str) -> SharedDatabase {
        self.primary.add_database(name);
        let (one, two) = (self.primary.port, self.standby.port);
        let hosts = format!("127.0.0.1:{one},127.0.0.1:{two}");
        SharedDatabase {
            url: format!("postgres://orchestrator@{hosts}/{name}?target_session_attrs=read-write&connect_timeout=2"),
            ca: Some(self.primary.ca()),
            password_file: self.primary.password_file(),
        }
    }

    /// `kill -9` of every process of the primary at one moment, as when its machine loses power.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn kill_primary(&self) {
        kill_server(&self.primary);
    }

    /// Has the standby take writes, and waits until it does.
    ///
    /// # Panics
    /// When it does not.
    pub fn promote(&self) {
        let promote = ["promote", "--wait", "--silent", "--pgdata"];
        self.standby.run(self.standby.program("pg_ctl").args(promote).arg(self.standby.rows()));
    }
}

/// `kill -9` of a server and of all that it started.
pub(super) fn kill_server(server: &Postgres) {
    let file = fs::read_to_string(server.rows().join("postmaster.pid")).expect("a server that runs");
    let chief: i32 = file.lines().next().and_then(|line| line.trim().parse().ok()).expect("its process id");
    // It starts nothing any more, so that nobody is forgotten.
    send(chief, Signal::STOP);
    for id in children_of(chief) {
        send(id, Signal::KILL);
    }
    send(chief, Signal::KILL);
    wait_for("the server to be gone", || !fs::exists(format!("/proc/{chief}")).unwrap_or(false));
}

fn children_of(parent: i32) -> BTreeSet<i32> {
    let all = fs::read_dir("/proc").expect("the processes").flatten();
    all.filter_map(|entry| {
        let id: i32 = entry.file_name().to_str()?.parse().ok()?;
        let about = fs::read_to_string(entry.path().join("stat")).ok()?;
        // After the name, which stands in parentheses and may hold any character: the state, then the parent.
        let of: i32 = about.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        (of == parent).then_some(id)
    })
    .collect()
}

fn send(id: i32, signal: Signal) {
    // It may have ended by itself.
    let _gone = Pid::from_raw(id).map(|id| kill_process(id, signal));
}

/// Asks again and again; for what happens outside of every runtime.
pub(super) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(90);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "waited for {what} in vain");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

const REPLICATION_DOOR: &str = "hostssl replication replicator 127.0.0.1/32 scram-sha-256\n";
