//! PostgreSQL servers that Patroni keeps available with etcd: it makes one of them the primary, another the synchronous
//! standby, and promotes by itself when the primary is gone.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use super::pair::{kill_server, wait_for};
use super::postgres::{PASSWORD, free_port};
use super::{Postgres, Process, SharedDatabase};

/// An etcd and two servers. What goes wrong with them fails the test.
pub struct Patroni {
    // Who keeps a server up ends before it.
    members: Vec<Member>,
    etcd: Process,
    etcd_port: u16,
}

struct Member {
    /// Patroni's process; `None` while it is killed.
    keeper: Option<Process>,
    server: Postgres,
    /// Where Patroni says how the server is.
    said_at: u16,
}

impl Patroni {
    /// Starts etcd and two servers, and waits until one of them is the synchronous standby of the other.
    ///
    /// # Panics
    /// When one of the parts is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let servers = [Postgres::nowhere(), Postgres::nowhere()];
        servers[0].make_certificates();
        for name in ["ca.pem", "server.pem", "server.key"] {
            let text = std::fs::read_to_string(servers[0].folder().join(name)).expect("a certificate");
            servers[1].write(name, &text);
        }
        let etcd_port = free_port();
        let etcd = start_etcd(&servers[0], etcd_port);
        let members = servers.map(|server| Member { keeper: None, said_at: free_port(), server });
        let mut all = Self { members: members.into(), etcd, etcd_port };
        all.bring_up(0);
        wait_for("a primary", || all.primary() == Some(0));
        all.bring_up(1);
        wait_for("a synchronous standby", || all.members[1].may_take_over());
        all.sql(&format!("CREATE ROLE orchestrator LOGIN PASSWORD '{PASSWORD}'"));
        all.members[0].server.write("password", PASSWORD);
        all
    }

    /// A database on both, over TLS: clients take whichever server takes writes.
    #[must_use]
    pub fn database(&self, name: &str) -> SharedDatabase {
        self.sql(&format!("CREATE DATABASE \"{name}\" OWNER orchestrator"));
        let hosts: Vec<String> =
            self.members.iter().map(|member| format!("127.0.0.1:{}", member.server.port)).collect();
        let hosts = hosts.join(",");
        SharedDatabase {
            url: format!("postgres://orchestrator@{hosts}/{name}?target_session_attrs=read-write&connect_timeout=2"),
            ca: Some(self.members[0].server.ca()),
            password_file: self.members[0].server.password_file(),
        }
    }

    /// Which member takes writes, if one does.
    #[must_use]
    pub fn primary(&self) -> Option<usize> {
        self.members.iter().position(|member| member.keeper.is_some() && member.takes_writes())
    }

    /// `kill -9` of everything of the primary at one moment, Patroni too, as when its machine loses power; answers which it
    /// was.
    ///
    /// # Panics
    /// When there is no primary.
    pub fn kill_primary(&mut self) -> usize {
        let nth = self.primary().expect("a primary");
        // Patroni first: it would start the server again.
        if let Some(mut keeper) = self.members[nth].keeper.take() {
            keeper.kill().expect("Patroni can be killed");
        }
        kill_server(&self.members[nth].server);
        nth
    }

    /// The machine of a member that was killed is back, after another has taken over: it becomes the standby of that one.
    ///
    /// # Panics
    /// When it does not become that.
    pub fn bring_back(&mut self, nth: usize) {
        wait_for("another primary", || self.primary().is_some());
        self.bring_up(nth);
        wait_for("the server that is back to be a synchronous standby", || {
            self.primary().is_some_and(|primary| primary != nth) && self.members[nth].may_take_over()
        });
    }

    /// The processes' logs, for a test that failed.
    #[must_use]
    pub fn tails(&self) -> String {
        let keepers = self.members.iter().filter_map(|member| member.keeper.as_ref());
        keepers.chain([&self.etcd]).map(Process::log_tail).collect::<Vec<_>>().join("\n---\n")
    }

    fn sql(&self, sql: &str) -> String {
        let primary = self.primary().unwrap_or_else(|| panic!("no primary:\n{}", self.tails()));
        self.members[primary].server.sql("postgres", sql)
    }

    fn bring_up(&mut self, nth: usize) {
        let member = &mut self.members[nth];
        let settings = member.server.write("patroni.yml", &member.settings(nth, self.etcd_port));
        let mut command = unprivileged(&member.server, "patroni");
        command.arg(settings);
        let log = member.server.folder().join("patroni.log");
        member.keeper = Some(Process::start("patroni", &mut command, &log).expect("install patroni (Debian)"));
    }
}

