use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::model::Obstacle;
use crate::model::safe_path::PathError;

/// A directory `tree` made of `path` or `path=content` words; a path with a final slash is a directory.
struct Tree {
    dir: TempDir,
}

impl Tree {
    fn of(words: &str) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let tree = Self { dir };
        fs::create_dir(tree.path("tree")).expect("mkdir");
        for word in words.split_whitespace() {
            let (name, content) = word.split_once('=').unwrap_or((word, "x"));
            tree.write(&format!("tree/{name}"), &content.replace(',', "\n"));
        }
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.dir.path()).expect("real").join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        if name.ends_with('/') {
            return fs::create_dir_all(path).expect("mkdir");
        }
        fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
        fs::write(path, content).expect("write");
    }

    #[cfg(unix)]
    fn link(&self, to: impl AsRef<Path>, name: &str) {
        std::os::unix::fs::symlink(to, self.path(name)).expect("symlink");
    }

    fn survey(&self, options: &SurveyOptions) -> Result<SharePlan, SurveyError> {
        survey(&[self.path("tree")], options)
    }

    fn plan(&self) -> SharePlan {
        self.survey(&SurveyOptions::default()).expect("survey")
    }

    fn root(&self) -> Root {
        Root {
            name: SafePath::parse("tree").expect("valid"),
            path: self.path("tree"),
            kind: Kind::Collection,
            fixed: None,
        }
    }
}

fn names(plan: &SharePlan) -> Vec<&str> {
    plan.scanned.iter().flat_map(|r| r.files.iter().map(|f| f.name.as_str())).collect()
}

fn empty_dirs(plan: &SharePlan) -> Vec<&str> {
    plan.scanned.iter().flat_map(|r| r.empty_dirs.iter().map(SafePath::as_str)).collect()
}

#[test]
fn files_are_named_from_their_directory_on() {
    let tree = Tree::of("b a/c.txt=hello .hidden e/ f/g/");
    let plan = tree.plan();
    assert_eq!(names(&plan), ["tree/.hidden", "tree/a/c.txt", "tree/b"]);
    assert_eq!(empty_dirs(&plan), ["tree/e", "tree/f/g"]);
    let summary = &plan.roots[0];
    assert_eq!((summary.name.as_str(), summary.kind, summary.files, summary.bytes), ("tree", Kind::Collection, 3, 7));
    assert_eq!((plan.skipped, plan.unportable), (vec![], None));
}

#[test]
fn a_file_is_offered_under_its_own_name() {
    let tree = Tree::of("a/c.txt");
    let plan = survey(&[tree.path("tree/a/c.txt")], &SurveyOptions::default()).expect("survey");
    assert_eq!(names(&plan), ["c.txt"]);
    assert_eq!(plan.roots[0].kind, Kind::File);
}

#[test]
fn excludes_and_ignore_files_leave_things_out() {
    let tree = Tree::of(
        ".qshareignore=*.log,/build/,!keep.log a.log keep.log b/a.log build/x c/build/x \
         c/.qshareignore=!a.log c/a.log d.tmp e/d.tmp .gitignore=z z",
    );
    let options = SurveyOptions { exclude: vec!["*.tmp".into()], ..SurveyOptions::default() };
    let plan = tree.survey(&options).expect("survey");
    let expected = [
        "tree/.gitignore",
        "tree/.qshareignore",
        "tree/c/.qshareignore",
        "tree/c/a.log",
        "tree/c/build/x",
        "tree/keep.log",
        "tree/z",
    ];
    assert_eq!(names(&plan), expected);
    assert!(matches!(plan.skipped[..], [Omission::Ignored(1..)]), "{:?}", plan.skipped);
}

#[test]
fn what_git_ignores_is_left_out_where_that_is_wanted() {
    let words =
        ".git/HEAD .gitignore=*.o,/target/ a/b.o a/c a/.gitignore=d a/d target/x a/target/y e.o .qshareignore=!e.o";
    let tree = Tree::of(words);
    let options = SurveyOptions { gitignore: true, ..SurveyOptions::default() };
    let plan = tree.survey(&options).expect("survey");
    let dots = [".gitignore", ".qshareignore"].map(|name| format!("tree/{name}"));
    let mut expected = dots.to_vec();
    expected.extend(["a/.gitignore", "a/c", "a/target/y", "e.o"].map(|name| format!("tree/{name}")));
    assert_eq!(names(&plan), expected);
    assert_eq!(plan.skipped, [Omission::Ignored(4)], ".git, a/b.o, a/d and target");
    let below = survey(&[tree.path("tree/a")], &options).expect("survey");
    assert_eq!(names(&below), ["a/.gitignore", "a/c", "a/target/y"], "what the repository says above it holds");
    assert_eq!(names(&tree.plan()).len(), 10, "nothing of this unless it is wanted");
}

