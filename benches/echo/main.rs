//! A bare actix-web server that answers `POST` with the request's body: what HTTP alone costs.
//!
//! Its settings are those of flowgate's own server (`src/server/listen.rs`), with the same
//! allocator, so that what is measured beside it differs by what flowgate does with a request.

use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use actix_web::http::header::ContentType;
use actix_web::rt::System;
use actix_web::web::{self, Bytes, PayloadConfig};
use actix_web::{App, HttpResponse, HttpServer};
use clap::{Arg, Command, value_parser};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// flowgate's defaults.
const BODY_BYTES_MAX: usize = 64 << 20;
const CONNECTIONS_MAX: usize = 8_192;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const SHUTDOWN_SECONDS: u64 = 30;

fn main() -> io::Result<()> {
    let matches = command().get_matches();
    let workers = matches.get_one::<NonZeroUsize>("workers").copied();
    let port = matches.get_one::<u16>("port").copied().unwrap_or(0);
    // As flowgate: half of the cores.
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = workers.map_or(cores.div_ceil(2), NonZeroUsize::get);
    System::new().block_on(async {
        let server = HttpServer::new(|| {
            App::new()
                .app_data(PayloadConfig::new(BODY_BYTES_MAX))
                .default_service(web::post().to(echo))
        })
        .workers(workers)
        .worker_max_blocking_threads(1)
        .max_connections(CONNECTIONS_MAX.div_ceil(workers))
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .h1_allow_half_closed(false)
        .tcp_nodelay(true)
        .bind(("127.0.0.1", port))?;
        for address in server.addrs() {
            writeln!(io::stdout().lock(), "listening on http://{address}")?;
        }
        server.run().await
    })
}

async fn echo(body: Bytes) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(body)
}

fn command() -> Command {
    Command::new("echo").about("Answers POST with the request's body, on 127.0.0.1").args([
        Arg::new("workers")
            .long("workers")
            .value_name("N")
            .help("Event-loop threads [default: half of the cores]")
            .value_parser(|text: &str| text.parse::<NonZeroUsize>()),
        Arg::new("port")
            .long("port")
            .value_name("PORT")
            .help("Port; 0 picks a free one")
            .default_value("0")
            .value_parser(value_parser!(u16)),
    ])
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[actix_web::test]
    async fn the_answer_is_the_body() {
        let answer = echo(Bytes::from_static(b"[1]")).await;
        assert_eq!(answer.headers().get("content-type").unwrap(), "application/json");
        assert_eq!(to_bytes(answer.into_body()).await.unwrap(), "[1]");
    }

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }
}