impl Member {
    /// Whether Patroni says that this is the synchronous standby. PostgreSQL says so a moment before Patroni has written it
    /// down, and until then Patroni promotes it for nobody.
    fn may_take_over(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.said_at)) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let asked = stream.write_all(b"GET /synchronous HTTP/1.0\r\n\r\n");
        let mut said = String::new();
        asked.and_then(|()| stream.read_to_string(&mut said)).is_ok()
            && said.lines().next().is_some_and(|it| it.contains(" 200 "))
    }

    fn takes_writes(&self) -> bool {
        let asked = self
            .server
            .program("psql")
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--username=admin"])
            .args([
                &format!("--host={}", self.server.folder().display()),
                &format!("--port={}", self.server.port),
                "--dbname=postgres",
                "--command=SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool",
            ])
            .output();
        asked.is_ok_and(|said| said.stdout.starts_with(b"f"))
    }

    fn settings(&self, nth: usize, etcd: u16) -> String {
        let (folder, port, said_at) = (self.server.folder().display(), self.server.port, self.said_at);
        let (rows, programs) = (self.server.rows(), self.server.programs.display());
        format!(
            "scope: strongroom\nname: member{nth}\n\
             restapi: {{listen: '127.0.0.1:{said_at}', connect_address: '127.0.0.1:{said_at}'}}\n\
             etcd3: {{host: '127.0.0.1:{etcd}'}}\n\
             bootstrap:\n  dcs:\n    ttl: 20\n    loop_wait: 1\n    retry_timeout: 5\n    synchronous_mode: true\n    \
             postgresql: {{use_pg_rewind: true, parameters: {{max_connections: 200}}}}\n  \
             initdb: [{{encoding: UTF8}}, {{locale: C}}, no-sync, {{auth-local: trust}}]\n\
             postgresql:\n  listen: '127.0.0.1:{port}'\n  connect_address: '127.0.0.1:{port}'\n  \
             data_dir: '{}'\n  bin_dir: '{programs}'\n  pgpass: '{folder}/pgpass'\n  \
             authentication:\n    superuser: {{username: admin, password: {PASSWORD}}}\n    \
             replication: {{username: replicator, password: {PASSWORD}}}\n  \
             parameters: {{unix_socket_directories: '{folder}', ssl: 'on', ssl_cert_file: '{folder}/server.pem', \
             ssl_key_file: '{folder}/server.key', shared_buffers: 32MB}}\n  \
             pg_hba: ['local all all trust', 'hostssl replication replicator 127.0.0.1/32 scram-sha-256', \
             'hostssl all all 127.0.0.1/32 scram-sha-256']\n",
            rows.display(),
        )
    }
}

fn start_etcd(beside: &Postgres, port: u16) -> Process {
    let (clients, peers) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", free_port()));
    let mut command = unprivileged(beside, "etcd");
    command.args(["--name", "one", "--data-dir", "etcd", "--listen-client-urls", &clients]);
    command.args(["--advertise-client-urls", &clients, "--listen-peer-urls", &peers]);
    command.args(["--initial-advertise-peer-urls", &peers, "--initial-cluster", &format!("one={peers}")]);
    let log = beside.folder().join("etcd.log");
    let started = Process::start("etcd", &mut command, &log).expect("install etcd-server (Debian)");
    wait_for("etcd", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    started
}

/// A program that runs in a server's folder as its owner.
fn unprivileged(server: &Postgres, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(server.folder()).env("LC_ALL", "C.UTF-8").env("HOME", server.folder());
    if let Some((user, group)) = server.owner {
        command.uid(user).gid(group);
    }
    command
}
