//! Which devices hold what: whether two paths lie on one disk, and where memory goes when it is
//! swapped out.
//!
//! Called by: `keys`, `app::doctor`. Talks to: `/proc` and `/sys`.
//! Invariants: what cannot be found out counts as the worse case only where the file systems are
//! the same; a chain of devices is followed to its end and no further than [`DEPTH`].

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Devices below a device, at most.
const DEPTH: usize = 8;

/// True where two paths lie on one disk, by whatever partitions, volumes and mounts: whoever takes
/// the disk has both.
pub fn on_one_disk(one: &Path, other: &Path) -> bool {
    let (Some(one), Some(other)) = (device_of(one), device_of(other)) else { return false };
    one == other || !disks_below(one, DEPTH).is_disjoint(&disks_below(other, DEPTH))
}

/// Swap areas whose content can be read by whoever takes the disk.
pub fn clear_swap_areas() -> Vec<String> {
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    clear_areas(&swaps, is_encrypted)
}

/// Those of a `/proc/swaps` that lie on a disk and are not `encrypted`.
fn clear_areas(swaps: &str, encrypted: impl Fn(&Path) -> bool) -> Vec<String> {
    let areas = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    areas
        .map(|area| area.replace("\\040", " "))
        .filter(|area| !in_memory(Path::new(area)) && !encrypted(Path::new(area)))
        .collect()
}

/// True for compressed memory that never goes on to a disk.
fn in_memory(area: &Path) -> bool {
    let name = area.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("zram")
        && fs::read_to_string(format!("/sys/block/{name}/backing_dev"))
            .map_or(true, |backing| backing.trim() == "none")
}

fn is_encrypted(area: &Path) -> bool {
    device_of(area).is_some_and(|device| is_sealed(device, DEPTH))
}

/// True where every way from a device down to a disk goes through encryption.
fn is_sealed(device: u64, depth: usize) -> bool {
    let place = sys_path(device);
    let uuid = fs::read_to_string(place.join("dm/uuid")).unwrap_or_default();
    if uuid.starts_with("CRYPT-") {
        return true;
    }
    let below = slaves(&place);
    depth > 0 && !below.is_empty() && below.into_iter().all(|below| is_sealed(below, depth - 1))
}

/// The device itself, or the one that holds the file system of a file. A file system without a
/// device of its own, such as a subvolume of Btrfs, is looked up among the mounts.
fn device_of(path: &Path) -> Option<u64> {
    let meta = fs::metadata(path).ok()?;
    if meta.file_type().is_block_device() {
        return Some(meta.rdev());
    }
    let device = meta.dev();
    if rustix::fs::major(device) != 0 {
        return Some(device);
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let source = mount_source(&mounts, device).and_then(|source| fs::metadata(source).ok());
    let block = source.filter(|source| source.file_type().is_block_device());
    Some(block.map_or(device, |block| block.rdev()))
}

/// What is mounted as a device, by a `/proc/self/mountinfo`.
fn mount_source(mounts: &str, device: u64) -> Option<&str> {
    let wanted = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(wanted.as_str()))?;
    line.split_once(" - ")?.1.split(' ').nth(1)
}

/// Names of the disks that a device consists of or is a part of.
fn disks_below(device: u64, depth: usize) -> BTreeSet<String> {
    let place = sys_path(device);
    let below = slaves(&place);
    if depth > 0 && !below.is_empty() {
        return below.into_iter().flat_map(|below| disks_below(below, depth - 1)).collect();
    }
    let Ok(place) = place.canonicalize() else { return BTreeSet::new() };
    let disk = if place.join("partition").exists() { place.parent() } else { Some(&*place) };
    disk.and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned())
        .into_iter()
        .collect()
}

/// The devices that a mapped device lies on.
fn slaves(place: &Path) -> Vec<u64> {
    let entries = fs::read_dir(place.join("slaves")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let numbers = fs::read_to_string(entry.path().join("dev")).ok()?;
            let (major, minor) = numbers.trim().split_once(':')?;
            Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
        })
        .collect()
}

fn sys_path(device: u64) -> PathBuf {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    PathBuf::from(format!("/sys/dev/block/{major}:{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_one_file_system_are_on_one_disk_and_memory_is_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key"), "k").unwrap();
        assert!(on_one_disk(&dir.path().join("key"), dir.path()));
        assert!(!on_one_disk(dir.path(), Path::new("/proc")));
        assert!(!on_one_disk(&dir.path().join("absent"), dir.path()));
    }

    #[test]
    fn a_subvolume_is_looked_up_among_the_mounts() {
        let mounts = "36 28 0:31 / / rw - btrfs /dev/sda2 rw,subvol=/@\n\
                      41 36 0:45 /@etc /etc rw shared:5 - btrfs /dev/sdb1 rw\n";
        let device = rustix::fs::makedev(0, 45);
        assert_eq!(mount_source(mounts, device), Some("/dev/sdb1"));
        assert_eq!(mount_source(mounts, rustix::fs::makedev(0, 99)), None);
    }

    #[test]
    fn swap_on_a_disk_is_named_unless_it_is_encrypted() {
        let swaps = "Filename Type Size Used Priority\n\
                     /dev/dm-1 partition 8388604 0 -2\n\
                     /swap\\040file file 1048572 0 -3\n\
                     /dev/zram0 partition 1048572 0 100\n";
        let clear = clear_areas(swaps, |area| area == Path::new("/dev/dm-1"));
        assert_eq!(clear, ["/swap file"]);
        assert_eq!(clear_areas("Filename Type Size Used Priority\n", |_| false), [""; 0]);
    }
}
