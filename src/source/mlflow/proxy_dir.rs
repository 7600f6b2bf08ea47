//! Directories of artifacts that the tracking server passes on.
//!
//! The usual way is its artifact proxy (`mlflow-artifacts:`). Where the server runs without it, or
//! keeps its artifacts in a directory of its own, the routes behind its web pages read the files of
//! runs (`runs:/`) and logged models (`models:/m-...`) all the same. There are no checksums: sizes
//! are all that can be compared.

use std::sync::atomic::{AtomicBool, Ordering};

use url::Url;

use super::answers::{Listed, Listing};
use super::ask::Ask;
use super::client::Client;
use super::reads::API;
use crate::mlflow::RunUri;
use crate::store::{ByteStream, RemoteDir, RemoteError, RemoteFile};

/// Most files and directories.
const ENTRIES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 32;
/// Most answers for one directory.
const PAGES_MAX: usize = 100;
const PROXY: &str = "mlflow-artifacts:";
const LOGGED_MODEL: &str = "models:/";
const PROXY_API: &str = "api/2.0/mlflow-artifacts/artifacts";

/// A directory read through the tracking server.
pub struct ProxyDir {
    client: Client,
    uri: String,
    root: Root,
    /// Whether the server was found to sign addresses only.
    is_presigned_only: AtomicBool,
}

#[derive(Debug, PartialEq, Eq)]
enum Root {
    /// Paths under the proxy of that server.
    Proxy {
        server: Url,
        path: String,
    },
    LoggedModel {
        id: String,
        path: String,
    },
    Run(RunUri),
}

impl ProxyDir {
    /// Whether artifacts of that URI are read here.
    #[must_use]
    pub fn reads(uri: &str) -> bool {
        [PROXY, LOGGED_MODEL].iter().any(|scheme| uri.starts_with(scheme))
            || RunUri::is_claimed_by(uri)
    }

    /// The directory at a URI: `mlflow-artifacts:/PATH`, `mlflow-artifacts://HOST:PORT/PATH`,
    /// `models:/m-ID[/PATH]` or `runs:/RUN_ID/PATH`.
    ///
    /// # Errors
    /// `Unusable` for any other form.
    pub fn new(client: &Client, uri: &str) -> Result<Self, RemoteError> {
        let root = Root::of(uri, client.tracking()).ok_or_else(|| {
            RemoteError::Unusable(format!("`{uri}` is no directory that a tracking server reads"))
        })?;
        let (client, uri) = (client.clone(), uri.to_owned());
        Ok(Self { client, uri, root, is_presigned_only: AtomicBool::new(false) })
    }

    /// What lies in a directory, by the names there.
    async fn entries(&self, dir: &str) -> Result<Vec<Listed>, RemoteError> {
        let what = format!("the files of {}", self.uri);
        let ask = self.root.list(self.client.tracking(), dir, what);
        let mut found = Vec::new();
        let mut page = ask.clone();
        for _ in 0..PAGES_MAX {
            let listing: Listing = self.client.json(&page).await?;
            found.extend(listing.files);
            match listing.next_page_token.filter(|token| !token.is_empty()) {
                Some(token) if found.len() <= ENTRIES_MAX => {
                    page = ask.clone().query("page_token", &token);
                }
                _ => return Ok(found),
            }
        }
        Err(self.too_large())
    }

    fn too_large(&self) -> RemoteError {
        RemoteError::Unusable(format!(
            "{} is no model: more than {ENTRIES_MAX} files and directories, or deeper than \
             {DEPTH_MAX}",
            self.uri
        ))
    }
}

impl RemoteDir for ProxyDir {
    async fn list(&self) -> Result<Vec<RemoteFile>, RemoteError> {
        let mut files = Vec::new();
        let mut seen = 0;
        let mut left = vec![(String::new(), 0)];
        while let Some((dir, depth)) = left.pop() {
            for entry in self.entries(&dir).await? {
                seen += 1;
                let path = joined(&dir, self.name_of(&entry)?);
                if seen > ENTRIES_MAX || depth >= DEPTH_MAX {
                    return Err(self.too_large());
                } else if entry.is_dir {
                    left.push((path, depth + 1));
                } else {
                    files.push(RemoteFile { path, bytes: entry.file_size });
                }
            }
        }
        if files.is_empty() {
            return Err(RemoteError::Missing(format!("a directory with files at {}", self.uri)));
        }
        Ok(files)
    }

