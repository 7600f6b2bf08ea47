//! MLflow's webhooks: deliveries that say that a model has changed in the registry.
//!
//! A delivery only means "ask now": what it says of versions is not believed, so one that is lost,
//! late or repeated costs nothing but time. It is read after its signature was verified, which
//! covers its id, its time and its body; it counts once, and only around the time of its making.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_http::Payload;
use actix_web::http::header::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use futures_util::StreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

use crate::source::TAG_PREFIX;

const ID: &str = "x-mlflow-delivery-id";
const TIMESTAMP: &str = "x-mlflow-timestamp";
const SIGNATURE: &str = "x-mlflow-signature";

/// How far the time of a delivery may be from ours, either way.
const WINDOW: Duration = Duration::from_mins(5);
/// Deliveries of the window that are remembered. Beyond it the oldest is forgotten: if it is
/// repeated, the registry is asked once more.
const SEEN_MAX: usize = 1024;
/// Longest id; MLflow's have 36 bytes.
const ID_BYTES_MAX: usize = 128;
/// Largest delivery: a tag of 100,000 characters, each escaped, fits.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Deliveries that are read at once; one more is told to come again.
const DELIVERIES_MAX: usize = 16;
/// A delivery has this long to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(5);

/// What the registry and this server share. It never shows.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// `None` for a secret of no bytes, which would be no secret.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (!bytes.is_empty()).then_some(Self(bytes))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(...)")
    }
}

type Poke = dyn Fn(&str) -> bool + Send + Sync;

/// Takes deliveries.
pub struct Webhook {
    secret: WebhookSecret,
    poke: Box<Poke>,
    seen: Mutex<Seen>,
    reading: AtomicUsize,
    /// Whether refused deliveries were reported since the last good one.
    has_complained: AtomicBool,
}

/// What came of a delivery that is what it claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// Registries are asked.
    Polled,
    /// It concerns nobody here.
    Ignored,
    /// It was here before.
    Repeated,
}

/// Why a delivery is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undelivered {
    /// It is not signed with our secret.
    Unsigned,
    /// It was made too long ago, or is yet to be made.
    Stale,
    /// It is signed, and makes no sense.
    Malformed,
    TooLarge,
    /// It broke off, or did not arrive in time.
    Incomplete,
    /// Others are being read.
    Busy,
}

impl Webhook {
    /// `poke` has the registry asked about a registered model, by its name, and tells whether
    /// anyone follows it. It returns quickly.
    #[must_use]
    pub fn new(secret: WebhookSecret, poke: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self {
            secret,
            poke: Box::new(poke),
            seen: Mutex::default(),
            reading: AtomicUsize::new(0),
            has_complained: AtomicBool::new(false),
        }
    }

    /// Reads a delivery and does what it asks.
    pub(super) async fn take(
        &self,
        headers: &HeaderMap,
        payload: &mut Payload,
    ) -> Result<Delivered, Undelivered> {
        let taken = self.read_and_act(headers, payload).await;
        match taken {
            Ok(_) => self.has_complained.store(false, Ordering::Relaxed),
            // Once, until a delivery is taken again: who sends them can send many.
            Err(why) if !self.has_complained.swap(true, Ordering::Relaxed) => {
                tracing::warn!(?why, "a webhook's delivery is refused");
            }
            Err(_) => {}
        }
        taken
    }

