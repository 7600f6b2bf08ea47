mod server;

use std::time::Duration;

use futures_util::TryStreamExt as _;

use self::server::{Answer, Server};
use super::{ObjectDir, ObjectOptions};
use crate::model::{ModelName, VersionId};
use crate::store::{About, Cache, CacheKey, CacheOptions, RemoteDir as _, RemoteError, RemoteFile};

const SECRET: &str = "wJalrXUtnFEMIsecret";
const MLMODEL: &[u8] = b"flavors:\n  onnx: {data: net/model.onnx}\n  python_function: {}\n\
    saved_input_example_info: {serving_input_path: serving_input_example.json}\n";

fn options<const N: usize>(variables: [(&str, String); N]) -> ObjectOptions {
    ObjectOptions {
        variables: variables.map(|(name, value)| (name.to_owned(), value)).into(),
        connect_time_max: Duration::from_secs(5),
        read_time_max: Duration::from_secs(30),
        retries_max: 1,
        retry_time_max: Duration::from_secs(5),
        files_max: 4,
    }
}

fn s3(server: &Server, uri: &str) -> ObjectDir {
    let options = options([
        ("AWS_ACCESS_KEY_ID", "AKIA".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ("MLFLOW_S3_ENDPOINT_URL", format!("http://{}", server.address)),
        ("PATH", "not for stores".to_owned()),
    ]);
    ObjectDir::open(uri, &options).unwrap()
}

fn web(server: &Server, path: &str) -> ObjectDir {
    let uri = format!("http://me:secret@{}{path}?sig=secret", server.address);
    ObjectDir::open(&uri, &options([])).unwrap()
}

/// One page of a listing as S3 gives it; `next` is the token of the page after it.
fn page(objects: &[(&str, usize)], next: Option<&str>) -> Answer {
    let contents: Vec<String> = objects
        .iter()
        .map(|(key, size)| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-11-21T05:00:00.000Z</LastModified>\
                 <ETag>&quot;1&quot;</ETag><Size>{size}</Size></Contents>"
            )
        })
        .collect();
    let next = next.map(|next| format!("<NextContinuationToken>{next}</NextContinuationToken>"));
    Answer::ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><Name>models</Name>\
         <IsTruncated>{}</IsTruncated>{}{}</ListBucketResult>",
        next.is_some(),
        contents.concat(),
        next.unwrap_or_default()
    ))
}

fn s3_error(status: &'static str, code: &str) -> Answer {
    // As S3 does, with what must not be repeated.
    Answer::status(
        status,
        &format!("<Error><Code>{code}</Code><StringToSign>{SECRET}</StringToSign></Error>"),
    )
}

/// A protobuf field that holds bytes.
fn nested(field: u8, payload: &[u8]) -> Vec<u8> {
    [&[field << 3 | 2, payload.len() as u8], payload].concat()
}

fn file(path: &str, bytes: Option<u64>) -> RemoteFile {
    RemoteFile { path: path.to_owned(), bytes }
}

