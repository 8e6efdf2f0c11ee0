//! Roots that live elsewhere, as real parts of a world: a token of SoftHSM in a folder, and moto for AWS KMS behind a proxy
//! that can do what moto cannot. A missing part fails the run.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::pki::{text, vaultctl_in};
use super::process::eventually;
use super::world::secret_file;
use super::{Fault, KmsProxy, Process, Result, because};

/// Variables of a process's environment.
pub(super) type Environment = Vec<(&'static str, OsString)>;

/// A token of SoftHSM and the Root's key in it.
pub struct Hsm {
    folder: PathBuf,
}

impl Hsm {
    /// Makes a token in `folder`.
    ///
    /// # Errors
    /// When SoftHSM is not installed or refuses.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let hsm = Self { folder: folder.to_owned() };
        fs::create_dir_all(hsm.tokens()).map_err(because("the token's folder"))?;
        let conf = format!("directories.tokendir = {}\nlog.level = ERROR\n", hsm.tokens().display());
        fs::write(hsm.conf(), conf).map_err(because("softhsm2.conf"))?;
        secret_file(&hsm.pin(), &format!("{PIN}\n"))?;
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", TOKEN, "--pin", PIN, "--so-pin", "87654321"])
            .envs(hsm.environment())
            .output()
            .map_err(because("softhsm2-util; install softhsm2"))?;
        if made.status.success() { Ok(hsm) } else { Err(Fault::new(String::from_utf8_lossy(&made.stderr))) }
    }

    /// Makes the Root's key and root.json by the real `vaultctl`.
    ///
    /// # Errors
    /// When it refuses.
    pub fn init(&self, out: &Path, more: &[&str]) -> Result<String> {
        let (module, pin) = (module()?, self.pin());
        let mut arguments = vec!["init", "--pkcs11", text(&module)?, "--token", TOKEN, "--pin-file", text(&pin)?];
        arguments.extend(["--out", text(out)?]);
        arguments.extend(more);
        vaultctl_in(&self.environment(), &arguments)
    }

    /// How it is reached, below `root` or `root.next` in vaultd's configuration.
    pub(super) fn lines(&self, root: &str) -> Result<String> {
        let (module, pin) = (module()?, self.pin());
        Ok(format!(
            "\n[{root}.pkcs11]\nmodule = \"{}\"\npin_file = \"{}\"\ntimeout_ms = 5000\n",
            module.display(),
            pin.display()
        ))
    }

    pub(super) fn environment(&self) -> Environment {
        vec![("SOFTHSM2_CONF", self.conf().into_os_string())]
    }

    /// The file of the PIN.
    #[must_use]
    pub fn pin(&self) -> PathBuf {
        self.folder.join("pin")
    }

    /// The token is pulled.
    ///
    /// # Errors
    /// When the folder cannot be moved.
    pub fn take_away(&self) -> Result<()> {
        fs::rename(self.tokens(), self.folder.join("away")).map_err(because("the token"))
    }

    /// And put back.
    ///
    /// # Errors
    /// When the folder cannot be moved.
    pub fn bring_back(&self) -> Result<()> {
        fs::rename(self.folder.join("away"), self.tokens()).map_err(because("the token"))
    }

    fn tokens(&self) -> PathBuf {
        self.folder.join("tokens")
    }

    fn conf(&self) -> PathBuf {
        self.folder.join("softhsm2.conf")
    }
}

/// AWS KMS: moto behind a proxy.
pub struct Kms {
    _moto: Process,
    upstream: SocketAddr,
    /// What the vault talks to.
    pub proxy: KmsProxy,
}

impl Kms {
    /// Starts moto and the proxy.
    ///
    /// # Errors
    /// When the Python environment is missing or moto does not start.
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        let made = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
        let python = std::env::var_os("STRONGROOM_PYTHON").map_or(made, PathBuf::from);
        let free = TcpListener::bind(("127.0.0.1", 0)).map_err(because("a free port"))?;
        let upstream = free.local_addr().map_err(because("a free port"))?;
        drop(free);
        let mut command = Command::new(python);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &upstream.port().to_string()]);
        let moto = Process::start("moto", &mut command, &folder.join("moto.log"))?;
        let up = eventually("moto to listen", Duration::from_secs(60), || async {
            Ok(TcpStream::connect(upstream).is_ok().then_some(()))
        });
        up.await?;
        let proxy = KmsProxy::start(upstream).map_err(because("the proxy"))?;
        Ok(Self { _moto: moto, upstream, proxy })
    }

    /// Makes a key; its ARN.
    ///
    /// # Errors
    /// When moto does not answer.
    pub fn key(&self) -> Result<String> {
        let mut moto = TcpStream::connect(self.upstream).map_err(because("moto"))?;
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nX-Amz-Target: TrentService.CreateKey\r\nContent-Length: 2\r\n\
             Content-Type: application/x-amz-json-1.1\r\nConnection: close\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential=test/20260101/{REGION}/kms/aws4_request, SignedHeaders=host, Signature=none\r\n\r\n{{}}",
            self.upstream
        );
        moto.write_all(request.as_bytes()).map_err(because("moto"))?;
        let mut answer = String::new();
        moto.read_to_string(&mut answer).map_err(because("moto"))?;
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        let made: serde_json::Value = serde_json::from_str(body).map_err(because("moto's answer"))?;
        let arn = made["KeyMetadata"]["Arn"].as_str();
        arn.map(str::to_owned).ok_or_else(|| Fault::new("moto made no key"))
    }

    /// Makes root.json of a key by the real `vaultctl`.
    ///
    /// # Errors
    /// When it refuses.
    pub fn init(&self, key: &str, out: &Path, more: &[&str]) -> Result<String> {
        let endpoint = self.proxy.endpoint();
        let mut arguments =
            vec!["init", "--kms", key, "--region", REGION, "--endpoint", &endpoint, "--out", text(out)?];
        arguments.extend(more);
        vaultctl_in(&self.environment(), &arguments)
    }

    /// As [`Hsm::lines`].
    pub(super) fn lines(&self, root: &str) -> String {
        format!("\n[{root}.kms]\nendpoint = \"{}\"\ntimeout_ms = 3000\n", self.proxy.endpoint())
    }

    pub(super) fn environment(&self) -> Environment {
        let set =
            [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_EC2_METADATA_DISABLED", "true")];
        set.into_iter().map(|(name, value)| (name, value.into())).collect()
    }

    /// The credential's secret half, which may stand in no log.
    pub const SECRET: &str = SECRET;
}

fn module() -> Result<PathBuf> {
    let places = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];
    let found = places.into_iter().map(PathBuf::from).find(|path| path.is_file());
    found.ok_or_else(|| Fault::new("libsofthsm2.so is missing; install softhsm2"))
}

const TOKEN: &str = "vault";
/// The token's user PIN, which may stand in no log.
pub const PIN: &str = "9517538246";
const SECRET: &str = "kmsSecretThatNobodyMayLog";
const REGION: &str = "eu-central-1";
