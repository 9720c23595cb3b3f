use std::env;
use std::path::{Path, PathBuf};

use murmur_spec::names;

use crate::cfg::Cfg;
use crate::manifest::{About, Manifest, Target};

/// A package of Cargo, as far as reading its pipelines needs it.
#[derive(Debug, Clone)]
pub struct Project {
    /// The folder with its `Cargo.toml`.
    pub dir: PathBuf,
    /// Its name in `Cargo.toml`.
    pub name: String,
    /// Where its crates begin.
    pub roots: Vec<Root>,
    /// What it says of itself there.
    pub about: About,
    pub(crate) package: String,
    pub(crate) runtimes: Vec<String>,
    pub(crate) cfg: Cfg,
}

/// Where a crate begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The name that rustc gives the crate.
    pub name: String,
    /// Its first file, relative to the package.
    pub file: PathBuf,
}

impl Project {
    /// The package whose build script is running.
    pub fn of_build_script() -> Result<Self, String> {
        let dir = env::var_os("CARGO_MANIFEST_DIR")
            .ok_or("`CARGO_MANIFEST_DIR` is not set; call `murmur_build::run()` from `build.rs`")?;
        Self::read(Path::new(&dir), |_| Ok(Cfg::from_variables(env::vars())))
    }

    /// The package in a folder, with its default features, as `rustc` sees this machine.
    pub fn open(dir: &Path) -> Result<Self, String> {
        Self::read(dir, |manifest| {
            let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
            let output = std::process::Command::new(&rustc)
                .args(["--print", "cfg"])
                .output()
                .map_err(|error| format!("cannot run `{} --print cfg`: {error}", rustc.to_string_lossy()))?;
            Ok(Cfg::from_rustc(&String::from_utf8_lossy(&output.stdout), &manifest.default_features()))
        })
    }

    fn read(dir: &Path, cfg: impl FnOnce(&Manifest) -> Result<Cfg, String>) -> Result<Self, String> {
        let path = dir.join("Cargo.toml");
        let text =
            std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let manifest = Manifest::read(&text);
        if manifest.name.is_empty() {
            return Err(format!("{} has no `[package]`; choose a package of the workspace", path.display()));
        }
        let package = manifest.package.clone().unwrap_or_else(|| names::package(&manifest.name));
        if !names::is_own_package(&package) {
            return Err(format!(
                "`package = \"{package}\"` in {} is not a protobuf package of your own; write lower-case words joined \
                 by dots, the last one a version, not below `murmur` or `google`: `shop.orders.v1`",
                path.display()
            ));
        }
        let workspace = workspace(dir, &manifest);
        Ok(Self {
            roots: roots(dir, &manifest),
            about: manifest.about(workspace.as_ref()),
            cfg: cfg(&manifest)?,
            dir: dir.to_owned(),
            runtimes: manifest.runtimes(workspace.as_ref()),
            name: manifest.name,
            package,
        })
    }

    /// A path of the package as it is shown: relative, with `/`.
    pub(crate) fn show(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.dir).unwrap_or(path);
        path.to_string_lossy().replace('\\', "/")
    }
}

/// The manifest that a package inherits from, when it inherits anything: the nearest one above with a workspace.
fn workspace(dir: &Path, manifest: &Manifest) -> Option<Manifest> {
    if manifest.inherited.is_empty() && manifest.inherited_about.is_empty() {
        return None;
    }
    let read = |dir: &Path| std::fs::read_to_string(dir.join("Cargo.toml")).ok().map(|text| Manifest::read(&text));
    dir.ancestors().filter_map(read).find(|manifest| manifest.is_workspace)
}

fn roots(dir: &Path, manifest: &Manifest) -> Vec<Root> {
    let mut roots: Vec<Root> = Vec::new();
    let mut add = |name: &str, file: &str| {
        let root = Root { name: names::crate_name(name), file: file.into() };
        if !roots.contains(&root) && dir.join(&root.file).is_file() {
            roots.push(root);
        }
    };
    if !manifest.targets.iter().any(|target| target.kind == "lib") {
        add(&manifest.name, "src/lib.rs");
    }
    add(&manifest.name, "src/main.rs");
    for target in &manifest.targets {
        let Target { kind, name, path } = target;
        let name = name.as_deref().unwrap_or(&manifest.name);
        match (kind.as_str(), path) {
            (_, Some(path)) => add(name, path),
            ("lib", None) => add(name, "src/lib.rs"),
            ("bin", None) => {
                add(name, &format!("src/bin/{name}.rs"));
                add(name, &format!("src/bin/{name}/main.rs"));
            }
            (_, None) => {
                add(name, &format!("examples/{name}.rs"));
                add(name, &format!("examples/{name}/main.rs"));
            }
        }
    }
    for file in &manifest.roots {
        let path = Path::new(file);
        let stem = match path.file_stem() {
            Some(stem) if stem == "main" => path.parent().and_then(Path::file_name),
            stem => stem,
        };
        add(&stem.map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(), file);
    }
    roots
}