async fn listed(dir: &ObjectDir) -> Vec<RemoteFile> {
    let mut files = dir.list().await.unwrap();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

async fn read(dir: &ObjectDir, path: &str) -> Result<Vec<u8>, RemoteError> {
    let pieces: Vec<_> = dir.read(path).await?.try_collect().await?;
    Ok(pieces.concat())
}

#[tokio::test]
async fn a_directory_in_s3_is_listed_page_by_page_and_read() {
    let server = Server::start(|line| match line {
        line if line.contains("continuation-token=two") => {
            page(&[("1/m-2/artifacts/metadata/conda.yaml", 7)], None)
        }
        line if line.contains("list-type=2") => page(
            &[
                ("1/m-2/artifacts/", 0),
                ("1/m-2/artifacts/MLmodel", 5),
                ("1/m-2/artifacts/metadata/", 0),
            ],
            Some("two"),
        ),
        line if line.contains("/models/1/m-2/artifacts/MLmodel ") => Answer::ok("hello"),
        _ => s3_error("404 Not Found", "NoSuchKey"),
    });
    let dir = s3(&server, "s3://models/1/m-2/artifacts");
    assert_eq!(
        listed(&dir).await,
        [file("MLmodel", Some(5)), file("metadata/conda.yaml", Some(7))]
    );
    assert_eq!(read(&dir, "MLmodel").await.unwrap(), b"hello");
    let missing = read(&dir, "model.onnx").await.unwrap_err();
    let what = "`s3://models/1/m-2/artifacts/model.onnx`".to_owned();
    assert_eq!(missing, RemoteError::Missing(what));
    let requests = server.requests();
    assert!(requests[0].contains("prefix=1%2Fm-2%2Fartifacts%2F"), "{}", requests[0]);
    assert!(requests.iter().all(|request| request.contains("AWS4-HMAC-SHA256 Credential=AKIA/")));
}

#[tokio::test]
async fn a_prefix_without_objects_is_missing_and_one_with_too_many_is_refused() {
    let empty = Server::start(|_| page(&[], None));
    let error = s3(&empty, "s3://models/nothing/").list().await.unwrap_err();
    assert_eq!(error.to_string(), "`s3://models/nothing` does not exist");
    let many =
        Server::start(|_| page(&["d/a", "d/b", "d/c", "d/d", "d/e"].map(|key| (key, 1)), None));
    let error = s3(&many, "s3://models/d").list().await.unwrap_err();
    assert_eq!(error.to_string(), "`s3://models/d` has more than 4 files");
}

#[tokio::test]
async fn refusals_are_told_by_status_and_code_without_what_the_store_repeats() {
    let unreachable: fn(String) -> RemoteError = RemoteError::Unreachable;
    let denied: fn(String) -> RemoteError = RemoteError::Denied;
    let unusable: fn(String) -> RemoteError = RemoteError::Unusable;
    let cases = [
        (
            "403 Forbidden",
            "SignatureDoesNotMatch",
            denied,
            "refuses access (SignatureDoesNotMatch)",
        ),
        ("403 Forbidden", "<x>", denied, "refuses access; check the credentials"),
        ("401 Unauthorized", "x", denied, "refuses access (x)"),
        ("400 Bad Request", "ExpiredToken", denied, "refuses access (ExpiredToken)"),
        ("400 Bad Request", "InvalidBucketName", unusable, "400 Bad Request (InvalidBucketName)"),
        ("301 Moved Permanently", "PermanentRedirect", unusable, "name the region"),
        ("503 Service Unavailable", "SlowDown", unreachable, "503 Service Unavailable (SlowDown)"),
        ("429 Too Many Requests", "x", unreachable, "answered 429 Too Many Requests"),
        ("500 Internal Server Error", "InternalError", unreachable, "answered 500"),
    ];
    for (status, code, kind, part) in cases {
        let server = Server::start(move |_| s3_error(status, code));
        let dir = s3(&server, "s3://models/d");
        for error in [dir.list().await.unwrap_err(), read(&dir, "a").await.unwrap_err()] {
            let message = error.to_string();
            assert!(message.contains(part), "{status} {code}: {message}");
            assert!(!message.contains(SECRET), "{message}");
            assert_eq!(error, kind(message));
        }
    }
}

#[tokio::test]
async fn answers_that_make_no_sense_and_no_answers_are_named() {
    let html = Server::start(|_| Answer::ok("<html>Welcome to the hotel's network</html>"));
    let error = s3(&html, "s3://models/d").list().await.unwrap_err();
    assert!(matches!(error, RemoteError::Garbled(_) | RemoteError::Missing(_)), "{error:?}");
    let address = html.address;
    let dir = s3(&html, "s3://models/d");
    drop(html);
    let error = dir.list().await.unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("`s3://models/d`: no connection to the store: "), "{message}");
    assert!(error.is_transient() && !message.contains(&address.to_string()), "{message}");
}

