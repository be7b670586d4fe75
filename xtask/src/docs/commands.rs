//! The command reference: the help of every command, as `larun` prints it.

use core::fmt::Write;

use super::{Error, Programs};

/// The help of `larun` and of every command below it, each under a heading.
///
/// # Errors
/// When a help cannot be printed.
pub(super) fn reference(programs: &Programs) -> Result<String, Error> {
    let mut text = String::new();
    command(programs, &mut Vec::new(), &mut text)?;
    Ok(text)
}

fn command(programs: &Programs, path: &mut Vec<String>, text: &mut String) -> Result<(), Error> {
    let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
    args.push("--help");
    let help = programs.larun(&args)?;
    let name = ["larun"].into_iter().chain(path.iter().map(String::as_str));
    let name = name.collect::<Vec<_>>().join(" ");
    let help: Vec<_> = help.trim_end().lines().map(str::trim_end).collect();
    let _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n"));
    for below in subcommands(&help) {
        path.push(below);
        command(programs, path, text)?;
        path.pop();
    }
    Ok(())
}

/// The names in the section `Commands:` of a help.
fn subcommands(help: &[&str]) -> Vec<String> {
    let section = help.iter().skip_while(|line| **line != "Commands:").skip(1);
    let section = section.take_while(|line| !line.is_empty());
    let names = section.filter_map(|line| {
        let indented = line.strip_prefix("  ")?;
        let name = indented.split_whitespace().next()?;
        (!indented.starts_with(' ') && name != "help").then(|| name.to_owned())
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::subcommands;

    #[test]
    fn commands_are_read_from_a_help() {
        let help = [
            "Usage: x",
            "",
            "Commands:",
            "  run   Does",
            "        it",
            "  help  Print",
            "",
            "Options:",
            "  -h",
        ];
        assert_eq!(subcommands(&help), ["run"]);
    }
}
