//! What a build made: its digest, and copies of it in a store.
//!
//! A digest covers names, contents and whether a file can be executed; times and
//! owners do not matter. Not here: which builds are the same (`build`).

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::run::FileError;

/// The digest of `paths` in their order; `None` if one of them is missing.
pub(super) fn digest(paths: &[PathBuf]) -> Result<Option<String>, FileError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"molt artifacts 1\0");
    for path in paths {
        match add(&mut hasher, b"", path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            done => done.map_err(FileError::when("digest", path))?,
        }
    }
    Ok(Some(hasher.finalize().to_hex().to_string()))
}

fn add(hasher: &mut blake3::Hasher, name: &[u8], path: &Path) -> io::Result<()> {
    let about = fs::symlink_metadata(path)?;
    let mut part = |kind: &[u8]| {
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name).update(kind);
    };
    if about.is_dir() {
        let names = names(path)?;
        part(b"folder");
        hasher.update(&(names.len() as u64).to_le_bytes());
        for name in names {
            add(hasher, name.as_bytes(), &path.join(&name))?;
        }
    } else if about.is_symlink() {
        let target = fs::read_link(path)?;
        part(b"link");
        let target = target.as_os_str().as_bytes();
        hasher.update(&(target.len() as u64).to_le_bytes()).update(target);
    } else {
        part(if is_executable(&about) { b"program" } else { b"file" });
        hasher.update(content(path)?.as_bytes());
    }
    Ok(())
}

fn is_executable(about: &fs::Metadata) -> bool {
    about.permissions().mode() & 0o100 != 0
}

fn names(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn content(path: &Path) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            read => hasher.update(&buffer[..read]),
        };
    }
}

/// Copies `paths` into `store` as the artifacts of `digest`. A reader of the
/// store sees all of them or none.
pub(super) fn keep(store: &Path, digest: &str, paths: &[PathBuf]) -> Result<(), FileError> {
    let kept = store.join(digest);
    if kept.exists() {
        return Ok(());
    }
    let draft = store.join(format!("{digest}.{}.tmp", std::process::id()));
    let work = || -> io::Result<()> {
        remove(&draft)?;
        fs::create_dir_all(&draft)?;
        for (index, path) in paths.iter().enumerate() {
            copy(path, &draft.join(index.to_string()))?;
        }
        match fs::rename(&draft, &kept) {
            // Somebody else kept the same in the meantime.
            Err(_) if kept.exists() => remove(&draft),
            renamed => renamed,
        }
    };
    work().map_err(FileError::when("keep artifacts in", &kept))
}

/// Makes `paths` what `store` has of `digest`; whether it has that. What is
/// there already is left alone.
pub(super) fn restore(store: &Path, digest: &str, paths: &[PathBuf]) -> Result<bool, FileError> {
    let kept: Vec<PathBuf> =
        (0..paths.len()).map(|index| store.join(digest).join(index.to_string())).collect();
    if self::digest(&kept)?.as_deref() != Some(digest) {
        return Ok(false);
    }
    for (kept, path) in kept.iter().zip(paths) {
        let draft = path.with_extension(format!("{}.tmp", std::process::id()));
        let place = || -> io::Result<()> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            remove(&draft)?;
            copy(kept, &draft)?;
            // A folder cannot be renamed over another one.
            if draft.is_dir() || path.is_dir() {
                remove(path)?;
            }
            fs::rename(&draft, path)
        };
        place().map_err(FileError::when("restore", path))?;
    }
    Ok(self::digest(paths)?.as_deref() == Some(digest))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let about = fs::symlink_metadata(from)?;
    if about.is_dir() {
        fs::create_dir(to)?;
        for name in names(from)? {
            copy(&from.join(&name), &to.join(&name))?;
        }
        Ok(())
    } else if about.is_symlink() {
        symlink(fs::read_link(from)?, to)
    } else {
        fs::copy(from, to).map(drop)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(folder: &Path) -> Vec<PathBuf> {
        fs::create_dir_all(folder.join("out/deep")).unwrap();
        fs::write(folder.join("out/deep/a"), "a").unwrap();
        symlink("deep/a", folder.join("out/link")).unwrap();
        fs::write(folder.join("tool"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(folder.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
        vec![folder.join("out"), folder.join("tool")]
    }

    #[test]
    fn a_digest_is_of_names_contents_and_modes() {
        let folder = tempfile::tempdir().unwrap();
        let paths = made(folder.path());
        let first = digest(&paths).unwrap().unwrap();
        assert_eq!(first.len(), 64);
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(
            digest(&made(elsewhere.path())).unwrap().unwrap(),
            first,
            "places do not matter"
        );
        type Change = fn(&Path);
        let changes: [(&str, Change); 4] = [
            ("content", |top| fs::write(top.join("out/deep/a"), "b").unwrap()),
            ("name", |top| fs::rename(top.join("out/deep/a"), top.join("out/deep/c")).unwrap()),
            ("mode", |top| {
                fs::set_permissions(top.join("tool"), fs::Permissions::from_mode(0o644)).unwrap();
            }),
            ("one more", |top| fs::write(top.join("out/new"), "").unwrap()),
        ];
        for (what, change) in changes {
            let changed = tempfile::tempdir().unwrap();
            let paths = made(changed.path());
            change(changed.path());
            assert_ne!(digest(&paths).unwrap().unwrap(), first, "{what}");
        }
        fs::remove_file(&paths[1]).unwrap();
        assert_eq!(digest(&paths).unwrap(), None, "a missing artifact is no digest");
    }

    #[test]
    fn a_store_gives_back_what_it_got_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let paths = made(&folder.path().join("one"));
        let first = digest(&paths).unwrap().unwrap();
        assert!(!restore(&store, &first, &paths).unwrap(), "nothing was kept");
        keep(&store, &first, &paths).unwrap();
        keep(&store, &first, &paths).unwrap();

        let two = folder.path().join("two");
        fs::create_dir_all(two.join("out")).unwrap();
        fs::write(two.join("out/old"), "old").unwrap();
        let others = [two.join("out"), two.join("tool")];
        assert!(restore(&store, &first, &others).unwrap());
        assert_eq!(digest(&others).unwrap().unwrap(), first);
        assert!(!two.join("out/old").exists());

        fs::write(store.join(&first).join("1"), "forged").unwrap();
        assert!(!restore(&store, &first, &others).unwrap(), "what was changed is not given");
    }
}
