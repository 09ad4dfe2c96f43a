//! What one part takes of both processes.

use crate::Failure;
use crate::device::cpu;
use crate::server::Server;
use std::fmt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A part that is being measured.
pub struct Part {
    begun: Instant,
    server: String,
    /// The device's and the server's, at the beginning, in seconds.
    before: [f64; 2],
    perf: Vec<Child>,
}

/// What a part took.
pub struct Spent {
    /// From its beginning to its end.
    pub wall: Duration,
    /// Of the processors, by the device and by the server, in seconds.
    pub cpu: [f64; 2],
}

impl Part {
    /// From now on. The server must be the process that is there at the end.
    pub fn begin(name: &str, server: &Server) -> Result<Part, Failure> {
        let server = server.pid()?;
        let device = std::process::id().to_string();
        let mut perf = Vec::new();
        if let Some(folder) = std::env::var_os("BENCH_SYNC_PERF").map(PathBuf::from) {
            for (who, pid) in [("device", &device), ("server", &server)] {
                let file = folder.join(format!("{name}-{who}.data"));
                let mut command = Command::new("perf");
                command.args(["record", "--quiet", "--freq=499", "--call-graph=dwarf,16384"]);
                perf.push(command.arg("--output").arg(file).args(["--pid", pid]).spawn()?);
            }
            // perf says nothing when it has begun.
            std::thread::sleep(Duration::from_secs(1));
        }
        let before = [cpu("self")?, cpu(&server)?];
        Ok(Part { begun: Instant::now(), server, before, perf })
    }

    /// Until now.
    pub fn end(mut self) -> Result<Spent, Failure> {
        let wall = self.begun.elapsed();
        let [device, server] = self.before;
        let cpu = [cpu("self")? - device, cpu(&self.server)? - server];
        for perf in &mut self.perf {
            Command::new("kill").args(["-INT", &perf.id().to_string()]).status()?;
            perf.wait()?;
        }
        Ok(Spent { wall, cpu })
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [device, server] = self.cpu;
        let wall = self.wall.as_secs_f64();
        write!(f, "{wall:.2} s, CPU {device:.2} s of the device and {server:.2} s of the server")
    }
}
