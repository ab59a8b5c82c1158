//! Real programs beside the collector: Debian's Prometheus and VictoriaMetrics, unpacked by `bench/promql/peers`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::{get, until};

/// Says in one line that a test did not run; where `CI` is true it has to, and fails.
pub fn missing(what: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}: in CI this test must run");
    #[expect(clippy::print_stdout, reason = "a test that does not run says so")]
    let () = println!("{what}: this test did not run");
}

/// Gives the folder of the programs of some Debian packages.
pub fn peers(packages: &[&str]) -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/promql/peers");
    let run = Command::new("bash").arg(script).args(packages).output();
    match run {
        Ok(told) if told.status.success() => Some(PathBuf::from(String::from_utf8_lossy(&told.stdout).trim())),
        Ok(told) => {
            missing(&format!("{packages:?}: {}", String::from_utf8_lossy(&told.stderr).trim()));
            None
        }
        Err(error) => {
            missing(&format!("{packages:?}: {error}"));
            None
        }
    }
}

/// Where programs are built or installed: kept from one run to the next.
pub fn built(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    target.join("clients").join(name)
}

/// Tells whether a program can be started.
pub fn has(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Runs a program to its end without holding up the collector under test.
pub async fn run(mut command: Command) -> Output {
    let name = format!("{command:?}");
    let ended = tokio::task::spawn_blocking(move || command.output()).await.expect("it does not panic");
    ended.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A program that is ended when the test is.
pub struct Program {
    child: Child,
    pub address: String,
    _dir: tempfile::TempDir,
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Program {
    /// Starts a program whose arguments are made of its address and a folder of its own, and waits until `path` answers.
    pub async fn start(program: &Path, path: &str, arguments: impl Fn(&str, &Path) -> Vec<String>) -> Self {
        let address = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("bound").to_string()
        };
        Self::start_at(program, &address, path, arguments).await
    }

    /// Starts a program that will listen on an address, as [`start`](Self::start) does.
    pub async fn start_at(
        program: &Path,
        address: &str,
        path: &str,
        arguments: impl Fn(&str, &Path) -> Vec<String>,
    ) -> Self {
        let (dir, address) = (tempfile::tempdir().expect("a folder"), address.to_owned());
        let log = std::fs::File::create(dir.path().join("log")).expect("a file");
        let child = Command::new(program)
            .args(arguments(&address, dir.path()))
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut started = Self { child, address: address.clone(), _dir: dir };
        until(&format!("{} on {address}", program.display()), async || {
            if let Ok(Some(status)) = started.child.try_wait() {
                let log = std::fs::read_to_string(started._dir.path().join("log")).unwrap_or_default();
                panic!("{} ended: {status}\n{log}", program.display());
            }
            tokio::net::TcpStream::connect(&address).await.ok()?;
            let (status, _) = get(&address, path).await;
            status.is_success().then_some(())
        })
        .await;
        started
    }

    /// Starts a Prometheus; `config` is its configuration.
    pub async fn prometheus(bin: &Path, config: &str, more: &[&str]) -> Self {
        let arguments = |address: &str, dir: &Path| {
            let file = dir.join("prometheus.yml");
            std::fs::write(&file, config).expect("a file");
            let own = [
                format!("--config.file={}", file.display()),
                format!("--storage.tsdb.path={}", dir.join("data").display()),
                format!("--web.listen-address={address}"),
                "--storage.tsdb.retention.time=100y".to_owned(),
                "--web.enable-remote-write-receiver".to_owned(),
                "--enable-feature=exemplar-storage".to_owned(),
            ];
            own.into_iter().chain(more.iter().map(|one| (*one).to_owned())).collect()
        };
        Self::start(&bin.join("prometheus"), "/-/ready", arguments).await
    }
}
