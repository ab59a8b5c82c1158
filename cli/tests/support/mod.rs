//! Runs the program as a person would.

#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses its part")]

use std::path::Path;
use std::process::{Command, Stdio};

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `wattle` to its end in a folder.
pub fn wattle(folder: &Path, args: &[&str]) -> Run {
    wattle_with(folder, args, &[])
}

/// The same with environment variables.
pub fn wattle_with(folder: &Path, args: &[&str], environment: &[(&str, &str)]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_wattle"))
        .args(args)
        .envs(environment.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A program running in the background; killed when dropped.
#[derive(Debug)]
pub struct Background {
    child: std::process::Child,
    log: std::path::PathBuf,
    out: std::path::PathBuf,
}

impl Background {
    /// Starts `wattle` in a folder; what it prints goes to files there.
    pub fn start(folder: &Path, name: &str, args: &[&str]) -> Self {
        Self::start_with(folder, name, args, &[])
    }

    /// The same with environment variables.
    pub fn start_with(folder: &Path, name: &str, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let log = folder.join(format!("{name}.err"));
        let out = folder.join(format!("{name}.out"));
        let child = Command::new(env!("CARGO_BIN_EXE_wattle"))
            .args(args)
            .envs(environment.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&out).expect("a file"))
            .stderr(std::fs::File::create(&log).expect("a file"))
            .spawn()
            .expect("the program starts");
        Self { child, log, out }
    }

    /// Asks it to end as Ctrl-C does, and waits; gives its exit code and the seconds it took.
    pub fn interrupt(mut self) -> (Option<i32>, f64) {
        let asked = std::time::SystemTime::now();
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().expect("kill runs");
        let code = self.child.wait().expect("it ends").code();
        (code, asked.elapsed().unwrap_or_default().as_secs_f64())
    }

    /// Waits for its end; gives its exit code and what it printed.
    pub fn wait(mut self) -> Run {
        let code = self.child.wait().expect("it ends").code();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        Run { code, stdout: read(&self.out), stderr: read(&self.log) }
    }

    /// What it has written to standard error so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One HTTP/1.1 exchange on loopback: status and body.
pub fn http(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<(u16, Vec<u8>)> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).ok()?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = answer[end + 4..].to_vec();
    Some((status, if chunked { unchunk(&body) } else { body }))
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(line) = body.windows(2).position(|w| w == b"\r\n") {
        let size = std::str::from_utf8(&body[..line]).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        whole.extend_from_slice(&body[line + 2..line + 2 + size]);
        body = &body[line + 2 + size + 2..];
    }
    whole
}

/// GETs JSON; `None` unless it answers 200.
pub fn get_json(address: &str, path: &str) -> Option<serde_json::Value> {
    let (status, body) = http(address, "GET", path, &[], b"")?;
    (status == 200).then(|| serde_json::from_slice(&body).ok())?
}

/// Asks again and again until there is an answer, for at most `seconds`.
pub fn eventually<T>(seconds: u64, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = std::time::SystemTime::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if begun.elapsed().unwrap_or_default().as_secs() >= seconds {
            return None;
        }
        pause();
    }
}

/// Waits a little between two looks at another process.
#[expect(clippy::disallowed_methods, reason = "another process is waited for, there is no runtime to be held up")]
pub fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(200));
}

/// Gives a run of ports below the ephemeral range that another test of this process does not use.
pub fn port_base(slot: u16) -> u16 {
    let process = u16::try_from(std::process::id() % 40).expect("below 40");
    20_000 + process * 300 + slot * 100
}
