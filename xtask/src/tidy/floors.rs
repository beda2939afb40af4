//! Imports inside the library only go down: a module may use lower floors, never its own floor or a higher one.

use proc_macro2::{TokenStream, TokenTree};
use syn::UseTree;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Violation;

const SOURCES: &str = "crates/coview/src/";

/// Ground floor up, as drawn in ARCHITECTURE.md.
const FLOORS: &[(&str, u8)] = &[
    ("primitive", 0),
    ("step", 0),
    ("sys", 1),
    ("error", 1),
    ("name", 2),
    ("shared", 2),
    ("explain", 2),
    ("mapping", 3),
    ("sync", 3),
    ("view", 4),
    ("named", 4),
    ("region", 5),
    ("bridge", 5),
    ("channel", 6),
    ("inspect", 7),
    ("os", 7),
];

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

pub(super) fn check(file: &str, syntax: &syn::File) -> Vec<Violation> {
    let Some(inside) = file.strip_prefix(SOURCES).and_then(|f| f.strip_suffix(".rs")) else {
        return Vec::new();
    };
    let mut module: Vec<String> = inside.split('/').map(str::to_owned).collect();
    module.pop_if(|last| last == "mod");
    // The roof sees everything; tests may too.
    if module == ["lib"] || module.iter().any(|part| part == "tests") || syntax.attrs.iter().any(for_tests) {
        return Vec::new();
    }
    let Some(floor) = floor(&module[0]) else {
        let message = format!("`{}` has no floor: add it to xtask/src/tidy/floors.rs", module[0]);
        return vec![Violation::new(1, message)];
    };
    let mut imports = Imports { module, floor, found: Vec::new() };
    imports.visit_file(syntax);
    imports.found
}

/// Collects the `crate::…` and `super::…` paths of one file, its tests excepted.
struct Imports {
    module: Vec<String>,
    floor: u8,
    found: Vec<Violation>,
}

impl Imports {
    /// Judges one path by the room that it enters; `None` if it stays where it is.
    fn path(&mut self, line: usize, path: &[String]) {
        let Some(target) = self.entered(path) else { return };
        let own = &self.module[0];
        let message = match floor(&target) {
            _ if target == *own => return,
            None => format!("`crate::{target}` goes over the roof: name the room that it stands in"),
            Some(floor) if floor < self.floor => return,
            Some(floor) if floor == self.floor => {
                format!("`{own}` imports `{target}`: rooms on one floor ({floor}) do not know each other")
            }
            Some(floor) => {
                format!("`{own}` (floor {}) imports `{target}` (floor {floor}): imports only go down", self.floor)
            }
        };
        self.found.push(Violation::new(line, message));
    }

    fn entered(&self, path: &[String]) -> Option<String> {
        let (first, mut rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => &[][..],
            "super" => self.module.split_last()?.1,
            _ => return None,
        };
        while let Some(("super", after)) = rest.split_first().map(|(part, after)| (part.as_str(), after)) {
            (base, rest) = (base.split_last()?.1, after);
        }
        base.first().or(rest.first()).cloned()
    }

