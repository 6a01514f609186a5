//! The tarball: built, installed and used where there is no network, refused when changed.
//!
//! Called by: cargo test. Talks to: `bundle/build`, `tests/bundle/netns.sh`, `install.sh`.
//! Invariants: nothing is installed from a release of which one byte differs.
//! Why one test: packing the large binary of the test profile takes most of the time, so it is
//! packed once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::root;

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

fn build(binary: &Path, into: &Path) -> Output {
    Command::new(root().join("bundle/build"))
        .env("CAIRN_BINARY", binary)
        .env("BUNDLE_OUT", into)
        .output()
        .unwrap()
}

/// Packs the binary under test; the tarball.
fn pack(into: &Path) -> PathBuf {
    let output = build(Path::new(env!("CARGO_BIN_EXE_cairn")), into);
    assert!(output.status.success(), "bundle/build failed:\n{}", said(&output));
    let found: Vec<PathBuf> = fs::read_dir(into)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with("-x86_64-linux.tar.gz"))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}\n{}", said(&output));
    found[0].clone()
}

/// Unpacks the tarball; the folder in it.
fn unpack(tarball: &Path, into: &Path) -> PathBuf {
    let tar = Command::new("tar").arg("-xzf").arg(tarball).arg("-C").arg(into).output().unwrap();
    assert!(tar.status.success(), "{}", said(&tar));
    let mut folders = fs::read_dir(into).unwrap().map(|entry| entry.unwrap().path());
    let folder = folders.next().expect("a folder in the tarball");
    assert!(folders.next().is_none(), "more than one folder in the tarball");
    folder
}

fn installs_and_works_without_network(tarball: &Path) {
    let output = Command::new(root().join("tests/bundle/netns.sh"))
        .arg(tarball)
        .arg(root().join("assets/samples/documents"))
        .args(["Who patented the typewriter?", "word processor"])
        .output()
        .unwrap();
    let said = said(&output);
    match output.status.code() {
        Some(0) => {}
        // The kernel of some build machines forbids it; a missing tool is no such excuse.
        Some(77) if said.contains("allows no network namespace") => {
            eprintln!("the bundle was not tried without a network: {said}");
        }
        code => panic!("netns.sh ended with {code:?}:\n{said}"),
    }
}

fn refuses_a_changed_byte(release: &Path, scratch: &Path) {
    let prefix = scratch.join("prefix");
    let install = || {
        Command::new(release.join("install.sh"))
            .arg("--prefix")
            .arg(&prefix)
            .env("HOME", scratch)
            .output()
            .unwrap()
    };
    for name in ["LICENSE", "cairn", "RELEASE"] {
        let path = release.join(name);
        let good = fs::read(&path).unwrap();
        let mut bytes = good.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        let output = install();
        assert!(!output.status.success(), "{name} was changed and install.sh went on");
        assert!(said(&output).contains(name), "{}", said(&output));
        assert!(!prefix.exists(), "something was installed");
        fs::write(&path, good).unwrap();
    }
    let licence = release.join("LICENSE");
    let good = fs::read(&licence).unwrap();
    fs::remove_file(&licence).unwrap();
    let output = install();
    assert!(!output.status.success() && said(&output).contains("LICENSE"), "{}", said(&output));
    fs::write(&licence, good).unwrap();
    // Unchanged again, it installs, and a second time too.
    for _ in 0..2 {
        let output = install();
        assert!(output.status.success(), "{}", said(&output));
    }
    let version = Command::new(prefix.join("bin/cairn")).arg("version").output().unwrap();
    assert!(version.status.success(), "{}", said(&version));
}

#[test]
fn a_binary_that_does_not_say_that_it_encrypts_is_not_packed() {
    let dir = tempfile::tempdir().unwrap();
    let (binary, packed) = (dir.path().join("cairn"), dir.path().join("dist"));
    for says in [r#"{ "encrypts": false }"#, "{}"] {
        fs::write(&binary, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        let output = build(&binary, &packed);
        assert!(!output.status.success(), "{says} was packed");
        assert!(said(&output).contains("does not encrypt"), "{}", said(&output));
    }
    assert!(!packed.exists(), "something was packed");
}

#[test]
fn the_tarball_installs_and_works_without_a_network_and_is_refused_when_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (packed, unpacked) = (dir.path().join("dist"), dir.path().join("unpacked"));
    fs::create_dir(&packed).unwrap();
    fs::create_dir(&unpacked).unwrap();
    let tarball = pack(&packed);
    let release = unpack(&tarball, &unpacked);
    for name in ["cairn", "install.sh", "LICENSE", "RELEASE", "SHA256SUMS", "licences"] {
        assert!(release.join(name).exists(), "the tarball lacks {name}");
    }
    let script = fs::read_to_string(release.join("install.sh")).unwrap();
    for tool in ["curl", "wget", "http:", "https:", "git clone"] {
        let used = script.lines().any(|line| line.contains(tool) && !line.contains("127.0.0.1"));
        assert!(!used, "install.sh speaks of {tool}");
    }
    refuses_a_changed_byte(&release, dir.path());
    installs_and_works_without_network(&tarball);
}
