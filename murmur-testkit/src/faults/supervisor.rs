//! Worker processes: started, stopped in every way there is, and listened to.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Lines of standard error that are kept of each process.
const KEPT: usize = 200;

/// A process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The last line of standard output: how far it is.
    status: Arc<Mutex<Value>>,
    errors: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    /// Start a program, without the settings of whoever runs this.
    pub fn start(program: &Path, arguments: &[String], variables: &[(String, String)]) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MURMUR_") {
                command.env_remove(name);
            }
        }
        // Pipelines are made to panic; where, is known.
        command.env("RUST_BACKTRACE", "0");
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn()?;
        let (status, errors) = (Arc::new(Mutex::new(Value::Null)), Arc::new(Mutex::new(Vec::new())));
        let mut readers = Vec::new();
        if let Some(out) = child.stdout.take() {
            let status = status.clone();
            readers.push(std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if let Ok(value) = serde_json::from_str(&line) {
                        *lock(&status) = value;
                    }
                }
            }));
        }
        if let Some(err) = child.stderr.take() {
            let errors = errors.clone();
            readers.push(std::thread::spawn(move || {
                for line in BufReader::new(err).lines().map_while(Result::ok) {
                    let mut kept = lock(&errors);
                    if kept.len() == KEPT {
                        kept.remove(0);
                    }
                    kept.push(line);
                }
            }));
        }
        Ok(Self { child, status, errors, readers })
    }

    fn signal(&self, signal: Signal) {
        // It may have ended by itself a moment ago.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), signal);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        // What ended it does not matter.
        let _ = self.child.wait();
        self.join();
    }

    /// SIGSTOP: it stands still, and does not know it.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// It may open files and connections below this number; those that are open stay. `None` for as many as at its start.
    pub fn limit_descriptors(&self, below: Option<u64>) -> io::Result<()> {
        let own = || {
            let limits = std::fs::read_to_string("/proc/self/limits")?;
            let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
            let soft = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            soft.ok_or_else(|| io::Error::other("the system does not say how many files may be open"))
        };
        let soft: u64 = below.map_or_else(own, Ok)?;
        let pid = self.child.id().to_string();
        let done = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={soft}:")]).status()?;
        if done.success() { Ok(()) } else { Err(io::Error::other(format!("prlimit: {done}"))) }
    }

    /// The most memory that it has had at a time so far, in bytes.
    pub fn most_memory(&self) -> io::Result<u64> {
        most_memory(self.child.id())
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        // A child that cannot be asked after is none any more.
        let ended = self.child.try_wait().ok().flatten();
        if ended.is_some() {
            self.join();
        }
        ended
    }

    /// Wait for its end.
    pub fn wait(&mut self, longest: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + longest;
        loop {
            match self.ended() {
                None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
                ended => return ended,
            }
        }
    }

    /// Its last line of standard output, as JSON.
    pub fn status(&self) -> Value {
        lock(&self.status).clone()
    }

    /// A whole number of its status; 0 before it says something.
    pub fn figure(&self, name: &str) -> u64 {
        lock(&self.status)[name].as_u64().unwrap_or(0)
    }

    /// The end of what it said on standard error.
    pub fn errors(&self) -> String {
        lock(&self.errors).join("\n")
    }

    fn join(&mut self) {
        for reader in self.readers.drain(..) {
            // A reader that panicked has read what it could.
            let _ = reader.join();
        }
    }
}

/// The most memory that a process has had at a time so far, in bytes.
pub fn most_memory(process: u32) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kibibytes.ok_or_else(|| io::Error::other("the system does not say how much memory a process has"))? << 10)
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