#[test]
fn a_bad_pattern_is_an_error() {
    let tree = Tree::of("a");
    for pattern in ["{a", "["] {
        let options = SurveyOptions { exclude: vec![pattern.into()], ..SurveyOptions::default() };
        let error = tree.survey(&options).expect_err("bad");
        assert!(error.is_usage(), "{error}");
        assert!(error.to_string().contains(&format!("the pattern {pattern} is not a valid glob")), "{error}");
    }
}

#[test]
fn secrets_are_left_out_each_named_once() {
    let tree = Tree::of("a .ssh/id_rsa .ssh/config b/.env .git/config .git/HEAD key.pem p.kdbx");
    let plan = tree.plan();
    assert_eq!(names(&plan), ["tree/.git/HEAD", "tree/a"]);
    assert_eq!(plan.skipped.len(), 5, "{:?}", plan.skipped);
    let secret = |omission: &Omission| match omission {
        Omission::Skipped(Skipped { path, why: Why::Secret(_) }) => path.clone(),
        other => panic!("{other:?}"),
    };
    let secrets: Vec<_> = plan.skipped.iter().map(secret).collect();
    assert_eq!(secrets.iter().filter(|path| path.ends_with(".ssh")).count(), 1, "{secrets:?}");
    let all = tree.survey(&SurveyOptions { include_secrets: true, ..SurveyOptions::default() }).expect("survey");
    assert_eq!((names(&all).len(), all.skipped.len()), (8, 0));
}

#[test]
fn typed_secrets_are_left_out_too() {
    let tree = Tree::of(".ssh/config");
    let error = survey(&[tree.path("tree/.ssh")], &SurveyOptions::default()).expect_err("nothing left");
    let ssh = |skipped: &Skipped| skipped.path.ends_with(".ssh") && matches!(skipped.why, Why::Secret(_));
    assert!(matches!(&error, SurveyError::Nothing(Some(Omission::Skipped(skipped))) if ssh(skipped)), "{error:?}");
}

#[test]
fn the_whole_file_system_takes_all() {
    let error = survey(&["/".into()], &SurveyOptions::default()).expect_err("too much");
    assert_eq!(error, SurveyError::Whole { path: "/".into() });
    let home = directories::BaseDirs::new().expect("home").home_dir().to_owned();
    assert!(matches!(survey(&[home], &SurveyOptions::default()), Err(SurveyError::Whole { .. })));
}

#[cfg(unix)]
#[test]
fn links_are_files_beneath_the_root_or_counted() {
    let tree = Tree::of("a=hello d/b .env");
    tree.write("outside/secret", "s");
    tree.link("../a", "tree/d/to-a");
    tree.link(tree.path("outside/secret"), "tree/out");
    tree.link("d", "tree/to-dir");
    tree.link("nowhere", "tree/broken");
    tree.link(".env", "tree/to-secret");
    tree.link("loop", "tree/loop");
    let plan = tree.plan();
    assert_eq!(names(&plan), ["tree/a", "tree/d/b", "tree/d/to-a"]);
    let files = &plan.scanned[0].files;
    assert_eq!((&files[2].path, files[2].stamp), (&tree.path("tree/a"), files[0].stamp));
    assert!(plan.skipped.contains(&Omission::Links(5)), "{:?}", plan.skipped);
}

