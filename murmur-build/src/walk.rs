//! Follows the modules of a crate by rustc's rules and collects what is annotated in them.
//!
//! | declared in | `mod a;` is | `#[path = "p.rs"] mod a;` is |
//! |---|---|---|
//! | a root, `d/mod.rs`, a file found by `#[path]` | `d/a.rs`, `d/a/mod.rs` | `d/p.rs` |
//! | any other `d/f.rs` | `d/f/a.rs`, `d/f/a/mod.rs` | `d/p.rs` |
//! | `mod i { .. }` within the former | `d/i/a.rs` | `d/i/p.rs` |
//! | `mod i { .. }` within the latter | `d/f/i/a.rs` | `d/f/i/p.rs` |

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use murmur_spec::ctxt::Ctxt;
use murmur_spec::find::{Scope, annotated};
use murmur_spec::item;
use murmur_spec::package::Located;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, ItemMod, Lit, Meta, Token};

use crate::cfg::Cfg;
use crate::project::Project;
use crate::report::{Finding, Unparsed};
use crate::scan;

/// Files that were read, so that a second walk with another `cfg` reads none twice.
#[derive(Default)]
pub(crate) struct Cache {
    files: BTreeMap<PathBuf, Rc<Source>>,
    /// Folders in which a module was looked for in vain: it may come.
    pub(crate) missing: BTreeSet<PathBuf>,
}

impl Cache {
    /// All files that were read.
    pub(crate) fn read(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// How many of them had to be parsed.
    pub(crate) fn parsed(&self) -> usize {
        self.files.values().filter(|source| matches!(source.content, Content::Items(_))).count()
    }
}

struct Source {
    text: Rc<str>,
    content: Content,
}

enum Content {
    /// It never mentions the runtime: only its modules matter.
    Modules(Vec<ItemMod>),
    Items(Vec<syn::Item>),
    /// Until it can be read nobody knows what it declares.
    Unreadable(Unparsed),
}

/// What was found in one crate.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) items: Vec<Located>,
    pub(crate) findings: Vec<Finding>,
    /// Files that could not be read or parsed.
    pub(crate) unparsed: Vec<Unparsed>,
    /// An item is there that has findings of its own, and so is not among the items.
    pub(crate) refused: bool,
}

/// Where declarations of modules are looked up.
#[derive(Clone)]
struct Place {
    /// The folder of the file.
    folder: PathBuf,
    /// The folder of the modules that are declared here.
    children: PathBuf,
    /// Within `mod i { .. }`.
    inline: bool,
}

pub(crate) fn walk(project: &Project, cfg: &Cfg, root: &Path, cache: &mut Cache) -> Found {
    let mut walk = Walk { project, cfg, cache, found: Found::default(), visited: BTreeSet::new() };
    let file = project.dir.join(root);
    let folder = file.parent().map(Path::to_owned).unwrap_or_default();
    walk.file(&file, &folder);
    walk.found
}

struct Walk<'a> {
    project: &'a Project,
    cfg: &'a Cfg,
    cache: &'a mut Cache,
    found: Found,
    visited: BTreeSet<(PathBuf, PathBuf)>,
}

