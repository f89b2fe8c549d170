//! Which names are left out unless `--include-secrets`: keys, key stores, credentials, histories and browser profiles.
//! Decided by names alone, never by content: those that people and public lists (gitrob, shhgit, trufflehog) take for secrets, where
//! hardly anything else has them. Not responsible for naming what was left out: the scan is.

use std::path::Path;

const CREDENTIALS: &str = "credentials";
const HISTORY: &str = "a history of commands, which may hold passwords";
const KEY: &str = "a key";
const KEY_STORE: &str = "a key store";
const PASSWORDS: &str = "passwords";
const SETTINGS: &str = "settings with passwords";

/// Directories that hold nothing but secrets, and what they are.
const DIRECTORIES: [(&str, &str); 9] = [
    (".ssh", "ssh keys"),
    (".gnupg", "GnuPG keys"),
    (".aws", CREDENTIALS),
    (".azure", CREDENTIALS),
    (".kube", CREDENTIALS),
    (".password-store", PASSWORDS),
    (".mozilla", "a browser profile"),
    (".thunderbird", "a mail profile"),
    (".agilekeychain", KEY_STORE),
];

/// Browser profiles and key stores by the end of their path: the platforms keep them under these names.
const PROFILES: [&str; 24] = [
    ".config/gcloud",
    ".config/op",
    ".config/rclone",
    ".local/share/keyrings",
    ".local/share/kwalletd",
    ".electrum/wallets",
    ".ethereum/keystore",
    "etc/networkmanager/system-connections",
    "etc/ssl/private",
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
const FILES: [(&str, &str); 59] = [
    (".boto", CREDENTIALS),
    (".databrickscfg", CREDENTIALS),
    (".dbshell", HISTORY),
    (".dockercfg", CREDENTIALS),
    (".env", "an environment with passwords"),
    (".envrc", "an environment with passwords"),
    (".esmtprc", CREDENTIALS),
    (".fetchmailrc", CREDENTIALS),
    (".ftpconfig", CREDENTIALS),
    (".git-credentials", CREDENTIALS),
    (".histfile", HISTORY),
    (".history", HISTORY),
    (".htpasswd", PASSWORDS),
    (".msmtprc", CREDENTIALS),
    (".my.cnf", SETTINGS),
    (".mylogin.cnf", CREDENTIALS),
    (".netrc", CREDENTIALS),
    (".npmrc", "settings with access tokens"),
    (".pgpass", CREDENTIALS),
    (".pypirc", CREDENTIALS),
    (".remote-sync.json", CREDENTIALS),
    (".s3cfg", CREDENTIALS),
    (".smbcredentials", CREDENTIALS),
    (".trc", CREDENTIALS),
    (".vault-token", CREDENTIALS),
    (".yarnrc.yml", "settings with access tokens"),
    ("_netrc", CREDENTIALS),
    ("client_secret.json", CREDENTIALS),
    ("consolehost_history.txt", HISTORY),
    ("cookies.sqlite", "a browser's cookies"),
    ("credentials.json", CREDENTIALS),
    ("credentials.tfrc.json", CREDENTIALS),
    ("credentials.xml", CREDENTIALS),
    ("fish_history", HISTORY),
    ("gshadow", PASSWORDS),
    ("gshadow-", PASSWORDS),
    ("htpasswd", PASSWORDS),
    ("key3.db", "a browser's passwords"),
    ("key4.db", "a browser's passwords"),
    ("logins.json", "a browser's passwords"),
    ("password.txt", PASSWORDS),
    ("passwords.txt", PASSWORDS),
    ("proftpdpasswd", PASSWORDS),
    ("recentservers.xml", CREDENTIALS),
    ("robomongo.json", CREDENTIALS),
    ("secring.gpg", KEY),
    ("secrets.json", PASSWORDS),
    ("secrets.toml", PASSWORDS),
    ("secrets.yaml", PASSWORDS),
    ("secrets.yml", PASSWORDS),
    ("service-account.json", CREDENTIALS),
    ("service_account.json", CREDENTIALS),
    ("signons.sqlite", "a browser's passwords"),
    ("sitemanager.xml", CREDENTIALS),
    ("terraform.tfvars", SETTINGS),
    ("token.txt", "an access token"),
    ("wallet.dat", "a wallet"),
    ("wp-config.php", SETTINGS),
    ("wpa_supplicant.conf", "network passwords"),
];

/// Files by the end of their path, where the name alone says nothing.
const PATHS: [(&str, &str); 15] = [
    (".bundle/config", SETTINGS),
    (".cargo/credentials", CREDENTIALS),
    (".cargo/credentials.toml", CREDENTIALS),
    (".config/gh/hosts.yml", CREDENTIALS),
    (".config/hub", CREDENTIALS),
    (".docker/config.json", CREDENTIALS),
    (".gem/credentials", CREDENTIALS),
    (".m2/settings.xml", SETTINGS),
    (".purple/accounts.xml", CREDENTIALS),
    (".snowsql/config", SETTINGS),
    (".terraform.d/credentials.tfrc.json", CREDENTIALS),
    ("etc/shadow", PASSWORDS),
    ("etc/shadow-", PASSWORDS),
    ("etc/security/opasswd", PASSWORDS),
    ("nuget/nuget.config", SETTINGS),
];

/// Files by the end of their name.
const ENDINGS: [(&str, &str); 20] = [
    (".agekey", KEY),
    (".jks", KEY_STORE),
    (".kdb", KEY_STORE),
    (".kdbx", KEY_STORE),
    (".keychain", KEY_STORE),
    (".keychain-db", KEY_STORE),
    (".keystore", KEY_STORE),
    (".keytab", KEY_STORE),
    (".kwallet", KEY_STORE),
    (".ovpn", "a network's settings with keys"),
    (".p12", KEY_STORE),
    (".pem", KEY),
    (".pfx", KEY_STORE),
    (".pkcs12", KEY_STORE),
    (".ppk", KEY),
    (".psafe3", KEY_STORE),
    (".tblk", "a network's settings with keys"),
    (".tfstate", "a state with passwords"),
    (".tfstate.backup", "a state with passwords"),
    (".tfvars", SETTINGS),
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
    if let Some((_, what)) = PATHS.iter().find(|(end, _)| end.rsplit('/').next() == Some(&name) && path_ends(path, end))
    {
        return Some(what);
    }
    match name.as_str() {
        "config" if is_git(path) => Some("a git configuration, which may hold passwords"),
        _ if is_env(&name) => Some("an environment with passwords"),
        _ if is_ssh_key(&name) => Some("an ssh key"),
        // Of shells, databases and languages.
        _ if name.starts_with('.') && name.ends_with("_history") => Some(HISTORY),
        _ if name.starts_with("client_secret_") && name.ends_with(".json") => Some(CREDENTIALS),
        _ if name.ends_with(".key") && size <= MAX_KEY => Some(KEY),
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
    let of_host = name.starts_with("ssh_host_") && name.ends_with("_key");
    of_host || (kinds.iter().any(|kind| name.starts_with(kind)) && !name.ends_with(".pub"))
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
            "etc/shadow",
            "backup/etc/gshadow-",
            "u/.npmrc",
            ".my.cnf",
            "www/.htpasswd",
            ".config/gh/hosts.yml",
            "app/credentials.json",
            "app/token.txt",
            "infra/terraform.tfstate",
            ".bitcoin/wallet.dat",
            ".bash_history",
            ".zsh_history",
            ".python_history",
            ".local/share/fish/fish_history",
            ".docker/config.json",
            ".cargo/credentials.toml",
            "etc/ssh/ssh_host_ed25519_key",
        ] {
            assert!(of_file(Path::new(file), 100).is_some(), "{file}");
        }
        for dir in [
            ".ssh",
            "u/.gnupg",
            "u/.config/google-chrome",
            "u/Library/Application Support/Firefox",
            ".mozilla",
            "etc/ssl/private",
        ] {
            assert!(of_directory(Path::new(dir)).is_some(), "{dir}");
        }
    }

    #[test]
    fn what_only_looks_like_a_secret_is_not() {
        for file in ["config", "a/config", ".git/HEAD", ".env.example", "id_rsa.pub", "id_card.jpg", "environment"] {
            assert_eq!(of_file(Path::new(file), 100), None, "{file}");
        }
        for file in [
            "shadow",
            "textures/shadow",
            "hosts.yml",
            "config.json",
            "tokens.py",
            "my_history",
            "ssh_host_rsa_key.pub",
            "hub",
        ] {
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
