//! One unpacked library: a sealed memory file, or an unnamed file in a private directory.
//!
//! Called by: `native`. Talks to: the kernel.
//! Invariants: the file has no name in any directory, so nobody can replace it and nothing is left
//! behind; it stays open as long as the process, and its path leads through the open handle.
//! Why: a file is probed by mapping it executable, because hardened systems and `noexec` mounts
//! refuse the mapping and not the creation.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::ptr;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::{NativeError, NativeLibrary};

const PROBE_BYTES: usize = 4096;

pub(super) struct Image {
    path: PathBuf,
    _open: File,
}

impl Image {
    pub(super) fn unpack(
        library: NativeLibrary,
        compressed: &[u8],
        private_dir: &Path,
    ) -> Result<Self, NativeError> {
        let file = match in_memory(library, compressed) {
            Ok(file) => file,
            Err(memory) => {
                tracing::info!(%library, %memory, "memory files are refused, using a private file");
                in_private_file(compressed, private_dir).map_err(|source| NativeError::NoRoom {
                    library,
                    directory: private_dir.to_path_buf(),
                    memory,
                    source,
                })?
            }
        };
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Ok(Self { path, _open: file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn in_memory(library: NativeLibrary, compressed: &[u8]) -> io::Result<File> {
    let name = match library {
        NativeLibrary::OnnxRuntime => "cairn-onnxruntime",
        NativeLibrary::Pdfium => "cairn-pdfium",
    };
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the EXEC flag; later ones may be set up to demand it.
    let handle = match memfd_create(name, flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(name, flags)?,
        other => other?,
    };
    let mut file = File::from(handle);
    zstd::stream::copy_decode(compressed, &mut file)?;
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )?;
    probe_executable(&file)?;
    Ok(file)
}

fn in_private_file(compressed: &[u8], private_dir: &Path) -> io::Result<File> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(private_dir)?;
    let mut file = tempfile::tempfile_in(private_dir)?;
    zstd::stream::copy_decode(compressed, &mut file)?;
    probe_executable(&file)?;
    Ok(file)
}

/// Fails where this file may not be mapped as code.
fn probe_executable(file: &File) -> io::Result<()> {
    // SAFETY: a fresh private mapping at an address the kernel chooses, which nothing else refers
    // to; it is never read or run, and is removed with the length it was made with.
    #[expect(unsafe_code, reason = "a mapping that runs code cannot be tried out otherwise")]
    unsafe {
        let start = mmap(
            ptr::null_mut(),
            PROBE_BYTES,
            ProtFlags::READ | ProtFlags::EXEC,
            MapFlags::PRIVATE,
            file,
            0,
        )?;
        munmap(start, PROBE_BYTES)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn packed() -> Vec<u8> {
        // A zstd frame of one raw block, so that the test needs no compressor.
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, 8, 0x41, 0, 0];
        frame.extend_from_slice(b"\x7fELFtest");
        frame
    }

    #[test]
    fn the_memory_file_cannot_be_written_to_once_it_is_unpacked() {
        let file = in_memory(NativeLibrary::Pdfium, &packed()).unwrap();
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"\x7fELFtest");
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(0).is_err());
    }

    #[test]
    fn the_private_file_has_the_same_bytes_and_leaves_no_name_behind() {
        let dir = tempfile::tempdir().unwrap();
        let private = dir.path().join("runtime");
        let file = in_private_file(&packed(), &private).unwrap();
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"\x7fELFtest");
        assert_eq!(std::fs::read_dir(&private).unwrap().count(), 0);
    }

    #[test]
    fn where_neither_place_can_be_used_both_reasons_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let not_a_directory = dir.path().join("file");
        std::fs::write(&not_a_directory, b"").unwrap();
        let error = Image::unpack(NativeLibrary::Pdfium, b"not zstd", &not_a_directory);
        assert!(matches!(error, Err(NativeError::NoRoom { .. })));
    }
}
