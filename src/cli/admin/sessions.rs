//! `/sessions`: the live sessions as JSON, the oldest first.

use std::fmt::Write;

use hebra::{Monitor, SessionInfo};
use serde_json::Value;

/// What a session takes in JSON, in bytes, or somewhat more.
const SESSION: usize = 256;

/// Returns an array with an object for each session. The sessions are copied first: none of them waits for this text.
pub(super) fn json(service: Option<&Monitor>) -> String {
    let sessions = service.map(Monitor::sessions).unwrap_or_default();
    let mut out = String::with_capacity(SESSION * (1 + sessions.len()));
    out.push('[');
    for (position, session) in sessions.iter().enumerate() {
        out.push_str(if position == 0 { "\n" } else { ",\n" });
        write(&mut out, session);
    }
    out.push_str("\n]\n");
    out
}

fn write(out: &mut String, session: &SessionInfo) {
    let SessionInfo { client, listener, age, silence, messages, bytes_in, bytes_out, faults, .. } = session;
    let text = |value: &dyn ToString| Value::from(value.to_string());
    let proxied_by = client.proxied_by.map_or(Value::Null, |proxy| text(&proxy));
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "{{\"client\":{},\"peer\":{},\"proxied_by\":{proxied_by},\"listener\":{},\"age_s\":{:.3},\"silence_s\":{:.3},\
         \"messages\":{messages},\"bytes_in\":{bytes_in},\"bytes_out\":{bytes_out},\"faults\":{faults}}}",
        client.id,
        text(&client.peer),
        text(listener),
        age.as_secs_f64(),
        silence.as_secs_f64(),
    );
}