    async fn read(&self, path: &str) -> Result<ByteStream, RemoteError> {
        if !path.split('/').all(is_name) {
            return Err(RemoteError::Unusable(format!("`{path}` is no file of {}", self.uri)));
        }
        let what = format!("file {path} of {}", self.uri);
        let Root::Proxy { server, path: dir } = &self.root else {
            return self.client.file(self.root.read(self.client.tracking(), path, what)).await;
        };
        if !self.is_presigned_only.load(Ordering::Relaxed) {
            let ask = self.root.read(server, path, what.clone());
            match self.client.file(ask).await {
                Err(RemoteError::Denied(_)) if self.client.is_presigned_only(server).await => {
                    self.is_presigned_only.store(true, Ordering::Relaxed);
                }
                file => return file,
            }
        }
        self.client.presigned_file(server, &joined(dir, path), what).await
    }
}

impl Client {
    /// A file among the artifacts of a run, as the server's own pages show it: wherever the server
    /// keeps it.
    ///
    /// # Errors
    /// `Missing` when there is none, and whatever a question may end with.
    pub async fn run_file(&self, run_id: &str, path: &str) -> Result<ByteStream, RemoteError> {
        let what = format!("file {path} of run {run_id}");
        let ask = Ask::get(self.tracking(), "get-artifact", what)
            .query("run_uuid", run_id)
            .query("path", path);
        self.file(ask).await
    }
}

impl ProxyDir {
    fn name_of<'a>(&self, entry: &'a Listed) -> Result<&'a str, RemoteError> {
        let path = entry.path.trim_end_matches('/');
        let name = path.rsplit('/').next().unwrap_or(path);
        if is_name(name) {
            Ok(name)
        } else {
            Err(RemoteError::Garbled(format!(
                "the tracking server lists `{}` among the files of {}",
                entry.path.escape_debug(),
                self.uri
            )))
        }
    }
}

impl Root {
    fn of(uri: &str, tracking: &Url) -> Option<Self> {
        if let Some(rest) = uri.strip_prefix(PROXY) {
            let (authority, path) = match rest.strip_prefix("//") {
                Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
                None => ("", rest),
            };
            let path = path.trim_matches('/').to_owned();
            let server = with_authority(tracking, authority)?;
            return path.split('/').all(is_name).then_some(Self::Proxy { server, path });
        }
        if let Some(rest) = uri.strip_prefix(LOGGED_MODEL) {
            let rest = rest.trim_end_matches('/');
            let (id, path) = rest.split_once('/').unwrap_or((rest, ""));
            let plain = is_name(id) && (path.is_empty() || path.split('/').all(is_name));
            let [id, path] = [id, path].map(str::to_owned);
            return plain.then_some(Self::LoggedModel { id, path });
        }
        RunUri::parse(uri).ok().map(Self::Run)
    }

    fn list(&self, tracking: &Url, dir: &str, what: String) -> Ask {
        match self {
            Self::Proxy { server, path } => {
                Ask::get(server, PROXY_API, what).query("path", &joined(path, dir))
            }
            Self::LoggedModel { id, path } => {
                let ask = Ask::get(tracking, &format!("{API}/logged-models"), what)
                    .under(id)
                    .under("artifacts/directories");
                match joined(path, dir) {
                    whole if whole.is_empty() => ask,
                    whole => ask.query("artifact_directory_path", &whole),
                }
            }
            Self::Run(run) => Ask::get(tracking, &format!("{API}/artifacts/list"), what)
                .query("run_id", &run.run_id)
                .query("path", &joined(&run.path, dir)),
        }
    }

    fn read(&self, tracking: &Url, file: &str, what: String) -> Ask {
        match self {
            Self::Proxy { server, path } => {
                Ask::get(server, PROXY_API, what).under(&joined(path, file))
            }
            Self::LoggedModel { id, path } => {
                Ask::get(tracking, &format!("ajax-{API}/logged-models"), what)
                    .under(id)
                    .under("artifacts/files")
                    .query("artifact_file_path", &joined(path, file))
            }
            Self::Run(run) => Ask::get(tracking, "get-artifact", what)
                .query("run_uuid", &run.run_id)
                .query("path", &joined(&run.path, file)),
        }
    }
}

/// The tracking server's URL at another `HOST[:PORT]`; itself where there is none.
fn with_authority(tracking: &Url, authority: &str) -> Option<Url> {
    if authority.is_empty() {
        return Some(tracking.clone());
    }
    let url = Url::parse(&format!("{}://{authority}", tracking.scheme())).ok()?;
    let bare = url.username().is_empty() && url.password().is_none() && url.path() == "/";
    let mut server = tracking.clone();
    server.set_host(url.host_str()).ok()?;
    server.set_port(url.port()).ok()?;
    bare.then_some(server)
}

fn joined(dir: &str, name: &str) -> String {
    match (dir, name) {
        ("", only) | (only, "") => only.to_owned(),
        (dir, name) => format!("{dir}/{name}"),
    }
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
}
