//! `qshare man`: the manual pages, made of what help says.

use std::path::Path;

use crate::cli::args::{ManArgs, parser};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Result};
use crate::cli::say;
use crate::model::{Obstacle, Shown};

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &ManArgs) -> Result<()> {
    if let Some(dir) = &arguments.into {
        return write_all(dir);
    }
    let mut program = whole(parser());
    program.build();
    let mut words = arguments.command.iter().flat_map(|word| word.split('-'));
    let command = words.try_fold(&program, |command, word| command.find_subcommand(word)).ok_or_else(|| {
        let command = arguments.command.join(" ");
        Failure::Usage(format!("`{}` is no command; `qshare --help` lists them", Shown(&command)))
    })?;
    let page = page(&manual(command)).map_err(anyhow::Error::from)?;
    context.output.print(&page)
}

/// The manual of a command, headed as others are: by its name in capitals, the program and its version.
fn manual(command: &clap::Command) -> clap_mangen::Man {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let version = concat!("qshare ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command.clone()).title(name.to_uppercase()).source(version).manual("qshare manual")
}

/// A page with what stands after help under the headings that manuals have for it.
fn page(of: &clap_mangen::Man) -> std::io::Result<String> {
    let mut page = Vec::new();
    of.render(&mut page)?;
    let page = String::from_utf8_lossy(&page).replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n.nf\n");
    let page = page.replace(".SH EXTRA\nExit codes: ", STATUS);
    Ok(page.replace("\n\nExit codes: ", &format!("\n.fi\n{STATUS}")))
}

/// The heading of exit codes.
const STATUS: &str = ".SH \"EXIT STATUS\"\n";

/// With the options that only long help has.
fn whole(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| argument.hide_short_help(false)).mut_subcommands(whole)
}

fn write_all(dir: &Path) -> Result<()> {
    let mut program = whole(parser()).disable_help_subcommand(true);
    program.build();
    let written = std::fs::create_dir_all(dir).and_then(|()| write(&program, dir));
    written.map_err(|error| {
        let (dir, advice) = (dir.to_string_lossy(), say::advice(Obstacle::of(&error)));
        Failure::Other(anyhow::anyhow!("the manual cannot be written to {} ({error}): {advice}", Shown(&dir)))
    })
}

/// The page of a command and those of its own.
fn write(command: &clap::Command, dir: &Path) -> std::io::Result<()> {
    command.get_subcommands().filter(|own| !own.is_hide_set()).try_for_each(|own| write(own, dir))?;
    let man = manual(command);
    let path = dir.join(man.get_filename());
    std::fs::write(path, page(&man)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().expect("a directory");
        write_all(&dir.path().join("man1")).expect("written");
        for command in parser().get_subcommands().map(clap::Command::get_name) {
            let page = dir.path().join(format!("man1/qshare-{command}.1"));
            let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{page:?}: {error}"));
            assert!(
                text.contains(&format!(".TH QSHARE-{} 1  \"qshare ", command.to_uppercase()))
                    && text.contains(".SH \"EXIT STATUS\"\n0 done")
                    && !text.contains("EXTRA")
                    && text.contains("Neither look for nodes"),
                "{text}"
            );
        }
        let program = std::fs::read_to_string(dir.path().join("man1/qshare.1")).expect("there");
        assert!(program.contains("<\\fIcommand\\fR>") && program.contains(".SH EXAMPLES\n.nf\n"), "{program}");
    }
}
