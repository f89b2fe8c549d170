//! `qshare friends`: names for node ids.

use crate::cli::args::{FriendNode, FriendsCommand};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::json::{Line, Named};
use crate::cli::render::table::{Align, Table};
use crate::cli::say;
use crate::io::home::friends::{Added, FriendFile};
use crate::io::home::identity::Identity;
use crate::io::home::lines::ListFile as _;
use crate::model::{Friend, FriendName};
use crate::node::met;
use crate::wire::Role;

/// Runs the command.
pub(crate) fn run(context: &Context, command: FriendsCommand) -> Result<()> {
    let file = FriendFile::at(context.own_home()?.root());
    file.broken().iter().for_each(|broken| context.output.warn(&say::lines(broken)));
    match command {
        FriendsCommand::Add { name, node } => add(context, &file, friend(context, name, node)?),
        FriendsCommand::List => list(context, &file),
        FriendsCommand::Remove { name } => remove(context, &file, &name),
    }
}

/// Whom a person means. What was shown here stands for it by its first characters.
fn friend(context: &Context, name: FriendName, node: FriendNode) -> Result<Friend> {
    let (node, at) = match node {
        FriendNode::Id(node, at) => (node, at),
        FriendNode::Prefix(prefix) => (met(context.own_home()?.root(), &prefix)?, None),
    };
    Ok(Friend { name, node, at })
}

fn add(context: &Context, file: &FriendFile, friend: Friend) -> Result<()> {
    let own = Identity::load(&context.home().role_dir(Role::Node)).map_err(anyhow::Error::from)?;
    if own.is_some_and(|own| own.node_id() == friend.node) {
        return Err(Failure::Usage(format!(
            "{} is this home's own node; `qshare id` prints it for others",
            friend.node
        )));
    }
    let Friend { name, node, .. } = &friend;
    match file.add(&friend).map_err(anyhow::Error::from)? {
        Added::Now => {
            context.output.emit(&Line::Friend(Named::of(&friend)))?;
            context.output.note(&format!("qshare: {name} is node {node}"));
            Ok(())
        }
        Added::NameOf(other) => Err(Failure::Usage(format!(
            "{name} is another node already, {other}; if {name} has a new key, run `qshare friends remove {name}` first"
        ))),
        Added::NodeOf(other) => Err(Failure::Usage(format!(
            "this node is your friend {other} already; run `qshare friends remove {other}` first to call it {name}"
        ))),
    }
}

fn list(context: &Context, file: &FriendFile) -> Result<()> {
    let friends = file.read_what_is_right().map_err(anyhow::Error::from)?;
    let mut table = Table::new(&[("NAME", Align::Left), ("ADDRESS", Align::Flexible), ("NODE", Align::Id)]);
    for friend in friends.iter() {
        context.output.emit(&Line::Friend(Named::of(friend)))?;
        let at = friend.at.as_ref().map(crate::model::PeerTarget::host_port).unwrap_or_default();
        table.row([friend.name.to_string(), at, friend.node.to_string()]);
    }
    context.output.table_or(&table, "qshare: there are no friends yet; `qshare friends add NAME ID` adds one")
}

fn remove(context: &Context, file: &FriendFile, name: &FriendName) -> Result<()> {
    let Some(node) = file.remove(name).map_err(anyhow::Error::from)? else {
        return Err(Failure::Nothing(format!("no friend is called {name}; `qshare friends list` shows who is")));
    };
    context.output.emit(&Line::Removed { name: name.as_str() })?;
    context.output.note(&format!("qshare: {name} is no friend now; it was node {node}"));
    Ok(())
}
