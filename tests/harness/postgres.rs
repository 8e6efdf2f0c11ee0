//! A PostgreSQL server of its own for a test: a fresh folder, a free port, TLS; stopped when dropped. The sources of the
//! orchestrator's own tests take this file in too, so it names nothing but libraries.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// A server. What goes wrong with it fails the test.
pub struct Postgres {
    pub(super) folder: TempDir,
    pub(super) programs: PathBuf,
    /// Who may not be root: PostgreSQL refuses to run as that.
    pub(super) owner: Option<(u32, u32)>,
    pub(super) port: u16,
}

impl Postgres {
    /// Makes the folder, starts the server and waits until it answers.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let server = Self::nowhere();
        // `--no-sync` is about the making of the folder alone.
        let password_file = server.write("admin", PASSWORD);
        server.run(server.program("initdb").arg("--pgdata").arg(server.rows()).args([
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
            "--username=admin",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            &format!("--pwfile={}", password_file.display()),
        ]));
        server.make_certificates();
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\nssl = on\n\
             ssl_cert_file = '{2}/server.pem'\nssl_key_file = '{2}/server.key'\nmax_connections = 500\n\
             shared_buffers = 32MB\ndeadlock_timeout = 100ms\n",
            server.port,
            server.folder.path().display(),
            server.folder.path().display(),
        );
        std::fs::write(server.rows().join("postgresql.auto.conf"), settings).expect("the server's settings");
        // One role is let in over TLS alone, the other without it alone.
        let doors = "local all all trust\nhostssl all orchestrator 127.0.0.1/32 scram-sha-256\n\
                     hostnossl all plain 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(server.rows().join("pg_hba.conf"), doors).expect("the server's doors");
        server.start_again();
        for role in ["orchestrator", "plain"] {
            server.sql("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"));
        }
        server.write("password", PASSWORD);
        server
    }

    /// The one server of all tests of this process that only want a database of their own. It ends with the process, however
    /// that ends: a shell that waits for it stops the server and removes its folder.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| {
            let server = Self::start();
            let last_will = format!(
                "trap '' INT TERM HUP; cat > /dev/null; '{}/pg_ctl' stop --wait --silent --mode immediate --pgdata '{}'; \
                 rm -rf '{}'",
                server.programs.display(),
                server.rows().display(),
                server.folder.path().display(),
            );
            let mut shell = Command::new("sh");
            shell.args(["-c", &last_will]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
            if let Some((user, group)) = server.owner {
                shell.uid(user).gid(group);
            }
            // Its end of the pipe closes with the process and not before.
            std::mem::forget(shell.spawn().expect("a shell"));
            server
        })
    }

    /// Makes a database with a name of its own for the role `orchestrator`; answers the name.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn fresh_database(&self) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("db{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.add_database(&name);
        name
    }

    /// A folder and a port for a server that is still to be made.
    pub(super) fn nowhere() -> Self {
        let folder = tempfile::Builder::new().prefix("strongroom-postgres-").tempdir().expect("a fresh folder");
        let server = Self { folder, programs: programs(), owner: owner(), port: free_port() };
        server.give_away(server.folder.path());
        server
    }

    /// Starts it after it was stopped.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&self) {
        let log = self.folder.path().join("log");
        let started = self
            .program("pg_ctl")
            .args(["start", "--wait", "--silent", "--pgdata"])
            .arg(self.rows())
            .arg("--log")
            .arg(&log)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(
            started.is_ok_and(|status| status.success()),
            "PostgreSQL does not start:\n{}",
            std::fs::read_to_string(&log).unwrap_or_default()
        );
    }

    /// Stops it at once, as a crash of the machine would: what was not committed is gone, connections break off.
    ///
    /// # Panics
    /// When it cannot be stopped.
    pub fn crash(&self) {
        assert!(self.stop("immediate"), "PostgreSQL does not stop");
    }

    /// Has every process of it stand still, as behind a disk that hangs.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Has it go on.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Sends a signal to the server and to each process that it made.
    fn signal(&self, name: &str) {
        let file = std::fs::read_to_string(self.rows().join("postmaster.pid")).expect("the server runs");
        let own = file.lines().next().expect("its number").to_owned();
        let is_child = |entry: &std::fs::DirEntry| {
            // After the name in brackets: state, then the parent.
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)) == Some(own.as_str())
        };
        let processes = std::fs::read_dir("/proc").expect("procfs").flatten().filter(is_child);
        let mut numbers: Vec<_> = processes.map(|entry| entry.file_name()).collect();
        numbers.push(own.clone().into());
        // One that ended in between is no matter.
        let script = format!("kill -{name} \"$@\"");
        let _ = Command::new("sh").args(["-c", &script, "sh"]).args(numbers).stderr(Stdio::null()).status();
    }

    /// Makes a database that the role `orchestrator` owns.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn add_database(&self, name: &str) {
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\" OWNER orchestrator"));
    }

    /// Runs SQL as the server's administrator; answers what it printed, without headings.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.run(self.program("psql").args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"]).args([
            "--set=ON_ERROR_STOP=1",
            "--username=admin",
            &format!("--host={}", self.folder.path().display()),
            &format!("--port={}", self.port),
            &format!("--dbname={database}"),
            "--command",
            sql,
        ]))
    }

    /// Where a database is for an orchestrator, over TLS.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://orchestrator@127.0.0.1:{}/{database}", self.port)
    }

    /// The same for the role that is let in without TLS.
    #[must_use]
    pub fn plain_url(&self, database: &str) -> String {
        format!("postgres://plain@127.0.0.1:{}/{database}", self.port)
    }

    /// The same through the unix socket.
    #[must_use]
    pub fn socket_url(&self, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://orchestrator@{folder}:{}/{database}", self.port)
    }

    /// The authority of its certificate, a PEM file.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The file with the password of both roles.
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// Its folder, for what a test wants to put beside it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn stop(&self, mode: &str) -> bool {
        let stop = ["stop", "--wait", "--silent", "--mode", mode, "--pgdata"];
        let stopped = self.program("pg_ctl").args(stop).arg(self.rows()).stderr(Stdio::null()).status();
        stopped.is_ok_and(|status| status.success())
    }

    pub(super) fn rows(&self) -> PathBuf {
        self.folder.path().join("rows")
    }

    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path()).env("LC_ALL", "C").stdin(Stdio::null());
        // Clients look for certificates at home, and the home of who runs the tests is closed to the server's owner.
        command.env("HOME", self.folder.path());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    pub(super) fn run(&self, command: &mut Command) -> String {
        let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(done.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    pub(super) fn make_certificates(&self) {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes an issuer of the same name for the certificate itself.
        authority.distinguished_name.push(DnType::CommonName, "PostgreSQL tests");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("a CA");
        let key = KeyPair::generate().expect("a key");
        let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
        let server = server.signed_by(&key, &authority).expect("a certificate");
        self.write("ca.pem", &authority.pem());
        self.write("server.pem", &server.pem());
        self.write("server.key", &key.serialize_pem());
    }

    /// A file that its owner alone reads, as the server demands of its key.
    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file in the fresh folder");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its permissions");
        self.give_away(&path);
        path
    }

    fn give_away(&self, path: &Path) {
        if let Some((user, group)) = self.owner {
            chown(path, Some(user), Some(group)).expect("root may give files away");
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It may be stopped already.
        let _ = self.stop("immediate");
    }
}

