//! `qshare man`: the manual pages, made of what help says.

use std::path::Path;

use crate::cli::args::{ManArgs, parser};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::say;
use crate::model::{Obstacle, Shown};

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &ManArgs) -> Result<Exit, Failure> {
    if let Some(dir) = &arguments.into {
        write_all(dir)?;
        return Ok(Exit::DONE);
    }
    let mut program = whole(parser());
    program.build();
    let command = match &arguments.command {
        None => &program,
        Some(name) => program
            .find_subcommand(name)
            .ok_or_else(|| Failure::Usage(format!("`{}` is no command; `qshare --help` lists them", Shown(name))))?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(anyhow::Error::from)?;
    context.output.print(&String::from_utf8_lossy(&page))?;
    Ok(Exit::DONE)
}

/// With the options that only long help has.
fn whole(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| argument.hide_short_help(false)).mut_subcommands(whole)
}

fn write_all(dir: &Path) -> Result<(), Failure> {
    let written = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(whole(parser()), dir));
    written.map_err(|error| {
        let (dir, advice) = (dir.to_string_lossy(), say::advice(Obstacle::of(&error)));
        Failure::Other(anyhow::anyhow!("the manual cannot be written to {} ({error}): {advice}", Shown(&dir)))
    })
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
            assert!(text.contains("Exit codes: 0 done") && text.contains("Neither look for nodes"), "{text}");
        }
        assert!(dir.path().join("man1/qshare.1").exists());
    }
}
