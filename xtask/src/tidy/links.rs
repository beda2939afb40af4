//! Relative links in Markdown lead to a file that is there.

use std::path::Path;

use super::Violation;

pub(super) fn check(root: &Path, file: &str, content: &str) -> Vec<Violation> {
    let folder = root.join(file);
    let folder = folder.parent().unwrap_or(root);
    let mut found = Vec::new();
    for (line, target) in targets(content) {
        // A leading slash means the top of the repository, as on the forge.
        let path = match target.strip_prefix('/') {
            Some(below) => root.join(below),
            None => folder.join(&target),
        };
        if !path.exists() {
            found.push(Violation::new(line, format!("the link to `{target}` leads nowhere")));
        }
    }
    found
}

/// Line and path of every link to a file: no address, no anchor of the same page, no Rust item, no code.
fn targets(content: &str) -> Vec<(usize, String)> {
    let (mut found, mut fence) = (Vec::new(), None);
    for (i, line) in content.lines().enumerate() {
        let start = line.trim_start();
        let marks = ["```", "~~~"].into_iter().find(|marks| start.starts_with(marks));
        match (fence, marks) {
            (Some(open), Some(marks)) if open == marks => fence = None,
            (None, Some(marks)) => fence = Some(marks),
            (None, None) => {
                let prose = without_code(line);
                found.extend(in_line(&prose).into_iter().filter_map(path_of).map(|path| (i + 1, path)));
            }
            _ => {}
        }
    }
    found
}

/// The line with `code` blanked out; a backtick without a partner is only a backtick.
fn without_code(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    let code = |i: usize| i % 2 == 1 && i + 1 < parts.len();
    parts.iter().enumerate().map(|(i, part)| if code(i) { "" } else { part }).collect::<Vec<_>>().join("`")
}

/// What stands behind `](`, or behind `]: ` where a line begins with a reference.
fn in_line(line: &str) -> Vec<&str> {
    let inline = line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split(')').next());
    let start = line.trim_start();
    let reference = start.strip_prefix('[').filter(|label| !label.starts_with('^'));
    let reference = reference.and_then(|label| label.split_once("]: ")).map(|(_, target)| target);
    inline.chain(reference).collect()
}

fn path_of(link: &str) -> Option<String> {
    let link = link.trim();
    let target = match link.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((inside, _)) => inside,
        None => link.split_whitespace().next().unwrap_or(""),
    };
    let path = target.split(['#', '?']).next().unwrap_or("");
    let elsewhere = path.is_empty() || path.contains("::") || path.contains("://") || path.starts_with("mailto:");
    (!elsewhere).then(|| path.replace("%20", " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(content: &str) -> Vec<(usize, String)> {
        targets(content)
    }

    #[test]
    fn links_to_files_are_found_in_all_their_shapes() {
        let page = "[a](docs/a.md) and ![b](b.png \"A title\")\n[c](<my c.md>) [d](d.md#part)\n\n[ref]: ../e.md\n";
        let expected = [(1, "docs/a.md"), (1, "b.png"), (2, "my c.md"), (2, "d.md"), (4, "../e.md")];
        assert_eq!(found(page), expected.map(|(line, path)| (line, path.to_owned())));
    }

    #[test]
    fn addresses_anchors_items_and_code_are_not_files() {
        let page = "[a](https://x.example/y) [b](#part) [c](crate::Mapping) [d](mailto:a@b.example)\n\
            `[e](e.md)`\n```\n[f](f.md)\n```\n~~~text\n```\n[g](g.md)\n~~~\n[^1]: A note.\n";
        assert_eq!(found(page), []);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_named_with_its_line() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let page = "[good](src/main.rs) [good](/Cargo.toml)\n[bad](src/gone.rs)\n";
        let lines: Vec<_> = check(root, "page.md", page).iter().map(|v| v.line).collect();
        assert_eq!(lines, [2]);
        assert_eq!(check(root, "src/page.md", "[up](../Cargo.toml) [here](main.rs)"), []);
    }
}
