//! What a run found, as a summary for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::UNIX_EPOCH;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::cli::Options;
use super::process::Usage;
use super::run::Measured;
use super::tally::Tally;

/// A run's results. Times are in seconds or microseconds, as their names say.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    url: String,
    /// `closed` or `open`.
    mode: &'static str,
    /// Requests due a second, in an open loop.
    rate: Option<f64>,
    connections: u64,
    threads: u64,
    bodies: usize,
    duration_s: f64,
    warmup_s: f64,
    /// Where the expected answers come from: `file` or `first answers`.
    expected: &'static str,
    /// Right answers a second: goodput.
    right_per_s: f64,
    /// Answers a second, whatever they say.
    answers_per_s: f64,
    /// When the window began, in seconds since 1970.
    began_unix_s: f64,
    /// Right answers to requests due in the window.
    right: u64,
    /// The same by the version of the model that made them, where the server says so.
    versions: BTreeMap<u64, u64>,
    /// Wrong answers in the whole run.
    wrong: u64,
    first_wrong: Option<Wrong>,
    /// All answers by status.
    statuses: BTreeMap<u16, u64>,
    /// Requests without an answer, by reason.
    failures: BTreeMap<&'static str, u64>,
    /// Requests that were due and for which no connection was free until the end.
    unsent: u64,
    /// Of right answers, from due to answered.
    latency_us: Option<Times>,
    /// The same of 429, 503 and 504.
    refusal_latency_us: Option<Times>,
    /// From due to sent, in an open loop.
    send_delay_us: Option<Times>,
    server: Option<Cost>,
    load: Option<Cost>,
}

#[derive(Debug, Serialize)]
struct Wrong {
    body: usize,
    expected: String,
    got: String,
}

/// A distribution of times, in microseconds.
#[derive(Debug, Serialize)]
struct Times {
    count: u64,
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

/// A process's use of the machine over the window.
#[derive(Debug, Serialize)]
struct Cost {
    /// CPU time for each answer that arrived.
    cpu_us_per_answer: Option<f64>,
    /// Cores in use, on average.
    cores: f64,
    memory_start_bytes: u64,
    memory_end_bytes: u64,
    memory_peak_bytes: u64,
}

impl Report {
    pub(crate) fn new(options: &Options, measured: &Measured) -> Self {
        let Measured { tally, began, unsent, own, server } = measured;
        let duration_s = options.duration.as_secs_f64();
        let open = options.rate.is_some();
        let cost = |usage: &[Usage; 2]| Cost::new(usage, tally);
        Self {
            url: format!("http://{}{}", options.target.authority, options.target.path),
            mode: if open { "open" } else { "closed" },
            rate: options.rate,
            connections: options.connections.get(),
            threads: options.threads.min(options.connections).get(),
            bodies: options.bodies.len(),
            duration_s,
            warmup_s: options.warmup.as_secs_f64(),
            expected: if options.expected.is_some() { "file" } else { "first answers" },
            right_per_s: tally.right_arrived as f64 / duration_s,
            answers_per_s: tally.arrived as f64 / duration_s,
            began_unix_s: began.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            right: tally.right.len(),
            versions: tally.versions.clone(),
            wrong: tally.wrong,
            first_wrong: tally.first_wrong.clone().map(|wrong| Wrong {
                body: wrong.body,
                expected: wrong.expected,
                got: wrong.got,
            }),
            statuses: tally.statuses.clone(),
            failures: tally.failures.clone(),
            unsent: *unsent,
            latency_us: Times::of(&tally.right),
            refusal_latency_us: Times::of(&tally.refused),
            send_delay_us: Times::of(&tally.late).filter(|_| open),
            server: server.as_ref().map(cost),
            load: own.as_ref().map(cost),
        }
    }

    /// Whether no answer was wrong and some were right: under far too much load they may all be to
    /// requests of the warm-up.
    pub(crate) fn is_sound(&self) -> bool {
        self.wrong == 0 && self.right_per_s > 0.0
    }
}

impl Times {
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let us = |ns: u64| ns as f64 / 1e3;
        let quantile = |quantile| us(histogram.value_at_quantile(quantile));
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            mean: histogram.mean() / 1e3,
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            max: us(histogram.max()),
        })
    }
}