    fn tree(&mut self, tree: &UseTree, path: &mut Vec<String>) {
        let leaf = match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.tree(&part.tree, path);
                path.pop();
                return;
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.tree(item, path));
                return;
            }
            UseTree::Name(name) => name.ident.to_string(),
            UseTree::Rename(rename) => rename.ident.to_string(),
            _ => "*".to_owned(),
        };
        path.push(leaf);
        self.path(tree.span().start().line, path);
        path.pop();
    }

    /// Inside a macro there is no syntax to go by: `crate :: word` is a path if the word is a room.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for token in &tokens {
            if let TokenTree::Group(group) = token {
                self.tokens(group.stream());
            }
        }
        for four in tokens.windows(4) {
            let [TokenTree::Ident(root), TokenTree::Punct(a), TokenTree::Punct(b), TokenTree::Ident(room)] = four
            else {
                continue;
            };
            let room = room.to_string();
            if root == "crate" && a.as_char() == ':' && b.as_char() == ':' && floor(&room).is_some() {
                self.path(root.span().start().line, &["crate".to_owned(), room]);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !item.attrs.iter().any(for_tests) {
            self.tree(&item.tree, &mut Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.path(path.span().start().line, &parts);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        // A macro of ours is called from the roof: its path names no room.
        let room = call.path.segments.iter().nth(1).map(|s| s.ident.to_string());
        if room.is_some_and(|room| floor(&room).is_some()) {
            self.visit_path(&call.path);
        }
        self.tokens(call.tokens.clone());
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !item.attrs.iter().any(for_tests) {
            self.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !item.attrs.iter().any(for_tests) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !item.attrs.iter().any(for_tests) {
            visit::visit_item_impl(self, item);
        }
    }
}

/// `#[cfg(test)]` or `#[cfg(all(test, …))]`, but not `#[cfg(not(test))]`.
fn for_tests(attribute: &syn::Attribute) -> bool {
    fn says_test(tokens: TokenStream) -> bool {
        let mut negated = false;
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => {
                negated = ident == "not";
                ident == "test"
            }
            TokenTree::Group(group) => !negated && says_test(group.stream()),
            _ => false,
        })
    }
    let list = attribute.meta.require_list();
    attribute.path().is_ident("cfg") && list.is_ok_and(|list| says_test(list.tokens.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(room: &str, content: &str) -> Vec<usize> {
        let syntax = syn::parse_file(content).expect("the snippet parses");
        check(&format!("{SOURCES}{room}"), &syntax).iter().map(|v| v.line).collect()
    }

    #[test]
    fn imports_go_down() {
        for down in
            ["use crate::error::Error;", "use crate::sys::{self, namespace};", "fn f() -> crate::error::Error {}"]
        {
            assert_eq!(lines("name.rs", down), [0; 0], "{down}");
        }
    }

    #[test]
    fn imports_do_not_go_up_or_sideways() {
        let wrong = [
            "use crate::mapping::Mapping;",
            "use crate::{error::Error, shared::Word};",
            "use crate::{sys, view};",
            "pub use crate::view as eyes;",
            "fn f() { crate::mapping::create() }",
            "fn f(x: Vec<crate::view::View>) {}",
            "impl crate::region::Content for X {}",
            "fn f() { vec![crate::mapping::create()]; }",
            "macro_rules! m { () => { $crate::mapping::create() } }",
            "fn f() { crate::mapping::trace!() }",
            "use super::mapping::Mapping;",
            "mod inner { use super::super::mapping::Mapping; }",
        ];
        for text in wrong {
            assert_eq!(lines("name.rs", &format!("\n{text}")), [2], "{text}");
        }
    }

    #[test]
    fn the_ground_floor_imports_only_the_atomics() {
        assert_eq!(lines("sys/lock/linux.rs", "use crate::error::Error;"), [1]);
        assert_eq!(lines("sys/lock/linux.rs", "use crate::primitive::AtomicU32;"), [0; 0]);
        assert_eq!(lines("sys/lock/linux.rs", "use crate::sys::process;\nuse super::Contract;"), [0; 0]);
        assert_eq!(lines("sys/lock/mod.rs", "use super::process;"), [0; 0]);
        assert_eq!(lines("sys/mod.rs", "use super::error;"), [1]);
    }

    #[test]
    fn sync_never_sees_a_mapping() {
        assert_eq!(lines("sync/mutex.rs", "use crate::mapping::Mapping;"), [1]);
        assert_eq!(lines("sync/mutex.rs", "use crate::shared::Word;\nuse super::event;"), [0; 0]);
    }

    #[test]
    fn the_roof_is_no_way_round() {
        assert_eq!(lines("name.rs", "use crate::Error;"), [1]);
        assert_eq!(lines("name.rs", "use crate::*;"), [1]);
        assert_eq!(lines("name.rs", "fn f() { crate::crash_point!(\"x\") }"), [0; 0]);
    }

    #[test]
    fn tests_lib_and_other_crates_are_free() {
        assert_eq!(lines("name.rs", "#[cfg(test)]\nmod tests { use crate::view::View; }"), [0; 0]);
        assert_eq!(lines("name.rs", "#[cfg(all(test, miri))]\nuse crate::view::View;"), [0; 0]);
        assert_eq!(lines("name.rs", "#[cfg(not(test))]\nuse crate::view::View;"), [2]);
        assert_eq!(lines("name/tests.rs", "use crate::view::View;"), [0; 0]);
        assert_eq!(lines("lib.rs", "pub use crate::view::View;"), [0; 0]);
        assert_eq!(lines("name.rs", "/// See `crate::view::View`.\n// use crate::view;\nfn f() {}"), [0; 0]);
        let syntax = syn::parse_file("use crate::view::View;").expect("the snippet parses");
        assert_eq!(check("crates/coview-cli/src/main.rs", &syntax), []);
    }

    #[test]
    fn a_module_without_a_floor_is_named() {
        assert_eq!(lines("cellar.rs", "use std::io;"), [1]);
    }
}
