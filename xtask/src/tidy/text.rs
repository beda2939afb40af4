//! How long files and functions may be, how a file opens, and how lines end.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Violation;

const FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 70;

pub(super) fn whitespace(content: &str) -> Vec<Violation> {
    let lines = content.split('\n').enumerate();
    lines
        .filter(|(_, line)| line.ends_with([' ', '\t', '\r']))
        .map(|(i, _)| Violation::new(i + 1, "trailing whitespace"))
        .collect()
}

pub(super) fn file_length(content: &str) -> Option<Violation> {
    let lines = content.lines().count();
    let message = || format!("{lines} lines in one file, {FILE_LINES} are the most: split it");
    (lines > FILE_LINES).then(|| Violation::new(FILE_LINES + 1, message()))
}

/// The first thing in a file is a sentence that says what the file is for.
pub(super) fn opening(content: &str) -> Option<Violation> {
    let paragraph: Vec<&str> = content
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let says = match paragraph.last() {
        None => "open the file with a `//!` sentence that says what it is for",
        Some(last) if !last.ends_with(['.', ':', '?', '!']) => "end the opening `//!` sentence with a full stop",
        Some(_) => return None,
    };
    Some(Violation::new(1, says))
}

pub(super) fn function_lengths(syntax: &syn::File) -> Vec<Violation> {
    let mut functions = Functions::default();
    functions.visit_file(syntax);
    functions.found
}

#[derive(Default)]
struct Functions {
    found: Vec<Violation>,
}

impl Functions {
    /// From the line of `fn` to the line of the closing brace, both counted.
    fn measure(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.fn_token.span().start().line;
        let last = block.brace_token.span.close().end().line;
        let lines = last - first + 1;
        if lines > FUNCTION_LINES {
            let name = &signature.ident;
            let message = format!("`{name}` is {lines} lines long, {FUNCTION_LINES} are the most: split it");
            self.found.push(Violation::new(first, message));
        }
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(content: &str) -> Vec<usize> {
        let syntax = syn::parse_file(content).expect("the snippet parses");
        function_lengths(&syntax).iter().map(|v| v.line).collect()
    }

    fn body(lines: usize) -> String {
        format!("fn f() {{\n{}}}", "    g();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_of_70_lines_stands_and_one_of_71_does_not() {
        assert_eq!(lengths(&body(70)), [0; 0]);
        assert_eq!(lengths(&body(71)), [1]);
    }

    #[test]
    fn attributes_do_not_count_but_methods_nested_and_default_functions_do() {
        assert_eq!(lengths(&format!("/// Doc.\n#[inline]\n{}", body(70))), [0; 0]);
        assert_eq!(lengths(&format!("/// Doc.\n#[inline]\n{}", body(71))), [3]);
        assert_eq!(lengths(&format!("impl S {{\n{}\n}}", body(71))), [2]);
        assert_eq!(lengths(&format!("trait T {{\n{}\n}}", body(71))), [2]);
        assert_eq!(lengths(&format!("mod m {{\n{}\n}}", body(71))), [2]);
    }

    #[test]
    fn a_file_of_800_lines_stands_and_one_of_801_does_not() {
        assert_eq!(file_length(&"x\n".repeat(800)), None);
        assert_eq!(file_length(&"x\n".repeat(801)).map(|v| v.line), Some(801));
    }

    #[test]
    fn a_file_opens_with_a_sentence() {
        for good in ["//! Names.\n", "//! Names,\n//! and more.\n//!\n//! Then no stop\n", "//! What for?\nuse x;"] {
            assert_eq!(opening(good), None, "{good}");
        }
        for bad in ["", "use x;\n//! Late.", "// Names.", "//! Names", "//!\n//! Names.", "\n//! Names."] {
            assert!(opening(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn trailing_whitespace_is_found_on_its_line() {
        let lines: Vec<_> = whitespace("a\nb \nc\t\nd\r\n e\n").iter().map(|v| v.line).collect();
        assert_eq!(lines, [2, 3, 4]);
    }
}
