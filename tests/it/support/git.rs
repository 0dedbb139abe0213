//! Real git servers: sshd, and git http-backend behind a small bridge.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::process::{Server, free_port, wait_until};

/// Runs git without any configuration of the user's, and returns its stdout.
#[track_caller]
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")])
        .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.com")])
        .output()
        .expect("git starts");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The only clone in a cache, which has other files as well.
pub fn clone_in(cache: &Path) -> PathBuf {
    let folders = fs::read_dir(cache).expect("a cache").map(|entry| entry.expect("an entry").path());
    folders.map(|folder| folder.join("clone.git")).find(|clone| clone.is_dir()).expect("a clone")
}

/// The loose objects of a bare repository.
pub fn loose_objects(repository: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        paths.collect::<Vec<PathBuf>>()
    };
    let folders = entries(&repository.join("objects")).into_iter();
    let folders = folders.filter(|folder| folder.file_name().is_some_and(|name| name.len() == 2));
    folders.flat_map(|folder| entries(&folder)).collect()
}

/// Cuts an object off in the middle of its content, as a crash of the machine does. Returns its bytes from before.
pub fn cut(object: &Path) -> Vec<u8> {
    let bytes = fs::read(object).expect("an object");
    fs::set_permissions(object, fs::Permissions::from_mode(0o644)).expect("a mode");
    fs::write(object, &bytes[..bytes.len().saturating_sub(12)]).expect("written");
    bytes
}

/// A bare repository with a branch `main`.
pub struct Origin {
    pub path: PathBuf,
}

impl Origin {
    /// Creates a repository with one commit that has these files.
    pub fn create(path: &Path, files: &[(&str, &str)]) -> Origin {
        fs::create_dir_all(path).expect("a folder");
        git(path, &["init", "--quiet", "--bare", "--initial-branch=main", "."]);
        let origin = Origin { path: path.to_owned() };
        if !files.is_empty() {
            origin.commit("the first files", files);
        }
        origin
    }

