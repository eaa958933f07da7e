//! The secret that signs tokens: where it comes from, and what is refused as one.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Result;
use toml::Table;

use super::{Origin, Resolved, refuse};

/// The fewest bytes of a secret: as long as the output of HMAC-SHA-256 (RFC 7518 section 3.2).
const LEAST_BYTES: usize = 32;
/// Characters that must be left of a secret without its well-known words and runs of one character: what somebody has
/// made up for a test is taken, a sample that was padded is not.
const LEAST_REST: usize = 8;
/// The most that is read of a secret's file.
const MOST_BYTES: u64 = 64 * 1024;
/// The file in the data directory.
const FILE_NAME: &str = "secrets.toml";
/// Words of sample secrets, without separators, longest first.
const SAMPLES: [&str; 22] = [
    "astringsecretatleast256bitslong",
    "astringsecretatleast512bitslong",
    "pleasechangethissecret",
    "your256bitsecret",
    "your384bitsecret",
    "your512bitsecret",
    "yoursecretkey",
    "supersecret",
    "development",
    "0123456789",
    "1234567890",
    "yoursecret",
    "keyboardcat",
    "changeme",
    "changethis",
    "replaceme",
    "12345678",
    "password",
    "abcdefgh",
    "example",
    "secret",
    "jwt",
];

/// A secret that was found, and where it came from.
#[derive(Clone)]
pub(crate) struct Found {
    /// The bytes of this text are the key.
    pub(crate) text: String,
    /// A sentence for the log.
    pub(crate) origin: String,
    /// What the operator should know.
    pub(crate) warning: Option<String>,
    /// Where it comes from.
    pub(crate) source: Source,
}

/// Where a secret comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Somebody configured it.
    Given,
    /// It was in the data directory.
    Kept,
    /// It is in the data directory since just now.
    Made,
}

/// Finds the secret: what is configured, else the one in the data directory, made if missing.
///
/// # Errors
/// [`super::Misconfigured`] for a secret that is weak, unreadable or open to others.
pub(crate) fn resolve(resolved: &Resolved) -> Result<Found> {
    match find(resolved)? {
        Some(secret) => Ok(secret),
        None => local(&resolved.config.data_dir),
    }
}

/// The same without making one; `None` where one would be made.
///
/// # Errors
/// As [`resolve`].
pub(super) fn find(resolved: &Resolved) -> Result<Option<Found>> {
    let data_dir = &resolved.config.data_dir;
    let secret = match configured(resolved)? {
        Some(secret) => secret,
        None if is_missing(&data_dir.join(FILE_NAME)) => return Ok(None),
        None => local(data_dir)?,
    };
    match weakness(&secret.text) {
        Some(reason) => refuse!(
            "the signing secret ({}) {reason}; `openssl rand -hex 32` makes a good one",
            secret.origin
        ),
        None => Ok(Some(secret)),
    }
}

/// Finds the previous secret, if one is configured; it has to be as good as the current one.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn resolve_previous(resolved: &Resolved) -> Result<Option<Found>> {
    let keys = ["auth", "jwt_secret_previous", "jwt_secret_previous_file"];
    let Some(secret) = given(resolved, keys, "previous signing secret")? else { return Ok(None) };
    // Unlike the current one, an empty previous secret is an absent one.
    if secret.text.is_empty() {
        return Ok(None);
    }
    match weakness(&secret.text) {
        Some(reason) => refuse!("the previous signing secret ({}) {reason}", secret.origin),
        None => Ok(Some(secret)),
    }
}

/// Refuses issuers whose shared secret is weak; answers what the operator should know.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn refuse_weak_issuers(resolved: &Resolved) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for issuer in resolved.config.auth.issuers.iter().filter(|issuer| !issuer.secret_file.is_empty()) {
        let secret = from_file(Path::new(&issuer.secret_file), "secret of an issuer")?;
        if let Some(reason) = weakness(&secret.text) {
            refuse!("the secret of the issuer {:?} ({}) {reason}", issuer.issuer, secret.origin);
        }
        warnings.extend(secret.warning);
    }
    Ok(warnings)
}

/// Whether there is a secret already, configured or in the data directory; one that cannot be looked at counts, so that
/// who wants it is told why it cannot be had.
pub(crate) fn has_secret(resolved: &Resolved) -> bool {
    let file = resolved.config.data_dir.join(FILE_NAME);
    matches!(configured(resolved), Ok(Some(_)) | Err(_)) || !is_missing(&file)
}

