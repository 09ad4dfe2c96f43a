//! The Debian package of the server: a tree of files, and dpkg's own tools around it.

use crate::run::{built, cargo, command, output, root, step, succeed, target};
use crate::{deps, deps::Need};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// What `deb` takes.
#[derive(clap::Args)]
pub struct Options {
    /// From the unoptimised program, to see that it works.
    #[arg(long)]
    dev: bool,
    /// Install it on this machine afterwards, start the program as its user, remove it again; as root.
    #[arg(long = "try")]
    install: bool,
}

/// Where a file of the checkout goes, and its mode.
const FILES: &[(&str, &str, u32)] = &[
    ("deploy/systemd/vereda-server.service", "usr/lib/systemd/system/vereda-server.service", 0o644),
    ("deploy/debian/sysusers.conf", "usr/lib/sysusers.d/vereda-server.conf", 0o644),
    ("deploy/debian/tmpfiles.conf", "usr/lib/tmpfiles.d/vereda-server.conf", 0o644),
    ("deploy/debian/postinst", "DEBIAN/postinst", 0o755),
    ("deploy/debian/prerm", "DEBIAN/prerm", 0o755),
    ("deploy/debian/postrm", "DEBIAN/postrm", 0o755),
    ("deploy/prometheus/alerts.yml", "usr/share/vereda-server/prometheus/alerts.yml", 0o644),
    ("deploy/grafana/service.json", "usr/share/vereda-server/grafana/service.json", 0o644),
    ("deploy/grafana/models.json", "usr/share/vereda-server/grafana/models.json", 0o644),
    ("deploy/grafana/field.json", "usr/share/vereda-server/grafana/field.json", 0o644),
    ("docs/API.md", "usr/share/doc/vereda-server/API.md", 0o644),
    ("docs/OPERATIONS.md", "usr/share/doc/vereda-server/OPERATIONS.md", 0o644),
    ("docs/DEPLOY.md", "usr/share/doc/vereda-server/DEPLOY.md", 0o644),
    ("docs/METRICS.md", "usr/share/doc/vereda-server/METRICS.md", 0o644),
    ("CHANGELOG.md", "usr/share/doc/vereda-server/CHANGELOG.md", 0o644),
    ("LICENSE-APACHE", "usr/share/doc/vereda-server/LICENSE-APACHE", 0o644),
    ("LICENSE-MIT", "usr/share/doc/vereda-server/LICENSE-MIT", 0o644),
];

const CONFFILE: &str = "etc/vereda/server.toml";

/// Builds the package, and on request tries it.
///
/// # Errors
/// When something does not build, or the installed program does not answer.
pub fn run(options: &Options) -> Result<()> {
    let package = make(!options.dev)?;
    println!("{}", package.display());
    if options.install { install(&package) } else { Ok(()) }
}

/// Builds the server, optimised or not, and the package of it.
///
/// # Errors
/// When something does not build.
pub fn make(release: bool) -> Result<PathBuf> {
    deps::ensure(Need::BUILD | Need::DEB)?;
    step("Building the server");
    let mut build = cargo(&["build", "--package", "vereda-server", "--bin", "vereda-server"]);
    succeed(if release { build.arg("--release") } else { &mut build })?;
    package(&built("vereda-server", release), &target().join("dist-deb"), release)
}

/// Makes `vereda-server_VERSION_ARCH.deb` of a program in a folder; small, or quickly.
fn package(program: &Path, folder: &Path, small: bool) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let work = tempfile::Builder::new().prefix("tree-").tempdir_in(folder)?;
    let tree = work.path().join("tree");
    stage(program, &tree)?;
    let architecture = output(command("dpkg").arg("--print-architecture"))?.trim().to_owned();
    fs::write(tree.join("DEBIAN/control"), control(&tree, work.path(), &architecture)?)?;
    let name = format!("vereda-server_{}_{architecture}.deb", env!("CARGO_PKG_VERSION"));
    let package = folder.join(name);
    let how = if small { ["-Zxz", "-z6"] } else { ["-Zgzip", "-z1"] };
    let mut pack = command("dpkg-deb");
    output(pack.args(["--root-owner-group", "--build"]).args(how).arg(&tree).arg(&package))?;
    Ok(package)
}

