//! What a disk may hold when the power goes.

use crate::trace::{self, Call, Called};
use anyhow::{Context as _, Result, bail, ensure};
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a disk writes whole or not at all, in bytes.
const SECTOR: u64 = 512;

/// What a program did to the files of one folder.
#[derive(Debug)]
pub struct Recording {
    root: PathBuf,
    calls: Vec<Called>,
    /// Files and folders, each by its number; of a file the bytes that were there before. The root is the first.
    nodes: Vec<Option<Vec<u8>>>,
    before: Tree,
    contents: Vec<Step<Content>>,
    names: Vec<Step<Name>>,
    /// Of a file or a folder.
    syncs: Vec<Step<usize>>,
    /// To standard output.
    said: Vec<Step<Vec<u8>>>,
}

/// What is where.
#[derive(Debug, Clone, Default)]
struct Tree(BTreeMap<usize, BTreeMap<OsString, usize>>);

/// Something between two lines of the recording.
#[derive(Debug)]
struct Step<T> {
    begun: usize,
    ended: usize,
    what: T,
}

#[derive(Debug)]
struct Content {
    file: usize,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Length(u64),
}

/// A change of the names in a folder.
#[derive(Debug)]
struct Name {
    folder: usize,
    change: Renamed,
}

#[derive(Debug)]
enum Renamed {
    Made { name: OsString, node: usize },
    Moved { from: OsString, to: OsString },
    Removed { name: OsString },
}

impl Tree {
    fn find(&self, path: &Path) -> Option<usize> {
        path.iter().try_fold(0, |folder, name| self.0.get(&folder)?.get(name).copied())
    }

    /// The folder that something is in, and its name there.
    fn place(&self, path: &Path) -> Result<(usize, OsString)> {
        let folder = path.parent().and_then(|folder| self.find(folder));
        let folder = folder.with_context(|| format!("the folder of {} is not there", path.display()))?;
        Ok((folder, path.file_name().context("no name")?.to_owned()))
    }

    fn change(&mut self, Name { folder, change }: &Name) {
        let names = self.0.entry(*folder).or_default();
        match change {
            Renamed::Made { name, node } => {
                names.insert(name.clone(), *node);
            }
            Renamed::Moved { from, to } => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
            Renamed::Removed { name } => {
                names.remove(name);
            }
        }
    }
}

/// What a cut took.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Sectors that were written and not kept.
    pub sectors: usize,
    /// Sectors that were kept though no sync had asked for it.
    pub spared: usize,
    /// Changes of names that were not kept.
    pub names: usize,
}

impl Recording {
    /// Reads what [`record`](crate::record) noted about `root`. `before` is a copy of that folder from before.
    ///
    /// # Errors
    /// When something was done to a file there that is not modelled.
    pub fn read(log: &Path, root: &Path, before: &Path) -> Result<Recording> {
        let text = fs::read_to_string(log).with_context(|| format!("reading {}", log.display()))?;
        let mut recording = Recording {
            root: fs::canonicalize(root)?,
            calls: trace::read(&text)?,
            nodes: vec![None],
            before: Tree::default(),
            contents: Vec::new(),
            names: Vec::new(),
            syncs: Vec::new(),
            said: Vec::new(),
        };
        recording.look(before, 0)?;
        recording.sort()?;
        Ok(recording)
    }