    async fn read_and_act(
        &self,
        headers: &HeaderMap,
        payload: &mut Payload,
    ) -> Result<Delivered, Undelivered> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let signed = text(ID).zip(text(TIMESTAMP)).zip(text(SIGNATURE));
        let ((id, timestamp), signature) = signed.ok_or(Undelivered::Unsigned)?;
        let body = self.read(payload).await?;
        self.act(&Delivery { id, timestamp, signature, body: &body }, SystemTime::now())
    }

    async fn read(&self, payload: &mut Payload) -> Result<BytesMut, Undelivered> {
        let _place = Place::take(&self.reading).ok_or(Undelivered::Busy)?;
        let whole = async {
            let mut body = BytesMut::new();
            while let Some(piece) = payload.next().await {
                let piece = piece.map_err(|_| Undelivered::Incomplete)?;
                if body.len() + piece.len() > BODY_BYTES_MAX {
                    return Err(Undelivered::TooLarge);
                }
                body.extend_from_slice(&piece);
            }
            Ok(body)
        };
        let timely = tokio::time::timeout(BODY_TIME_MAX, whole).await;
        timely.unwrap_or(Err(Undelivered::Incomplete))
    }

    fn act(&self, delivery: &Delivery<'_>, now: SystemTime) -> Result<Delivered, Undelivered> {
        let (event, at) = delivery.open(&self.secret, now)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = seen.is_new(delivery.id, at, now);
        drop(seen);
        if !is_new {
            return Ok(Delivered::Repeated);
        }
        let followed = event.model().is_some_and(|name| (self.poke)(name));
        Ok(if followed { Delivered::Polled } else { Delivered::Ignored })
    }
}

/// A place among those that are read; free again when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(taken: &'a AtomicUsize) -> Option<Self> {
        let place = Self(taken);
        // Dropped again where there is none.
        (taken.fetch_add(1, Ordering::Relaxed) < DELIVERIES_MAX).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A delivery as it came.
struct Delivery<'a> {
    id: &'a str,
    timestamp: &'a str,
    signature: &'a str,
    body: &'a [u8],
}

/// The part of an event that matters here.
#[derive(Debug, Deserialize)]
struct Event {
    entity: String,
    #[serde(default)]
    data: About,
}

#[derive(Debug, Default, Deserialize)]
struct About {
    name: Option<String>,
    /// Of a tag.
    key: Option<String>,
}

impl Delivery<'_> {
    /// What it says and when it was made, if it is from who has the secret.
    fn open(
        &self,
        secret: &WebhookSecret,
        now: SystemTime,
    ) -> Result<(Event, SystemTime), Undelivered> {
        self.verify(secret).ok_or(Undelivered::Unsigned)?;
        let seconds = self.timestamp.parse().map_err(|_| Undelivered::Malformed)?;
        let at = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let at = at.ok_or(Undelivered::Malformed)?;
        let apart = now.duration_since(at).unwrap_or_else(|ahead| ahead.duration());
        if apart > WINDOW {
            return Err(Undelivered::Stale);
        }
        if self.id.len() > ID_BYTES_MAX {
            return Err(Undelivered::Malformed);
        }
        let event = serde_json::from_slice(self.body).map_err(|_| Undelivered::Malformed)?;
        Ok((event, at))
    }

    /// Takes as long for a wrong signature as for the right one.
    fn verify(&self, secret: &WebhookSecret) -> Option<()> {
        let signature = STANDARD.decode(self.signature.strip_prefix("v1,")?).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).ok()?;
        for part in [self.id.as_bytes(), b".", self.timestamp.as_bytes(), b".", self.body] {
            mac.update(part);
        }
        mac.verify_slice(&signature).ok()
    }
}

impl Event {
    /// The registered model whose versions, aliases or tags have changed. Our own tags are no
    /// news: to ask about them would be to answer ourselves.
    fn model(&self) -> Option<&str> {
        let is_ours = self.data.key.as_ref().is_some_and(|key| key.starts_with(TAG_PREFIX));
        let concerns_versions = self.entity.starts_with("model_version");
        self.data.name.as_deref().filter(|_| concerns_versions && !is_ours)
    }
}

/// The deliveries that were taken and could come again.
#[derive(Debug, Default)]
struct Seen(VecDeque<(SystemTime, String)>);