fn configured(resolved: &Resolved) -> Result<Option<Found>> {
    given(resolved, ["auth", "jwt_secret", "jwt_secret_file"], "signing secret")
}

/// The layer that is higher decides between a secret itself and a file with it.
///
/// `keys` are the section, the key of the secret and that of the file; `what` is the secret's name for people.
pub(super) fn given(resolved: &Resolved, keys: [&str; 3], what: &str) -> Result<Option<Found>> {
    let [section, inline, file] = keys;
    let at = |name: &str| resolved.values.get(&vec![section.to_owned(), name.to_owned()]);
    let inline = at(inline);
    let file = at(file).filter(|sourced| sourced.value.as_str() != Some(""));
    if let (Some(inline), Some(file)) = (inline, file)
        && inline.origin.layer() == file.origin.layer()
    {
        refuse!("both a {what} ({}) and a file for it ({}) are set; set one", inline.origin, file.origin);
    }
    let inline_wins = inline.map(|sourced| &sourced.origin) > file.map(|sourced| &sourced.origin);
    match (inline, file) {
        (Some(inline), _) if inline_wins => {
            Ok(Some(from_setting(inline.value.as_str(), &inline.origin, what)))
        }
        (_, Some(file)) => from_file(Path::new(file.value.as_str().unwrap_or_default()), what).map(Some),
        _ => Ok(None),
    }
}

fn from_setting(text: Option<&str>, origin: &Origin, what: &str) -> Found {
    let warning = match origin {
        Origin::File(path, _) if fs::metadata(path).is_ok_and(|found| is_open(&found)) => {
            Some(format!("{} holds the {what} and other users can read it", path.display()))
        }
        _ => None,
    };
    Found {
        text: text.unwrap_or_default().into(),
        origin: origin.to_string(),
        warning,
        source: Source::Given,
    }
}

/// A named file may be readable by a group: container platforms mount secrets like that.
pub(super) fn from_file(path: &Path, what: &str) -> Result<Found> {
    let (text, open) = read(path, what)?;
    let text =
        text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).into();
    let warning = open.then(|| format!("{} holds the {what} and other users can read it", path.display()));
    Ok(Found { text, origin: format!("file {}", path.display()), warning, source: Source::Given })
}

/// The secret of a data directory; directory and secret are made if they are missing.
///
/// # Errors
/// [`super::Misconfigured`] if the file is open to other users or damaged.
pub(crate) fn local(data_dir: &Path) -> Result<Found> {
    let path = data_dir.join(FILE_NAME);
    let made = is_missing(&path);
    if made && let Err(error) = create(data_dir, &path) {
        refuse!(
            "cannot write {} ({error}); name a directory that this account can write to with --data-dir",
            path.display()
        );
    }
    let (text, open) = read(&path, "signing secret")?;
    if open {
        refuse!(
            "{} can be read by other users; `chmod 600` it, or remove it to get a new one",
            path.display()
        );
    }
    let table = match text.parse::<Table>() {
        Ok(table) => table,
        // The parser's own error quotes the line, and the line may be the secret.
        Err(_) => refuse!("{} is not TOML; repair it, or remove it to get a new secret", path.display()),
    };
    match table.get("jwt_secret").and_then(toml::Value::as_str) {
        Some(secret) => {
            let origin = format!("file {}", path.display());
            let source = if made { Source::Made } else { Source::Kept };
            Ok(Found { text: secret.into(), origin, warning: None, source })
        }
        None => refuse!("{} holds no jwt_secret; remove it to get a new one", path.display()),
    }
}

/// One that cannot be looked at is there: who reads it is told why.
fn is_missing(path: &Path) -> bool {
    !path.try_exists().unwrap_or(true)
}

fn read(path: &Path, what: &str) -> Result<(String, bool)> {
    let mut text = String::new();
    let found = File::open(path).and_then(|file| {
        let open = is_open(&file.metadata()?);
        file.take(MOST_BYTES).read_to_string(&mut text)?;
        Ok(open)
    });
    match found {
        Ok(open) => Ok((text, open)),
        Err(error) => refuse!("cannot read the {what} from {}: {error}", path.display()),
    }
}

fn is_open(found: &fs::Metadata) -> bool {
    found.permissions().mode() & 0o077 != 0
}

