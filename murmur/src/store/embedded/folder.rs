use std::fs;
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError, ReadableDatabase};

use super::config::EmbeddedConfig;
use super::failure::{Failure, guarded};
use super::format::{FORMAT, META};
use crate::folder::{FolderLock, sync_folder};
use crate::{Error, ErrorKind, Result};

/// The one file with everything in it.
const FILE: &str = "tiles.redb";

/// An open folder. The lock goes with the value.
pub(super) struct Folder {
    pub(super) database: Database,
    pub(super) path: PathBuf,
    _lock: FolderLock,
}

impl Folder {
    pub(super) fn open(config: &EmbeddedConfig) -> Result<Self> {
        let path = config.path.as_path();
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("cannot open the store in `{}`", path.display())).with_source(error)
        };
        if !config.create && !path.join(FILE).exists() {
            let context = format!("there is no store in `{}`; `run` makes one", path.display());
            return Err(Error::new(ErrorKind::NotFound, context));
        }
        let is_new = !path.exists();
        fs::create_dir_all(path).map_err(failed)?;
        let way_out = "name another folder (inside one process, clone the store instead of opening it twice)";
        let lock = FolderLock::take(path, "store", way_out)?;
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

fn open_file(file: &Path, config: &EmbeddedConfig) -> Result<Database> {
    let name = file.display().to_string();
    let mut builder = Builder::new();
    builder.set_cache_size(config.cache.0);
    builder.set_repair_callback(move |session| {
        tracing::info!(store = name, progress = session.progress(), "checking the store after an unclean stop");
    });
    guarded(file, || {
        builder.create(file).map_err(|error| match error {
            // Our own lock is held, so this can only be a program that knows nothing of it.
            DatabaseError::DatabaseAlreadyOpen => {
                let context = format!("`{}` is open in another program; close it there", file.display());
                Error::new(ErrorKind::Conflict, context).into()
            }
            error => error.into(),
        })
    })
}

fn initialise(database: &Database) -> Result<(), Failure> {
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert("format", FORMAT)?;
    transaction.commit()?;
    Ok(())
}

fn check_format(folder: &Path, database: &Database) -> Result<()> {
    let read = || -> Result<Option<u64>, Failure> {
        Ok(database.begin_read()?.open_table(META)?.get("format")?.map(|guard| guard.value()))
    };
    match guarded(folder, read)? {
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