/// PgBouncer before the server: each transaction may get another of its few connections.
pub struct Pooler {
    process: Child,
    port: u16,
}

impl Pooler {
    /// Starts one that gives connections away for a transaction at a time.
    ///
    /// # Panics
    /// When PgBouncer is not installed or does not start.
    #[must_use]
    pub fn start(server: &Postgres) -> Self {
        let (port, folder) = (free_port(), server.folder().display());
        let settings = format!(
            "[databases]\n* = host={folder} port={} user=orchestrator\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n",
            server.port,
        );
        let settings = server.write("pgbouncer.ini", &settings);
        let mut command = Command::new("pgbouncer");
        command.arg("--quiet").arg(&settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Debian keeps it where only administrators look.
        let searched = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{searched}:/usr/sbin"));
        if let Some((user, group)) = server.owner {
            command.uid(user).gid(group);
        }
        let process = command.spawn().expect("these tests need PgBouncer: install pgbouncer (Debian)");
        let pooler = Self { process, port };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(std::time::Instant::now() < deadline, "PgBouncer does not listen");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        pooler
    }

    /// Where a database is through it, without TLS.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://orchestrator@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where the server's programs are: Debian keeps them out of the search path.
fn programs() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().filter_map(|version| {
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        Some((number, version.path().join("bin"))).filter(|(_, bin)| bin.join("initdb").exists())
    });
    let searched = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&searched).find(|folder| folder.join("initdb").exists());
    debian
        .max()
        .map(|(_, bin)| bin)
        .or(on_path)
        .expect("these tests need a PostgreSQL server: install postgresql (Debian) or your system's like of it")
}

/// Another user than root, if we are root.
fn owner() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let said = Command::new("id").args(arguments).output().expect("`id` of coreutils");
        String::from_utf8_lossy(&said.stdout).trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let postgres = id(&["-u", "postgres"]).zip(id(&["-g", "postgres"]));
    Some(postgres.expect("the user `postgres`, which Debian's package makes"))
}

pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// The password of the roles; the server listens on loopback for the length of a test.
pub(super) const PASSWORD: &str = "correct-horse-battery-staple";