#[cfg(unix)]
#[test]
fn a_typed_link_is_followed_once_under_its_own_name() {
    let tree = Tree::of("a");
    tree.link("tree", "alias");
    let plan = survey(&[tree.path("alias")], &SurveyOptions::default()).expect("survey");
    assert_eq!(names(&plan), ["alias/a"]);
    assert_eq!(plan.roots[0].path, tree.path("alias"));
    assert_eq!(plan.scanned[0].files[0].path, tree.path("tree/a"));
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_at_each_look_but_not_to_what_may_not_be_shared() {
    let tree = Tree::of("a other/b .ssh/config home/node/key home/inbox/d/x");
    let root = Root { path: tree.path("alias"), ..tree.root() };
    let rules = Rules { avoid: vec![tree.path("tree/home")], ..Rules::default() };
    for (to, expected) in [
        ("tree/other", Ok("tree/b")),
        ("tree/.ssh", Err(Some(Why::Secret("ssh keys".into())))),
        ("tree/home/node", Err(Some(Why::Own))),
        ("tree/home/inbox/d", Ok("tree/x")),
        ("/", Err(Some(Why::Whole))),
        ("tree/a", Err(None)),
        ("nowhere", Err(None)),
        ("alias", Err(None)),
    ] {
        tree.link(to, "alias");
        let scan = scan_root(&root, &rules);
        let found = match scan.gone {
            false => Ok(scan.root.files[0].name.as_str()),
            true => Err(scan.skipped.first().map(|skipped| skipped.why.clone())),
        };
        assert_eq!((found, scan.unseen), (expected, vec![]), "{to}");
        fs::remove_file(tree.path("alias")).expect("remove");
    }
}

/// As a bind mount shows the file system's root or a home at another path.
#[cfg(unix)]
#[test]
fn what_is_never_shared_as_a_part_is_known_at_whatever_path_it_shows() {
    let tree = Tree::of("a sub/b");
    let whole = |name: &str| Rules { whole: Whole::of([tree.path(name)]), ..Rules::default() };
    let scan = scan_root(&tree.root(), &whole("tree/sub"));
    assert_eq!(scan.root.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["tree/a"]);
    assert_eq!(scan.skipped[0].why, Why::Whole);
    assert!(scan_root(&tree.root(), &whole("tree")).gone);
    let all = Rules { all: true, ..whole("tree") };
    assert_eq!(scan_root(&tree.root(), &all).root.files.len(), 2);
}

/// Root may list everything, so what cannot be looked at is a name for which file systems have no room.
#[cfg(unix)]
#[test]
fn what_cannot_be_looked_at_is_not_gone() {
    let tree = Tree::of("a");
    let root = Root { path: tree.path("tree").join("n".repeat(300)), ..tree.root() };
    let scan = scan_root(&root, &Rules::default());
    assert!(!scan.gone && scan.unseen[0].cause.kind == Obstacle::Name, "{:?}", scan.unseen);
    assert_eq!(scan.unseen[0].name, root.name);
}

#[cfg(target_os = "linux")]
#[test]
fn pipes_and_sockets_are_named_and_never_opened() {
    use rustix::fs::{CWD, FileType, mknodat};
    let tree = Tree::of("a");
    for name in ["pipe", ".qshareignore"] {
        mknodat(CWD, tree.path("tree").join(name), FileType::Fifo, 0o600.into(), 0).expect("mkfifo");
    }
    let _socket = std::os::unix::net::UnixListener::bind(tree.path("tree/socket")).expect("bind");
    let plan = tree.plan();
    assert_eq!(names(&plan), ["tree/a"]);
    assert_eq!(plan.skipped.len(), 3);
    let socket = Skipped::new(tree.path("tree/socket"), Why::Unusual("a socket".into()));
    assert!(plan.skipped.contains(&Omission::Skipped(socket)), "{:?}", plan.skipped);
}

#[cfg(unix)]
#[cfg(unix)]
#[test]
fn what_is_no_file_is_named_for_what_it_is_as_a_root_too() {
    let tree = Tree::of("a");
    let pipe = tree.path("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("mkfifo");
    let _socket = std::os::unix::net::UnixListener::bind(tree.path("socket")).expect("bound");
    for (path, what) in
        [(PathBuf::from("/dev/null"), "a device"), (pipe.clone(), "a pipe"), (tree.path("socket"), "a socket")]
    {
        let error = survey(std::slice::from_ref(&path), &SurveyOptions::default()).expect_err("refused");
        let skipped = Omission::Skipped(Skipped::new(path, Why::Unusual(what.into())));
        assert_eq!(error, SurveyError::Nothing(Some(skipped)));
    }
    let plan = survey(&[pipe, tree.path("tree")], &SurveyOptions::default()).expect("the other one is shared");
    assert_eq!((names(&plan), plan.skipped.len()), (vec!["tree/a"], 1));
}

#[test]
fn names_that_are_never_valid_are_left_out() {
    use std::os::unix::ffi::OsStrExt as _;
    let tree = Tree::of("a");
    fs::write(tree.path("tree/new\nline"), "x").expect("write");
    fs::write(tree.path("tree").join(std::ffi::OsStr::from_bytes(b"\xff")), "x").expect("write");
    let plan = tree.plan();
    assert_eq!(names(&plan), ["tree/a"]);
    assert_eq!(plan.skipped.len(), 2);
    let why = |omission: &Omission| match omission {
        Omission::Skipped(skipped) => skipped.why.clone(),
        other => panic!("{other:?}"),
    };
    let whys: Vec<_> = plan.skipped.iter().map(why).collect();
    assert!(whys.contains(&Why::Utf8) && whys.contains(&Why::Name(PathError::Character)), "{whys:?}");
}

#[cfg(unix)]
#[test]
fn names_that_are_not_portable_are_warned_of_once() {
    let tree = Tree::of("con.txt c:x readme README ok");
    let plan = tree.plan();
    assert_eq!(names(&plan).len(), 5);
    assert_eq!(plan.unportable.map(|some| (some.count, some.first.to_string())), Some((3, "tree/c:x".to_owned())));
}

#[test]
fn qshares_own_files_are_not_shared() {
    let tree = Tree::of("a .qshare-0123456789abcdef.part .qshare-0123456789abcdef.journal home/node/cache.redb");
    let options = SurveyOptions { avoid: vec![tree.path("tree/home")], ..SurveyOptions::default() };
    assert_eq!(names(&tree.survey(&options).expect("survey")), ["tree/a"]);
    let inside = survey(&[tree.path("tree/home/node")], &options).expect_err("own");
    let own = |skipped: &Skipped| skipped.why == Why::Own;
    assert!(matches!(&inside, SurveyError::Nothing(Some(Omission::Skipped(skipped))) if own(skipped)), "{inside:?}");
}

#[test]
fn a_list_gives_names() {
    let tree = Tree::of("a b/c");
    let list = tree.path("list");
    let text = format!("music/one\t{}\n\ndocs\t{}\n", tree.path("tree/a").display(), tree.path("tree/b").display());
    fs::write(&list, text).expect("write");
    let options = SurveyOptions { list: Some(list.clone()), ..SurveyOptions::default() };
    let plan = survey(&[], &options).expect("survey");
    assert_eq!(names(&plan), ["docs/c", "music/one"]);
    fs::write(&list, "no tab\n").expect("write");
    let error = survey(&[], &options).expect_err("bad").to_string();
    assert!(error.starts_with("line 1 of the list"), "{error}");
}

#[test]
fn two_paths_under_one_name_are_an_error_naming_both() {
    let tree = Tree::of("a/x b/x");
    let paths = [tree.path("tree/a/x"), tree.path("tree/b/x")];
    let error = survey(&paths, &SurveyOptions::default()).expect_err("same name").to_string();
    assert!(paths.iter().all(|p| error.contains(&p.display().to_string())), "{error}");
    let twice = survey(&[paths[0].clone(), paths[0].clone()], &SurveyOptions::default()).expect("the same path");
    assert_eq!(twice.roots.len(), 1);
}

#[test]
fn a_name_within_another_roots_tree_is_an_error_only_when_it_is_taken() {
    let tree = Tree::of("x y");
    let list = tree.path("list");
    let options = SurveyOptions { list: Some(list.clone()), ..SurveyOptions::default() };
    fs::write(&list, format!("tree/z\t{}\n", tree.path("tree/y").display())).expect("write");
    assert!(tree.survey(&options).is_ok());
    fs::write(&list, format!("tree/x\t{}\n", tree.path("tree/y").display())).expect("write");
    assert!(matches!(tree.survey(&options), Err(SurveyError::Duplicate { .. })));
}

#[test]
fn a_missing_path_is_an_error_that_names_it() {
    let error = survey(&["/no/such/thing".into()], &SurveyOptions::default()).expect_err("missing").to_string();
    assert!(error.starts_with("/no/such/thing cannot be shared ("), "{error}");
}

#[test]
fn a_second_look_sees_what_changed() {
    let tree = Tree::of("a b");
    let before = scan_root(&tree.root(), &Rules::default());
    fs::remove_file(tree.path("tree/a")).expect("remove");
    tree.write("tree/c", "new");
    let after = scan_root(&tree.root(), &Rules::default());
    assert_eq!(after.root.files[0], before.root.files[1]);
    assert_eq!(after.root.files[1].name.as_str(), "tree/c");
    fs::remove_dir_all(tree.path("tree")).expect("remove");
    let gone = scan_root(&tree.root(), &Rules::default());
    assert!(gone.gone && gone.root.files.is_empty());
}
