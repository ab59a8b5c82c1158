//! Faults that are asked for: a pause, then perhaps an answer in place of the upstream's.

use wattle_contract::route::Fault;

use super::reply::Reply;
use crate::dice::Dice;
use crate::telemetry::{Flag, Record};

/// Injects what the route asks for; an answer ends the request.
pub(crate) async fn inject(fault: &Fault, dice: &Dice, record: &mut Record) -> Result<(), Reply> {
    if let Some(delay) = fault.delay.filter(|delay| dice.hits(delay.percentage)) {
        record.flag(Flag::DelayInjected);
        tokio::time::sleep(delay.fixed).await;
    }
    let Some(abort) = fault.abort.filter(|abort| dice.hits(abort.percentage)) else { return Ok(()) };
    let status = abort.http_status.filter(|status| (200..1000).contains(status));
    let mut reply = Reply::new(status.unwrap_or(200), Flag::FaultInjected, "fault filter abort");
    reply.grpc = abort.grpc_status;
    Err(reply)
}