impl Seen {
    /// Remembers a delivery that was made at that time; whether it was not here before. What is
    /// out of the window is forgotten: it would be refused.
    fn is_new(&mut self, id: &str, at: SystemTime, now: SystemTime) -> bool {
        self.0.retain(|(at, _)| !now.duration_since(*at).is_ok_and(|age| age > WINDOW));
        if self.0.iter().any(|(_, known)| known == id) {
            return false;
        }
        if self.0.len() >= SEEN_MAX {
            self.0.pop_front();
        }
        self.0.push_back((at, id.to_owned()));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;

    /// A delivery of MLflow 3.18.
    struct Recorded {
        id: String,
        timestamp: String,
        signature: String,
        body: String,
        trigger: String,
    }

    impl Recorded {
        fn all() -> Vec<Self> {
            let lines = include_str!("../../tests/fixtures/registry/webhooks.jsonl").lines();
            let read = |line| {
                let line: Value = serde_json::from_str(line).unwrap();
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let header = |name: &str| text(&line["headers"][name]);
                Self {
                    id: header("X-MLflow-Delivery-Id"),
                    timestamp: header("X-MLflow-Timestamp"),
                    signature: header("X-MLflow-Signature"),
                    body: text(&line["body"]),
                    trigger: text(&line["trigger"]),
                }
            };
            lines.map(read).collect()
        }

        fn delivery(&self) -> Delivery<'_> {
            let Self { id, timestamp, signature, body, .. } = self;
            Delivery { id, timestamp, signature, body: body.as_bytes() }
        }

        fn at(&self) -> SystemTime {
            UNIX_EPOCH + Duration::from_secs(self.timestamp.parse().unwrap())
        }
    }

    fn secret() -> WebhookSecret {
        WebhookSecret::new(b"s3cr3t-key".to_vec()).unwrap()
    }