impl Walk<'_> {
    fn file(&mut self, file: &Path, children: &Path) {
        if !self.visited.insert((file.to_owned(), children.to_owned())) {
            return;
        }
        let source = self.source(file);
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        let place = Place { folder, children: children.to_owned(), inline: false };
        match &source.content {
            Content::Modules(modules) => modules.iter().for_each(|module| self.module(module, file, &place)),
            Content::Items(items) => self.items(items, file, &source.text, &place),
            Content::Unreadable(why) => self.found.unparsed.push(why.clone()),
        }
    }

    fn source(&mut self, file: &Path) -> Rc<Source> {
        if let Some(known) = self.cache.files.get(file) {
            return known.clone();
        }
        let text = std::fs::read_to_string(file);
        let shown = || file.strip_prefix(&self.project.dir).unwrap_or(file).display().to_string();
        let mentioned = |text: &str| self.project.runtimes.iter().any(|name| text.contains(name.as_str()));
        let content = match &text {
            Err(error) => Content::Unreadable(Unparsed { file: shown(), place: None, message: error.to_string() }),
            Ok(text) => match if mentioned(text) { None } else { scan::modules(text) } {
                Some(modules) => Content::Modules(modules),
                None => match syn::parse_file(text) {
                    Ok(file) => Content::Items(file.items),
                    Err(error) => {
                        let start = error.span().start();
                        let place = Some((start.line, start.column + 1));
                        Content::Unreadable(Unparsed { file: shown(), place, message: error.to_string() })
                    }
                },
            },
        };
        let source = Rc::new(Source { text: text.unwrap_or_default().into(), content });
        self.cache.files.insert(file.to_owned(), source.clone());
        source
    }

    fn items(&mut self, items: &[syn::Item], file: &Path, text: &Rc<str>, place: &Place) {
        let ctxt = Ctxt::new();
        let holds = |condition: &Meta| self.cfg.holds(condition);
        let scope = Scope { runtimes: &self.project.runtimes, cfg: &holds };
        let shown = self.project.show(file);
        let annotated = annotated(items, &scope, &ctxt);
        self.found.refused |= !ctxt.is_empty();
        for found in annotated {
            match item::parse(found.marker, found.arguments, found.item, &ctxt) {
                Some(item) => self.found.items.push(Located { item, file: shown.clone() }),
                None => self.found.refused = true,
            }
        }
        self.found.findings.extend(ctxt.finish().iter().map(|found| Finding::at(found, &shown, text)));
        for item in items {
            if let syn::Item::Mod(module) = item {
                match &module.content {
                    Some((_, items)) if self.present(module) => {
                        let place = self.inline(module, place);
                        self.items(items, file, text, &place);
                    }
                    Some(_) => {}
                    None => self.module(module, file, place),
                }
            }
        }
    }

    fn present(&self, module: &ItemMod) -> bool {
        module
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("cfg"))
            .all(|attribute| attribute.parse_args::<Meta>().is_ok_and(|condition| self.cfg.holds(&condition)))
    }

    fn inline(&self, module: &ItemMod, place: &Place) -> Place {
        let children = match self.path(&module.attrs) {
            Some(path) => self.base(place).join(path),
            None => place.children.join(name(module)),
        };
        Place { folder: place.folder.clone(), children, inline: true }
    }

    fn base<'a>(&self, place: &'a Place) -> &'a Path {
        if place.inline { &place.children } else { &place.folder }
    }

    /// `mod a;`
    fn module(&mut self, module: &ItemMod, declared_in: &Path, place: &Place) {
        if !self.present(module) {
            return;
        }
        if let Some(path) = self.path(&module.attrs) {
            let file = self.base(place).join(path);
            if file.is_file() {
                let folder = file.parent().map(Path::to_owned).unwrap_or_default();
                return self.file(&file, &folder);
            }
            return self.missing(&file, declared_in);
        }
        let name = name(module);
        let flat = place.children.join(format!("{name}.rs"));
        let folder = place.children.join(&name);
        let nested = folder.join("mod.rs");
        if flat.is_file() {
            self.file(&flat, &folder);
        } else if nested.is_file() {
            self.file(&nested, &folder);
        } else {
            self.missing(&flat, declared_in);
        }
    }

    /// rustc reports it, unless another build script makes it first. It is looked for where it would come.
    fn missing(&mut self, file: &Path, declared_in: &Path) {
        let folder = file.ancestors().skip(1).find(|folder| folder.is_dir());
        let folder = folder.or(declared_in.parent()).map(Path::to_owned);
        self.cache.missing.extend(folder);
    }

    /// `#[path = "..."]`, also within a `cfg_attr` that holds.
    fn path(&self, attributes: &[Attribute]) -> Option<String> {
        attributes.iter().find_map(|attribute| self.path_in(&attribute.meta))
    }

    fn path_in(&self, meta: &Meta) -> Option<String> {
        match meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
                _ => None,
            },
            Meta::List(list) if list.path.is_ident("cfg_attr") => {
                let inside = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
                let mut inside = inside.iter();
                let holds = inside.next().is_some_and(|condition| self.cfg.holds(condition));
                inside.filter(|_| holds).find_map(|meta| self.path_in(meta))
            }
            _ => None,
        }
    }
}

fn name(module: &ItemMod) -> String {
    let name = module.ident.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}
