//! Finds what the binary embeds besides its own sources: the native libraries that
//! `installer/native/fetch` prepared, and the built dashboard. Downloads and builds nothing.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

const LOCK: &str = "installer/native/wheels.toml";
const DASHBOARD: &str = "assets/dashboard/dist";

fn main() {
    let native = native_dir();
    println!("cargo:rerun-if-env-changed=CAIRN_NATIVE_DIR");
    println!("cargo:rerun-if-changed={LOCK}");
    println!("cargo:rerun-if-changed={DASHBOARD}");
    let lock = fs::read_to_string(LOCK).unwrap_or_else(|error| stop(&format!("{LOCK}: {error}")));
    if fs::read_to_string(native.join("wheels.toml")).ok().as_ref() != Some(&lock) {
        stop(&format!(
            "the native libraries in {} are missing or older than {LOCK}: run `make setup`",
            native.display()
        ));
    }
    for (file, variable) in [
        ("libonnxruntime.so.zst", "CAIRN_ONNXRUNTIME_ZST"),
        ("libpdfium.so.zst", "CAIRN_PDFIUM_ZST"),
    ] {
        let path = native.join(file);
        if !path.is_file() {
            stop(&format!("{} is missing: run `make setup`", path.display()));
        }
        println!("cargo:rerun-if-changed={}", path.display());
        println!("cargo:rustc-env={variable}={}", path.display());
    }
    for (package, variable) in
        [("onnxruntime", "CAIRN_ONNXRUNTIME_VERSION"), ("pypdfium2", "CAIRN_PYPDFIUM2_VERSION")]
    {
        println!("cargo:rustc-env={variable}={}", locked_version(&lock, package));
    }
    if !Path::new(DASHBOARD).join("index.html").is_file() {
        stop(&format!("{DASHBOARD}/index.html is missing: run `make setup`"));
    }
}

fn native_dir() -> PathBuf {
    env::var_os("CAIRN_NATIVE_DIR")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache/cairn/native")))
        .unwrap_or_else(|| stop("neither CAIRN_NATIVE_DIR nor HOME is set: run `make setup`"))
}

/// The `version` that follows `package` in the lock, which has one `key = "value"` per line.
fn locked_version<'a>(lock: &'a str, package: &str) -> &'a str {
    let heading = format!("package = \"{package}\"");
    lock.lines()
        .skip_while(|line| *line != heading)
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .unwrap_or_else(|| stop(&format!("{LOCK} names no version of {package}")))
}

fn stop(sentence: &str) -> ! {
    eprintln!("{sentence}");
    process::exit(1)
}
