//! docs/api/errors.md is made from the code.

use std::fmt::Write as _;

use tidegate_control_plane::admin_api::ErrorCode;
use tidegate_data_plane::GatewayError;

/// Codes of policies' replies, which are told on the pages of their kinds.
const POLICIES: &[(&str, u16, &str, &str)] = &[
    ("missing_credentials", 401, "downstream", "The request shows no credentials."),
    ("invalid_credentials", 401, "downstream", "The credentials are malformed, unknown, revoked or expired."),
    ("forbidden", 403, "downstream", "An access list does not let the caller in."),
    ("ip_refused", 403, "downstream", "Requests from this address are not let in."),
    (
        "maintenance",
        503,
        "upstream",
        "The API is being worked on; `Retry-After` says when to come back, where that is known.",
    ),
    (
        "too_many_failures",
        429,
        "downstream",
        "Too many attempts from this address failed: no credentials from there are looked at until `Retry-After`.",
    ),
    (
        "insufficient_scope",
        403,
        "downstream",
        "The token's scopes are not enough; `WWW-Authenticate` names those that are asked for.",
    ),
    (
        "insufficient_claims",
        403,
        "downstream",
        "The token lacks a claim that is asked for, or has another value there.",
    ),
    (
        "quota_exceeded",
        429,
        "downstream",
        "A rate limit is used up; `violated-policies` names it, `Retry-After` says when to come back.",
    ),
    (
        "rate_limit_store_unavailable",
        503,
        "gateway",
        "The counters of a limit can't be reached, and it says to refuse then.",
    ),
    (
        "request_invalid",
        400,
        "downstream",
        "Parameters or body are not as `validate-request` wants them; `errors` lists what is wrong.",
    ),
    (
        "unsupported_media_type",
        415,
        "downstream",
        "The body is of a type, in a charset or with an encoding that is not taken; `Accept` says what is.",
    ),
    (
        "response_invalid",
        502,
        "upstream",
        "The API's answer is not as `validate-response` wants it; `errors` lists what is wrong.",
    ),
    ("only_if_cached", 504, "downstream", "The request asks for a kept answer alone, and none fits."),
    ("compression_failed", 500, "gateway", "The answer could not be compressed."),
    ("policy_failed", 503, "gateway", "A policy could not decide, and says to refuse then."),
    ("route_broken", 503, "gateway", "A policy of the route can't be built on this node."),
];

fn page() -> Result<String, std::fmt::Error> {
    let mut page = String::from(
        "# Errors\n\nEvery error is `application/problem+json` (RFC 9457) with a `code` that never changes its meaning, and the request's id. \
         This page is made from the code; a test compares them.\n\n## The proxy's own replies\n\nReplies that the gateway makes itself say whose turn it is \
         (`blame`): the caller's (`downstream`), the API's (`upstream`) or the gateway's.\n\n| code | status | blame | meaning |\n|---|---|---|---|\n",
    );
    for (code, status, blame, meaning) in GatewayError::ALL {
        writeln!(page, "| `{code}` | {} | {} | {} |", status.as_u16(), blame.as_str(), meaning.trim())?;
    }
    for (code, status, blame, meaning) in POLICIES {
        writeln!(page, "| `{code}` | {status} | {blame} | {meaning} |")?;
    }
    page.push_str(
        "\n## The admin API\n\nAll problems of a document are told at once: `errors` lists each with a JSON pointer (RFC 6901), a code and what would be \
         right.\n\n| code | status | title |\n|---|---|---|\n",
    );
    for code in ErrorCode::ALL {
        writeln!(page, "| `{}` | {} | {} |", code.as_str(), code.status().as_u16(), code.title())?;
    }
    Ok(page)
}

#[test]
fn the_page_of_errors_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api/errors.md");
    let page = page().expect("a String takes all");
    if std::env::var_os("TIDEGATE_WRITE_DOCS").is_some() {
        std::fs::write(path, &page).expect("the page is written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == page, "docs/api/errors.md is out of date: run this test with TIDEGATE_WRITE_DOCS=1");
}
