//! Real parts for the Roots that live elsewhere: tokens of SoftHSM, and a stand-in of AWS KMS. A missing part fails the run.
//!
//! PKCS#11 libraries and the AWS libraries read the environment, which a process must not change under its own threads. So
//! these tests run in a process of their own each, which the test starts.

use std::ffi::OsStr;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::root::place::{HsmSite, KmsSite, Site};

/// The SoftHSM of one test: a folder, two tokens named `one` and `other`, and a PIN.
pub(super) struct SoftHsm {
    folder: PathBuf,
}

impl SoftHsm {
    /// In the test, runs it again in a process that has tokens of its own, and answers `None`. In that process, answers
    /// the tokens.
    pub(super) fn of(test: &str) -> Option<Self> {
        if let Some(folder) = std::env::var_os(FOLDER) {
            return Some(Self { folder: folder.into() });
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join("tokens")).unwrap();
        let conf = path.join("softhsm2.conf");
        let tokens = path.join("tokens");
        fs::write(&conf, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display())).unwrap();
        for label in ["one", "other"] {
            let made = Command::new("softhsm2-util")
                .args(["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "87654321"])
                .env("SOFTHSM2_CONF", &conf)
                .output()
                .expect("softhsm2-util is missing; install softhsm2");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        fs::write(path.join("pin"), format!("{PIN}\n")).unwrap();
        fs::set_permissions(path.join("pin"), fs::Permissions::from_mode(0o600)).unwrap();
        again(test, &[(FOLDER, path.as_os_str()), ("SOFTHSM2_CONF", conf.as_os_str())]);
        None
    }

    pub(super) fn site(&self) -> Site {
        let hsm = HsmSite { module: module(), pin_file: self.pin(), slot: None, timeout: Duration::from_secs(10) };
        Site { hsm: Some(hsm), kms: None }
    }

    pub(super) fn pin(&self) -> PathBuf {
        self.folder.join("pin")
    }

    /// Takes the tokens away, or brings them back.
    pub(super) fn take_away(&self) {
        fs::rename(self.folder.join("tokens"), self.folder.join("away")).unwrap();
    }

    pub(super) fn bring_back(&self) {
        fs::rename(self.folder.join("away"), self.folder.join("tokens")).unwrap();
    }

    /// Makes every file of the tokens one whose reader waits for a writer that does not come; the files.
    pub(super) fn hang(&self) -> Vec<PathBuf> {
        let tokens = fs::read_dir(self.folder.join("tokens")).unwrap().map(|entry| entry.unwrap().path());
        let files = tokens.flat_map(|token| fs::read_dir(token).unwrap()).map(|entry| entry.unwrap().path());
        let files: Vec<PathBuf> = files.filter(|path| path.extension().is_none_or(|ending| ending != "lock")).collect();
        for file in &files {
            fs::rename(file, file.with_extension("kept")).unwrap();
            assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
        }
        files
    }

    /// Lets those who wait read nothing, and puts the files back.
    pub(super) fn go_on(&self, hung: Vec<PathBuf>) {
        for file in &hung {
            let kept = file.with_extension("kept");
            let writer = fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
            fs::rename(&kept, file).unwrap();
            drop(writer);
        }
    }
}

pub(super) fn module() -> PathBuf {
    let places = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];
    let found = places.iter().map(Path::new).find(|path| path.is_file());
    found.expect("libsofthsm2.so is missing; install softhsm2").to_owned()
}

/// The stand-in of AWS KMS of one test.
pub(super) struct Moto {
    pub(super) at: SocketAddr,
}

impl Moto {
    /// As [`SoftHsm::of`].
    pub(super) fn of(test: &str) -> Option<Self> {
        if let Ok(at) = std::env::var(MOTO) {
            return Some(Self { at: at.parse().unwrap() });
        }
        let at = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
        let python = std::env::var_os("STRONGROOM_PYTHON").map_or(made, PathBuf::from);
        let started = Command::new(python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &at.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the Python environment is missing; `cargo xtask test` makes it");
        let _moto = Ends(started);
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(at).is_err() {
            assert!(Instant::now() < end, "moto.server does not start; is moto[server] in the Python environment?");
            std::thread::sleep(Duration::from_millis(50));
        }
        again(
            test,
            &[
                (MOTO, at.to_string().as_ref()),
                ("AWS_ACCESS_KEY_ID", "test".as_ref()),
                ("AWS_SECRET_ACCESS_KEY", "test".as_ref()),
                ("AWS_EC2_METADATA_DISABLED", "true".as_ref()),
            ],
        );
        None
    }

    pub(super) fn site(&self, endpoint: &str) -> Site {
        let kms = KmsSite { endpoint: Some(endpoint.to_owned()), profile: None, timeout: Duration::from_secs(5) };
        Site { hsm: None, kms: Some(kms) }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.at)
    }

    /// A new key; its ARN.
    pub(super) async fn key(&self) -> String {
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new(REGION))
            .endpoint_url(self.endpoint())
            .load()
            .await;
        let made = aws_sdk_kms::Client::new(&config).create_key().send().await.unwrap();
        made.key_metadata.unwrap().arn.unwrap()
    }
}

struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ended = (self.0.kill(), self.0.wait());
    }
}

/// Runs one test of this program in a process of its own, and fails as it fails.
fn again(test: &str, set: &[(&str, &OsStr)]) {
    let name = format!("root::conformance::{test}");
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([&name, "--exact", "--nocapture"]).envs(set.iter().copied());
    let ran = child.output().unwrap();
    let said = [String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr)].concat();
    // A name that fits no test runs nothing and ends well.
    assert!(ran.status.success() && said.contains("1 passed"), "{name}:\n{said}");
    for line in said.lines().filter(|line| line.starts_with("measured")) {
        eprintln!("{line}");
    }
}

pub(super) const PIN: &str = "13572468";
pub(super) const REGION: &str = "eu-central-1";
const FOLDER: &str = "STRONGROOM_TEST_HSM_FOLDER";
const MOTO: &str = "STRONGROOM_TEST_KMS_AT";