#[tokio::test]
async fn a_file_that_ends_early_is_no_file() {
    let server = Server::start(|_| Answer("200 OK", "content-length: 9\r\n", b"short".to_vec()));
    let error = read(&web(&server, "/d"), "a").await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn a_web_server_that_lists_nothing_is_read_by_what_the_mlmodel_file_names() {
    // A graph whose only weight lies in `w.bin`.
    let entry = [nested(1, b"location"), nested(2, b"w.bin")].concat();
    let tensor = [&[0x08, 1, 0x10, 1, 0x70, 1], &*nested(13, &entry)].concat();
    let graph = nested(7, &nested(5, &tensor));
    for refusal in ["405 Method Not Allowed", "501 Not Implemented", "404 Not Found"] {
        let graph = graph.clone();
        let server = Server::start(move |line| {
            let (method, rest) = line.split_once(" /a%20b/d").unwrap();
            match (method, rest.split(' ').next().unwrap()) {
                ("PROPFIND", _) => Answer::status(refusal, "no"),
                (_, "/MLmodel") => Answer::ok(MLMODEL),
                (_, "/net/model.onnx") => Answer::ok(graph.clone()),
                (_, "/net/w.bin") => Answer::ok("weights"),
                _ => Answer::status("404 Not Found", "no"),
            }
        });
        let dir = web(&server, "/a%20b/d/");
        let names = ["MLmodel", "net/model.onnx", "net/w.bin"].map(|path| file(path, None));
        assert_eq!(dir.list().await.unwrap(), names, "{refusal}");
        assert_eq!(read(&dir, "net/w.bin").await.unwrap(), b"weights");
        assert!(server.requests()[0].starts_with("PROPFIND /a%20b/d "));
        let login = "authorization: Basic bWU6c2VjcmV0";
        assert!(server.requests().iter().skip(1).all(|request| request.contains(login)));
    }
}

#[tokio::test]
async fn a_directory_in_google_cloud_storage_is_listed_and_read() {
    let server = Server::start(|line| match line {
        line if line.contains("list-type=2") => page(&[("d/MLmodel", 5)], None),
        _ => Answer::ok("hello"),
    });
    let account = format!(
        "{{\"gcs_base_url\": \"http://{}\", \"disable_oauth\": true, \"client_email\": \"\", \
         \"private_key\": \"\", \"private_key_id\": \"\"}}",
        server.address
    );
    let options = options([("GOOGLE_SERVICE_ACCOUNT_KEY", account)]);
    let dir = ObjectDir::open("gs://models/d", &options).unwrap();
    assert_eq!(listed(&dir).await, [file("MLmodel", Some(5))]);
    assert_eq!(read(&dir, "MLmodel").await.unwrap(), b"hello");
    assert!(server.requests()[1].starts_with("GET /models/d%2FMLmodel "));
}

#[tokio::test]
async fn a_directory_in_azure_is_listed_and_read_with_a_connection_string() {
    let server = Server::start(|line| match line {
        line if line.contains("comp=list") => Answer::ok(
            "<?xml version=\"1.0\"?><EnumerationResults><Blobs><Blob><Name>d/MLmodel</Name>\
             <Properties><Last-Modified>Sat, 21 Nov 2026 05:00:00 GMT</Last-Modified>\
             <Etag>1</Etag><Content-Length>5</Content-Length>\
             <Content-Type>text/plain</Content-Type></Properties></Blob></Blobs>\
             <NextMarker/></EnumerationResults>",
        ),
        _ => Answer::ok("hello"),
    });
    let connection =
        format!("AccountName=acc;AccountKey=a2V5;BlobEndpoint=http://{}/acc", server.address);
    let options = options([("AZURE_STORAGE_CONNECTION_STRING", connection)]);
    let dir = ObjectDir::open("wasbs://c@acc.blob.core.windows.net/d", &options).unwrap();
    assert_eq!(listed(&dir).await, [file("MLmodel", Some(5))]);
    assert_eq!(read(&dir, "MLmodel").await.unwrap(), b"hello");
    let requests = server.requests();
    assert!(requests[1].starts_with("GET /acc/c/d/MLmodel "), "{}", requests[1]);
    assert!(requests.iter().all(|request| request.contains("authorization: SharedKey acc:")));
}

#[tokio::test]
async fn a_webdav_server_is_listed() {
    let body = "<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\">\
        <D:response><D:href>/d/MLmodel</D:href><D:propstat><D:prop><D:resourcetype/>\
        <D:getcontentlength>5</D:getcontentlength>\
        <D:getlastmodified>Sat, 21 Nov 2026 05:00:00 GMT</D:getlastmodified></D:prop>\
        <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>";
    let server = Server::start(move |_| Answer::status("207 Multi-Status", body));
    assert_eq!(listed(&web(&server, "/d")).await, [file("MLmodel", Some(5))]);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_version_goes_from_s3_into_the_cache() {
    let server = Server::start(|line| match line {
        line if line.contains("list-type=2") => page(&[("d/MLmodel", 3), ("d/x/y", 10_000)], None),
        line if line.contains("/d/MLmodel ") => Answer::ok("one"),
        _ => Answer::ok(vec![7; 10_000]),
    });
    let place = tempfile::tempdir().unwrap();
    let cache = Cache::open(CacheOptions {
        dir: place.path().to_owned(),
        bytes_max: 1 << 20,
        free_bytes_min: 0,
        file_bytes_max: 1 << 20,
        files_max: 10,
        streams_max: 1,
        list_time_max: Duration::from_secs(30),
        fetch_time_max: Duration::from_secs(30),
        stall_time_max: Duration::from_secs(30),
        stall_bytes_min: 1,
        known_max: 1,
    });
    let cache = cache.unwrap();
    let about = About {
        model: ModelName::new("m").unwrap(),
        version: VersionId(1),
        origin: "s3://models/d".to_owned(),
    };
    let dir = s3(&server, &about.origin);
    let held = cache.fetch(&CacheKey::of(&about.origin, "1"), &about, &dir, |_, _| {}).await;
    let held = held.unwrap();
    assert_eq!((held.bytes(), held.verify()), (10_003, Ok(())));
    assert_eq!(std::fs::read(held.dir().join("x/y")).unwrap(), [7; 10_000]);
}

#[test]
fn options_print_no_values_and_settings_that_cannot_work_are_refused() {
    let variables = [("AWS_SECRET_ACCESS_KEY", SECRET.to_owned())];
    let printed = format!("{:?}", options(variables));
    assert!(printed.contains("AWS_SECRET_ACCESS_KEY") && !printed.contains(SECRET), "{printed}");

    let bundle = options([("AWS_CA_BUNDLE", "no/such/file".to_owned())]);
    let error = ObjectDir::open("s3://b/a", &bundle).unwrap_err().to_string();
    assert!(error.starts_with("AWS_CA_BUNDLE `no/such/file` cannot be used"), "{error}");
    for (uri, variables) in [
        ("wasbs://c@acc.blob.core.windows.net/a", vec![("AZURE_STORAGE_ACCESS_KEY", "not base64")]),
        ("gs://b/a", vec![("GOOGLE_SERVICE_ACCOUNT_KEY", "secret that is no JSON")]),
    ] {
        let mut options = options([]);
        options.variables =
            variables.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let error = ObjectDir::open(uri, &options).unwrap_err();
        assert!(matches!(error, RemoteError::Unusable(_)), "{error:?}");
        assert!(!error.to_string().contains("not base64"), "{error}");
        assert!(!error.to_string().contains("secret that"), "{error}");
    }
}
