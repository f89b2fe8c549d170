//! Which names are left out unless `--include-secrets`: keys, key stores, credentials and browser profiles.
//! Decided by names alone, never by content. Not responsible for naming what was left out: the scan is.

use std::path::Path;

/// Directories that hold nothing but secrets, and what they are.
const DIRECTORIES: [(&str, &str); 8] = [
    (".ssh", "ssh keys"),
    (".gnupg", "GnuPG keys"),
    (".aws", "credentials"),
    (".azure", "credentials"),
    (".kube", "credentials"),
    (".password-store", "passwords"),
    (".mozilla", "a browser profile"),
    (".thunderbird", "a mail profile"),
];

/// Browser profiles and key stores by the end of their path: the platforms keep them under these names.
const PROFILES: [&str; 17] = [
    ".config/gcloud",
    ".local/share/keyrings",
    "library/keychains",
    ".config/google-chrome",
    ".config/chromium",
    ".config/bravesoftware",
    ".config/microsoft-edge",
    ".config/vivaldi",
    ".config/opera",
    "application support/google/chrome",
    "application support/firefox",
    "application support/chromium",
    "local/google/chrome/user data",
    "local/microsoft/edge/user data",
    "roaming/mozilla/firefox",
    "snap/firefox",
    "library/safari",
];

/// Files by their whole name.
const FILES: [(&str, &str); 7] = [
    (".env", "an environment with passwords"),
    (".envrc", "an environment with passwords"),
    (".git-credentials", "credentials"),
    (".netrc", "credentials"),
    (".pgpass", "credentials"),
    (".pypirc", "credentials"),
    ("key4.db", "a browser's passwords"),
];

/// Files by the end of their name.
const ENDINGS: [(&str, &str); 11] = [
    (".jks", "a key store"),
    (".kdb", "a key store"),
    (".kdbx", "a key store"),
    (".keychain", "a key store"),
    (".keychain-db", "a key store"),
    (".keystore", "a key store"),
    (".p12", "a key store"),
    (".pem", "a key"),
    (".pfx", "a key store"),
    (".ppk", "a key"),
    (".agekey", "a key"),
];

/// A private key in a `.key` file is small; a Keynote document of that ending is not.
const MAX_KEY: u64 = 64 << 10;

/// What secret a directory holds, by its path.
pub fn of_directory(path: &Path) -> Option<&'static str> {
    let name = lower_name(path)?;
    if let Some((_, what)) = DIRECTORIES.iter().find(|(d, _)| *d == name) {
        return Some(what);
    }
    let ends = |profile: &str| profile.rsplit('/').next() == Some(&name) && path_ends(path, profile);
    PROFILES.iter().any(|p| ends(p)).then_some("a browser profile or key store")
}

/// What secret a file is, by its path and size.
pub fn of_file(path: &Path, size: u64) -> Option<&'static str> {
    let name = lower_name(path)?;
    if let Some((_, what)) = FILES.iter().find(|(f, _)| *f == name) {
        return Some(what);
    }
    if let Some((_, what)) = ENDINGS.iter().find(|(end, _)| name.ends_with(end)) {
        return Some(what);
    }
    match name.as_str() {
        "config" if is_git(path) => Some("a git configuration, which may hold passwords"),
        "config.json" if path_ends(path, ".docker/config.json") => Some("credentials"),
        _ if is_env(&name) => Some("an environment with passwords"),
        _ if is_ssh_key(&name) => Some("an ssh key"),
        _ if name.ends_with(".key") && size <= MAX_KEY => Some("a key"),
        _ => None,
    }
}

/// What secret a path typed by the user is or lies in.
pub fn of_root(path: &Path, is_dir: bool, size: u64) -> Option<&'static str> {
    let itself = if is_dir { of_directory(path) } else { of_file(path, size) };
    itself.or_else(|| path.ancestors().skip(1).find_map(of_directory))
}

fn lower_name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase())
}

fn path_ends(path: &Path, end: &str) -> bool {
    let names = path.iter().rev().map(|n| n.to_string_lossy().to_ascii_lowercase());
    names.zip(end.rsplit('/')).filter(|(a, b)| a == b).count() == end.split('/').count()
}

/// `.git/config`, a bare repository's, and those of submodules and worktrees.
fn is_git(path: &Path) -> bool {
    path.ancestors().skip(1).filter_map(lower_name).any(|name| name.ends_with(".git"))
}

fn is_env(name: &str) -> bool {
    let harmless = [".example", ".sample", ".template", ".dist"];
    name.starts_with(".env.") && !harmless.iter().any(|end| name.ends_with(end))
}

fn is_ssh_key(name: &str) -> bool {
    let kinds = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_xmss"];
    kinds.iter().any(|kind| name.starts_with(kind)) && !name.ends_with(".pub")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_key_stores_are_secret() {
        for file in [
            "a/.env",
            "a/.env.production",
            ".git/config",
            "x.git/config",
            "a/.git/modules/b/config",
            "server.PEM",
            "id_rsa",
            "id_ed25519_sk",
            "p.kdbx",
            "login.keychain-db",
            "server.key",
            ".netrc",
        ] {
            assert!(of_file(Path::new(file), 100).is_some(), "{file}");
        }
        for dir in [".ssh", "u/.gnupg", "u/.config/google-chrome", "u/Library/Application Support/Firefox", ".mozilla"]
        {
            assert!(of_directory(Path::new(dir)).is_some(), "{dir}");
        }
    }

    #[test]
    fn what_only_looks_like_a_secret_is_not() {
        for file in ["config", "a/config", ".git/HEAD", ".env.example", "id_rsa.pub", "id_card.jpg", "environment"] {
            assert_eq!(of_file(Path::new(file), 100), None, "{file}");
        }
        assert_eq!(of_file(Path::new("talk.key"), 10 << 20), None);
        for dir in ["ssh", "firefox", "google-chrome", ".git", ".config"] {
            assert_eq!(of_directory(Path::new(dir)), None, "{dir}");
        }
    }

    #[test]
    fn a_typed_path_within_a_secret_directory_is_secret() {
        assert!(of_root(Path::new("/home/u/.ssh/config"), false, 5).is_some());
        assert!(of_root(Path::new("/home/u/.ssh"), true, 0).is_some());
        assert_eq!(of_root(Path::new("/home/u/docs"), true, 0), None);
    }
}