/// Everything but `DEBIAN/control`, in its place.
fn stage(program: &Path, tree: &Path) -> Result<()> {
    for (from, to, mode) in FILES {
        let bytes = fs::read(root().join(from)).with_context(|| format!("reading {from}"))?;
        put(tree, to, &bytes, *mode)?;
    }
    put(tree, CONFFILE, settings()?.as_bytes(), 0o644)?;
    put(tree, "DEBIAN/conffiles", format!("/{CONFFILE}\n").as_bytes(), 0o644)?;
    put(tree, "usr/share/doc/vereda-server/copyright", COPYRIGHT.as_bytes(), 0o644)?;
    put(tree, "usr/bin/vereda-server", &[], 0o755)?;
    let installed = tree.join("usr/bin/vereda-server");
    succeed(command("strip").args(["--strip-unneeded", "-o"]).arg(&installed).arg(program))?;
    mode(&installed, 0o755)
}

const COPYRIGHT: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: vereda

Files: *
Copyright: The Vereda authors
License: Apache-2.0 or MIT
 Both texts are beside this file: LICENSE-APACHE and LICENSE-MIT.
";

/// The example, with the data where a package keeps them: whoever uses the server's commands by hand
/// must come to the same place as the unit.
fn settings() -> Result<String> {
    let example = fs::read_to_string(root().join("backend/vereda-server.example.toml"))?;
    let (default, packaged) = ("data_dir = \"vereda-data\"", "data_dir = \"/var/lib/vereda\"");
    ensure!(example.matches(default).count() == 1, "the example of the settings does not say {default}");
    Ok(example.replace(default, packaged))
}

/// Writes a file of the package: `to` is its place below the tree.
fn put(tree: &Path, to: &str, bytes: &[u8], bits: u32) -> Result<()> {
    let file = tree.join(to);
    let folders = Path::new(to).parent().context("a file is in a folder")?;
    fs::create_dir_all(tree.join(folders)).with_context(|| format!("making {}", folders.display()))?;
    // Whatever the umask of whoever builds is, others have to get in: to the tree and below, and nowhere else.
    for inside in folders.ancestors() {
        mode(&tree.join(inside), 0o755)?;
    }
    fs::write(&file, bytes).with_context(|| format!("writing {}", file.display()))?;
    mode(&file, bits)
}

#[cfg(unix)]
fn mode(path: &Path, bits: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(bits))
        .with_context(|| format!("setting the mode of {}", path.display()))
}

#[cfg(not(unix))]
fn mode(_: &Path, _: u32) -> Result<()> {
    bail!("Debian packages are built on Linux")
}

/// `deploy/debian/control` with what only the built program tells.
fn control(tree: &Path, work: &Path, architecture: &str) -> Result<String> {
    // dpkg-shlibdeps wants to be in a source package.
    fs::create_dir_all(work.join("debian"))?;
    fs::write(
        work.join("debian/control"),
        "Source: vereda-server\n\nPackage: vereda-server\nArchitecture: any\n",
    )?;
    let mut ask = command("dpkg-shlibdeps");
    ask.current_dir(work).arg("-O").arg("-e").arg(tree.join("usr/bin/vereda-server"));
    let answer = output(&mut ask)?;
    let libraries = answer.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    let libraries = libraries.context("dpkg-shlibdeps names no library")?;
    let size = output(command("du").args(["--apparent-size", "-sk"]).arg(tree))?;
    let size = size.split_whitespace().next().context("du says nothing")?;
    let given = fs::read_to_string(root().join("deploy/debian/control"))?;
    let given = given.replace("Depends: init", &format!("Depends: {libraries}, init"));
    ensure!(given.contains(libraries), "deploy/debian/control has no Depends to add to");
    let version = env!("CARGO_PKG_VERSION");
    let own = format!("Version: {version}\nArchitecture: {architecture}\nInstalled-Size: {size}\n");
    Ok(given.replacen("Section:", &format!("{own}Section:"), 1))
}