impl Cost {
    fn new([begin, end]: &[Usage; 2], tally: &Tally) -> Self {
        // A process that ended takes its time along.
        let cpu = end.cpu.saturating_sub(begin.cpu);
        let answers = (tally.arrived > 0).then_some(tally.arrived as f64);
        Self {
            cpu_us_per_answer: answers.map(|answers| cpu.as_secs_f64() * 1e6 / answers),
            cores: cpu.as_secs_f64() / (end.at - begin.at).as_secs_f64(),
            memory_start_bytes: begin.memory_bytes,
            memory_end_bytes: end.memory_bytes,
            memory_peak_bytes: end.memory_peak_bytes,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, mode, connections, threads, bodies, duration_s, warmup_s, .. } = self;
        let rate = self.rate.map(|rate| format!(" at {rate} requests/s")).unwrap_or_default();
        writeln!(f, "{url}")?;
        writeln!(
            f,
            "{mode} loop{rate}, {connections} connections, {threads} threads, {bodies} bodies, \
             {duration_s} s after {warmup_s} s"
        )?;
        writeln!(f)?;
        writeln!(f, "right answers/s    {:>12.1}", self.right_per_s)?;
        writeln!(f, "all answers/s      {:>12.1}", self.answers_per_s)?;
        writeln!(f, "right answers      {:>12}   (compared with: {})", self.right, self.expected)?;
        writeln!(f, "wrong answers      {:>12}", self.wrong)?;
        for (version, count) in self.versions.iter().filter(|_| self.versions.len() > 1) {
            writeln!(f, "by version {version:<7} {count:>12}")?;
        }
        for (status, count) in &self.statuses {
            writeln!(f, "status {status}         {count:>12}")?;
        }
        for (kind, count) in &self.failures {
            writeln!(f, "failed: {kind:<10} {count:>12}")?;
        }
        if self.unsent > 0 {
            writeln!(f, "never sent         {:>12}   (not in the latencies)", self.unsent)?;
        }
        self.fmt_times(f)?;
        self.fmt_costs(f)?;
        if let Some(Wrong { body, expected, got }) = &self.first_wrong {
            writeln!(f, "\nfirst wrong answer, to body {body} (from 0)")?;
            writeln!(f, "  expected {expected}\n  got      {got}")?;
        }
        Ok(())
    }
}