    fn look(&mut self, from: &Path, folder: usize) -> Result<()> {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let is_folder = entry.file_type()?.is_dir();
            self.nodes.push(if is_folder { None } else { Some(fs::read(entry.path())?) });
            let node = self.nodes.len() - 1;
            self.before.change(&Name { folder, change: Renamed::Made { name: entry.file_name(), node } });
            if is_folder {
                self.look(&entry.path(), node)?;
            }
        }
        Ok(())
    }

    /// Finds out which file each call was about: names change.
    fn sort(&mut self) -> Result<()> {
        let mut tree = self.before.clone();
        // Where the next write without a place goes, and how long each file is.
        let mut places: BTreeMap<usize, u64> = BTreeMap::new();
        let mut lengths: BTreeMap<usize, u64> = BTreeMap::new();
        for (node, bytes) in self.nodes.iter().enumerate() {
            lengths.extend(bytes.as_ref().map(|bytes| (node, bytes.len() as u64)));
        }
        for Called { begun, ended, call, .. } in &self.calls {
            let (begun, ended) = (*begun, *ended);
            let inside = |path: &Path| path.strip_prefix(&self.root).ok().map(Path::to_owned);
            let content = |file, change| Step { begun, ended, what: Content { file, change } };
            let mut rename = |tree: &mut Tree, folder, change| {
                let what = Name { folder, change };
                tree.change(&what);
                self.names.push(Step { begun, ended, what });
            };
            match call {
                Call::Open { path, emptied, at_end } => {
                    let Some(path) = inside(path) else { continue };
                    let file = match tree.find(&path) {
                        Some(file) => file,
                        None => {
                            let (folder, name) = tree.place(&path)?;
                            self.nodes.push(Some(Vec::new()));
                            let node = self.nodes.len() - 1;
                            rename(&mut tree, folder, Renamed::Made { name, node });
                            node
                        }
                    };
                    let length = lengths.entry(file).or_default();
                    if *emptied && *length > 0 {
                        *length = 0;
                        self.contents.push(content(file, Change::Length(0)));
                    }
                    places.insert(file, if *at_end { *length } else { 0 });
                }
                Call::Write { descriptor, path, at, bytes } => {
                    let Some(path) = path.as_deref().and_then(inside) else {
                        if *descriptor == 1 {
                            self.said.push(Step { begun, ended, what: bytes.clone() });
                        }
                        continue;
                    };
                    let file = tree.find(&path).context("a write to no file")?;
                    let place = places.entry(file).or_default();
                    let at = at.unwrap_or(*place);
                    *place = at + bytes.len() as u64;
                    let length = lengths.entry(file).or_default();
                    *length = (*length).max(*place);
                    self.contents.push(content(file, Change::Write { at, bytes: bytes.clone() }));
                }
                Call::Cut { path, length } => {
                    let Some(path) = inside(path) else { continue };
                    let file = tree.find(&path).context("a cut of no file")?;
                    lengths.insert(file, *length);
                    self.contents.push(content(file, Change::Length(*length)));
                }
                Call::Sync { path } => {
                    let Some(node) = inside(path).and_then(|path| tree.find(&path)) else { continue };
                    self.syncs.push(Step { begun, ended, what: node });
                }
                Call::Rename { from, to } => {
                    let (from, to) = match (inside(from), inside(to)) {
                        (None, None) => continue,
                        (Some(from), Some(to)) if from.parent() == to.parent() => (from, to),
                        _ => bail!("from one folder to another: {} to {}", from.display(), to.display()),
                    };
                    let ((folder, from), (_, to)) = (tree.place(&from)?, tree.place(&to)?);
                    rename(&mut tree, folder, Renamed::Moved { from, to });
                }
                Call::Remove { path } => {
                    let Some(path) = inside(path) else { continue };
                    let (folder, name) = tree.place(&path)?;
                    rename(&mut tree, folder, Renamed::Removed { name });
                }
                Call::MakeFolder { path } => {
                    let Some(path) = inside(path) else { continue };
                    let (folder, name) = tree.place(&path)?;
                    self.nodes.push(None);
                    let node = self.nodes.len() - 1;
                    rename(&mut tree, folder, Renamed::Made { name, node });
                }
                // Less than a sync: to leave it out takes more away, not less.
                Call::Other { name, .. } if name.starts_with("sync") => {}
                Call::Other { name, paths } => {
                    let here = paths.iter().find(|path| inside(path).is_some());
                    ensure!(here.is_none(), "{name} of {here:?} is not modelled");
                }
            }
        }
        Ok(())
    }

    /// The lines at which the power may go: after each change of a file and each thing said.
    pub fn moments(&self) -> Vec<usize> {
        let said = self.said.iter().map(|step| step.ended);
        let all: BTreeSet<usize> = said
            .chain(self.contents.iter().map(|step| step.ended))
            .chain(self.names.iter().map(|step| step.ended))
            .chain(self.syncs.iter().map(|step| step.ended))
            .collect();
        all.into_iter().collect()
    }

    /// When that was, since 1970.
    pub fn time(&self, moment: usize) -> Duration {
        let last = self.calls.iter().rfind(|called| called.ended <= moment);
        last.map(|called| called.at).unwrap_or_default()
    }

    /// What the program had written to its standard output by then.
    pub fn said(&self, moment: usize) -> Vec<u8> {
        self.said.iter().take_while(|step| step.ended <= moment).flat_map(|step| step.what.clone()).collect()
    }

    /// Whether a sync that was over by then had been asked for after this had happened.
    fn kept<T>(&self, moment: usize, step: &Step<T>, of: usize) -> bool {
        self.syncs.iter().any(|sync| sync.what == of && sync.begun > step.ended && sync.ended <= moment)
    }

    /// Lays down in `to`, a new folder, what the disk may hold when the power goes at a moment.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn cut(&self, moment: usize, random: &mut Rng, to: &Path) -> Result<Lost> {
        let mut lost = Lost::default();
        let tree = self.tree_at(moment, random, &mut lost);
        // What is in a folder whose own name is lost is lost with it.
        let mut folders = vec![(0, to.to_owned())];
        while let Some((folder, place)) = folders.pop() {
            fs::create_dir_all(&place).with_context(|| format!("making {}", place.display()))?;
            for (name, node) in tree.0.get(&folder).into_iter().flatten() {
                let place = place.join(name);
                let Some(before) = &self.nodes[*node] else {
                    folders.push((*node, place));
                    continue;
                };
                let mut bytes = self.content_at(moment, *node, before, random, &mut lost);
                if name.to_string_lossy().ends_with("-shm") {
                    bytes.fill_with(|| random.u8(..));
                }
                fs::write(&place, bytes).with_context(|| format!("writing {}", place.display()))?;
            }
        }
        Ok(lost)
    }

    fn tree_at(&self, moment: usize, random: &mut Rng, lost: &mut Lost) -> Tree {
        let happened: Vec<&Step<Name>> = self.names.iter().filter(|step| step.begun <= moment).collect();
        let folders: BTreeSet<usize> = happened.iter().map(|step| step.what.folder).collect();
        // Of each folder, so many of its changes are there.
        let mut there: BTreeMap<usize, usize> = BTreeMap::new();
        for folder in folders {
            let of: Vec<_> = happened.iter().filter(|step| step.what.folder == folder).collect();
            let safe = of.iter().rposition(|step| self.kept(moment, step, folder)).map_or(0, |last| last + 1);
            there.insert(folder, random.usize(safe..=of.len()));
        }
        let mut tree = self.before.clone();
        for step in happened {
            match there.get_mut(&step.what.folder) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    tree.change(&step.what);
                }
                _ => lost.names += 1,
            }
        }
        tree
    }

    fn content_at(
        &self,
        moment: usize,
        file: usize,
        before: &[u8],
        random: &mut Rng,
        lost: &mut Lost,
    ) -> Vec<u8> {
        let mut bytes = before.to_vec();
        // Nothing of what no sync had asked for, all of it, half, or any part.
        let chance = [0.0, 1.0, 0.5, random.f64()][random.usize(0..4)];
        let steps = self.contents.iter().filter(|step| step.what.file == file && step.begun <= moment);
        for step in steps {
            let safe = self.kept(moment, step, file);
            match &step.what.change {
                Change::Length(length) => {
                    if safe || random.f64() < chance {
                        bytes.resize(usize::try_from(*length).unwrap_or(usize::MAX), 0);
                    }
                }
                Change::Write { at, bytes: written } => {
                    let mut done = 0;
                    while done < written.len() {
                        let place = *at + done as u64;
                        let room = usize::try_from(SECTOR - place % SECTOR).unwrap_or(usize::MAX);
                        let part = &written[done..written.len().min(done + room)];
                        done += part.len();
                        let place = usize::try_from(place).unwrap_or(usize::MAX);
                        let whole = safe || random.f64() < chance;
                        // The length of a file is not among its sectors.
                        if (whole || random.f64() < chance) && bytes.len() < place + part.len() {
                            bytes.resize(place + part.len(), 0);
                        }
                        if whole {
                            bytes[place..place + part.len()].copy_from_slice(part);
                        } else {
                            lost.sectors += 1;
                        }
                        lost.spared += usize::from(whole && !safe);
                    }
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Two files are written; one is synced with its folder, the other not at all.
    #[test]
    fn what_was_synced_is_there_and_the_rest_is_whatever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (root, before, log) =
            (folder.path().join("root"), folder.path().join("before"), folder.path().join("log"));
        for made in [&root, &before] {
            fs::create_dir(made).unwrap();
            fs::write(made.join("old"), b"old").unwrap();
        }
        let script =
            "printf %02000d 7 >$0/kept; sync $0/kept $0; echo kept; printf %02000d 8 >$0/lost; rm $0/old";
        let mut program = crate::record(Path::new("/bin/sh"), &log).unwrap();
        let ended =
            program.args(["-c", script]).arg(&root).stdout(std::process::Stdio::null()).status().unwrap();
        assert!(ended.success());
        let recording = Recording::read(&log, &root, &before).unwrap();
        let moments = recording.moments();
        let (first, last) = (moments[0], *moments.last().unwrap());
        assert!(recording.said(first).is_empty());
        assert_eq!(recording.said(last), b"kept\n");
        assert!(recording.time(first) < recording.time(last));

        let mut random = Rng::with_seed(20_261_201);
        let mut seen = BTreeSet::new();
        for round in 0..200 {
            let to = folder.path().join(round.to_string());
            recording.cut(last, &mut random, &to).unwrap();
            assert_eq!(fs::read_to_string(to.join("kept")).unwrap(), format!("{:02000}", 7));
            let lost = fs::read(to.join("lost")).ok();
            if !to.join("old").exists() {
                assert!(lost.is_some(), "names change in their order");
            }
            seen.insert(
                match lost.map(|bytes| (bytes.len(), bytes.iter().filter(|byte| **byte == 0).count())) {
                    None => "no name",
                    Some((0, _)) => "empty",
                    Some((2000, 0)) => "whole",
                    Some((2000, 2000)) => "nothing but its length",
                    Some(_) => "parts",
                },
            );
        }
        assert_eq!(seen.len(), 5, "{seen:?}");
        let mut random = Rng::with_seed(20_261_201);
        let to = folder.path().join("early");
        recording.cut(first, &mut random, &to).unwrap();
        assert_eq!(fs::read(to.join("old")).unwrap(), b"old");
    }

    #[test]
    fn what_is_not_modelled_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        let log = folder.path().join("log");
        let mut program = crate::record(Path::new("/bin/sh"), &log).unwrap();
        program.args(["-c", "echo 1 >$0/a; ln $0/a $0/b"]).arg(&root).status().unwrap();
        let empty = tempfile::tempdir().unwrap();
        let refused = Recording::read(&log, &root, empty.path()).unwrap_err().to_string();
        assert!(refused.contains("link"), "{refused}");
    }
}
