//! The spans that the rules use, as flags and as keys of the file.

use std::time::Duration;

use clap::Args;
use molt_domain::policy::Spans;

/// The spans that were given; each of the others has a default that suits a fleet.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct SpanArgs {
    /// How often hosts renew their sessions
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    pub(super) heartbeat: Option<Duration>,
    /// How long a session lives without a renewal
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    pub(super) session_ttl: Option<Duration>,
    /// How long before its deadline a holder stops by itself
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    pub(super) margin: Option<Duration>,
    /// How long a stopped run may take to end before it is killed
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    pub(super) kill_grace: Option<Duration>,
    /// How long a lost lock stays closed
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    pub(super) delay: Option<Duration>,
    /// How long a lost session's claims wait for it
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    pub(super) grace: Option<Duration>,
    /// How long after the loss they wait at most, while there are signs of life
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    pub(super) extension: Option<Duration>,
    /// How old a change of a log or a file may be to be a sign of life
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    pub(super) fresh: Option<Duration>,
    /// After how long without a sign of work a holder is asked, if somebody waits
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    pub(super) idle: Option<Duration>,
    /// How long it then has to answer
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    pub(super) answer: Option<Duration>,
    /// How long an offer to an absent waiter stands
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    pub(super) offer: Option<Duration>,
    /// How long a failed build is remembered
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    pub(super) failure_memory: Option<Duration>,
    /// How long a leader's word holds
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    pub(super) leader_ttl: Option<Duration>,
}

impl SpanArgs {
    /// These spans, else those of `file`, else the defaults.
    pub(super) fn over(&self, file: &Self) -> Spans {
        let default = Spans::default();
        let span = |of: fn(&Self) -> Option<Duration>, default| {
            of(self).or_else(|| of(file)).unwrap_or(default)
        };
        Spans {
            heartbeat: span(|given| given.heartbeat, default.heartbeat),
            session_ttl: span(|given| given.session_ttl, default.session_ttl),
            margin: span(|given| given.margin, default.margin),
            kill_grace: span(|given| given.kill_grace, default.kill_grace),
            delay: span(|given| given.delay, default.delay),
            grace: span(|given| given.grace, default.grace),
            extension: span(|given| given.extension, default.extension),
            fresh: span(|given| given.fresh, default.fresh),
            idle: span(|given| given.idle, default.idle),
            answer: span(|given| given.answer, default.answer),
            offer: span(|given| given.offer, default.offer),
            failure_memory: span(|given| given.failure_memory, default.failure_memory),
            leader_ttl: span(|given| given.leader_ttl, default.leader_ttl),
        }
    }
}

/// A span as people write it, without blanks.
pub(super) fn text(span: Duration) -> String {
    humantime::format_duration(span).to_string().replace(' ', "")
}

/// The spans in one line, for `serve` to print.
#[must_use]
pub fn spans_line(spans: &Spans) -> String {
    format!(
        "heartbeat {}, session ttl {}, margin {}, kill grace {}, delay {}, grace {}, extension {}, \
         idle {}, answer {}, offer {}",
        text(spans.heartbeat),
        text(spans.session_ttl),
        text(spans.margin),
        text(spans.kill_grace),
        text(spans.delay),
        text(spans.grace),
        text(spans.extension),
        text(spans.idle),
        text(spans.answer),
        text(spans.offer),
    )
}