    /// Creates a repository with a long history (git-fast-import): the commits from oldest to newest, one a minute
    /// until now, each with its message and the files it writes.
    pub fn import(path: &Path, commits: impl ExactSizeIterator<Item = (String, Vec<(String, String)>)>) -> Origin {
        let origin = Origin::create(path, &[]);
        let mut import = Command::new("git")
            .current_dir(path)
            .args(["fast-import", "--quiet", "--done"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("git starts");
        let mut input = std::io::BufWriter::new(import.stdin.take().expect("a pipe"));
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        let first = now - 60 * commits.len() as u64;
        for (number, (message, files)) in commits.enumerate() {
            let who = format!("Ada <ada@example.com> {} +0000", first + 60 * number as u64);
            write!(input, "commit refs/heads/main\nauthor {who}\ncommitter {who}\n").expect("written");
            write!(input, "data {}\n{message}\n", message.len()).expect("written");
            for (name, text) in files {
                write!(input, "M 100644 inline {name}\ndata {}\n{text}\n", text.len()).expect("written");
            }
        }
        writeln!(input, "done").expect("written");
        drop(input);
        assert!(import.wait().expect("it ends").success());
        origin
    }

    /// Commits files directly to the branch, like a person's push; tries again if another push comes first.
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        (0..100).find_map(|_| self.commit_on(None, message, files)).expect("a branch that holds still")
    }

    /// Commits all files of a folder, with symbolic links as they are.
    pub fn commit_folder(&self, message: &str, folder: &Path) {
        let path = self.path.display().to_string();
        let here = ["-c", "core.bare=false", "--git-dir", &path, "--work-tree", "."];
        git(folder, &[&here[..], &["add", "--all", "--force", "."]].concat());
        git(folder, &[&here[..], &["commit", "--quiet", "-m", message]].concat());
    }

    /// Tries that once, on the tip or on a commit that must be the tip; `None` if it is not, or if another push came
    /// first.
    pub fn commit_on(&self, base: Option<&str>, message: &str, files: &[(&str, &str)]) -> Option<String> {
        let work = tempfile::tempdir().expect("a folder");
        let index = work.path().join("index").display().to_string();
        let with_index = |arguments: &[&str]| {
            let mut command = vec!["-c", "core.bare=true"];
            command.extend(arguments);
            let output = Command::new("git")
                .current_dir(&self.path)
                .args(&command)
                .env("GIT_INDEX_FILE", &index)
                .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")])
                .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.com")])
                .output()
                .expect("git starts");
            (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let (has_tip, tip) = with_index(&["rev-parse", "--verify", "--quiet", "refs/heads/main"]);
        if base.is_some_and(|base| base != tip) {
            return None;
        }
        if has_tip {
            assert!(with_index(&["read-tree", &tip]).0);
        }
        for (name, text) in files {
            let file = work.path().join("blob");
            fs::write(&file, text).expect("written");
            let (ok, blob) = with_index(&["hash-object", "-w", &file.display().to_string()]);
            assert!(ok);
            assert!(with_index(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{name}")]).0);
        }
        let (_, tree) = with_index(&["write-tree"]);
        let mut arguments = vec!["commit-tree", &tree, "-m", message];
        if has_tip {
            arguments.extend(["-p", &tip]);
        }
        let (ok, commit) = with_index(&arguments);
        assert!(ok, "commit-tree");
        let old = if has_tip { tip.as_str() } else { "" };
        with_index(&["update-ref", "refs/heads/main", &commit, old]).0.then_some(commit)
    }

    /// Commits files as they were, along with a note that what was undone may come again.
    pub fn back(&self, images: &[&str], files: &[(&str, &str)]) {
        self.commit("back", files);
        let trailers: String = images.iter().map(|image| format!("Tagalong-Resume: {image}\n")).collect();
        self.commit(&format!("again\n\n{trailers}"), &[]);
    }

    /// The contents of a file at the tip.
    pub fn read(&self, file: &str) -> String {
        git(&self.path, &["show", &format!("main:{file}")])
    }

    /// The tip.
    pub fn tip(&self) -> String {
        git(&self.path, &["rev-parse", "main"]).trim().to_owned()
    }

    /// The subjects of the branch's commits, newest first.
    pub fn subjects(&self) -> Vec<String> {
        git(&self.path, &["log", "--format=%s", "main"]).lines().map(str::to_owned).collect()
    }

    /// The whole message of the tip.
    pub fn message(&self) -> String {
        git(&self.path, &["log", "-1", "--format=%B", "main"])
    }

    /// Panics unless the repository is intact and its branch is linear.
    #[track_caller]
    pub fn is_sound(&self) {
        git(&self.path, &["fsck", "--strict", "--no-dangling"]);
        assert_eq!(git(&self.path, &["rev-list", "--merges", "main"]), "");
    }

    /// Installs a hook.
    pub fn hook(&self, name: &str, script: &str) {
        let file = self.path.join("hooks").join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
}

/// An sshd on a loopback port.
pub struct Sshd {
    _server: Server,
    port: u16,
    folder: PathBuf,
}

impl Sshd {
    /// Starts sshd with fresh keys below `folder`.
    pub fn start(folder: &Path) -> Sshd {
        Sshd::start_with(folder, &["-t", "ed25519"], |_| String::new())
    }

    /// The same with another host key (options of ssh-keygen), and more lines of configuration, made when keys are there.
    pub fn start_with(folder: &Path, host_key: &[&str], more: impl FnOnce(&Path) -> String) -> Sshd {
        fs::create_dir_all(folder).expect("a folder");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("a mode");
        // Debian's sshd needs its privilege separation folder, which only its service creates.
        let _ = fs::create_dir_all("/run/sshd");
        make_key(&folder.join("host"), host_key);
        for name in ["user", "other"] {
            make_key(&folder.join(name), &["-t", "ed25519"]);
        }
        fs::copy(folder.join("user.pub"), folder.join("authorized")).expect("copied");
        let more = more(folder);
        for _ in 0..5 {
            let port = free_port();
            // Another home, and a shell that believes it is nested: otherwise shells read the startup files of the user and
            // of the machine for each command, and those may do anything.
            let config = format!(
                "SetEnv HOME={0} SHLVL=3\nListenAddress 127.0.0.1:{port}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nPidFile none\n\
                 UsePAM no\nStrictModes no\nPasswordAuthentication no\nMaxStartups 200\nMaxSessions 200\n{more}",
                folder.display()
            );
            fs::write(folder.join("config"), config).expect("written");
            let log = fs::File::create(folder.join("log")).expect("a log");
            let mut server = Server::start("/usr/sbin/sshd", |command| {
                command.arg("-D").arg("-e").arg("-f").arg(folder.join("config")).stderr(log)
            });
            wait_until("sshd listens", || server.has_ended() || TcpStream::connect(("127.0.0.1", port)).is_ok());
            if server.has_ended() {
                continue;
            }
            let host_key = fs::read_to_string(folder.join("host.pub")).expect("a key");
            fs::write(folder.join("known_hosts"), format!("[127.0.0.1]:{port} {host_key}")).expect("written");
            return Sshd { _server: server, port, folder: folder.to_owned() };
        }
        panic!("sshd found no port: {}", fs::read_to_string(folder.join("log")).unwrap_or_default());
    }

    /// Returns how many connections have been authenticated so far.
    pub fn handshakes(&self) -> usize {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        log.lines().filter(|line| line.starts_with("Accepted publickey")).count()
    }

    /// Authorizes another key.
    pub fn admit(&self, key: &Path) {
        let public = fs::read_to_string(format!("{}.pub", key.display())).expect("a key");
        let all = fs::read_to_string(self.folder.join("authorized")).expect("keys");
        fs::write(self.folder.join("authorized"), all + &public).expect("written");
    }

    /// Authorizes only this key from now on.
    pub fn admit_only(&self, key: &Path) {
        fs::copy(format!("{}.pub", key.display()), self.folder.join("authorized")).expect("copied");
    }

    /// Runs a script in place of each command of the authorized key, which is in `$SSH_ORIGINAL_COMMAND`, as forges do.
    pub fn force(&self, script: &str) {
        let file = self.folder.join("forced");
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a mode");
        let public = fs::read_to_string(self.folder.join("user.pub")).expect("a key");
        fs::write(self.folder.join("authorized"), format!("command=\"{}\" {public}", file.display())).expect("written");
    }

    /// The `git` section for a configuration that reaches this server through a relay.
    pub fn config_through(&self, relay: &super::proxy::Relay, origin: &Origin) -> String {
        let (direct, port) = (format!("127.0.0.1:{}", self.port), relay.port);
        let host_key = fs::read_to_string(self.folder.join("host.pub")).expect("a key");
        let known_hosts = fs::read_to_string(self.known_hosts()).expect("lines");
        let more = format!("[127.0.0.1]:{port} {host_key}");
        fs::write(self.known_hosts(), known_hosts + &more).expect("written");
        self.config(origin).replace(&direct, &format!("127.0.0.1:{port}"))
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a repository.
    pub fn url(&self, origin: &Origin) -> String {
        let user = Command::new("id").arg("-un").output().expect("id starts");
        let user = String::from_utf8_lossy(&user.stdout).trim().to_owned();
        format!("ssh://{user}@127.0.0.1:{}{}", self.port, origin.path.display())
    }

    /// The authorized key.
    pub fn key(&self) -> PathBuf {
        self.folder.join("user")
    }

    /// A key that is not authorized.
    pub fn other_key(&self) -> PathBuf {
        self.folder.join("other")
    }

    /// The known_hosts file for this server.
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// The `git` section for a repository.
    pub fn config(&self, origin: &Origin) -> String {
        format!(
            "git:\n  url: {}\n  ssh: {{ keyFile: {}, knownHostsFile: {} }}\n",
            self.url(origin),
            self.key().display(),
            self.known_hosts().display()
        )
    }
}

/// Creates an ssh key without a passphrase.
pub fn make_key(file: &Path, options: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", "", "-C", "", "-f"]).arg(file).args(options);
    assert!(command.status().expect("ssh-keygen starts").success());
}

/// git http-backend behind a bridge that supports as much HTTP/1.1 as git clients need.
pub struct HttpGit {
    port: u16,
    tls: bool,
    token: Arc<Mutex<Option<String>>>,
    refusal: Arc<Mutex<Option<Refusal>>>,
    stop: Arc<AtomicBool>,
}

/// A response to requests that contain a text: status and message.
#[derive(Clone)]
struct Refusal {
    to: &'static str,
    status: u16,
    message: &'static str,
}

/// A connection, with or without TLS.
trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

impl HttpGit {
    /// Serves all repositories below `root`; with a token, only to clients that send it as the password
    /// (`user:password` for both).
    pub fn start(root: &Path, token: Option<&str>) -> HttpGit {
        HttpGit::serve(root, token, None)
    }

    /// The same over TLS, for the name `localhost`, with a certificate from [`super::certificates`] in `folder`.
    pub fn start_tls(root: &Path, token: Option<&str>, folder: &Path) -> HttpGit {
        HttpGit::serve(root, token, Some(super::certificates::server_config(folder)))
    }

    fn serve(root: &Path, token: Option<&str>, tls: Option<Arc<rustls::ServerConfig>>) -> HttpGit {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let stop = Arc::new(AtomicBool::new(false));
        let token = Arc::new(Mutex::new(token.map(str::to_owned)));
        let refusal = Arc::default();
        let server = HttpGit {
            port,
            tls: tls.is_some(),
            token: Arc::clone(&token),
            refusal: Arc::clone(&refusal),
            stop: Arc::clone(&stop),
        };
        let root = root.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let (root, token, tls) = (root.clone(), Arc::clone(&token), tls.clone());
                let refusal = Arc::clone(&refusal);
                std::thread::spawn(move || -> std::io::Result<()> {
                    let stream: Box<dyn Stream> = match tls {
                        Some(config) => {
                            let session = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
                            Box::new(rustls::StreamOwned::new(session, stream?))
                        }
                        None => Box::new(stream?),
                    };
                    let token = token.lock().expect("unpoisoned").clone();
                    let refusal = refusal.lock().expect("unpoisoned").clone();
                    answer(stream, &root, token.as_deref(), refusal)
                });
            }
        });
        server
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Requires another token from now on, or one of several, each on a line: a password, `user:password`, or
    /// `Bearer token`.
    pub fn set_token(&self, token: &str) {
        *self.token.lock().expect("unpoisoned") = Some(token.to_owned());
    }

    /// Refuses requests whose target contains a text, such as the name of a service.
    pub fn refuse(&self, to: &'static str, status: u16, message: &'static str) {
        *self.refusal.lock().expect("unpoisoned") = Some(Refusal { to, status, message });
    }

    /// The URL of a repository below the root.
    pub fn url(&self, name: &str) -> String {
        let start = if self.tls { "https://localhost" } else { "http://127.0.0.1" };
        format!("{start}:{}/{name}", self.port)
    }
}

impl Drop for HttpGit {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listener so that its thread notices that it should end.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Responds to one request and closes the connection.
fn answer(stream: Box<dyn Stream>, root: &Path, token: Option<&str>, refusal: Option<Refusal>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let body = if header("transfer-encoding") == Some("chunked") {
        chunked(&mut reader)?
    } else {
        let mut body = vec![0; header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0)];
        reader.read_exact(&mut body)?;
        body
    };
    let mut stream = reader.into_inner();
    if let Some(token) = token {
        use base64::Engine;
        let given = header("authorization").and_then(|value| value.strip_prefix("Basic "));
        let given = given.and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
        let given = given.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let password = given.split_once(':').map(|(_, password)| password);
        let whole = header("authorization");
        if !token.lines().any(|token| given == token || password == Some(token) || whole == Some(token)) {
            let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            return stream.write_all(refusal.as_bytes());
        }
    }
    if let Some(Refusal { status, message, .. }) = refusal.filter(|refusal| target.contains(refusal.to)) {
        let length = message.len();
        return write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{message}"
        );
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut backend = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "tester")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding").unwrap_or_default())
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    backend.stdin.take().expect("piped").write_all(&body)?;
    let output = backend.wait_with_output()?.stdout;
    let split = output.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(output.len());
    let head = String::from_utf8_lossy(&output[..split]).into_owned();
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK").to_owned();
    let rest = output.get(split + 4..).unwrap_or_default();
    let fields: String =
        head.lines().filter(|line| !line.starts_with("Status: ")).map(|line| format!("{line}\r\n")).collect();
    write!(stream, "HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n", rest.len())?;
    stream.write_all(rest)?;
    stream.flush()
}

fn chunked(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
