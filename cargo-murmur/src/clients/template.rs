//! Fills templates in.
//!
//! ```text
//! {{name}}           a blank. A line whose blank has several lines is written for each of them; one whose blank is empty is
//!                    left out
//! {{#services}}      the lines up to {{/services}} are written for each service, with its blanks beside those of all
//! {{#first}}         the same for the first service
//! ```

use std::collections::BTreeMap;

/// What the blanks are filled with.
pub(super) type Blanks = BTreeMap<&'static str, String>;

/// The text of a template. A blank that nothing is known of stays as it is, which the tests look for.
pub(super) fn fill(template: &str, all: &Blanks, services: &[Blanks]) -> String {
    let mut out = String::new();
    let mut lines = template.lines();
    while let Some(line) = lines.next() {
        let repeated = match line.trim() {
            "{{#services}}" => services,
            "{{#first}}" => &services[..services.len().min(1)],
            _ => {
                fill_line(&mut out, line, &[all]);
                continue;
            }
        };
        let end = line.replace('#', "/");
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
        for service in repeated {
            block.iter().for_each(|line| fill_line(&mut out, line, &[service, all]));
        }
    }
    out
}

fn fill_line(out: &mut String, line: &str, blanks: &[&Blanks]) {
    let mut filled = vec![line.to_owned()];
    for (name, value) in blanks.iter().flat_map(|blanks| blanks.iter()) {
        let blank = format!("{{{{{name}}}}}");
        if !filled.iter().any(|line| line.contains(&blank)) {
            continue;
        }
        // Empty lines among several stand for themselves.
        let values = value.lines();
        filled = values
            .flat_map(|value| filled.iter().map(|line| line.replace(&blank, value)).collect::<Vec<_>>())
            .collect();
    }
    for line in filled {
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_blocks_are_repeated() {
        let all = Blanks::from([("crate", "shop".into()), ("none", String::new())]);
        let service = |name: &str, docs: &str| Blanks::from([("name", name.into()), ("docs", docs.into())]);
        let template = "of {{crate}}\nnone: {{none}}\n{{#services}}\n# {{docs}}\nfn {{name}}_of_{{crate}}()\n{{/services}}\n\
                        {{#first}}\nfirst: {{name}}\n{{/first}}\nend\n";
        let filled = fill(template, &all, &[service("likes", "Likes.\n\nOf posts."), service("views", "Views.")]);
        let expected =
            "of shop\n# Likes.\n#\n# Of posts.\nfn likes_of_shop()\n# Views.\nfn views_of_shop()\nfirst: likes\nend\n";
        assert_eq!(filled, expected);
    }
}