/// Two processes that start at once must end with one secret, and never see half of it.
fn create(data_dir: &Path, path: &Path) -> Result<()> {
    make_directory(data_dir)?;
    let draft = Draft(data_dir.join(format!("{FILE_NAME}.{}", random_hex::<8>()?)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.0)?;
    writeln!(file, "# Signs the tokens of this server; whoever has it can be anyone.")?;
    writeln!(file, "jwt_secret = \"{}\"", random_hex::<32>()?)?;
    file.sync_all()?;
    match fs::hard_link(&draft.0, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => File::open(data_dir)?.sync_all()?,
    }
    Ok(())
}

/// Makes the data directory for its owner alone, unless it is there.
///
/// # Errors
/// It is not there and cannot be made.
pub(crate) fn make_directory(data_dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir)
}

/// A file that is removed whichever way its making ends.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // Nothing depends on it: a left-over draft is a secret nobody uses.
        fs::remove_file(&self.0).ok();
    }
}

/// Random bytes of the operating system, two characters each.
///
/// # Errors
/// The system has none to give.
pub(crate) fn random_hex<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Why a secret must not be used, to be read after "the signing secret".
pub(super) fn weakness(secret: &str) -> Option<String> {
    if secret.len() < LEAST_BYTES {
        return Some(format!("has {} bytes; it needs at least {LEAST_BYTES}", secret.len()));
    }
    if is_repetition(secret.as_bytes()) {
        return Some("repeats itself".into());
    }
    let rest = without_samples(secret);
    (rest.chars().count() < LEAST_REST).then(|| "is a well-known sample, or one that was padded".into())
}

fn is_repetition(bytes: &[u8]) -> bool {
    (1..LEAST_REST).any(|period| bytes.iter().zip(bytes.iter().skip(period)).all(|(one, next)| one == next))
}

/// What is left without sample words, separators, and runs of one character.
fn without_samples(secret: &str) -> String {
    let mut rest: String = secret.to_lowercase().chars().filter(|c| !"-_. ".contains(*c)).collect();
    for sample in SAMPLES {
        rest = rest.replace(sample, "");
    }
    let characters: Vec<char> = rest.chars().collect();
    characters.chunk_by(|one, next| one == next).filter(|run| run.len() < 4).flatten().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn short_secrets_and_padded_samples_are_refused() {
        let samples = [
            "secret",
            "changeme",
            "your-256-bit-secret",
            "your-256-bit-secret-your-256-bit-secret",
            "your-256-bit-secret0000000000000000",
            "a-string-secret-at-least-256-bits-long",
            "secretsecretsecretsecretsecretsecret",
            "changeme!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "12345678901234567890123456789012",
            "My_Super_Secret_JWT_Secret_Key_12345678",
            "abababababababababababababababababab",
        ];
        for sample in samples {
            assert!(weakness(sample).is_some(), "{sample} was taken");
        }
    }

    #[test]
    fn random_secrets_are_taken() {
        for _ in 0..200 {
            let secret = random_hex::<16>().unwrap();
            assert_eq!(weakness(&secret), None, "{secret}");
        }
        assert_eq!(weakness("kP9$wq!mZ2#vB7^nR4&tX1*cL6(hJ3)d"), None);
    }

    #[test]
    fn secrets_somebody_made_up_for_a_test_are_taken() {
        for secret in [
            "0123456789abcdef0123456789abcdef",
            "jwt-secret-for-tests-0123456789abcdef",
            "test-secret-test-secret-test-secret",
        ] {
            assert_eq!(weakness(secret), None, "{secret}");
        }
    }

    #[test]
    fn a_directory_gets_one_secret_that_only_its_owner_can_read() {
        let dir = std::env::temp_dir().join(format!("tidings-secret-{}", random_hex::<8>().unwrap()));
        let first = local(&dir).unwrap();
        let second = local(&dir).unwrap();
        assert_eq!(first.text, second.text);
        assert_eq!(first.text.len(), 64);
        let path = dir.join(FILE_NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "no draft is left");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = local(&dir).err().unwrap().to_string();
        assert!(refused.contains("chmod 600"), "{refused}");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn two_that_start_at_once_end_with_one_secret() {
        let dir = std::env::temp_dir().join(format!("tidings-secret-{}", random_hex::<8>().unwrap()));
        let secrets: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| local(&dir).unwrap().text)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
        fs::remove_dir_all(&dir).unwrap();
    }
}
