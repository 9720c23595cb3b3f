use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError, ReadableDatabase};

use super::config::EmbeddedConfig;
use super::failure::Failure;
use super::format::{FORMAT, META, RECORDS};
use crate::{Error, ErrorKind, Result};

/// The one file with everything in it.
const FILE: &str = "tiles.redb";
/// Locked while a process has the folder open; holds that process's id for the message.
const LOCK: &str = "lock";

/// An open folder. The lock goes with the value.
pub(super) struct Folder {
    pub(super) database: Database,
    pub(super) path: PathBuf,
    _lock: File,
}

impl Folder {
    pub(super) fn open(config: &EmbeddedConfig) -> Result<Self> {
        let path = config.path.as_path();
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("cannot open the store in `{}`", path.display())).with_source(error)
        };
        let is_new = !path.exists();
        fs::create_dir_all(path).map_err(failed)?;
        let lock = lock(path)?;
        let file = path.join(FILE);
        if !file.exists() {
            // Made under another name, so that a process that dies here leaves no half-made store.
            let draft = path.join("tiles.new");
            match fs::remove_file(&draft) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
            initialise(&open_file(&draft, config)?).map_err(|failure| failure.of(path))?;
            fs::rename(&draft, &file).map_err(failed)?;
            sync_folder(path).map_err(failed)?;
            if let Some(parent) = path.parent().filter(|parent| is_new && !parent.as_os_str().is_empty()) {
                sync_folder(parent).map_err(failed)?;
            }
        }
        let database = open_file(&file, config)?;
        check_format(path, &database)?;
        Ok(Self { database, path: path.to_owned(), _lock: lock })
    }
}

fn lock(folder: &Path) -> Result<File> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Io, format!("cannot lock the store in `{}`", folder.display())).with_source(error)
    };
    let mut options = OpenOptions::new();
    let mut file =
        options.read(true).write(true).create(true).truncate(false).open(folder.join(LOCK)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let holder = match file.read_to_string(&mut holder) {
                Ok(bytes) if bytes > 0 => format!("process {}", holder.trim()),
                _ => "another process".to_owned(),
            };
            let folder = folder.display();
            let context = format!(
                "the store in `{folder}` is open in {holder}; stop that process, or name another folder \
                 (inside one process, clone the store instead of opening it twice)"
            );
            return Err(Error::new(ErrorKind::Conflict, context));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

fn open_file(file: &Path, config: &EmbeddedConfig) -> Result<Database> {
    let name = file.display().to_string();
    let mut builder = Builder::new();
    builder.set_cache_size(config.cache.0);
    builder.set_repair_callback(move |session| {
        tracing::info!(store = name, progress = session.progress(), "checking the store after an unclean stop");
    });
    builder.create(file).map_err(|error| match error {
        // Our own lock is held, so this can only be a program that knows nothing of it.
        DatabaseError::DatabaseAlreadyOpen => {
            Error::new(ErrorKind::Conflict, format!("`{}` is open in another program; close it there", file.display()))
        }
        error => Failure::from(error).of(file),
    })
}

fn initialise(database: &Database) -> Result<(), Failure> {
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert("format", FORMAT)?;
    transaction.open_table(RECORDS)?;
    transaction.commit()?;
    Ok(())
}

fn check_format(folder: &Path, database: &Database) -> Result<()> {
    let read = || -> Result<Option<u64>, Failure> {
        Ok(database.begin_read()?.open_table(META)?.get("format")?.map(|guard| guard.value()))
    };
    match read().map_err(|failure| failure.of(folder))? {
        Some(FORMAT) => Ok(()),
        other => {
            let found = other.map_or("no format".to_owned(), |n| format!("format {n}"));
            let context = format!(
                "the store in `{}` has {found}, this program knows format {FORMAT}; open it with the version of \
                 Murmur that wrote it",
                folder.display()
            );
            Err(Error::new(ErrorKind::Corrupt, context))
        }
    }
}

/// A rename or a new file is durable only when its folder is.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}