/// The value of a key in the unit.
fn unit(text: &str, key: &str) -> Result<String> {
    let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    Ok(found.with_context(|| format!("the unit has no {key}="))?.to_owned())
}

/// A server that ends with this value.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Served {
    /// Waits until it listens on free ports, asks whether it is ready, and ends it by SIGTERM.
    fn answers(mut self) -> Result<()> {
        let mut log = BufReader::new(self.0.stderr.take().context("the log is a pipe")?);
        let mut said = String::new();
        let address = loop {
            let before = said.len();
            ensure!(log.read_line(&mut said)? > 0, "the server ended: {said}");
            let line: serde_json::Value = serde_json::from_str(&said[before..]).unwrap_or_default();
            if let Some(address) = line["metrics_addr"].as_str() {
                break address.to_owned();
            }
        };
        let mut stream = TcpStream::connect(&address)?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.0 200"), "not ready: {answer}");
        succeed(command("kill").args(["-TERM", &self.0.id().to_string()]))?;
        ensure!(self.0.wait()?.success(), "SIGTERM is not a clean end");
        Ok(())
    }
}

/// Installs, starts as the unit does, removes and purges. Not through systemd, which build machines
/// seldom run: `cargo xtask unit` boots one.
fn install(package: &Path) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "only root can install the package");
    let state = Path::new("/var/lib/vereda");
    ensure!(!state.exists(), "{} is there already: this machine has a server", state.display());
    step("Installing it");
    succeed(command("dpkg").arg("-i").arg(package))?;
    step("Starting the program as the unit does");
    let text = fs::read_to_string("/usr/lib/systemd/system/vereda-server.service")?;
    let (line, user) = (unit(&text, "ExecStart")?, unit(&text, "User")?);
    let owner = output(command("stat").args(["-c", "%U:%G %a"]).arg(state))?;
    ensure!(owner.trim() == format!("{user}:{user} 700"), "{}: {owner}", state.display());
    let mut serve = command("setpriv");
    serve.args([format!("--reuid={user}"), format!("--regid={user}")]);
    serve.args(["--init-groups", "--no-new-privs", "--pdeathsig=KILL", "--bounding-set=-all"]);
    serve.args(["env", "-i", "VEREDA_LISTEN=127.0.0.1:0", "VEREDA_METRICS_LISTEN=127.0.0.1:0"]);
    serve.arg(unit(&text, "Environment")?).args(line.split(' ')).current_dir("/");
    Served(serve.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?).answers()?;
    ensure!(state.join("keys").exists(), "the server kept nothing in {}", state.display());
    println!("/readyz answered 200, as {user}");
    step("Removing it");
    succeed(command("dpkg").args(["-r", "vereda-server"]))?;
    ensure!(Path::new("/").join(CONFFILE).exists(), "the settings went with the program");
    succeed(command("dpkg").args(["-P", "vereda-server"]))?;
    ensure!(!Path::new("/").join(CONFFILE).exists(), "the settings are still there");
    ensure!(state.join("keys").exists(), "the data went, unasked");
    step("Installing it again, and purging it with its data");
    succeed(command("dpkg").arg("-i").arg(package))?;
    succeed(command("dpkg").args(["-P", "vereda-server"]).env("VEREDA_PURGE_DATA", "yes"))?;
    if state.exists() {
        bail!("the data is still there");
    }
    println!("installed, started, removed, purged");
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_package_holds_what_it_must_and_its_program_starts() {
        let program = built("vereda-server", false);
        assert!(program.exists(), "run `cargo build -p vereda-server` first; `cargo xtask test` does");
        let dir = tempfile::tempdir().unwrap();
        let mode_of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let before = dir.path().ancestors().map(mode_of).collect::<Vec<_>>();
        let package = package(&program, dir.path(), false).unwrap();
        let after = dir.path().ancestors().map(mode_of).collect::<Vec<_>>();
        assert_eq!(before, after, "the folders that it is built in stay as they are");
        let field = |name: &str| output(command("dpkg-deb").arg("-f").arg(&package).arg(name)).unwrap();
        assert_eq!(field("Package").trim(), "vereda-server");
        assert_eq!(field("Version").trim(), env!("CARGO_PKG_VERSION"));
        let depends = field("Depends");
        for needed in ["libc6 (>=", "libgcc-s1", "systemd-sysusers", "systemd-tmpfiles", "ca-certificates"] {
            assert!(depends.contains(needed), "{needed} is not in {depends}");
        }
        let listed = output(command("dpkg-deb").arg("-c").arg(&package)).unwrap();
        assert!(listed.lines().all(|line| line.contains(" root/root ")), "{listed}");

        let tree = dir.path().join("installed");
        succeed(command("dpkg-deb").arg("-R").arg(&package).arg(&tree)).unwrap();
        let text = |path: &str| fs::read_to_string(tree.join(path)).expect(path);
        let bits = |path: &str| fs::metadata(tree.join(path)).expect(path).permissions().mode() & 0o7777;
        for script in ["postinst", "prerm", "postrm"] {
            assert_eq!(bits(&format!("DEBIAN/{script}")), 0o755);
            succeed(command("sh").arg("-n").arg(tree.join("DEBIAN").join(script))).unwrap();
        }
        assert_eq!(text("DEBIAN/conffiles"), "/etc/vereda/server.toml\n");
        for document in ["OPERATIONS.md", "copyright", "LICENSE-MIT", "LICENSE-APACHE"] {
            assert!(!text(&format!("usr/share/doc/vereda-server/{document}")).is_empty());
        }

        // The unit, the user and the folder are of one mind.
        let service = text("usr/lib/systemd/system/vereda-server.service");
        let user = unit(&service, "User").unwrap();
        let people = text("usr/lib/sysusers.d/vereda-server.conf");
        assert!(people.starts_with(&format!("u {user} ")), "{people}");
        let state = format!("/var/lib/{}", unit(&service, "StateDirectory").unwrap());
        let folders = text("usr/lib/tmpfiles.d/vereda-server.conf");
        assert!(folders.starts_with(&format!("d {state} 0700 {user} {user}")), "{folders}");
        assert_eq!(unit(&service, "Environment").unwrap(), format!("VEREDA_DATA_DIR={state}"));
        let manual = unit(&service, "Documentation").unwrap();
        assert!(tree.join(manual.strip_prefix("file:///").unwrap()).exists(), "{manual}");
        // Nothing else is sure to be there: the package depends on no other program.
        for line in service.lines().filter(|line| line.starts_with("Exec")) {
            let program = line.split_once('=').unwrap().1.split(' ').next().unwrap();
            assert!(["/usr/bin/vereda-server", "/bin/sh"].contains(&program), "{line}");
        }

        // What the unit starts, with its settings, from where it was unpacked.
        let line = unit(&service, "ExecStart").unwrap();
        let mut words = line.split(' ');
        let here = |path: &str| tree.join(path.strip_prefix('/').unwrap());
        let program = here(words.next().unwrap());
        assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o7777, 0o755);
        let mut serve = command(program);
        serve.args(words.map(|word| if word.starts_with('/') { here(word) } else { PathBuf::from(word) }));
        serve.env("VEREDA_DATA_DIR", dir.path().join("state")).stdin(Stdio::null()).stderr(Stdio::piped());
        serve.env("VEREDA_LISTEN", "127.0.0.1:0").env("VEREDA_METRICS_LISTEN", "127.0.0.1:0");
        Served(serve.spawn().unwrap()).answers().unwrap();
        assert!(text("etc/vereda/server.toml").contains(&format!("data_dir = \"{state}\"")));
    }
}