impl Report {
    fn fmt_times(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("latency", &self.latency_us),
            ("of refusals", &self.refusal_latency_us),
            ("sent late by", &self.send_delay_us),
        ];
        let heads = ["mean", "p50", "p90", "p99", "p99.9", "max"];
        write!(f, "\n{:<15}", "us")?;
        heads.iter().try_for_each(|head| write!(f, "{head:>12}"))?;
        writeln!(f)?;
        for (name, times) in rows {
            let Some(Times { mean, p50, p90, p99, p99_9, max, .. }) = times else { continue };
            write!(f, "{name:<15}")?;
            [mean, p50, p90, p99, p99_9, max].iter().try_for_each(|us| write!(f, "{us:>12.1}"))?;
            writeln!(f)?;
        }
        Ok(())
    }

    fn fmt_costs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [("server", &self.server), ("load generator", &self.load)];
        if rows.iter().any(|(_, cost)| cost.is_some()) {
            let heads = ["CPU us/answer", "cores", "MiB, start", "end", "peak"];
            write!(f, "\n{:<15}", "")?;
            heads.iter().try_for_each(|head| write!(f, "{head:>14}"))?;
            writeln!(f)?;
        }
        for (name, cost) in rows {
            let Some(cost) = cost else { continue };
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            let each = cost.cpu_us_per_answer.map_or("-".to_owned(), |us| format!("{us:.2}"));
            write!(f, "{name:<15}{each:>14}{:>14.2}", cost.cores)?;
            let memory = [cost.memory_start_bytes, cost.memory_end_bytes, cost.memory_peak_bytes];
            memory.iter().try_for_each(|bytes| write!(f, "{:>14.1}", mib(*bytes)))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::time::{Duration, Instant};

    use serde_json::{Value, json};

    use super::*;
    use crate::cli;
    use crate::tally::{Outcome, WrongAnswer};
    use crate::turns::Turn;

    const MS: Duration = Duration::from_millis(1);

    /// A report of a run of one second with these outcomes, each after 2 ms.
    fn report(outcomes: Vec<Outcome>, more: &[&str]) -> Report {
        let body = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let base = ["load", "--url", "http://h:1/x", "--body", body, "--duration", "1s"];
        let options = cli::parse(base.iter().chain(more).map(OsString::from)).unwrap();
        let start = Instant::now();
        let mut tally = Tally::new(start..start + options.duration, false);
        for outcome in outcomes {
            tally.record(
                &Turn { number: 0, due: start, taken: start + MS },
                outcome,
                start + 2 * MS,
            );
        }
        let usage = |seconds: u32| Usage {
            at: start + seconds * 1_000 * MS,
            cpu: seconds * 500 * MS,
            memory_bytes: 1 << 20,
            memory_peak_bytes: 2 << 20,
        };
        Report::new(
            &options,
            &Measured {
                tally,
                began: UNIX_EPOCH + Duration::from_secs(7),
                unsent: 4,
                own: None,
                server: Some([usage(1), usage(2)]),
            },
        )
    }

    fn wrong() -> Outcome {
        Outcome::Wrong(WrongAnswer::new(3, b"[1]", b"[2]"))
    }

    #[test]
    fn the_json_has_every_figure() {
        let right = || Outcome::Right(Some(3));
        let outcomes = vec![right(), right(), wrong(), Outcome::Status(429)];
        let report = report(outcomes, &["--rate", "5"]);
        let json = serde_json::to_value(&report).unwrap();
        let figures = |names: &[&str]| names.iter().map(|name| json[name].clone()).collect();
        let counts: Vec<Value> = figures(&["right", "wrong", "unsent", "right_per_s", "mode"]);
        assert_eq!(counts, [json!(2), json!(1), json!(4), json!(2.0), json!("open")]);
        assert_eq!(json["statuses"], json!({"200": 3, "429": 1}));
        assert_eq!((&json["versions"], &json["began_unix_s"]), (&json!({"3": 2}), &json!(7.0)));
        assert_eq!(json["latency_us"]["count"], 2);
        let close = |value: &Value, us: f64| (value.as_f64().unwrap() / us - 1.0).abs() < 1e-2;
        assert!(close(&json["latency_us"]["p99_9"], 2_000.0), "{json}");
        assert!(close(&json["refusal_latency_us"]["max"], 2_000.0), "{json}");
        assert!(close(&json["send_delay_us"]["p50"], 1_000.0), "{json}");
        assert!(close(&json["server"]["cpu_us_per_answer"], 125_000.0), "{json}");
        assert!(close(&json["server"]["cores"], 0.5), "{json}");
        assert_eq!(
            (&json["load"], &json["server"]["memory_end_bytes"]),
            (&Value::Null, &json!(1 << 20))
        );
        assert_eq!(json["first_wrong"], json!({"body": 3, "expected": "[1]", "got": "[2]"}));
    }

    #[test]
    fn the_summary_shows_what_went_wrong() {
        let text =
            report(vec![Outcome::Right(None), wrong(), Outcome::Status(503)], &[]).to_string();
        for part in [
            "closed loop, 16 connections",
            "first answers",
            "status 503",
            "of refusals",
            "never sent                    4",
            "expected [1]",
            "got      [2]",
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
        assert!(!text.contains("sent late by"), "{text}");
    }

    #[test]
    fn a_run_is_sound_when_answers_were_right_and_none_was_wrong() {
        assert!(report(vec![Outcome::Right(None), Outcome::Status(429)], &[]).is_sound());
        assert!(!report(vec![Outcome::Right(None), wrong()], &[]).is_sound());
        assert!(!report(vec![Outcome::Status(429)], &[]).is_sound());
        assert!(!report(vec![], &[]).is_sound());
    }
}