    /// A webhook that follows `churn`, and the names that it was poked with.
    fn webhook() -> (Webhook, Arc<Mutex<Vec<String>>>) {
        let poked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&poked);
        let poke = move |name: &str| {
            log.lock().unwrap().push(name.to_owned());
            name == "churn"
        };
        (Webhook::new(secret(), poke), poked)
    }

    fn signed(id: &str, timestamp: &str, body: &str) -> Recorded {
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret().0).unwrap();
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let [id, timestamp, body] = [id, timestamp, body].map(str::to_owned);
        Recorded { id, timestamp, signature, body, trigger: String::new() }
    }

    #[test]
    fn what_mlflow_sent_is_taken_and_counts_once() {
        let (webhook, poked) = webhook();
        let mut ids = Vec::new();
        for recorded in Recorded::all() {
            let delivered = webhook.act(&recorded.delivery(), recorded.at()).unwrap();
            let expected = match recorded.trigger.as_str() {
                _ if ids.contains(&recorded.id) => Delivered::Repeated,
                "webhook test endpoint" | "create registered model" => Delivered::Ignored,
                _ => Delivered::Polled,
            };
            assert_eq!(delivered, expected, "{}", recorded.trigger);
            ids.push(recorded.id);
        }
        let poked = poked.lock().unwrap();
        assert_eq!(poked[0], "example_model");
        assert_eq!(poked[1..], ["churn"; 7]);
    }

    #[test]
    fn a_delivery_that_was_touched_or_signed_by_another_is_not_believed() {
        let (webhook, poked) = webhook();
        let recorded = &Recorded::all()[1];
        let (good, at) = (recorded.delivery(), recorded.at());
        let body = recorded.body.replace("churn", "other");
        let later = (recorded.timestamp.parse::<u64>().unwrap() + 1).to_string();
        let bare = recorded.signature.replace("v1,", "");
        let cut = &recorded.signature[..recorded.signature.len() - 4];
        for bad in [
            Delivery { body: body.as_bytes(), ..recorded.delivery() },
            Delivery { id: "other", ..recorded.delivery() },
            Delivery { timestamp: &later, ..recorded.delivery() },
            Delivery { signature: "", ..recorded.delivery() },
            Delivery { signature: "v1,", ..recorded.delivery() },
            Delivery { signature: "v1,%%%", ..recorded.delivery() },
            Delivery { signature: &bare, ..recorded.delivery() },
            Delivery { signature: cut, ..recorded.delivery() },
        ] {
            assert_eq!(webhook.act(&bad, at), Err(Undelivered::Unsigned));
        }
        let other = WebhookSecret::new(b"another".to_vec()).unwrap();
        assert!(good.open(&other, at).is_err());
        assert!(poked.lock().unwrap().is_empty());
        assert_eq!(webhook.act(&good, at), Ok(Delivered::Polled), "none of it was remembered");
    }

    #[test]
    fn a_delivery_counts_five_minutes_either_way() {
        let recorded = &Recorded::all()[1];
        for (seconds, stale) in [(0, false), (300, false), (301, true), (86_400, true)] {
            let apart = Duration::from_secs(seconds);
            for now in [recorded.at() + apart, recorded.at() - apart] {
                let delivered = webhook().0.act(&recorded.delivery(), now);
                assert_eq!(delivered == Err(Undelivered::Stale), stale, "{seconds} s");
            }
        }
    }

    #[test]
    fn what_is_signed_and_makes_no_sense_is_malformed() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let event = r#"{"entity": "model_version", "data": {"name": "churn"}}"#;
        let long = "x".repeat(ID_BYTES_MAX + 1);
        for (id, timestamp, body) in [
            ("1", "soon", event),
            ("1", "-5", event),
            ("1", "18446744073709551615", event),
            ("1", "1000", ""),
            ("1", "1000", "{}"),
            ("1", "1000", "[]"),
            ("1", "1000", r#"{"entity": "model_version", "data": {"name": 7}}"#),
            (&long, "1000", event),
        ] {
            let delivered = webhook().0.act(&signed(id, timestamp, body).delivery(), now);
            assert_eq!(delivered, Err(Undelivered::Malformed), "{id} {timestamp} {body}");
        }
    }

    #[test]
    fn our_own_tags_and_what_is_no_version_cause_no_poll() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let (webhook, _) = webhook();
        for (id, (entity, data, expected)) in [
            ("model_version_tag", r#"{"name": "churn", "key": "approved"}"#, Delivered::Polled),
            (
                "model_version_tag",
                r#"{"name": "churn", "key": "flowgate.status"}"#,
                Delivered::Ignored,
            ),
            (
                "model_version_alias",
                r#"{"name": "churn", "alias": "flowgate.x"}"#,
                Delivered::Polled,
            ),
            ("model_version", r#"{"name": "other"}"#, Delivered::Ignored),
            ("model_version", "{}", Delivered::Ignored),
            ("prompt", r#"{"name": "churn"}"#, Delivered::Ignored),
            ("registered_model", r#"{"name": "churn"}"#, Delivered::Ignored),
        ]
        .into_iter()
        .enumerate()
        {
            let body = format!(r#"{{"entity": "{entity}", "action": "set", "data": {data}}}"#);
            let delivery = signed(&id.to_string(), "1000", &body);
            assert_eq!(webhook.act(&delivery.delivery(), now), Ok(expected), "{body}");
        }
    }

    #[test]
    fn the_memory_of_deliveries_is_bounded_by_number_and_time() {
        let mut seen = Seen::default();
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
        for id in 0..2 * SEEN_MAX {
            assert!(seen.is_new(&id.to_string(), at(1000), at(1000)));
        }
        assert_eq!(seen.0.len(), SEEN_MAX);
        assert!(!seen.is_new(&(2 * SEEN_MAX - 1).to_string(), at(1000), at(1000)));
        assert!(seen.is_new("0", at(1000), at(1000)), "the oldest is forgotten");
        assert!(seen.is_new("future", at(1600), at(1301)));
        assert_eq!(seen.0.len(), 1, "what is out of the window is forgotten");
        assert!(!seen.is_new("future", at(1600), at(1900)));
    }

    #[test]
    fn a_place_is_given_back() {
        let taken = AtomicUsize::new(0);
        let places: Vec<_> = (0..DELIVERIES_MAX).map(|_| Place::take(&taken).unwrap()).collect();
        assert!(Place::take(&taken).is_none());
        drop(places);
        assert!(Place::take(&taken).is_some());
        assert_eq!(taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_secret_does_not_show() {
        assert_eq!(format!("{:?}", secret()), "WebhookSecret(...)");
        assert_eq!(WebhookSecret::new(Vec::new()), None);
    }
}
